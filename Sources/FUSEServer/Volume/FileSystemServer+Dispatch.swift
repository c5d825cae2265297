internal import EngineKit
internal import FUSELayout
internal import FileSystem
internal import LayoutKit

// From opcodes to operations. Spec: fuse 2, 4, 8.

extension FileSystemServer {
    func dispatch(_ header: FUSERequestHeader, _ data: UnsafeRawBufferPointer) throws(LayoutError) {
        guard let opcode = FUSEOpcode(rawValue: header.rawOpcode) else {
            // ENOSYS for what is newer than this code: the kernel then does without it. Spec: fuse 8.2.
            fail(header.unique, ErrorNumber.notImplemented)
            return
        }
        switch (phase, opcode) {
        case (.mounted, .initialize):
            try initialize(header, data)
            return
        case (.mounted, _), (.serving, .initialize):
            if opcode.isAnswered { fail(header.unique, ErrorNumber.inputOutput) }
            return
        case (.serving, _):
            break
        case (.closed, _):
            return
        }
        switch opcode {
        case .forget:
            forget(header.node, try FUSEForgetRequest(decoding: data).lookupCount)
            return
        case .batchForget:
            for item in try FUSEBatchForgetRequest(decoding: data).items { forget(item.node, item.lookupCount) }
            return
        case .interrupt:
            interrupt(try FUSEInterruptRequest(decoding: data).unique)
            return
        case .notifyReply:
            return
        case .destroy:
            acknowledge(header.unique)
            return
        default:
            break
        }
        guard let record = nodes.record(header.node) else {
            // The kernel and we disagree on what it knows; it looks the name up again.
            fail(header.unique, ErrorNumber.stale)
            return
        }
        try dispatch(opcode, header, record, data)
    }

    private func dispatch(
        _ opcode: FUSEOpcode, _ header: FUSERequestHeader, _ record: Record, _ data: UnsafeRawBufferPointer
    ) throws(LayoutError) {
        switch opcode {
        case .lookup: try lookup(header, record, data)
        case .getAttributes: getAttributes(header, record)
        case .setAttributes: try setAttributes(header, record, data)
        case .readLink: readLink(header, record)
        case .symlink: try makeSymbolicLink(header, record, data)
        case .makeNode: try makeNode(header, record, data)
        case .makeDirectory: try makeDirectory(header, record, data)
        case .unlink: try remove(header, record, data, isDirectory: false)
        case .removeDirectory: try remove(header, record, data, isDirectory: true)
        case .rename: try rename(header, record, data, hasFlags: false)
        case .rename2: try rename(header, record, data, hasFlags: true)
        case .link: try link(header, record, data)
        case .open: try open(header, record, data)
        case .create: try create(header, record, data, isTemporary: false)
        case .temporaryFile: try create(header, record, data, isTemporary: true)
        case .read: try read(header, record, data)
        case .write: try write(header, record, data)
        case .flush: try flush(header, record, data)
        case .fsync, .fsyncDirectory: try synchronize(header, record, data)
        case .release: try release(header, record, data)
        case .openDirectory: openDirectory(header, record)
        case .readDirectory: try readDirectory(header, record, data)
        case .readDirectoryPlus: try readDirectoryPlus(header, record, data)
        case .releaseDirectory: try release(header, record, data)
        case .statfs: statfs(header, record)
        case .fallocate: try fallocate(header, record, data)
        case .seek: try seek(header, record, data)
        case .copyFileRange: try copyRange(header, record, data, isWide: false)
        case .copyFileRange64: try copyRange(header, record, data, isWide: true)
        case .setExtendedAttribute: try setXattr(header, record, data)
        case .getExtendedAttribute: try getXattr(header, record, data)
        case .listExtendedAttributes: try listXattrs(header, record, data)
        case .removeExtendedAttribute: try removeXattr(header, record, data)
        case .setLock, .setLockWait: try setLock(header, record, data, waits: opcode == .setLockWait)
        case .ioctl: try ioctl(header, record, data)
        case .access:
            // Not sent with default_permissions: the kernel has checked.
            acknowledge(header.unique)
        case .statx, .poll, .blockMap:
            // The kernel does without: GETATTR, always ready, no map. Spec: fuse 22.
            fail(header.unique, ErrorNumber.notImplemented)
        case .getLock, .setupMapping, .removeMapping, .syncfs:
            fail(header.unique, ErrorNumber.notSupported)
        case .forget, .batchForget, .interrupt, .notifyReply, .destroy, .initialize:
            preconditionFailure("request \(opcode) is handled before")
        }
    }

