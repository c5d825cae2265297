package import EngineKit

/// One metadata block in memory. There is at most one object for a block number; everybody shares it.
///
/// Its bytes may be changed only through a ``JournalHandle`` that has been told (``JournalHandle/modify(_:)``).
package final class MetadataBlock {
    /// Block number on the volume.
    package let number: UInt64
    /// The block's bytes, one block long.
    package let slice: IOSlice
    /// What the owner knows the block to be after checking it; 0: not checked since it was read. See ``BlockSealer``.
    package var kind: UInt8 = 0
    /// While above 0 the cache keeps the block.
    package var pinCount = 0

    init(number: UInt64, slice: IOSlice) {
        self.number = number
        self.slice = slice
    }

    package var bytes: UnsafeMutableRawBufferPointer { slice.bytes }
}

/// Finishes images of blocks before they go to disk, for example by computing their checksums.
package protocol BlockSealer: AnyObject {
    /// Called once for each image of a committed block. Spec: ocfs2-disk 14.4 rule 5.
    func seal(_ image: UnsafeMutableRawBufferPointer, number: UInt64, kind: UInt8)
}
