internal import EngineKit
internal import FUSELayout
internal import FileSystem
internal import LayoutKit

// Opening and closing. Spec: fuse 4, 14, 20, 23.

/// O_EXCL
private let exclusiveFlag: UInt32 = 0o200

extension FileSystemServer {
    func open(
        _ header: FUSERequestHeader, _ record: Record, _ data: UnsafeRawBufferPointer
    ) throws(LayoutError) {
        let request = try FUSEOpenRequest(decoding: data)
        let mode = OpenMode(flags: request.flags)
        let caller = caller(header)
        let dropsBits = mode.truncates && request.openFlags & FUSEOpenRequest.killSetIDs != 0
        run(header, record) { [self] () async throws(FileSystemError) in
            try await operations.openFile(record.node, mode, caller: caller)
            if dropsBits {
                do throws(FileSystemError) {
                    try await dropPrivileges(record, caller)
                } catch {
                    await operations.closeFile(record.node, mode)
                    throw error
                }
            }
            let opened = addHandle(record, mode, flags: request.flags)
            if mode.writes { await dropPagesForWriter(record) }
            reply(header.unique, opened)
        }
    }

    func create(
        _ header: FUSERequestHeader, _ parent: Record, _ data: UnsafeRawBufferPointer, isTemporary: Bool
    ) throws(LayoutError) {
        let request = try FUSECreateRequest(decoding: data)
        let (rawName, rest) = try FUSEName.split(data.dropped(FUSECreateRequest.byteCount))
        let name = fileName(rawName)
        let extensions = try extensions(header, rest)
        let new = newNode(header, mode: request.mode, umask: request.umask, extensions)
        // What was just made has nothing to be cut off.
        var mode = OpenMode(flags: request.flags)
        mode.truncates = false
        let openMode = mode
        run(header, parent) { [self] () async throws(FileSystemError) in
            let node =
                isTemporary
                ? try await operations.makeTemporaryFile(in: parent.node, new)
                : try await createNew(try name.get(), parent, new, flags: request.flags)
            do throws(FileSystemError) {
                try await operations.openFile(node, openMode, caller: new.caller)
            } catch {
                node.release()
                throw error
            }
            let (record, entry): (Record, FUSEEntryReply)
            do throws(FileSystemError) {
                (record, entry) = try await self.entry(node, in: parent)
            } catch {
                await operations.closeFile(node, openMode)
                throw error
            }
            nodes.countLookup(record)
            replyCreated(header, entry, addHandle(record, openMode, flags: request.flags))
        }
    }

    /// The kernel saw no file of that name, but another host may have made one since. Unless it must be new, the kernel has
    /// to look again and open that one, with all its checks: which it does, once, when it is told that what it knows is
    /// stale.
    private func createNew(
        _ name: FileName, _ parent: Record, _ new: NewNode, flags: UInt32
    ) async throws(FileSystemError) -> Node {
        do throws(FileSystemError) {
            return try await operations.createFile(name, in: parent.node, new)
        } catch .alreadyExists where policy.isShared && flags & exclusiveFlag == 0 {
            throw .stale
        }
    }

    private func replyCreated(_ header: FUSERequestHeader, _ entry: FUSEEntryReply, _ opened: FUSEOpenReply) {
        let count = FUSEReplyHeader.byteCount + FUSEEntryReply.byteCount + FUSEOpenReply.byteCount
        append(count: count, nodes: [entry.node]) {
            FUSEReplyHeader(length: count, errno: 0, unique: header.unique).encode(into: $0)
            let body = $0.dropped(FUSEReplyHeader.byteCount)
            entry.encode(into: body)
            opened.encode(into: body.dropped(FUSEEntryReply.byteCount))
        }
    }

    /// Pages are taken back by notification, never by opening: KEEP_CACHE always.
    ///
    /// No FLUSH at close: it would be a round trip for each file that is written, to tell what fsync tells. Mapped pages
    /// are written back at munmap, before RELEASE. Spec: fuse 14, 23
    private func addHandle(_ record: Record, _ mode: OpenMode, flags: UInt32) -> FUSEOpenReply {
        nodes.beginUse(record)
        if mode.writes { record.writerCount += 1 }
        // O_DIRECT through the kernel's direct path, where writes in place run side by side; shared mappings of such a
        // handle need a kernel that says so.
        let isDirect = flags & FUSEOpenRequest.Flag.direct != 0 && agreed.contains(.directIOAllowMmap)
        let isDirectAppend = mode.appends && mode.writes && options.appendsAreDirect
        let handle = handles.add(OpenHandle(record: record, mode: mode, isDirect: isDirect || isDirectAppend))
        var answer: FUSEOpenReply.Flags = [.keepCache, .noFlush]
        if isDirect || isDirectAppend { answer.formUnion([.directIO, .parallelDirectWrites]) }
        return FUSEOpenReply(handle: handle, flags: answer)
    }

    func release(
        _ header: FUSERequestHeader, _ record: Record, _ data: UnsafeRawBufferPointer
    ) throws(LayoutError) {
        let request = try FUSEReleaseRequest(decoding: data)
        if request.releaseFlags & FUSEReleaseRequest.flockUnlock != 0 {
            flocks.unlock(record.id, owner: request.lockOwner)
            if operations.sharesFileLocks { unlockShared(record, owner: request.lockOwner) }
        }
        guard let handle = handles.remove(request.handle) else {
            fail(header.unique, ErrorNumber.badDescriptor)
            return
        }
        run(header, record) { [self] () async throws(FileSystemError) in
            if let mode = handle.mode {
                if mode.writes { handle.record.writerCount -= 1 }
                await operations.closeFile(handle.record.node, mode)
            }
            nodes.endUse(handle.record)
            acknowledge(header.unique)
        }
    }

    func flush(
        _ header: FUSERequestHeader, _ record: Record, _ data: UnsafeRawBufferPointer
    ) throws(LayoutError) {
        _ = try FUSEFlushRequest(decoding: data)
        run(header, record) { [self] () async throws(FileSystemError) in
            try await operations.flushFile(record.node)
            acknowledge(header.unique)
        }
    }

    func synchronize(
        _ header: FUSERequestHeader, _ record: Record, _ data: UnsafeRawBufferPointer
    ) throws(LayoutError) {
        let request = try FUSEFsyncRequest(decoding: data)
        run(header, record) { [self] () async throws(FileSystemError) in
            try await operations.syncFile(record.node, dataOnly: request.isDataOnly)
            acknowledge(header.unique)
        }
    }

    func openDirectory(_ header: FUSERequestHeader, _ record: Record) {
        nodes.beginUse(record)
        let handle = handles.add(OpenHandle(record: record, mode: nil, isDirect: false))
        var flags: FUSEOpenReply.Flags = []
        if policy.mayKeepListing(of: record.node) {
            flags.insert(.cacheDirectory)
            if !record.isListingDropped { flags.insert(.keepCache) }
        }
        reply(header.unique, FUSEOpenReply(handle: handle, flags: flags))
    }
}

extension OpenMode {
    /// From the flags of open(2).
    init(flags: UInt32) {
        let access = flags & FUSEOpenRequest.accessModeMask
        self.init(
            reads: access != 1, writes: access != FUSEOpenRequest.accessModeReadOnly,
            appends: flags & FUSEOpenRequest.Flag.append != 0, truncates: flags & FUSEOpenRequest.Flag.truncate != 0)
    }
}
