package import EngineKit

/// The metadata blocks of a volume in memory: least recently used clean ones go first, those of unfinished transactions
/// and pinned ones stay.
package final class BlockCache {
    package let device: any BlockDevice
    package let blockSize: Int

    /// - Parameter byteCountMax: how much clean metadata is kept, in bytes.
    package init(device: any BlockDevice, blockSize: Int, byteCountMax: Int) {
        self.device = device
        self.blockSize = blockSize
    }

    /// The block, from memory or disk. Readers of one block that come together cause one read.
    package func read(_ number: UInt64) async throws(BlockDeviceError) -> MetadataBlock {
        fatalError("not built")
    }

    /// As ``read(_:)`` for several blocks, with the missing ones read at once.
    package func read(_ numbers: [UInt64]) async throws(BlockDeviceError) -> [MetadataBlock] {
        fatalError("not built")
    }

    /// The block if it is in memory.
    package func cached(_ number: UInt64) -> MetadataBlock? {
        fatalError("not built")
    }

    /// The block with all bytes zero and without reading it: for one that was just allocated.
    package func fresh(_ number: UInt64) -> MetadataBlock {
        fatalError("not built")
    }

    /// Forgets blocks, so that the next reader goes to disk. Blocks of unfinished transactions are a bug of the caller.
    package func forget(_ number: UInt64) {
        fatalError("not built")
    }

    /// Reads the block from disk whatever is in memory. The caller knows that it has no unwritten change.
    package func reread(_ number: UInt64) async throws(BlockDeviceError) -> MetadataBlock {
        fatalError("not built")
    }

    /// Writes one block to its place at once, outside of any transaction, durably. Spec: ocfs2-disk 14.4 rule 10.
    package func writeThrough(_ block: MetadataBlock) async throws(BlockDeviceError) {
        fatalError("not built")
    }
}
