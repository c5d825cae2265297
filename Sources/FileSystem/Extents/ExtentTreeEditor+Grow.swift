internal import Journal
internal import LayoutKit
internal import OCFS2Layout

// Spec: ocfs2-disk 6.6
extension ExtentTreeEditor {
    /// Moves the root's list into a new block; the root becomes one level higher with one record.
    func shiftDepth() async throws(FileSystemError) {
        let list = rootList
        let depth = list.depth
        let block = try await storage.claim(depth: depth)
        let moved = ExtentBlock.list(block.bytes)
        moved.copyRecords(from: list)
        let first = 0 as UInt32
        let end = list.count > 0 ? list[list.count - 1].end : 0
        storage.modify(root.block)
        list.initialize(capacity: list.capacity, depth: depth + 1)
        list.clear(0..<list.capacity)
        list.insert(ExtentRecord(cpos: first, clusters: UInt32(clamping: end), block: block.number), at: 0)
        if depth == 0 { lastLeaf = block.number }
    }

    /// Adds a leaf with `records` behind the rightmost one, which is full.
    func appendLeaf(_ records: [ExtentRecord]) async throws(FileSystemError) {
        var edge = try await rightEdge()
        if !edge.nodes.dropLast().contains(where: { !$0.list.isFull }) {
            try await shiftDepth()
            edge = try await rightEdge()
        }
        guard let level = edge.nodes.dropLast().lastIndex(where: { !$0.list.isFull }) else {
            throw storage.corrupt(root.block.number, "an extent tree that cannot grow")
        }
        let target = edge.nodes[level]
        let cpos = records[0].cpos
        let clusters = UInt32(clamping: (records.last?.end ?? 0) - UInt64(cpos))

        let leaf = try await storage.claim(depth: 0)
        let leafList = ExtentBlock.list(leaf.bytes)
        for record in records { leafList.insert(record, at: leafList.count) }
        var child = leaf.number
        for depth in 1..<max(1, target.list.depth) {
            let block = try await storage.claim(depth: depth)
            ExtentBlock.list(block.bytes).insert(
                ExtentRecord(cpos: cpos, clusters: clusters, block: child), at: 0)
            child = block.number
        }
        storage.modify(edge.leaf.block)
        edge.leaf.block.bytes[ExtentBlock.Field.nextLeaf] = leaf.number
        storage.modify(target.block)
        target.list.insert(ExtentRecord(cpos: cpos, clusters: clusters, block: child), at: target.list.count)
        lastLeaf = leaf.number

        // The old edge now ends where the new leaf begins; the levels above reach to its end.
        for node in edge.nodes[level..<edge.leafLevel] {
            var record = node.list[node.index]
            record.clusters = cpos > record.cpos ? cpos - record.cpos : 0
            node.list[node.index] = record
            storage.modify(node.block)
        }
        setEnd(try await rightEdge())
    }
}
