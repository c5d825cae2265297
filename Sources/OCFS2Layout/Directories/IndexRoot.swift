public import LayoutKit

/// The root of a directory's index. Spec: ocfs2-disk 8.6.
///
///     offset  size  field
///     0x00    8     dr_signature
///     0x08    8     dr_check
///     0x10    2     dr_suballoc_slot
///     0x12    2     dr_suballoc_bit
///     0x14    4     dr_fs_generation
///     0x18    8     dr_blkno
///     0x20    8     dr_last_eb_blk
///     0x28    4     dr_clusters: clusters of leaves
///     0x2c    1     dr_flags: 1 = the entries are in this block
///     0x30    8     dr_dir_blkno
///     0x38    4     dr_num_entries, `.` and `..` included
///     0x40    8     dr_free_blk: head of the free list of data blocks
///     0x48    8     dr_suballoc_loc
///     0xc0          dr_entries or dr_list
@usableFromInline
package enum IndexRoot {
    @usableFromInline
    package enum Field {
        @inlinable package static var signature: LE64 { LE64(offset: 0x00) }
        @inlinable package static var suballocSlot: LE16 { LE16(offset: 0x10) }
        @inlinable package static var suballocBit: LE16 { LE16(offset: 0x12) }
        @inlinable package static var volumeGeneration: LE32 { LE32(offset: 0x14) }
        @inlinable package static var block: LE64 { LE64(offset: 0x18) }
        @inlinable package static var lastExtentBlock: LE64 { LE64(offset: 0x20) }
        @inlinable package static var clusters: LE32 { LE32(offset: 0x28) }
        @inlinable package static var flags: U8 { U8(offset: 0x2c) }
        @inlinable package static var directory: LE64 { LE64(offset: 0x30) }
        @inlinable package static var entryCount: LE32 { LE32(offset: 0x38) }
        @inlinable package static var firstFree: LE64 { LE64(offset: 0x40) }
        @inlinable package static var suballocGroup: LE64 { LE64(offset: 0x48) }
    }

    /// ``Field/flags``: the entries are in this block.
    @inlinable package static var isInlineFlag: UInt8 { 1 }
    @inlinable package static var contentOffset: Int { 0xc0 }

    @inlinable
    package static func isInline(_ bytes: UnsafeRawBufferPointer) -> Bool {
        bytes[Field.flags] & isInlineFlag != 0
    }

    /// The entries of an inline root.
    package static func entries(_ bytes: UnsafeMutableRawBufferPointer) -> IndexEntryList {
        IndexEntryList(bytes, offset: contentOffset)
    }

    /// The extents of the leaves, by major hash, when the root is not inline.
    package static func list(_ bytes: UnsafeMutableRawBufferPointer) -> ExtentListView {
        ExtentListView(bytes, offset: contentOffset)
    }

    package static func suballocation(_ bytes: UnsafeRawBufferPointer) -> Suballocation {
        Suballocation(
            slot: bytes[Field.suballocSlot], bit: bytes[Field.suballocBit], group: bytes[Field.suballocGroup])
    }

    /// Zeroes the block and makes an inline root without entries.
    package static func initialize(
        _ bytes: UnsafeMutableRawBufferPointer, block: UInt64, directory: UInt64, _ suballocation: Suballocation,
        _ parameters: VolumeParameters
    ) {
        bytes.clear(count: parameters.blockSize)
        bytes[Field.signature] = FixedSignature.indexRoot.rawValue
        bytes[Field.suballocSlot] = suballocation.slot
        bytes[Field.suballocBit] = suballocation.bit
        bytes[Field.volumeGeneration] = parameters.generation
        bytes[Field.block] = block
        bytes[Field.flags] = isInlineFlag
        bytes[Field.directory] = directory
        bytes[Field.suballocGroup] = suballocation.group
        entries(bytes).initialize(capacity: parameters.geometry.indexRootEntryCapacity)
    }

    /// Makes an inline root one with an empty extent list; the entries' bytes become zero.
    package static func beginExtentList(_ bytes: UnsafeMutableRawBufferPointer, _ geometry: VolumeGeometry) {
        let count = geometry.blockSize - contentOffset
        bytes.part(offset: contentOffset, count: count).clear(count: count)
        bytes[Field.flags] &= ~isInlineFlag
        list(bytes).initialize(capacity: geometry.indexRootExtentCapacity)
    }

    /// Checks the root read from `block` for `directory`.
    package static func validate(
        _ bytes: UnsafeRawBufferPointer, block: UInt64, directory: UInt64, _ parameters: VolumeParameters
    ) throws(LayoutError) {
        try parameters.requireBlock(bytes)
        try FixedSignature.indexRoot.require(bytes, at: Field.signature)
        try requireEqual("dr_blkno", bytes[Field.block], block)
        try requireEqual("dr_fs_generation", UInt64(bytes[Field.volumeGeneration]), UInt64(parameters.generation))
        try requireEqual("dr_dir_blkno", bytes[Field.directory], directory)
        try parameters.requireSlot("dr_suballoc_slot", bytes[Field.suballocSlot], orGlobal: true)
        let free = bytes[Field.firstFree]
        if free != 0 { try parameters.requireMetadataBlock("dr_free_blk", free) }
        let geometry = parameters.geometry
        if isInline(bytes) {
            try IndexEntryList.validate(bytes, offset: contentOffset, capacity: geometry.indexRootEntryCapacity)
        } else {
            try ExtentListView.validate(
                bytes, offset: contentOffset, capacity: geometry.indexRootExtentCapacity, isCapacityExact: true)
        }
    }
}

// Finding a leaf. Spec: ocfs2-disk 8.7.
extension IndexRoot {
    /// Index of the record of a leaf list whose clusters hold the major hash: the last one that begins at or below it.
    /// nil when there is none.
    package static func recordIndex(for major: UInt32, in list: ExtentListView) -> Int? {
        var index = list.count - 1
        while index >= 0 {
            let record = list[index]
            if !record.isEmpty, record.cpos <= major { return index }
            index -= 1
        }
        return nil
    }

    /// The leaf block for the hash among the clusters of the record found for it: the last cluster takes all hashes
    /// behind the record.
    package static func leafBlock(
        for hash: NameHash, in record: ExtentRecord, _ geometry: VolumeGeometry
    ) -> UInt64 {
        let cluster = min(hash.major &- record.cpos, record.clusters &- 1)
        // A foreign record may lie anywhere: the block that comes out is checked when it is read.
        return record.block &+ geometry.blocks(inClusters: cluster)
            &+ UInt64(hash.minor & UInt32(geometry.blocksPerCluster - 1))
    }
}
