/// Where each node beats: a sector of the first extent of the file `heartbeat`. Spec: ocfs2-disk 13.3.
package struct HeartbeatRegion: Hashable, Sendable {
    /// First block of the region.
    package var startBlock: UInt64
    package var blockSize: Int
    /// Logical block size of the device.
    package var sectorSize: Int

    /// Nodes that have a sector.
    package static let nodeCount = 255
    /// Blocks that mkfs gives to the file.
    package static let fileBlocks = 256

    package init(startBlock: UInt64, blockSize: Int, sectorSize: Int = 512) {
        self.startBlock = startBlock
        self.blockSize = blockSize
        self.sectorSize = sectorSize
    }

    /// Byte offset on the device of the node's sector.
    package func byteOffset(ofNode node: Int) -> UInt64 {
        precondition((0..<Self.nodeCount).contains(node), "node \(node) has no heartbeat sector")
        return startBlock * UInt64(blockSize) + UInt64(node * sectorSize)
    }
}
