import EngineKit
package import FileSystem
import OCFS2Layout

extension TreeModel {
    /// The tree that is on a mounted volume, all of it; everything counts as synced.
    package init(reading volume: MountedVolume) async throws(FileSystemError) {
        var reader = TreeReader(volume)
        try await reader.read()
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

    mutating func read() async throws(FileSystemError) {
        let root = try await volume.rootDirectory()
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
        return node
    }
}
