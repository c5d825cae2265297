public import LayoutKit

/// The last 64 bytes of a directory data block on volumes with metaecc and in indexed directories. Old code takes it
/// for an unused entry. Spec: ocfs2-disk 8.3.
///
///     offset  size  field (from the trailer's start)
///     0x00    8     db_compat_inode 0
///     0x08    2     db_compat_rec_len 64
///     0x0e    2     db_free_rec_len: largest hole of the block; indexed directories only
///     0x10    8     db_signature
///     0x20    8     db_free_next: next block of the free list
///     0x28    8     db_blkno
///     0x30    8     db_parent_dinode
///     0x38    8     db_check, over the whole block
@usableFromInline
package enum DirectoryTrailer {
    @inlinable package static var byteCount: Int { 64 }

    /// Fields by their offset in a block of `blockSize` bytes.
    @inlinable
    package static func recordLength(_ blockSize: Int) -> LE16 { LE16(offset: blockSize &- 64 &+ 0x08) }
    @inlinable
    package static func largestHole(_ blockSize: Int) -> LE16 { LE16(offset: blockSize &- 64 &+ 0x0e) }
    @inlinable
    package static func signature(_ blockSize: Int) -> LE64 { LE64(offset: blockSize &- 64 &+ 0x10) }
    @inlinable
    package static func nextFree(_ blockSize: Int) -> LE64 { LE64(offset: blockSize &- 64 &+ 0x20) }
    @inlinable
    package static func block(_ blockSize: Int) -> LE64 { LE64(offset: blockSize &- 64 &+ 0x28) }
    @inlinable
    package static func directory(_ blockSize: Int) -> LE64 { LE64(offset: blockSize &- 64 &+ 0x30) }

    /// Writes a new trailer at the end of `bytes`, a whole block.
    package static func initialize(
        _ bytes: UnsafeMutableRawBufferPointer, block number: UInt64, directory: UInt64, largestHole: Int,
        nextFree: UInt64 = 0
    ) {
        let size = bytes.count
        bytes.dropped(size - byteCount).clear(count: byteCount)
        bytes[recordLength(size)] = UInt16(byteCount)
        bytes[self.largestHole(size)] = UInt16(largestHole)
        bytes[signature(size)] = FixedSignature.directoryTrailer.rawValue
        bytes[self.nextFree(size)] = nextFree
        bytes[block(size)] = number
        bytes[self.directory(size)] = directory
    }

    /// Checks the trailer of a whole block that was read from `block` for `directory`.
    package static func validate(
        _ bytes: UnsafeRawBufferPointer, block number: UInt64, directory: UInt64, _ parameters: VolumeParameters
    ) throws(LayoutError) {
        try parameters.requireBlock(bytes)
        let size = parameters.blockSize
        try FixedSignature.directoryTrailer.require(bytes, at: signature(size))
        try requireEqual("db_blkno", bytes[block(size)], number)
        try requireEqual("db_parent_dinode", bytes[self.directory(size)], directory)
        let next = bytes[nextFree(size)]
        if next != 0 { try parameters.requireMetadataBlock("db_free_next", next) }
    }
}
