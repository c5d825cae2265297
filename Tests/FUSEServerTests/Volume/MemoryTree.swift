import EngineKit
import FUSEServer
import FileSystem
import OCFS2Layout

/// A node of a ``MemoryTree``.
final class MemoryNode: FileSystemNode {
    let number: UInt64
    let generation: UInt32 = 7
    var mode: UInt16
    var linkCount: UInt32 = 1
    var uid: UInt32
    var gid: UInt32
    var deviceNumber: UInt64 = 0
    var accessTime: WallTime
    var modificationTime: WallTime
    var changeTime: WallTime
    var data: [UInt8] = []
    var children: [(name: FileName, node: MemoryNode)] = []
    var xattrs: [(name: [UInt8], value: [UInt8])] = []
    var flags: UInt32 = 0
    unowned(unsafe) var parent: MemoryNode?
    var references = 0
    var openCount = 0

    init(number: UInt64, mode: UInt16, uid: UInt32, gid: UInt32, time: WallTime) {
        self.number = number
        self.mode = mode
        self.uid = uid
        self.gid = gid
        accessTime = time
        modificationTime = time
        changeTime = time
    }

    func retain() -> MemoryNode {
        references += 1
        return self
    }

    func release() {
        precondition(references > 0, "node \(number) is released more often than retained")
        references -= 1
    }

    var isDirectory: Bool { mode & FileMode.typeMask == FileType.directory.modeBits }
}

/// A filesystem in memory, with what its tests want to know and to hold up.
final class MemoryTree: FileSystemOperations {
    typealias Node = MemoryNode

    let root: MemoryNode
    var time = WallTime(seconds: 1_700_000_000, nanoseconds: 123_456_789)
    /// Every node that ever was.
    private(set) var all: [MemoryNode] = []
    /// Operations in the order they ended: `write 0+4096`.
    var history: [String] = []
    /// When set, reads and writes wait for it.
    var gate: AsyncSignal?
    var isGateClosed = false
    /// When set, reading an attribute fails.
    var xattrFailure: FileSystemError?
    private var lastNumber: UInt64 = 1000

    init() {
        root = MemoryNode(
            number: 1000, mode: FileType.directory.modeBits | 0o755, uid: 0, gid: 0,
            time: WallTime(seconds: 1_700_000_000, nanoseconds: 0))
        root.linkCount = 2
        all = [root]
    }

    /// References that somebody still has.
    var referencesHeld: Int { all.reduce(0) { $0 + $1.references } }
    var openHandles: Int { all.reduce(0) { $0 + $1.openCount } }

    private func make(
        _ name: FileName?, in directory: MemoryNode, _ new: NewNode, type: FileType
    ) throws(FileSystemError) -> MemoryNode {
        if let name, directory.children.contains(where: { $0.name == name }) { throw .alreadyExists }
        lastNumber += 1
        let node = MemoryNode(
            number: lastNumber, mode: type.modeBits | (new.mode & FileMode.permissionMask & ~new.umask),
            uid: new.caller.uid, gid: new.caller.gid, time: time)
        for attribute in new.securityAttributes { node.xattrs.append(attribute) }
        if type == .directory {
            node.linkCount = 2
            node.parent = directory
            directory.linkCount += 1
        }
        all.append(node)
        if let name {
            directory.children.append((name, node))
            touch(directory)
        } else {
            node.linkCount = 0
        }
        return node.retain()
    }

    private func touch(_ node: MemoryNode) {
        time.nanoseconds += 1
        node.modificationTime = time
        node.changeTime = time
    }

    private func wait(_ what: String) async {
        while isGateClosed, let gate { await gate.wait() }
        history.append(what)
    }

    // MARK: Names

    func rootDirectory() async throws(FileSystemError) -> MemoryNode { root.retain() }

    private func child(_ name: FileName, _ directory: MemoryNode) throws(FileSystemError) -> MemoryNode {
        guard directory.isDirectory else { throw .notADirectory }
        guard let found = directory.children.first(where: { $0.name == name }) else { throw .notFound }
        return found.node
    }

    func lookup(_ name: FileName, in directory: MemoryNode) async throws(FileSystemError) -> MemoryNode {
        try child(name, directory).retain()
    }

