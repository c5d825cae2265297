internal import EngineKit
internal import Journal
internal import OCFS2Layout

/// Where the data of a system file is. Read here and not by the extent trees because mounting needs it before they work:
/// journals, slot map, orphan directories.
struct DataRuns {
    private let inode: Inode
    private(set) var records: [ExtentRecord] = []
    /// Extent blocks that may still be visited: a loop on disk ends here.
    private var blocksLeft: Int

    private init(_ inode: Inode) {
        self.inode = inode
        // A tree has no more extent blocks than clusters, and the volume has them all; the root needs none.
        blocksLeft = Int(min(inode.attributes.clusters, inode.volume.parameters.clusterCount)) + 16
    }

    /// All runs of the inode, in order.
    static func records(of inode: Inode) async throws(FileSystemError) -> [ExtentRecord] {
        guard inode.dinode.content == .extentList else { return [] }
        var runs = DataRuns(inode)
        try await runs.read(inode.dinode.extentList, in: inode.number)
        return runs.records
    }

    private mutating func read(_ list: ExtentListView, in block: UInt64) async throws(FileSystemError) {
        let depth = list.depth
        for index in 0..<list.count {
            let record = list[index]
            if depth == 0 {
                if record.isEmpty { continue }
                try check(record, in: block)
                records.append(record)
                continue
            }
            blocksLeft -= 1
            guard blocksLeft >= 0 else { throw wrong(block, "the extent tree has more blocks than clusters") }
            let child = try await inode.volume.block(record.block, .extentBlock, for: inode)
            let childList = ExtentBlock.list(child.bytes)
            guard childList.depth == depth - 1 else {
                throw wrong(child.number, "l_tree_depth is \(childList.depth), below a list of depth \(depth)")
            }
            // So each leaf has clusters behind those of the one before it: the same leaf twice is found out.
            let hasRecords = (0..<childList.count).contains { !childList[$0].isEmpty || depth > 1 }
            guard hasRecords else {
                throw wrong(child.number, "an extent block without records")
            }
            if blocksLeft % 64 == 0 { await inode.volume.environment.yield() }
            try await read(childList, in: child.number)
        }
    }

    private func check(_ record: ExtentRecord, in block: UInt64) throws(FileSystemError) {
        let geometry = inode.volume.geometry
        let end = geometry.firstBlock(ofCluster: inode.volume.parameters.clusterCount)
        guard geometry.isClusterAligned(block: record.block), record.block < end,
            geometry.blocks(inClusters: record.clusters) <= end - record.block
        else { throw wrong(block, "an extent of \(record.clusters) clusters at block \(record.block)") }
        guard UInt64(record.cpos) >= (records.last?.end ?? 0) else {
            throw wrong(block, "the extent at cluster \(record.cpos) begins before the end of the one before it")
        }
    }

    private func wrong(_ block: UInt64, _ what: String) -> FileSystemError {
        inode.volume.report(Corruption(block: block, inode: inode.number, what: what))
    }
}

extension MountedVolume {
    /// The block numbers of the first `count` blocks of a system file's data, which has no holes there.
    func dataBlocks(of inode: Inode, count: UInt64) async throws(FileSystemError) -> [UInt64] {
        var blocks: [UInt64] = []
        for record in try await DataRuns.records(of: inode) {
            guard geometry.blocks(inClusters: record.cpos) == UInt64(blocks.count) else { break }
            let length = min(geometry.blocks(inClusters: record.clusters), count - UInt64(blocks.count))
            for offset in 0..<length { blocks.append(record.block + offset) }
            if UInt64(blocks.count) == count { return blocks }
        }
        if UInt64(blocks.count) == count { return blocks }
        throw report(
            Corruption(
                block: inode.number, inode: inode.number,
                what: "\(blocks.count) blocks of data without a hole, \(count) are needed"))
    }
}
