public import LayoutKit

/// A node of an extent tree below its root. Spec: ocfs2-disk 6.2.
///
///     offset  size  field
///     0x00    8     h_signature
///     0x08    8     h_check
///     0x10    2     h_suballoc_slot
///     0x12    2     h_suballoc_bit
///     0x14    4     h_fs_generation
///     0x18    8     h_blkno
///     0x20    8     h_suballoc_loc
///     0x28    8     h_next_leaf_blk: the leaf to the right; 0 in the last leaf and in interior blocks
///     0x30          h_list
@usableFromInline
package enum ExtentBlock {
    @usableFromInline
    package enum Field {
        @inlinable package static var signature: LE64 { LE64(offset: 0x00) }
        @inlinable package static var suballocSlot: LE16 { LE16(offset: 0x10) }
        @inlinable package static var suballocBit: LE16 { LE16(offset: 0x12) }
        @inlinable package static var volumeGeneration: LE32 { LE32(offset: 0x14) }
        @inlinable package static var block: LE64 { LE64(offset: 0x18) }
        @inlinable package static var suballocGroup: LE64 { LE64(offset: 0x20) }
        @inlinable package static var nextLeaf: LE64 { LE64(offset: 0x28) }
    }

    @inlinable package static var listOffset: Int { 0x30 }

    @inlinable
    package static func list(_ bytes: UnsafeMutableRawBufferPointer) -> ExtentListView {
        ExtentListView(bytes, offset: listOffset)
    }

    package static func suballocation(_ bytes: UnsafeRawBufferPointer) -> Suballocation {
        Suballocation(
            slot: bytes[Field.suballocSlot], bit: bytes[Field.suballocBit], group: bytes[Field.suballocGroup])
    }

    /// Zeroes the block and makes an empty extent block of the given depth.
    package static func initialize(
        _ bytes: UnsafeMutableRawBufferPointer, block: UInt64, depth: Int, _ suballocation: Suballocation,
        _ parameters: VolumeParameters
    ) {
        bytes.clear(count: parameters.blockSize)
        bytes[Field.signature] = FixedSignature.extentBlock.rawValue
        bytes[Field.suballocSlot] = suballocation.slot
        bytes[Field.suballocBit] = suballocation.bit
        bytes[Field.volumeGeneration] = parameters.generation
        bytes[Field.block] = block
        bytes[Field.suballocGroup] = suballocation.group
        list(bytes).initialize(capacity: parameters.geometry.extentBlockCapacity, depth: depth)
    }

    /// Checks the block read from `block`: signature, numbers, list header. `depth` is what the parent promises.
    package static func validate(
        _ bytes: UnsafeRawBufferPointer, block: UInt64, depth: Int? = nil, _ parameters: VolumeParameters
    ) throws(LayoutError) {
        try parameters.requireBlock(bytes)
        try FixedSignature.extentBlock.require(bytes, at: Field.signature)
        try requireEqual("h_blkno", bytes[Field.block], block)
        try requireEqual("h_fs_generation", UInt64(bytes[Field.volumeGeneration]), UInt64(parameters.generation))
        try parameters.requireSlot("h_suballoc_slot", bytes[Field.suballocSlot], orGlobal: true)
        try ExtentListView.validate(
            bytes, offset: listOffset, capacity: parameters.geometry.extentBlockCapacity, isCapacityExact: true,
            depth: depth)
    }
}
