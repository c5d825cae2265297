internal import EngineKit
internal import FUSELayout
internal import FileSystem
internal import LayoutKit

// Requests about names. Spec: fuse 4, 12.

extension FileSystemServer {
    func lookup(
        _ header: FUSERequestHeader, _ parent: Record, _ data: UnsafeRawBufferPointer
    ) throws(LayoutError) {
        let name = fileName(try FUSEName.decode(data))
        run(header, parent) { [self] () async throws(FileSystemError) in
            let child: Node
            do throws(FileSystemError) {
                child = try await operations.lookup(try name.get(), in: parent.node)
            } catch .notFound {
                replyMissing(header, parent)
                return
            }
            try await replyEntry(header, parent, child)
        }
    }

    /// There is no such name; the kernel may remember that.
    private func replyMissing(_ header: FUSERequestHeader, _ parent: Record) {
        guard let timeout = policy.missingNameTimeout(in: parent.node) else {
            fail(header.unique, ErrorNumber.noEntry)
            return
        }
        reply(
            header.unique,
            FUSEEntryReply(
                node: 0, generation: 0, nameTimeout: timeout, attributesTimeout: FUSETimeout(seconds: 0),
                attributes: FUSEAttributes(inode: 0, sizeBytes: 0, blocks: 0, mode: 0)))
    }

    /// Tells the kernel of `child`, whose reference is taken over.
    private func replyEntry(
        _ header: FUSERequestHeader, _ parent: Record, _ child: Node
    ) async throws(FileSystemError) {
        let (record, entry) = try await entry(child, in: parent)
        nodes.countLookup(record)
        reply(header.unique, entry, node: record.id)
    }

    /// The record and the reply for `child`. Its reference goes to the record, or back if it cannot be read. The caller
    /// counts the lookup before it waits for anything.
    func entry(
        _ child: Node, in parent: Record
    ) async throws(FileSystemError) -> (record: Record, reply: FUSEEntryReply) {
        let attributes: NodeAttributes
        do throws(FileSystemError) {
            attributes = try await operations.attributes(of: child)
        } catch {
            child.release()
            throw error
        }
        let record = nodes.adopt(child)
        record.note(attributes)
        let reply = FUSEEntryReply(
            node: record.id, generation: UInt64(child.generation),
            nameTimeout: policy.nameTimeout(of: child, in: parent.node),
            attributesTimeout: policy.attributesTimeout(of: child), attributes: FUSEAttributes(attributes))
        return (record, reply)
    }

    // MARK: Making

    func makeNode(
        _ header: FUSERequestHeader, _ parent: Record, _ data: UnsafeRawBufferPointer
    ) throws(LayoutError) {
        let request = try FUSEMakeNodeRequest(decoding: data)
        let (name, rest) = try FUSEName.split(data.dropped(FUSEMakeNodeRequest.byteCount))
        let extensions = try extensions(header, rest)
        let new = newNode(header, mode: request.mode, umask: request.umask, extensions)
        make(header, parent, name) { [self] name throws(FileSystemError) in
            try await operations.makeNode(name, in: parent.node, new, deviceNumber: request.device)
        }
    }

    func makeDirectory(
        _ header: FUSERequestHeader, _ parent: Record, _ data: UnsafeRawBufferPointer
    ) throws(LayoutError) {
        let request = try FUSEMakeDirectoryRequest(decoding: data)
        let (name, rest) = try FUSEName.split(data.dropped(FUSEMakeDirectoryRequest.byteCount))
        let extensions = try extensions(header, rest)
        let new = newNode(header, mode: request.mode, umask: request.umask, extensions)
        make(header, parent, name) { [self] name throws(FileSystemError) in
            try await operations.makeDirectory(name, in: parent.node, new)
        }
    }

    func makeSymbolicLink(
        _ header: FUSERequestHeader, _ parent: Record, _ data: UnsafeRawBufferPointer
    ) throws(LayoutError) {
        let (name, behind) = try FUSEName.split(data)
        let (target, rest) = try FUSEName.splitTarget(behind)
        let targetBytes = Array(target)
        let extensions = try extensions(header, rest)
        let new = newNode(header, mode: 0o777, umask: 0, extensions)
        make(header, parent, name) { [self] name throws(FileSystemError) in
            try await operations.makeSymbolicLink(name, in: parent.node, target: targetBytes, new)
        }
    }

