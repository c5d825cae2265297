import EngineKit
import EngineSimulation
import LayoutKit
import OCFS2Layout

@testable import FileSystem
@testable import Journal

/// Extent blocks without a volume: every block exists once, changes outside of a transaction are found.
final class TreeInMemory: ExtentTreeStorage {
    let parameters: VolumeParameters
    let rootBlock: MetadataBlock
    private let environment: VirtualEnvironment
    private let cache: BlockCache
    private(set) var blocks: [UInt64: MetadataBlock] = [:]
    private var nextBlock: UInt64 = 100
    private var modified: Set<UInt64> = []
    private var images: [UInt64: [UInt8]] = [:]
    private(set) var claimedCount = 0
    /// What a handle would take.
    var creditsMax = Int.max

    init(parameters: VolumeParameters) {
        self.parameters = parameters
        environment = VirtualEnvironment()
        cache = BlockCache(
            device: MemoryDevice(byteCount: 1 << 20, environment: environment), blockSize: parameters.blockSize,
            byteCountMax: 1 << 30)
        rootBlock = cache.fresh(50)
    }

    func read(_ number: UInt64) async throws(FileSystemError) -> MetadataBlock {
        guard let block = blocks[number] else { throw corrupt(number, "no extent block") }
        return block
    }

    func corrupt(_ block: UInt64, _ what: String) -> FileSystemError {
        .corrupt(Corruption(block: block, what: what))
    }

    func modify(_ block: MetadataBlock) { modified.insert(block.number) }

    func claim(depth: Int) async throws(FileSystemError) -> MetadataBlock {
        let block = cache.fresh(nextBlock)
        ExtentBlock.initialize(
            block.bytes, block: nextBlock, depth: depth, Suballocation(slot: 0, bit: 1, group: 0), parameters)
        blocks[nextBlock] = block
        modified.insert(nextBlock)
        nextBlock += 1
        claimedCount += 1
        return block
    }

    func free(_ block: MetadataBlock) async throws(FileSystemError) {
        guard blocks.removeValue(forKey: block.number) != nil else {
            throw corrupt(block.number, "freed twice")
        }
        images[block.number] = nil
    }

    func needCredits(_ count: Int) throws(FileSystemError) {
        guard count <= creditsMax else { throw .aborted("no credits") }
    }

    /// Blocks that the change so far has made part of its transaction.
    var modifiedCount: Int { modified.count }

    /// Ends a change: returns the blocks whose bytes changed without being part of it.
    func changedOutsideOfTransaction() -> [UInt64] {
        var wrong: [UInt64] = []
        for block in [rootBlock] + blocks.values {
            let bytes = Array(block.bytes)
            if !modified.contains(block.number), let image = images[block.number], image != bytes {
                wrong.append(block.number)
            }
            if modified.contains(block.number) || images[block.number] == nil { images[block.number] = bytes }
        }
        modified = []
        claimedCount = 0
        return wrong.sorted()
    }
}

/// Looks at a whole extent tree from outside and lists everything that breaks ocfs2-disk 6.3.
struct TreeChecker {
    let tree: TreeInMemory
    let root: ExtentRoot
    var faults: [String] = []
    var records: [ExtentRecord] = []
    /// Leaves with an empty record at index 0.
    var holes = 0
    private var leaves: [UInt64] = []
    private var reached: Set<UInt64> = []

    init(_ tree: TreeInMemory, _ root: ExtentRoot) {
        self.tree = tree
        self.root = root
        let list = ExtentListView(root.block.bytes, offset: root.listOffset)
        if list.isLeaf {
            records = (0..<list.count).map { list[$0] }
        } else {
            walk(list, cpos: 0, end: nil, name: "root", isLeftEdge: true, isRightEdge: true)
        }
        checkRecords()
        checkChain(list)
        let clusters = root.block.bytes[root.clustersField]
        let sum = records.reduce(UInt64(0)) { $0 + UInt64($1.clusters) }
        if UInt64(clusters) != sum { faults.append("T8: \(clusters) clusters counted, \(sum) mapped") }
        if reached.count != tree.blocks.count { faults.append("\(tree.blocks.count - reached.count) blocks leaked") }
    }