    func createFile(
        _ name: FileName, in directory: MemoryNode, _ new: NewNode
    ) async throws(FileSystemError) -> MemoryNode {
        try make(name, in: directory, new, type: .regular)
    }

    func makeNode(
        _ name: FileName, in directory: MemoryNode, _ new: NewNode, deviceNumber: UInt32
    ) async throws(FileSystemError) -> MemoryNode {
        guard let type = FileType(mode: new.mode) else { throw .invalidArgument }
        let node = try make(name, in: directory, new, type: type)
        node.deviceNumber = UInt64(deviceNumber)
        return node
    }

    func makeDirectory(
        _ name: FileName, in directory: MemoryNode, _ new: NewNode
    ) async throws(FileSystemError) -> MemoryNode {
        try make(name, in: directory, new, type: .directory)
    }

    func makeSymbolicLink(
        _ name: FileName, in directory: MemoryNode, target: [UInt8], _ new: NewNode
    ) async throws(FileSystemError) -> MemoryNode {
        let node = try make(name, in: directory, new, type: .symlink)
        node.data = target
        return node
    }

    func makeTemporaryFile(in directory: MemoryNode, _ new: NewNode) async throws(FileSystemError) -> MemoryNode {
        try make(nil, in: directory, new, type: .regular)
    }

    func readLink(_ node: MemoryNode) async throws(FileSystemError) -> [UInt8] { node.data }

    func link(_ node: MemoryNode, to name: FileName, in directory: MemoryNode) async throws(FileSystemError) {
        if directory.children.contains(where: { $0.name == name }) { throw .alreadyExists }
        directory.children.append((name, node))
        node.linkCount += 1
        touch(directory)
    }

    func unlink(_ name: FileName, in directory: MemoryNode) async throws(FileSystemError) {
        let node = try child(name, directory)
        guard !node.isDirectory else { throw .isADirectory }
        directory.children.removeAll { $0.name == name }
        node.linkCount -= 1
        touch(directory)
    }

    func removeDirectory(_ name: FileName, in directory: MemoryNode) async throws(FileSystemError) {
        let node = try child(name, directory)
        guard node.isDirectory else { throw .notADirectory }
        guard node.children.isEmpty else { throw .directoryNotEmpty }
        directory.children.removeAll { $0.name == name }
        node.linkCount = 0
        directory.linkCount -= 1
        touch(directory)
    }

    func rename(
        _ name: FileName, in directory: MemoryNode, to newName: FileName, in newDirectory: MemoryNode,
        _ mode: RenameMode
    ) async throws(FileSystemError) {
        let node = try child(name, directory)
        let target = newDirectory.children.first { $0.name == newName }?.node
        switch mode {
        case .noReplace where target != nil: throw .alreadyExists
        case .exchange:
            guard let target else { throw .notFound }
            directory.children.removeAll { $0.name == name }
            newDirectory.children.removeAll { $0.name == newName }
            directory.children.append((name, target))
            newDirectory.children.append((newName, node))
        case .replace, .noReplace:
            if let target {
                newDirectory.children.removeAll { $0.name == newName }
                target.linkCount -= target.isDirectory ? 2 : 1
            }
            directory.children.removeAll { $0.name == name }
            newDirectory.children.append((newName, node))
            if node.isDirectory {
                node.parent = newDirectory
                directory.linkCount -= 1
                newDirectory.linkCount += 1
            }
        }
        touch(directory)
        touch(newDirectory)
    }

    private func entries(_ directory: MemoryNode) -> [(name: FileName, node: MemoryNode)] {
        [(.dot, directory), (.dotDot, directory.parent ?? directory)] + directory.children
    }

    private func visit(
        _ directory: MemoryNode, _ index: Int, _ body: (FileSystem.DirectoryEntry) -> Bool
    ) -> Bool {
        let (name, node) = entries(directory)[index]
        return name.bytes.withUnsafeBytes {
            body(
                FileSystem.DirectoryEntry(
                    number: node.number, type: FileType(mode: node.mode) ?? .regular, name: $0,
                    next: DirectoryCookie(byteOffset: UInt64(index + 1))))
        }
    }