    private func make(
        _ header: FUSERequestHeader, _ parent: Record, _ name: UnsafeRawBufferPointer,
        _ body: @escaping (FileName) async throws(FileSystemError) -> Node
    ) {
        let name = fileName(name)
        run(header, parent) { [self] () async throws(FileSystemError) in
            try await replyEntry(header, parent, try await body(try name.get()))
        }
    }

    /// The kernel has applied the umask unless DONT_MASK was agreed.
    func newNode(
        _ header: FUSERequestHeader, mode: UInt32, umask: UInt32, _ extensions: FUSECreateExtensions
    ) -> NewNode {
        NewNode(
            mode: UInt16(truncatingIfNeeded: mode),
            umask: agreed.contains(.dontMask) ? UInt16(truncatingIfNeeded: umask & 0o777) : 0,
            caller: caller(header, extensions),
            securityAttributes: extensions.securityContexts.map { ($0.name, $0.value) })
    }

    func link(
        _ header: FUSERequestHeader, _ parent: Record, _ data: UnsafeRawBufferPointer
    ) throws(LayoutError) {
        let request = try FUSELinkRequest(decoding: data)
        let name = fileName(try FUSEName.decode(data.dropped(FUSELinkRequest.byteCount)))
        guard let target = nodes.record(request.node) else {
            fail(header.unique, ErrorNumber.stale)
            return
        }
        nodes.beginUse(target)
        run(header, parent) { [self] () async throws(FileSystemError) in
            defer { nodes.endUse(target) }
            try await operations.link(target.node, to: try name.get(), in: parent.node)
            let attributes = try await operations.attributes(of: target.node)
            nodes.countLookup(target)
            target.note(attributes)
            reply(
                header.unique,
                FUSEEntryReply(
                    node: target.id, generation: UInt64(target.node.generation),
                    nameTimeout: policy.nameTimeout(of: target.node, in: parent.node),
                    attributesTimeout: policy.attributesTimeout(of: target.node),
                    attributes: FUSEAttributes(attributes)), node: target.id)
        }
    }

    // MARK: Removing, renaming, reading links

    func remove(
        _ header: FUSERequestHeader, _ parent: Record, _ data: UnsafeRawBufferPointer, isDirectory: Bool
    ) throws(LayoutError) {
        let name = fileName(try FUSEName.decode(data))
        run(header, parent) { [self] () async throws(FileSystemError) in
            let name = try name.get()
            if isDirectory {
                try await operations.removeDirectory(name, in: parent.node)
            } else {
                try await operations.unlink(name, in: parent.node)
            }
            acknowledge(header.unique)
        }
    }

    func rename(
        _ header: FUSERequestHeader, _ parent: Record, _ data: UnsafeRawBufferPointer, hasFlags: Bool
    ) throws(LayoutError) {
        let request = try FUSERenameRequest(decoding: data, hasFlags: hasFlags)
        let names = data.dropped(hasFlags ? FUSERenameRequest.byteCount : FUSERenameRequest.byteCountPlain)
        let (first, rest) = try FUSEName.split(names)
        let name = fileName(first)
        let newName = fileName(try FUSEName.decode(rest))
        let mode: RenameMode
        switch request.flags {
        case []: mode = .replace
        case .noReplace: mode = .noReplace
        case .exchange: mode = .exchange
        default:
            // The format knows no whiteouts.
            fail(header.unique, ErrorNumber.invalid)
            return
        }
        guard let newParent = nodes.record(request.newDirectory) else {
            fail(header.unique, ErrorNumber.stale)
            return
        }
        nodes.beginUse(newParent)
        run(header, parent) { [self] () async throws(FileSystemError) in
            defer { nodes.endUse(newParent) }
            try await operations.rename(
                try name.get(), in: parent.node, to: try newName.get(), in: newParent.node, mode)
            acknowledge(header.unique)
        }
    }

    func readLink(_ header: FUSERequestHeader, _ record: Record) {
        run(header, record) { [self] () async throws(FileSystemError) in
            reply(header.unique, bytes: try await operations.readLink(record.node))
            record.pages.mayExist = true
        }
    }
}