    private mutating func walk(
        _ list: ExtentListView, cpos: UInt64, end: UInt64?, name: String, isLeftEdge: Bool, isRightEdge: Bool
    ) {
        if list.count == 0 { faults.append("\(name): interior list without records") }
        if !isRightEdge, !list.isFull { faults.append("T3: \(name) is not full") }
        for index in 0..<list.count {
            let record = list[index]
            let isLast = index == list.count - 1
            if index == 0, UInt64(record.cpos) != cpos {
                faults.append("T5: \(name)[0] begins at \(record.cpos), not \(cpos)")
            }
            if !isLast, record.end != UInt64(list[index + 1].cpos) {
                faults.append("T5: \(name)[\(index)] ends at \(record.end), next at \(list[index + 1].cpos)")
            }
            if isLast, let end, record.end != end { faults.append("T5: \(name) ends at \(record.end), not \(end)") }
            guard let block = tree.blocks[record.block] else {
                faults.append("\(name)[\(index)] leads to block \(record.block)")
                continue
            }
            if !reached.insert(record.block).inserted { faults.append("\(name)[\(index)]: block used twice") }
            let child = ExtentBlock.list(block.bytes)
            if child.depth != list.depth - 1 { faults.append("T1: depth \(child.depth) under \(list.depth)") }
            let leadsRight = isRightEdge && isLast
            let leadsLeft = isLeftEdge && index == 0
            if child.isLeaf {
                visitLeaf(child, record, "\(name)[\(index)]", leadsLeft, leadsRight)
            } else {
                if block.bytes[ExtentBlock.Field.nextLeaf] != 0 { faults.append("interior block with a next leaf") }
                walk(
                    child, cpos: UInt64(record.cpos), end: record.end, name: "\(name)[\(index)]",
                    isLeftEdge: leadsLeft, isRightEdge: leadsRight)
            }
        }
    }

    private mutating func visitLeaf(
        _ list: ExtentListView, _ parent: ExtentRecord, _ name: String, _ isFirst: Bool, _ isLast: Bool
    ) {
        leaves.append(parent.block)
        if list.count == 0 { faults.append("\(name): leaf without records") }
        if !isLast, !list.isFull { faults.append("T3: leaf \(name) has \(list.count) of \(list.capacity)") }
        guard list.count > 0 else { return }
        let first = list.hasEmptyFirst && list.count > 1 ? 1 : 0
        if !isFirst, list[first].cpos != parent.cpos {
            faults.append("T5: leaf \(name) begins at \(list[first].cpos), not \(parent.cpos)")
        }
        let end = list[list.count - 1].end
        if isLast ? end != parent.end : end > parent.end {
            faults.append("T6: leaf \(name) ends at \(end), not \(parent.end)")
        }
        records += (first..<list.count).map { list[$0] }
        holes += first
    }

    private mutating func checkRecords() {
        for (index, record) in records.enumerated() {
            if record.isEmpty { faults.append("T4: empty record \(index)") }
            if index > 0, records[index - 1].end > UInt64(record.cpos) { faults.append("T2: record \(index) overlaps") }
        }
    }

    private mutating func checkChain(_ list: ExtentListView) {
        let last = root.block.bytes[root.lastLeafField]
        if last != (leaves.last ?? 0) { faults.append("T7: last_eb \(last), expected \(leaves.last ?? 0)") }
        for (index, number) in leaves.enumerated() {
            guard let leaf = tree.blocks[number] else { continue }
            let next = leaf.bytes[ExtentBlock.Field.nextLeaf]
            let expected = index + 1 < leaves.count ? leaves[index + 1] : 0
            if next != expected { faults.append("T7: leaf \(number) leads to \(next), not \(expected)") }
        }
        if records.isEmpty, list.depth != 0 { faults.append("T10: empty tree of depth \(list.depth)") }
    }
}
