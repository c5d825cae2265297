import FileSystem
import OCFS2Layout

/// What a tree of names should be, and the answers that POSIX asks for.
struct NameModel {
    struct Node {
        var type: FileType
        /// Directories.
        var entries: [[UInt8]: Int] = [:]
        var links: Int
        /// Directories.
        var parent: Int
    }

    static let root = 0
    private(set) var nodes = [root: Node(type: .directory, links: 2, parent: root)]
    private var lastNode = root

    var directories: [Int] { nodes.filter { $0.value.type == .directory }.keys.sorted() }
    var files: [Int] { nodes.filter { $0.value.type != .directory }.keys.sorted() }

    func child(_ name: [UInt8], in directory: Int) -> Int? { nodes[directory]?.entries[name] }

    /// `node` is above `other`, or is it.
    func isAncestor(_ node: Int, of other: Int) -> Bool {
        var current = other
        while current != node {
            if current == Self.root { return false }
            current = nodes[current]!.parent
        }
        return true
    }

    // MARK: Changes. Each throws what the filesystem should throw, and then nothing is changed.

    mutating func create(_ name: [UInt8], in directory: Int, _ type: FileType) throws(FileSystemError) -> Int {
        guard child(name, in: directory) == nil else { throw .alreadyExists }
        lastNode += 1
        let isDirectory = type == .directory
        nodes[lastNode] = Node(type: type, links: isDirectory ? 2 : 1, parent: directory)
        nodes[directory]!.entries[name] = lastNode
        if isDirectory { nodes[directory]!.links += 1 }
        return lastNode
    }

    mutating func link(_ node: Int, to name: [UInt8], in directory: Int) throws(FileSystemError) {
        guard nodes[node]!.type != .directory else { throw .notPermitted }
        guard child(name, in: directory) == nil else { throw .alreadyExists }
        nodes[directory]!.entries[name] = node
        nodes[node]!.links += 1
    }

    mutating func unlink(_ name: [UInt8], in directory: Int) throws(FileSystemError) {
        guard let node = child(name, in: directory) else { throw .notFound }
        guard nodes[node]!.type != .directory else { throw .isADirectory }
        nodes[directory]!.entries[name] = nil
        dropLink(node)
    }

    mutating func removeDirectory(_ name: [UInt8], in directory: Int) throws(FileSystemError) {
        guard let node = child(name, in: directory) else { throw .notFound }
        guard nodes[node]!.type == .directory else { throw .notADirectory }
        guard nodes[node]!.entries.isEmpty else { throw .directoryNotEmpty }
        nodes[directory]!.entries[name] = nil
        nodes[directory]!.links -= 1
        nodes[node] = nil
    }

    mutating func rename(
        _ name: [UInt8], in directory: Int, to newName: [UInt8], in newDirectory: Int, _ mode: RenameMode
    ) throws(FileSystemError) {
        guard let node = child(name, in: directory) else { throw .notFound }
        let target = child(newName, in: newDirectory)
        if mode == .noReplace, target != nil { throw .alreadyExists }
        if mode == .exchange, target == nil { throw .notFound }
        if target == node { return }
        if isAncestor(node, of: newDirectory) { throw .invalidArgument }
        if let target, isAncestor(target, of: directory) {
            throw mode == .exchange ? .invalidArgument : .directoryNotEmpty
        }
        if mode == .exchange, let target {
            nodes[directory]!.entries[name] = target
            nodes[newDirectory]!.entries[newName] = node
            move(node, from: directory, to: newDirectory)
            move(target, from: newDirectory, to: directory)
            return
        }
        if let target {
            let isDirectory = nodes[node]!.type == .directory, isTargetDirectory = nodes[target]!.type == .directory
            if isDirectory != isTargetDirectory { throw isDirectory ? .notADirectory : .isADirectory }
            if isTargetDirectory {
                guard nodes[target]!.entries.isEmpty else { throw .directoryNotEmpty }
                nodes[newDirectory]!.links -= 1
                nodes[target] = nil
            } else {
                dropLink(target)
            }
        }
        nodes[directory]!.entries[name] = nil
        nodes[newDirectory]!.entries[newName] = node
        move(node, from: directory, to: newDirectory)
    }

    private mutating func move(_ node: Int, from directory: Int, to newDirectory: Int) {
        guard nodes[node]!.type == .directory else { return }
        nodes[node]!.parent = newDirectory
        nodes[directory]!.links -= 1
        nodes[newDirectory]!.links += 1
    }

    private mutating func dropLink(_ node: Int) {
        nodes[node]!.links -= 1
        if nodes[node]!.links == 0 { nodes[node] = nil }
    }
}