    /// Spec: fuse 2, 19.
    private func initialize(_ header: FUSERequestHeader, _ data: UnsafeRawBufferPointer) throws(LayoutError) {
        let offer = try FUSEInitRequest(decoding: data)
        guard offer.major >= FUSEVersion.major,
            offer.major > FUSEVersion.major || offer.minor >= FUSEVersion.minorMin
        else {
            log(.error, "the kernel speaks protocol \(offer.major).\(offer.minor), 7.23 is needed")
            fail(header.unique, ErrorNumber.protocolError)
            return
        }
        var wanted: FUSEInitFlags = [
            .asyncRead, .atomicTruncate, .bigWrites, .flockLocks, .hasIoctlDirectory, .readDirectoryPlus,
            .readDirectoryPlusAuto, .asyncDirectIO, .parallelDirectoryOperations, .abortError, .maxPages,
            .cacheSymlinks, .explicitInvalidateData, .handleKillPrivilegesV2, .setExtendedAttributeExtended,
            .initExtended, .securityContext, .createSupplementaryGroup, .hasExpireOnly, .directIOAllowMmap,
        ]
        // Deviation from fuse 19: not ALLOW_IDMAP. With it the head of every request that makes nothing carries no
        // user (seen on 6.18: all bits set), and whether an owner or root asks is what xattrs and flags turn on.
        if options.hasAccessLists { wanted.formUnion([.posixACL, .dontMask]) }
        let flags = wanted.intersection(offer.flags)
        let minor = min(offer.minor, FUSEVersion.minorOfFileSystem)
        reply(
            header.unique,
            FUSEInitReply(
                minor: minor, readaheadMax: offer.readaheadMax, flags: flags, backgroundMax: .max,
                congestionThreshold: .max, writeByteCountMax: UInt32(ReceiveBuffers.dataByteCountMax),
                pagesMax: UInt16(ReceiveBuffers.dataByteCountMax / ReceiveBuffers.pageByteCount)))
        // A kernel of another major number sends INIT again.
        guard offer.major == FUSEVersion.major else { return }
        agreed = flags
        kernelMinor = minor
        phase = .serving
        log(.debug, "mounted, the kernel speaks protocol \(offer.major).\(offer.minor)")
        host.isServing()
    }

    private func forget(_ node: UInt64, _ count: UInt64) {
        if !nodes.forget(node, count: count) {
            log(.warning, "the kernel forgets node \(node), which it was not told of so often")
        }
    }

    private func interrupt(_ unique: UInt64) {
        guard let node = interrupts.interrupted(unique) else { return }
        if let wait = sharedLockWaits[unique] { return wait.interrupt() }
        // Its task may not have begun to wait yet.
        if !flocks.interrupt(node, unique: unique) { interrupts.remember(unique) }
    }

    // MARK: Pieces of requests

    func caller(_ header: FUSERequestHeader, _ extensions: FUSECreateExtensions? = nil) -> Caller {
        Caller(uid: header.user, gid: header.group, pid: header.process, groups: extensions?.groups ?? [])
    }

    /// A name within a directory; the error for a name that cannot exist is the operation's.
    func fileName(_ bytes: UnsafeRawBufferPointer) -> Result<FileName, FileSystemError> {
        do throws(FileSystemError) {
            return .success(try FileName(bytes))
        } catch {
            return .failure(error)
        }
    }

    /// Security contexts and groups behind the names of a request that makes something.
    func extensions(
        _ header: FUSERequestHeader, _ rest: UnsafeRawBufferPointer
    ) throws(LayoutError) -> FUSECreateExtensions {
        guard agreed.contains(.securityContext) || agreed.contains(.createSupplementaryGroup) else {
            return FUSECreateExtensions()
        }
        let count = Int(header.extensionUnits) * 8
        guard count > 0 else { return try FUSECreateExtensions(decoding: rest) }
        guard count <= rest.count else { throw .truncated(need: count, have: rest.count) }
        return try FUSECreateExtensions(decoding: rest.dropped(rest.count - count))
    }
}
