public import LayoutKit

/// A leaf of a directory's index; every block of a leaf cluster is one. Spec: ocfs2-disk 8.7.
///
///     offset  size  field
///     0x00    8     dl_signature
///     0x08    8     dl_check
///     0x10    8     dl_blkno
///     0x18    4     dl_fs_generation
///     0x28          entry list
@usableFromInline
package enum IndexLeaf {
    @usableFromInline
    package enum Field {
        @inlinable package static var signature: LE64 { LE64(offset: 0x00) }
        @inlinable package static var block: LE64 { LE64(offset: 0x10) }
        @inlinable package static var volumeGeneration: LE32 { LE32(offset: 0x18) }
    }

    @inlinable package static var listOffset: Int { 0x28 }

    package static func entries(_ bytes: UnsafeMutableRawBufferPointer) -> IndexEntryList {
        IndexEntryList(bytes, offset: listOffset)
    }

    /// Zeroes the block and makes an empty leaf.
    package static func initialize(
        _ bytes: UnsafeMutableRawBufferPointer, block: UInt64, _ parameters: VolumeParameters
    ) {
        bytes.clear(count: parameters.blockSize)
        bytes[Field.signature] = FixedSignature.indexLeaf.rawValue
        bytes[Field.block] = block
        bytes[Field.volumeGeneration] = parameters.generation
        entries(bytes).initialize(capacity: parameters.geometry.indexLeafCapacity)
    }

    /// Checks the leaf read from `block`.
    package static func validate(
        _ bytes: UnsafeRawBufferPointer, block: UInt64, _ parameters: VolumeParameters
    ) throws(LayoutError) {
        try parameters.requireBlock(bytes)
        try FixedSignature.indexLeaf.require(bytes, at: Field.signature)
        try requireEqual("dl_blkno", bytes[Field.block], block)
        try requireEqual("dl_fs_generation", UInt64(bytes[Field.volumeGeneration]), UInt64(parameters.generation))
        try IndexEntryList.validate(bytes, offset: listOffset, capacity: parameters.geometry.indexLeafCapacity)
    }

    /// The lowest major hash of the new cluster when a full leaf is split in two, as the kernel chooses it. nil: the
    /// leaf cannot be split for this name, and the directory is full. Spec: ocfs2-disk 8.8.
    ///
    /// `leaf` is the full leaf, `lowest` the lowest hash of its cluster, `inserted` the major hash of the new name.
    package static func splitHash(of leaf: IndexEntryList, lowest: UInt32, inserting inserted: UInt32) -> UInt32? {
        let majors = (0..<leaf.count).map { leaf[$0].hash }.sorted().map(\.major)
        guard let first = majors.first, let last = majors.last else { return nil }
        if first == last {
            if first == inserted { return nil }
            if first == lowest { return lowest + 1 }
            return first > inserted ? first : inserted
        }
        return majors[(majors.count / 2)...].first { $0 > lowest }
    }
}
