package import FileSystem
package import OCFS2Layout

/// What a tree of files should be, and the answers that POSIX asks for.
package struct TreeModel {
    /// Which object on disk a node is.
    package struct Identity: Hashable, Sendable {
        package var number: UInt64
        package var generation: UInt32

        package init(number: UInt64, generation: UInt32) {
            self.number = number
            self.generation = generation
        }
    }

    package struct Place: Hashable, Sendable {
        package var directory: Int
        package var name: [UInt8]
    }

    /// The value of an extended attribute, with a number for its bytes.
    package struct AttributeValue: Equatable, Sendable {
        package let bytes: [UInt8]
        package let digest: UInt64

        package init(_ bytes: [UInt8]) {
            self.bytes = bytes
            digest = bytes.reduce(0xCBF2_9CE4_8422_2325) { ($0 ^ UInt64($1)) &* 0x100_0000_01B3 }
        }
    }

    package struct Node {
        package var type: FileType
        package var identity = Identity(number: 0, generation: 0)
        package var permissions: UInt16
        package var links: Int
        /// Where it has a name; for directories one place.
        package var places: [Place]
        /// Directories.
        package var entries: [[UInt8]: Int] = [:]
        /// Symbolic links.
        package var target: [UInt8] = []
        /// Regular files.
        package var content = FileContent()
        package var attributes: [[UInt8]: AttributeValue] = [:]
        package var openCount = 0
        /// The step that changed its names or attributes last.
        package var lastChange = 0
    }

    package static let root = 0
    package var nodes: [Int: Node] = [
        root: Node(type: .directory, permissions: 0o755, links: 2, places: [Place(directory: root, name: [])])
    ]
    private var lastNode = root
    /// The present step, see ``Node/lastChange``.
    package var step = 0

    package init() {}

    package var directories: [Int] { nodes.keys.filter { nodes[$0]!.type == .directory }.sorted() }
    package var regularFiles: [Int] { nodes.keys.filter { nodes[$0]!.type == .regular }.sorted() }
    package var named: [Int] { nodes.keys.filter { $0 != Self.root && nodes[$0]!.links > 0 }.sorted() }
    package var byteCount: Int { nodes.values.reduce(0) { $0 + $1.content.count } }

    mutating func nextNode() -> Int {
        lastNode += 1
        return lastNode
    }

    package func child(_ name: [UInt8], in directory: Int) -> Int? { nodes[directory]?.entries[name] }

    /// `node` is above `other`, or is it.
    private func isAncestor(_ node: Int, of other: Int) -> Bool {
        var current = other
        while current != node {
            if current == Self.root { return false }
            current = nodes[current]!.places[0].directory
        }
        return true
    }

    // MARK: Changes. Each throws what the filesystem should throw, and then nothing is changed.

    package mutating func create(
        _ name: [UInt8], in directory: Int, _ type: FileType, permissions: UInt16, target: [UInt8] = []
    ) throws(FileSystemError) -> Int {
        guard child(name, in: directory) == nil else { throw .alreadyExists }
        let node = nextNode()
        let isDirectory = type == .directory
        nodes[node] = Node(
            type: type, permissions: permissions, links: isDirectory ? 2 : 1,
            places: [Place(directory: directory, name: name)], target: target, lastChange: step)
        nodes[directory]!.entries[name] = node
        if isDirectory { nodes[directory]!.links += 1 }
        touch(directory)
        return node
    }

    package mutating func link(_ node: Int, to name: [UInt8], in directory: Int) throws(FileSystemError) {
        guard nodes[node]!.type != .directory else { throw .notPermitted }
        guard child(name, in: directory) == nil else { throw .alreadyExists }
        nodes[directory]!.entries[name] = node
        nodes[node]!.links += 1
        nodes[node]!.places.append(Place(directory: directory, name: name))
        touch(node)
        touch(directory)
    }

    package mutating func unlink(_ name: [UInt8], in directory: Int) throws(FileSystemError) {
        guard let node = child(name, in: directory) else { throw .notFound }
        guard nodes[node]!.type != .directory else { throw .isADirectory }
        nodes[directory]!.entries[name] = nil
        touch(directory)
        drop(node, Place(directory: directory, name: name))
    }

    package mutating func removeDirectory(_ name: [UInt8], in directory: Int) throws(FileSystemError) {
        guard let node = child(name, in: directory) else { throw .notFound }
        guard nodes[node]!.type == .directory else { throw .notADirectory }
        guard nodes[node]!.entries.isEmpty else { throw .directoryNotEmpty }
        nodes[directory]!.entries[name] = nil
        nodes[directory]!.links -= 1
        touch(directory)
        nodes[node] = nil
    }

    package mutating func rename(
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
        let from = Place(directory: directory, name: name), to = Place(directory: newDirectory, name: newName)
        if mode == .exchange, let target {
            nodes[directory]!.entries[name] = target
            nodes[newDirectory]!.entries[newName] = node
            move(node, from, to)
            move(target, to, from)
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
                drop(target, to)
            }
        }
        nodes[directory]!.entries[name] = nil
        nodes[newDirectory]!.entries[newName] = node
        move(node, from, to)
    }

    /// The node changed its names or attributes in this step.
    package mutating func touch(_ node: Int) {
        nodes[node]?.lastChange = step
    }

    /// A handle of the file is closed.
    package mutating func close(_ node: Int) {
        nodes[node]!.openCount -= 1
        if nodes[node]!.links == 0, nodes[node]!.openCount == 0 { nodes[node] = nil }
    }

    private mutating func move(_ node: Int, _ from: Place, _ to: Place) {
        let index = nodes[node]!.places.firstIndex(of: from)!
        nodes[node]!.places[index] = to
        for touched in [node, from.directory, to.directory] { touch(touched) }
        guard nodes[node]!.type == .directory else { return }
        nodes[from.directory]!.links -= 1
        nodes[to.directory]!.links += 1
    }

    private mutating func drop(_ node: Int, _ place: Place) {
        nodes[node]!.places.removeAll { $0 == place }
        nodes[node]!.links -= 1
        touch(node)
        if nodes[node]!.links == 0, nodes[node]!.openCount == 0 { nodes[node] = nil }
    }
}
