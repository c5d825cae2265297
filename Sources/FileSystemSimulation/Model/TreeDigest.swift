import FileSystem
package import OCFS2Layout

/// One number for a whole tree: names, objects, types, permissions, links, targets. Not contents.
///
/// A sum over all entries, so that it does not matter in which order they are found.
package struct TreeDigest: Hashable, Sendable {
    package private(set) var sum: UInt64 = 0

    package init() {}

    /// A directory's part of the numbers of its entries.
    package struct Branch: Sendable {
        fileprivate var path: UInt64
        package static let root = Branch(path: 0x9E37_79B9)
    }

    /// Adds one entry; what is below a directory goes by the result.
    package mutating func add(
        _ name: some Sequence<UInt8>, in branch: Branch, _ identity: TreeModel.Identity, _ type: FileType,
        permissions: UInt16, links: Int, target: [UInt8], attributes: [[UInt8]: TreeModel.AttributeValue]
    ) -> Branch {
        var path = Self.mixed(branch.path)
        for byte in name { path = (path ^ UInt64(byte)) &* 0x100_0000_01B3 }
        path = Self.mixed(path)
        var value = Self.mixed(path ^ identity.number)
        value = Self.mixed(
            value ^ (UInt64(identity.generation) << 32 | UInt64(type.rawValue) << 16 | UInt64(permissions)))
        value = Self.mixed(value ^ UInt64(links))
        for byte in target { value = (value ^ UInt64(byte)) &* 0x100_0000_01B3 }
        // In no order: a sum.
        for (name, content) in attributes {
            var attribute = value
            for byte in name { attribute = (attribute ^ UInt64(byte)) &* 0x100_0000_01B3 }
            sum &+= Self.mixed(attribute ^ content.digest)
        }
        sum &+= Self.mixed(value)
        return Branch(path: path)
    }

    private static func mixed(_ value: UInt64) -> UInt64 {
        var mixed = value &+ 0x9E37_79B9_7F4A_7C15
        mixed = (mixed ^ (mixed >> 30)) &* 0xBF58_476D_1CE4_E5B9
        mixed = (mixed ^ (mixed >> 27)) &* 0x94D0_49BB_1331_11EB
        return mixed ^ (mixed >> 31)
    }
}

extension TreeModel {
    package var digest: TreeDigest {
        var digest = TreeDigest()
        var queue: [(node: Int, branch: TreeDigest.Branch)] = [(Self.root, .root)]
        while let (directory, branch) = queue.popLast() {
            // The order of a dictionary does not matter for a sum.
            for (name, number) in nodes[directory]!.entries {
                let node = nodes[number]!
                let below = digest.add(
                    name, in: branch, node.identity, node.type, permissions: node.permissions, links: node.links,
                    target: node.target, attributes: node.attributes)
                if node.type == .directory { queue.append((number, below)) }
            }
        }
        return digest
    }

    /// Every path with its object, sorted; to explain a difference.
    package var listing: [String] {
        var lines: [String] = []
        var queue: [(node: Int, path: String)] = [(Self.root, "")]
        while let (directory, path) = queue.popLast() {
            for (name, number) in nodes[directory]!.entries {
                let node = nodes[number]!
                let full = path + "/" + String(decoding: name, as: UTF8.self)
                lines.append(
                    Self.line(full, node.identity, node.type, permissions: node.permissions, links: node.links)
                        + (node.attributes.isEmpty ? "" : " \(node.attributes.count) attributes"))
                if node.type == .directory { queue.append((number, full)) }
            }
        }
        return lines.sorted()
    }

    package static func line(
        _ path: String, _ identity: Identity, _ type: FileType, permissions: UInt16, links: Int
    ) -> String {
        "\(path) \(identity.number).\(identity.generation) \(type) \(String(permissions, radix: 8)) \(links)"
    }
}
