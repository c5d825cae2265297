import EngineKit
import FileSystem
import OCFS2Layout

// Operations on extended attributes.
extension Workload {
    private func pickHolder() -> Int? {
        pick(model.named.filter { [.regular, .directory].contains(model.nodes[$0]!.type) })
    }

    private func attributeName() -> [UInt8] {
        let classes = ["user.", "trusted.", "security."]
        let index = random.next(below: 40)
        let text = classes[Int(index % 3)] + String(repeating: "n", count: Int(index % 7) * 6) + "\(index)"
        return Array(text.utf8)
    }

    /// In the inode, in the block, in clusters of their own.
    private func attributeValue() -> [UInt8] {
        let most: [UInt64] = [30, 30, 30, 80, 80, 700, 700, 3000, 20000, 65536]
        let count = random.next(below: most[Int(random.next(below: 10))])
        let seed = SeededBytes(random.next())
        return (0..<count).map { seed.byte($0) }
    }

    func setAttribute() async throws(SimulationFailure) {
        guard let node = pickHolder() else { return }
        let name = attributeName(), value = attributeValue()
        let modes: [MountedVolume.XattrMode] = [.createOrReplace, .createOrReplace, .create, .replace]
        let mode = modes[Int(random.next(below: 4))]
        operation = "setxattr \(String(decoding: name, as: UTF8.self)) of \(node), \(value.count) bytes, \(mode)"
        try await compare { model throws(FileSystemError) in
            let isThere = model.nodes[node]!.attributes[name] != nil
            if mode == .create, isThere { throw .alreadyExists }
            if mode == .replace, !isThere { throw .noAttribute }
            model.nodes[node]!.attributes[name] = TreeModel.AttributeValue(value)
            model.touch(node)
        } real: { [self] _ throws(FileSystemError) in
            try await volume.setXattr(name, of: inode(of: node), to: value, mode, caller: .system)
        }
    }

    func removeAttribute() async throws(SimulationFailure) {
        guard let node = pickHolder() else { return }
        let name = attributeName()
        operation = "removexattr \(String(decoding: name, as: UTF8.self)) of \(node)"
        try await compare { model throws(FileSystemError) in
            guard model.nodes[node]!.attributes.removeValue(forKey: name) != nil else { throw .noAttribute }
            model.touch(node)
        } real: { [self] _ throws(FileSystemError) in
            try await volume.removeXattr(name, of: inode(of: node), caller: .system)
        }
    }

    func listAttributes() async throws(SimulationFailure) {
        guard let node = pickHolder() else { return }
        operation = "listxattr \(node)"
        let expected = model.nodes[node]!.attributes.mapValues(\.bytes)
        let found = try await done { [self] () throws(FileSystemError) in
            let inode = try await inode(of: node)
            var found: [[UInt8]: [UInt8]] = [:]
            for name in try await volume.xattrNames(of: inode, caller: .system).split(separator: 0) {
                found[Array(name)] = try await volume.xattr(Array(name), of: inode)
            }
            return found
        }
        guard let found, found != expected else { return }
        let names = Set(found.keys).union(expected.keys).filter { found[$0] != expected[$0] }
        throw SimulationFailure(
            "these are not as they should be: \(names.map { String(decoding: $0, as: UTF8.self) }.sorted())")
    }
}

/// Bytes that a number makes.
private struct SeededBytes {
    let seed: UInt64
    init(_ seed: UInt64) { self.seed = seed }
    func byte(_ index: UInt64) -> UInt8 { UInt8(truncatingIfNeeded: (seed ^ index &* 0x9E37_79B9) >> (index % 24)) }
}