    func readDirectory(
        _ directory: MemoryNode, from cookie: DirectoryCookie, _ visitor: (FileSystem.DirectoryEntry) -> Bool
    ) async throws(FileSystemError) {
        let count = entries(directory).count
        for index in min(Int(cookie.byteOffset), count)..<count {
            guard visit(directory, index, visitor) else { return }
        }
    }

    func readDirectoryWithInodes(
        _ directory: MemoryNode, from cookie: DirectoryCookie,
        _ visitor: (FileSystem.DirectoryEntry, MemoryNode?) async -> Bool
    ) async throws(FileSystemError) {
        let list = entries(directory)
        for index in min(Int(cookie.byteOffset), list.count)..<list.count {
            let (name, node) = list[index]
            let copy = UnsafeMutableRawBufferPointer.allocate(byteCount: name.bytes.count, alignment: 1)
            defer { copy.deallocate() }
            copy.copyBytes(from: name.bytes)
            let entry = FileSystem.DirectoryEntry(
                number: node.number, type: FileType(mode: node.mode) ?? .regular, name: UnsafeRawBufferPointer(copy),
                next: DirectoryCookie(byteOffset: UInt64(index + 1)))
            guard await visitor(entry, index < 2 ? nil : node.retain()) else { return }
        }
    }

    // MARK: Attributes

    func attributes(of node: MemoryNode) async throws(FileSystemError) -> NodeAttributes {
        NodeAttributes(
            number: node.number, generation: node.generation, mode: node.mode, linkCount: node.linkCount,
            uid: node.uid, gid: node.gid, deviceNumber: node.deviceNumber, size: UInt64(node.data.count),
            sectorCount: UInt64((node.data.count + 511) / 512), accessTime: node.accessTime,
            modificationTime: node.modificationTime, changeTime: node.changeTime)
    }

    func setAttributes(
        of node: MemoryNode, to change: AttributeChange, caller: Caller
    ) async throws(FileSystemError) -> NodeAttributes {
        if let mode = change.mode { node.mode = node.mode & FileMode.typeMask | mode }
        if let uid = change.uid { node.uid = uid }
        if let gid = change.gid { node.gid = gid }
        if let size = change.size { resize(node, Int(size)) }
        if change.dropsPrivilegeBits { dropPrivilegeBits(node) }
        node.accessTime = resolve(change.accessTime) ?? node.accessTime
        node.modificationTime = resolve(change.modificationTime) ?? node.modificationTime
        node.changeTime = change.changeTime ?? time
        return try await attributes(of: node)
    }

    private func resolve(_ change: AttributeChange.Time?) -> WallTime? {
        switch change {
        case .now: time
        case .at(let time): time
        case nil: nil
        }
    }

    private func dropPrivilegeBits(_ node: MemoryNode) {
        node.mode &= ~FileMode.setUserID
        if node.mode & FileMode.groupExecute != 0 { node.mode &= ~FileMode.setGroupID }
    }

    private func resize(_ node: MemoryNode, _ count: Int) {
        if count < node.data.count {
            node.data.removeLast(node.data.count - count)
        } else {
            node.data.append(contentsOf: repeatElement(0, count: count - node.data.count))
        }
        touch(node)
    }

    func statistics() async throws(FileSystemError) -> VolumeStatistics {
        VolumeStatistics(
            blockSize: 4096, blockCount: 1 << 20, freeBlockCount: 1 << 19, inodeCount: 1 << 16, freeInodeCount: 1 << 15)
    }

    func inodeFlags(of node: MemoryNode) async throws(FileSystemError) -> UInt32 { node.flags }

    func setInodeFlags(of node: MemoryNode, to flags: UInt32, caller: Caller) async throws(FileSystemError) {
        node.flags = flags
    }

    // MARK: Data

    func openFile(_ node: MemoryNode, _ mode: OpenMode, caller: Caller) async throws(FileSystemError) {
        node.openCount += 1
        if mode.truncates { resize(node, 0) }
    }

    func closeFile(_ node: MemoryNode, _ mode: OpenMode) async {
        node.openCount -= 1
    }

    func read(
        _ node: MemoryNode, at byteOffset: UInt64, into target: IOSlice, isDirect: Bool, mayBecomeDirty: Bool
    ) async throws(FileSystemError) -> Int {
        await wait("read \(byteOffset)+\(target.count)")
        guard byteOffset < node.data.count else { return 0 }
        let count = min(target.count, node.data.count - Int(byteOffset))
        target.bytes.copyBytes(from: node.data[Int(byteOffset)..<Int(byteOffset) + count])
        return count
    }

