internal import EngineKit
internal import FUSELayout
internal import LayoutKit

// Everything that does not move the file's data: INIT, names, attributes, opening. Spec: fuse 2, 4, 8.

extension SingleFileServer {
    /// Nothing here changes while the mount lives.
    private static let timeout = FUSETimeout(seconds: 3600)

    func answer(
        _ header: FUSERequestHeader, _ data: UnsafeRawBufferPointer, into actions: inout [FUSEAction]
    ) throws(LayoutError) {
        guard let opcode = FUSEOpcode(rawValue: header.rawOpcode) else {
            // ENOSYS for what is newer than this code: the kernel then does without it. Spec: fuse 8.2.
            fail(header, ErrorNumber.notImplemented)
            return
        }
        switch (phase, opcode) {
        case (.mounted, .initialize):
            try initialize(header, data, into: &actions)
            return
        case (.mounted, _), (.serving, .initialize):
            if opcode.isAnswered { fail(header, ErrorNumber.inputOutput) }
            return
        case (.serving, _):
            break
        case (.closed, _):
            return
        }
        switch opcode {
        case .read: try read(header, data, into: &actions)
        case .write: try write(header, data, into: &actions)
        case .fsync: flush(header, into: &actions)
        case .fallocate: try fallocate(header, data, into: &actions)
        case .seek: try seek(header, data)
        case .lookup: try lookup(header, data)
        case .getAttributes: getAttributes(header)
        case .setAttributes: try setAttributes(header, data)
        case .open: try open(header, data)
        case .openDirectory: openDirectory(header)
        case .readDirectory: try readDirectory(header, data)
        case .statfs: statfs(header)
        case .access, .flush, .release, .releaseDirectory, .fsyncDirectory, .destroy:
            // Close writes nothing: there is no cache here, and stable storage is what FSYNC is for.
            acknowledge(header.unique)
        case .forget, .batchForget, .interrupt, .notifyReply:
            // The two nodes live as long as the mount, and nothing waits here that could be given up.
            break
        case .ioctl:
            fail(header, ErrorNumber.notTerminal)
        case .getExtendedAttribute, .setExtendedAttribute, .listExtendedAttributes, .removeExtendedAttribute,
            .statx, .copyFileRange, .copyFileRange64, .poll, .blockMap, .readDirectoryPlus, .initialize:
            fail(header, ErrorNumber.notImplemented)
        case .readLink, .getLock, .setLock, .setLockWait, .setupMapping, .removeMapping, .syncfs:
            fail(header, ErrorNumber.notSupported)
        case .symlink, .makeNode, .makeDirectory, .unlink, .removeDirectory, .rename, .rename2, .link, .create,
            .temporaryFile:
            fail(header, ErrorNumber.notPermitted)
        }
    }

    private func initialize(
        _ header: FUSERequestHeader, _ data: UnsafeRawBufferPointer, into actions: inout [FUSEAction]
    ) throws(LayoutError) {
        let offer = try FUSEInitRequest(decoding: data)
        guard offer.major >= FUSEVersion.major,
            offer.major > FUSEVersion.major || offer.minor >= FUSEVersion.minorMin
        else {
            log(.error, "the kernel speaks protocol \(offer.major).\(offer.minor), 7.23 is needed", into: &actions)
            fail(header, ErrorNumber.protocolError)
            return
        }
        let wanted: FUSEInitFlags = [
            .asyncRead, .bigWrites, .asyncDirectIO, .parallelDirectoryOperations, .abortError, .maxPages,
        ]
        let pages = Self.transferByteCountMax / Self.pageByteCount
        reply(
            header.unique,
            FUSEInitReply(
                minor: min(offer.minor, FUSEVersion.minor), readaheadMax: offer.readaheadMax,
                flags: wanted.intersection(offer.flags), backgroundMax: 128, congestionThreshold: 96,
                writeByteCountMax: UInt32(Self.transferByteCountMax), pagesMax: UInt16(pages)))
        // A kernel of another major number sends INIT again.
        guard offer.major == FUSEVersion.major else { return }
        opensParallelWrites = offer.minor >= 36
        phase = .serving
        log(.debug, "mounted, the kernel speaks protocol \(offer.major).\(offer.minor)", into: &actions)
        actions.append(.ready)
    }

    // MARK: Names and attributes

    private func attributes(of node: UInt64) -> FUSEAttributes? {
        switch node {
        case Node.root:
            var attributes = FUSEAttributes(
                inode: Node.root, sizeBytes: 0, blocks: 0, mode: FUSEAttributes.FileType.directory | 0o500)
            attributes.links = 2
            return attributes
        case Node.file:
            let permissions: UInt32 = file.isReadOnly ? 0o400 : 0o600
            return FUSEAttributes(
                inode: Node.file, sizeBytes: file.sizeBytes, blocks: file.sizeBytes / 512,
                mode: FUSEAttributes.FileType.regular | permissions)
        default:
            return nil
        }
    }

