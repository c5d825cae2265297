internal import Journal
internal import OCFS2Layout

/// The way from the root of an extent tree to one leaf: for each level the list and the index of the record that leads
/// down. Keeps the blocks in memory.
final class ExtentPath {
    struct Node {
        let block: MetadataBlock
        let list: ExtentListView
        /// The record that leads to the next node; without meaning in the leaf.
        var index: Int
    }

    /// The root first, the leaf last.
    private(set) var nodes: [Node] = []

    init() {}

    deinit {
        for node in nodes { node.block.pinCount -= 1 }
    }

    func append(_ block: MetadataBlock, _ list: ExtentListView, index: Int = 0) {
        block.pinCount += 1
        nodes.append(Node(block: block, list: list, index: index))
    }

    func setIndex(_ index: Int, level: Int) { nodes[level].index = index }

    /// The levels from the root down to `level`, which gets another index.
    func copy(through level: Int, index: Int) -> ExtentPath {
        let other = ExtentPath()
        for node in nodes[...level] { other.append(node.block, node.list, index: node.index) }
        other.setIndex(index, level: level)
        return other
    }

    var leaf: Node { nodes[nodes.count - 1] }
    var leafLevel: Int { nodes.count - 1 }
    /// Whether no leaf is to the right.
    var isRightmost: Bool { nodes.dropLast().allSatisfy { $0.index == $0.list.count - 1 } }
    /// Whether no leaf is to the left.
    var isLeftmost: Bool { nodes.dropLast().allSatisfy { $0.index == 0 } }

    /// At least as many leaves as are to the right, for counting credits.
    var leavesToTheRightAtMost: Int {
        var leaves = 0
        for node in nodes.dropLast() {
            let perRecord = node.list.depth <= 1 ? 1 : Self.leavesMax(below: node.list.depth - 1, nodes)
            leaves = min(1 << 24, leaves + (node.list.count - 1 - node.index) * perRecord)
        }
        return leaves
    }

    private static func leavesMax(below depth: Int, _ nodes: [Node]) -> Int {
        let capacity = nodes[nodes.count - 1].list.capacity
        return (0..<min(depth, 3)).reduce(1) { product, _ in product * capacity }
    }
}