    func write(
        _ node: MemoryNode, at byteOffset: UInt64, _ source: IOSlice, _ mode: WriteMode
    ) async throws(FileSystemError) -> (byteCount: Int, byteOffset: UInt64) {
        await wait("write \(byteOffset)+\(source.count)")
        let start = mode.appends ? node.data.count : Int(byteOffset)
        var count = source.count
        if mode.isWriteBack { count = max(0, min(count, node.data.count - start)) }
        if node.data.count < start + count { resize(node, start + count) }
        node.data.replaceSubrange(start..<start + count, with: source.bytes.prefix(count))
        if mode.dropsPrivilegeBits { dropPrivilegeBits(node) }
        touch(node)
        return (source.count, UInt64(start))
    }

    func flushFile(_ node: MemoryNode) async throws(FileSystemError) {}

    func syncFile(_ node: MemoryNode, dataOnly: Bool) async throws(FileSystemError) {
        history.append("sync \(dataOnly)")
    }

    func allocate(
        _ node: MemoryNode, _ range: Range<UInt64>, _ mode: MountedVolume.AllocationMode
    ) async throws(FileSystemError) {
        switch mode {
        case .allocate(let keepsSize):
            if !keepsSize, Int(range.upperBound) > node.data.count { resize(node, Int(range.upperBound)) }
        case .punchHole, .zero(keepsSize: true):
            for index in Int(range.lowerBound)..<min(Int(range.upperBound), node.data.count) { node.data[index] = 0 }
        case .zero(keepsSize: false):
            if Int(range.upperBound) > node.data.count { resize(node, Int(range.upperBound)) }
            for index in Int(range.lowerBound)..<Int(range.upperBound) { node.data[index] = 0 }
        }
    }

    func seek(
        _ node: MemoryNode, from byteOffset: UInt64, to target: MountedVolume.SeekTarget
    ) async throws(FileSystemError) -> UInt64 {
        guard byteOffset < node.data.count else { throw .noSuchRange }
        return target == .data ? byteOffset : UInt64(node.data.count)
    }

    func copyRange(
        of source: MemoryNode, at sourceOffset: UInt64, to target: MemoryNode, at targetOffset: UInt64,
        byteCount: UInt64
    ) async throws(FileSystemError) -> UInt64 {
        history.append("copy \(byteCount)")
        let start = min(Int(sourceOffset), source.data.count)
        let bytes = Array(source.data[start..<min(start + Int(byteCount), source.data.count)])
        let end = Int(targetOffset) + bytes.count
        if target.data.count < end { resize(target, end) }
        target.data.replaceSubrange(Int(targetOffset)..<end, with: bytes)
        return UInt64(bytes.count)
    }

    // MARK: Extended attributes

    func xattr(_ name: [UInt8], of node: MemoryNode) async throws(FileSystemError) -> [UInt8] {
        if let xattrFailure { throw xattrFailure }
        guard let found = node.xattrs.first(where: { $0.name == name }) else { throw .noAttribute }
        return found.value
    }

    func xattrNames(of node: MemoryNode, caller: Caller) async throws(FileSystemError) -> [UInt8] {
        node.xattrs.flatMap { $0.name + [0] }
    }

    func setXattr(
        _ name: [UInt8], of node: MemoryNode, to value: [UInt8], _ mode: MountedVolume.XattrMode, caller: Caller,
        dropsSetGroupID: Bool
    ) async throws(FileSystemError) {
        let index = node.xattrs.firstIndex { $0.name == name }
        switch (mode, index) {
        case (.create, .some): throw .alreadyExists
        case (.replace, nil): throw .noAttribute
        case (_, let index?): node.xattrs[index].value = value
        case (_, nil): node.xattrs.append((name, value))
        }
    }

    func removeXattr(_ name: [UInt8], of node: MemoryNode, caller: Caller) async throws(FileSystemError) {
        guard node.xattrs.contains(where: { $0.name == name }) else { throw .noAttribute }
        node.xattrs.removeAll { $0.name == name }
    }
}
