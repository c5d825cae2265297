public import LayoutKit

/// A block of a refcount tree: the root, with records or with an extent list, or a leaf. Spec: ocfs2-disk-2 17.1.
///
///     offset  size  field
///     0x00    8     rf_signature
///     0x08    2     rf_suballoc_slot
///     0x0a    2     rf_suballoc_bit
///     0x0c    4     rf_fs_generation
///     0x10    8     rf_blkno
///     0x18    8     rf_parent: leaves only
///     0x20    8     rf_check
///     0x28    8     rf_last_eb_blk
///     0x30    4     rf_count: inodes of the tree; root only
///     0x34    4     rf_flags: 0 root with records, 1 leaf, 2 root with extent list
///     0x38    4     rf_clusters: leaves; root only
///     0x3c    4     rf_cpos: lowest position of a leaf
///     0x40    4     rf_generation: the same in the whole tree
///     0x48    8     rf_suballoc_loc
///     0x80          records, or extent list whose leaves are blocks
@usableFromInline
package enum RefcountBlock {
    @usableFromInline
    package enum Field {
        @inlinable package static var signature: LE64 { LE64(offset: 0x00) }
        @inlinable package static var suballocSlot: LE16 { LE16(offset: 0x08) }
        @inlinable package static var suballocBit: LE16 { LE16(offset: 0x0a) }
        @inlinable package static var volumeGeneration: LE32 { LE32(offset: 0x0c) }
        @inlinable package static var block: LE64 { LE64(offset: 0x10) }
        @inlinable package static var parent: LE64 { LE64(offset: 0x18) }
        @inlinable package static var lastExtentBlock: LE64 { LE64(offset: 0x28) }
        @inlinable package static var inodeCount: LE32 { LE32(offset: 0x30) }
        @inlinable package static var flags: LE32 { LE32(offset: 0x34) }
        @inlinable package static var leafCount: LE32 { LE32(offset: 0x38) }
        @inlinable package static var cpos: LE32 { LE32(offset: 0x3c) }
        @inlinable package static var generation: LE32 { LE32(offset: 0x40) }
        @inlinable package static var suballocGroup: LE64 { LE64(offset: 0x48) }
    }

    package enum Kind: UInt32, Hashable, Sendable {
        case rootWithRecords = 0
        case leaf = 1
        case rootWithTree = 2
    }

    @inlinable package static var contentOffset: Int { 0x80 }

    /// The kind of a validated block.
    package static func kind(_ bytes: UnsafeRawBufferPointer) -> Kind? {
        Kind(rawValue: bytes[Field.flags])
    }

    /// The records, unless the block is a root with a tree.
    package static func records(_ bytes: UnsafeMutableRawBufferPointer) -> RefcountRecordList {
        RefcountRecordList(bytes, offset: contentOffset)
    }

    /// The leaves by the low 32 bits of their lowest cluster, in a root with a tree.
    package static func list(_ bytes: UnsafeMutableRawBufferPointer) -> ExtentListView {
        ExtentListView(bytes, offset: contentOffset)
    }

    package static func suballocation(_ bytes: UnsafeRawBufferPointer) -> Suballocation {
        Suballocation(
            slot: bytes[Field.suballocSlot], bit: bytes[Field.suballocBit], group: bytes[Field.suballocGroup])
    }

    /// Zeroes the block and makes a root, or with `parent` a leaf, without records.
    package static func initialize(
        _ bytes: UnsafeMutableRawBufferPointer, block: UInt64, generation: UInt32, parent: UInt64? = nil,
        _ suballocation: Suballocation, _ parameters: VolumeParameters
    ) {
        bytes.clear(count: parameters.blockSize)
        bytes[Field.signature] = FixedSignature.refcountBlock.rawValue
        bytes[Field.suballocSlot] = suballocation.slot
        bytes[Field.suballocBit] = suballocation.bit
        bytes[Field.volumeGeneration] = parameters.generation
        bytes[Field.block] = block
        bytes[Field.parent] = parent ?? 0
        bytes[Field.flags] = (parent == nil ? Kind.rootWithRecords : .leaf).rawValue
        bytes[Field.generation] = generation
        bytes[Field.suballocGroup] = suballocation.group
        records(bytes).initialize(capacity: parameters.geometry.refcountCapacity)
    }

    /// Makes a root one with an empty extent list; the records' bytes become zero.
    package static func beginTree(_ bytes: UnsafeMutableRawBufferPointer, _ geometry: VolumeGeometry) {
        clearContent(bytes, geometry)
        bytes[Field.flags] = Kind.rootWithTree.rawValue
        list(bytes).initialize(capacity: geometry.refcountCapacity)
    }

    /// Makes a root one with records again, of which it has none.
    package static func endTree(_ bytes: UnsafeMutableRawBufferPointer, _ geometry: VolumeGeometry) {
        clearContent(bytes, geometry)
        bytes[Field.flags] = Kind.rootWithRecords.rawValue
        bytes[Field.leafCount] = 0
        bytes[Field.lastExtentBlock] = 0
        records(bytes).initialize(capacity: geometry.refcountCapacity)
    }

    private static func clearContent(_ bytes: UnsafeMutableRawBufferPointer, _ geometry: VolumeGeometry) {
        let count = geometry.blockSize - contentOffset
        bytes.part(offset: contentOffset, count: count).clear(count: count)
    }

    /// Checks the block read from `block`, its records, or the header of its extent list. `root`: the block must be a
    /// leaf of that root.
    package static func validate(
        _ bytes: UnsafeRawBufferPointer, block: UInt64, root: UInt64? = nil, _ parameters: VolumeParameters
    ) throws(LayoutError) {
        try parameters.requireBlock(bytes)
        try FixedSignature.refcountBlock.require(bytes, at: Field.signature)
        try requireEqual("rf_blkno", bytes[Field.block], block)
        try requireEqual("rf_fs_generation", UInt64(bytes[Field.volumeGeneration]), UInt64(parameters.generation))
        try parameters.requireSlot("rf_suballoc_slot", bytes[Field.suballocSlot], orGlobal: true)
        guard let kind = kind(bytes), (kind == .leaf) == (root != nil) else {
            throw .badValue(
                field: "rf_flags", found: UInt64(bytes[Field.flags]), expected: root == nil ? "0 or 2" : "1")
        }
        if let root { try requireEqual("rf_parent", bytes[Field.parent], root) }
        let capacity = parameters.geometry.refcountCapacity
        if kind == .rootWithTree {
            try ExtentListView.validate(bytes, offset: contentOffset, capacity: capacity, isCapacityExact: true)
        } else {
            try RefcountRecordList.validate(bytes, offset: contentOffset, capacity: capacity, parameters)
        }
    }
}