    private func replyAttributes(_ header: FUSERequestHeader) {
        guard let attributes = attributes(of: header.node) else {
            fail(header, ErrorNumber.noEntry)
            return
        }
        reply(header.unique, FUSEAttributesReply(timeout: Self.timeout, attributes: attributes))
    }

    private func lookup(_ header: FUSERequestHeader, _ data: UnsafeRawBufferPointer) throws(LayoutError) {
        let name = try FUSEName.decode(data)
        guard header.node == Node.root else {
            fail(header, ErrorNumber.notDirectory)
            return
        }
        guard name.elementsEqual(fileName), let attributes = attributes(of: Node.file) else {
            fail(header, ErrorNumber.noEntry)
            return
        }
        reply(
            header.unique,
            FUSEEntryReply(
                node: Node.file, generation: 0, nameTimeout: Self.timeout, attributesTimeout: Self.timeout,
                attributes: attributes))
    }

    private func getAttributes(_ header: FUSERequestHeader) {
        replyAttributes(header)
    }

    /// Times are taken and forgotten; all else stays as it is.
    private func setAttributes(_ header: FUSERequestHeader, _ data: UnsafeRawBufferPointer) throws(LayoutError) {
        let request = try FUSESetAttributesRequest(decoding: data)
        let changesSize = request.valid.contains(.size) && request.sizeBytes != file.sizeBytes
        guard !changesSize, request.valid.isDisjoint(with: [.mode, .user, .group]) else {
            fail(header, ErrorNumber.notPermitted)
            return
        }
        replyAttributes(header)
    }

    private func open(_ header: FUSERequestHeader, _ data: UnsafeRawBufferPointer) throws(LayoutError) {
        let request = try FUSEOpenRequest(decoding: data)
        guard header.node == Node.file else {
            fail(header, ErrorNumber.isDirectory)
            return
        }
        let readsOnly = request.flags & FUSEOpenRequest.accessModeMask == FUSEOpenRequest.accessModeReadOnly
        guard readsOnly || !file.isReadOnly else {
            fail(header, ErrorNumber.readOnly)
            return
        }
        var flags: FUSEOpenReply.Flags = [.directIO, .noFlush]
        // Without it the kernel lets one write at a time into the file.
        if opensParallelWrites { flags.insert(.parallelDirectWrites) }
        reply(header.unique, FUSEOpenReply(handle: 0, flags: flags))
    }

    private func openDirectory(_ header: FUSERequestHeader) {
        guard header.node == Node.root else {
            fail(header, ErrorNumber.notDirectory)
            return
        }
        reply(header.unique, FUSEOpenReply(handle: 0, flags: [.keepCache, .cacheDirectory]))
    }

    private func readDirectory(_ header: FUSERequestHeader, _ data: UnsafeRawBufferPointer) throws(LayoutError) {
        let request = try FUSETransferRequest(decoding: data)
        guard header.node == Node.root else {
            fail(header, ErrorNumber.notDirectory)
            return
        }
        let all = [
            FUSEDirectoryEntry(inode: Node.root, nextCookie: 1, type: .directory, name: Array(".".utf8)),
            FUSEDirectoryEntry(inode: Node.root, nextCookie: 2, type: .directory, name: Array("..".utf8)),
            FUSEDirectoryEntry(inode: Node.file, nextCookie: 3, type: .regular, name: fileName),
        ]
        var room = Int(request.size)
        var entries: [FUSEDirectoryEntry] = []
        for entry in all.dropFirst(Int(min(request.offset, 3))) {
            guard entry.byteCount <= room else { break }
            room -= entry.byteCount
            entries.append(entry)
        }
        let count = entries.reduce(FUSEReplyHeader.byteCount) { $0 + $1.byteCount }
        replies.append(count: count) { out in
            FUSEReplyHeader(length: count, errno: 0, unique: header.unique).encode(into: out)
            var position = FUSEReplyHeader.byteCount
            for entry in entries {
                entry.encode(into: out.dropped(position))
                position += entry.byteCount
            }
        }
    }

    private func statfs(_ header: FUSERequestHeader) {
        let block = UInt32(Self.pageByteCount)
        reply(
            header.unique,
            FUSEStatfsReply(
                blocks: file.sizeBytes / UInt64(block), blocksFree: 0, blocksAvailable: 0, files: 2, filesFree: 0,
                blockSize: block, fragmentSize: block))
    }
}
