public import LayoutKit

/// The block of an inode's attributes outside of its dinode. Spec: ocfs2-disk-2 16.3.
///
///     offset  size  field
///     0x00    8     xb_signature
///     0x08    2     xb_suballoc_slot
///     0x0a    2     xb_suballoc_bit
///     0x0c    4     xb_fs_generation
///     0x10    8     xb_blkno
///     0x18    8     xb_check
///     0x20    2     xb_flags: 1 = indexed
///     0x28    8     xb_suballoc_loc
///     0x30          storage; or, indexed: xt_clusters 4, reserved 4, xt_last_eb_blk 8, extent list at 0x40
@usableFromInline
package enum XattrBlock {
    @usableFromInline
    package enum Field {
        @inlinable package static var signature: LE64 { LE64(offset: 0x00) }
        @inlinable package static var suballocSlot: LE16 { LE16(offset: 0x08) }
        @inlinable package static var suballocBit: LE16 { LE16(offset: 0x0a) }
        @inlinable package static var volumeGeneration: LE32 { LE32(offset: 0x0c) }
        @inlinable package static var block: LE64 { LE64(offset: 0x10) }
        @inlinable package static var flags: LE16 { LE16(offset: 0x20) }
        @inlinable package static var suballocGroup: LE64 { LE64(offset: 0x28) }
        /// Indexed: clusters of buckets. One too large after some reflinks of the kernel: never trusted.
        @inlinable package static var clusters: LE32 { LE32(offset: 0x30) }
        /// Indexed.
        @inlinable package static var lastExtentBlock: LE64 { LE64(offset: 0x38) }
    }

    @inlinable package static var isIndexedFlag: UInt16 { 1 }
    @inlinable package static var storageOffset: Int { 0x30 }
    @inlinable package static var listOffset: Int { 0x40 }

    @inlinable
    package static func isIndexed(_ bytes: UnsafeRawBufferPointer) -> Bool {
        bytes[Field.flags] & isIndexedFlag != 0
    }

    /// The attributes of a block that is not indexed.
    package static func storage(_ bytes: UnsafeMutableRawBufferPointer) -> XattrStorage {
        XattrStorage(bytes.dropped(storageOffset))
    }

    /// The extents of the buckets by lowest hash, when indexed.
    package static func list(_ bytes: UnsafeMutableRawBufferPointer) -> ExtentListView {
        ExtentListView(bytes, offset: listOffset)
    }

    package static func suballocation(_ bytes: UnsafeRawBufferPointer) -> Suballocation {
        Suballocation(
            slot: bytes[Field.suballocSlot], bit: bytes[Field.suballocBit], group: bytes[Field.suballocGroup])
    }

    /// Zeroes the block and makes one without attributes.
    package static func initialize(
        _ bytes: UnsafeMutableRawBufferPointer, block: UInt64, _ suballocation: Suballocation,
        _ parameters: VolumeParameters
    ) {
        bytes.clear(count: parameters.blockSize)
        bytes[Field.signature] = FixedSignature.xattrBlock.rawValue
        bytes[Field.suballocSlot] = suballocation.slot
        bytes[Field.suballocBit] = suballocation.bit
        bytes[Field.volumeGeneration] = parameters.generation
        bytes[Field.block] = block
        bytes[Field.suballocGroup] = suballocation.group
    }

    /// Makes the block an index without buckets; the attributes' bytes become zero.
    package static func beginIndex(_ bytes: UnsafeMutableRawBufferPointer, _ geometry: VolumeGeometry) {
        let count = geometry.blockSize - storageOffset
        bytes.part(offset: storageOffset, count: count).clear(count: count)
        bytes[Field.flags] |= isIndexedFlag
        list(bytes).initialize(capacity: geometry.xattrRootExtentCapacity)
    }

    /// Checks the block read from `block`, and the attributes or the index header inside.
    package static func validate(
        _ bytes: UnsafeRawBufferPointer, block: UInt64, _ parameters: VolumeParameters
    ) throws(LayoutError) {
        try parameters.requireBlock(bytes)
        try FixedSignature.xattrBlock.require(bytes, at: Field.signature)
        try requireEqual("xb_blkno", bytes[Field.block], block)
        try requireEqual("xb_fs_generation", UInt64(bytes[Field.volumeGeneration]), UInt64(parameters.generation))
        try parameters.requireSlot("xb_suballoc_slot", bytes[Field.suballocSlot], orGlobal: true)
        let block = bytes.part(offset: 0, count: parameters.blockSize)
        if isIndexed(block) {
            try ExtentListView.validate(
                block, offset: listOffset, capacity: parameters.geometry.xattrRootExtentCapacity, isCapacityExact: true)
        } else {
            try storage(UnsafeMutableRawBufferPointer(mutating: block)).validate()
        }
    }
}
