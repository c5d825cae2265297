import EngineKit
package import FileSystem
import OCFS2Layout

extension TreeModel {
    /// The tree that is on a mounted volume, all of it or what is below a directory of the root; everything counts as
    /// synced.
    package init(reading volume: MountedVolume, below name: [UInt8]? = nil) async throws(FileSystemError) {
        var reader = TreeReader(volume)
        try await reader.read(below: name)
        self = reader.model
    }

    /// Takes a node that was found on disk.
    fileprivate mutating func add(_ node: Node) -> Int {
        let number = nextNode()
        nodes[number] = node
        return number
    }
}

/// Walks over a volume and fills a model.
private struct TreeReader {
    private let volume: MountedVolume
    private(set) var model = TreeModel()
    private var known: [TreeModel.Identity: Int] = [:]

    /// More is damage: no workload makes files like that.
    private static let byteCountMax: UInt64 = 64 << 20

    init(_ volume: MountedVolume) {
        self.volume = volume
    }

    mutating func read(below name: [UInt8]?) async throws(FileSystemError) {
        let root = try await volume.topDirectory(name)
        defer { root.release() }
        model.nodes[TreeModel.root]!.links = Int(root.attributes.linkCount)
        model.nodes[TreeModel.root]!.identity = identity(root)
        try await readDirectory(TreeModel.root, root)
    }

    private func identity(_ inode: Inode) -> TreeModel.Identity {
        TreeModel.Identity(number: inode.number, generation: inode.generation)
    }

    private mutating func readDirectory(_ node: Int, _ inode: Inode) async throws(FileSystemError) {
        var names: [[UInt8]] = []
        try await volume.readDirectory(inode, from: .start) { entry in
            names.append(Array(entry.name))
            return true
        }
        for name in names where name != [0x2E] && name != [0x2E, 0x2E] {
            let child = try await volume.lookup(FileName(name), in: inode)
            defer { child.release() }
            let place = TreeModel.Place(directory: node, name: name)
            if let number = known[identity(child)] {
                model.nodes[number]!.places.append(place)
                model.nodes[node]!.entries[name] = number
                continue
            }
            let number = model.add(try await read(child, at: place))
            known[identity(child)] = number
            model.nodes[node]!.entries[name] = number
            if child.isDirectory { try await readDirectory(number, child) }
        }
    }

    private func read(_ inode: Inode, at place: TreeModel.Place) async throws(FileSystemError) -> TreeModel.Node {
        let attributes = try await volume.attributes(of: inode)
        guard let type = FileType(mode: attributes.mode) else {
            throw .corrupt(Corruption(block: inode.number, what: "mode \(attributes.mode)"))
        }
        var node = TreeModel.Node(
            type: type, identity: identity(inode), permissions: attributes.mode & 0o7777,
            links: Int(attributes.linkCount), places: [place])
        switch type {
        case .symlink: node.target = try await volume.readLink(inode)
        case .regular:
            guard attributes.size <= Self.byteCountMax else {
                throw .corrupt(Corruption(block: inode.number, what: "size \(attributes.size)"))
            }
            let slice = IOSlice(
                buffer: IOBuffer(byteCount: Int(attributes.size)), offset: 0, count: Int(attributes.size))
            let count = try await volume.read(inode, at: 0, into: slice)
            node.content.write(Array(slice.bytes[..<count]), at: 0)
            node.content.synced()
        default: break
        }
        if type == .regular || type == .directory { node.attributes = try await attributesByName(inode) }
        return node
    }

    private func attributesByName(_ inode: Inode) async throws(FileSystemError) -> [[UInt8]: TreeModel.AttributeValue] {
        var attributes: [[UInt8]: TreeModel.AttributeValue] = [:]
        let names: [UInt8]
        do throws(FileSystemError) {
            names = try await volume.xattrNames(of: inode, caller: .system)
        } catch {
            // A volume without them.
            guard error == .notSupported else { throw error }
            return [:]
        }
        for name in names.split(separator: 0) {
            attributes[Array(name)] = TreeModel.AttributeValue(try await volume.xattr(Array(name), of: inode))
        }
        return attributes
    }
}

extension MountedVolume {
    /// The root, or a directory in it.
    func topDirectory(_ name: [UInt8]?) async throws(FileSystemError) -> Inode {
        let root = try await rootDirectory()
        guard let name else { return root }
        defer { root.release() }
        return try await lookup(FileName(name), in: root)
    }
}
