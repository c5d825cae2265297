public import LayoutKit

/// A group of a chain allocator: the first block of a run of clusters, with the bitmap over them. Spec: ocfs2-disk 9.2.
///
///     offset  size  field
///     0x00    8     bg_signature
///     0x08    2     bg_size: bytes of the bitmap
///     0x0a    2     bg_bits: valid bits
///     0x0c    2     bg_free_bits_count
///     0x0e    2     bg_chain
///     0x10    4     bg_generation
///     0x18    8     bg_next_group
///     0x20    8     bg_parent_dinode
///     0x28    8     bg_blkno
///     0x30    8     bg_check
///     0x40          bg_bitmap; bit 0 is the descriptor's own cluster or block
///     0x140         bg_list: extent list of a discontiguous group
@usableFromInline
package enum GroupDescriptor {
    @usableFromInline
    package enum Field {
        @inlinable package static var signature: LE64 { LE64(offset: 0x00) }
        @inlinable package static var bitmapSize: LE16 { LE16(offset: 0x08) }
        @inlinable package static var bits: LE16 { LE16(offset: 0x0a) }
        @inlinable package static var freeBits: LE16 { LE16(offset: 0x0c) }
        @inlinable package static var chain: LE16 { LE16(offset: 0x0e) }
        @inlinable package static var volumeGeneration: LE32 { LE32(offset: 0x10) }
        @inlinable package static var nextGroup: LE64 { LE64(offset: 0x18) }
        @inlinable package static var parent: LE64 { LE64(offset: 0x20) }
        @inlinable package static var block: LE64 { LE64(offset: 0x28) }
    }

    @inlinable package static var bitmapOffset: Int { 0x40 }
    @inlinable package static var listOffset: Int { 0x140 }
    /// `bg_size` of suballocator groups on volumes with discontiguous groups.
    @inlinable package static var suballocatorBitmapSize: Int { 256 }

    /// The bitmap of a validated group.
    @inlinable
    package static func bitmap(_ bytes: UnsafeMutableRawBufferPointer) -> BitmapView {
        BitmapView(
            bytes.part(offset: bitmapOffset, count: Int(bytes[Field.bitmapSize])), bitCount: Int(bytes[Field.bits]))
    }

    /// Whether the group's bits lie in several runs. Spec: ocfs2-disk 9.6; ocfs2-disk-2 25.3 mistake 20.
    @inlinable
    package static func isDiscontiguous(_ bytes: UnsafeRawBufferPointer, _ features: VolumeFeatures) -> Bool {
        features.incompatible.contains(.discontiguousGroups)
            && Int(bytes[Field.bitmapSize]) == suballocatorBitmapSize && bytes[LE16(offset: listOffset &+ 4)] != 0
    }

    /// The runs of a discontiguous group.
    @inlinable
    package static func list(_ bytes: UnsafeMutableRawBufferPointer) -> ExtentListView {
        ExtentListView(bytes, offset: listOffset)
    }
}

extension GroupDescriptor {
    /// What a group says of itself when it is made.
    package struct Origin {
        package var block: UInt64
        /// The allocator's dinode.
        package var parent: UInt64
        package var chain: UInt16
        package var bits: Int
        package var bitmapSize: Int
        package var nextGroup: UInt64

        package init(block: UInt64, parent: UInt64, chain: UInt16, bits: Int, bitmapSize: Int, nextGroup: UInt64 = 0) {
            self.block = block
            self.parent = parent
            self.chain = chain
            self.bits = bits
            self.bitmapSize = bitmapSize
            self.nextGroup = nextGroup
        }
    }

    /// Zeroes the block and makes a contiguous group in which only bit 0 is in use.
    package static func initialize(
        _ bytes: UnsafeMutableRawBufferPointer, _ origin: Origin, _ parameters: VolumeParameters
    ) {
        bytes.clear(count: parameters.blockSize)
        bytes[Field.signature] = FixedSignature.groupDescriptor.rawValue
        bytes[Field.bitmapSize] = UInt16(origin.bitmapSize)
        bytes[Field.bits] = UInt16(origin.bits)
        bytes[Field.freeBits] = UInt16(origin.bits - 1)
        bytes[Field.chain] = origin.chain
        bytes[Field.volumeGeneration] = parameters.generation
        bytes[Field.nextGroup] = origin.nextGroup
        bytes[Field.parent] = origin.parent
        bytes[Field.block] = origin.block
        bitmap(bytes).set(0..<1)
    }

    /// Marks free bits as used. Bits that are not free are a bug of the caller, who searched them.
    package static func take(_ bytes: UnsafeMutableRawBufferPointer, _ range: Range<Int>) {
        let bits = bitmap(bytes)
        precondition(bits.isFree(range), "bits \(range) of group \(bytes[Field.block]) are in use")
        bits.set(range)
        bytes[Field.freeBits] = bytes[Field.freeBits] &- UInt16(range.count)
    }

    /// Marks used bits as free. Throws when one of them is free already, or bit 0: then nothing is changed, and the
    /// volume is corrupt.
    package static func release(
        _ bytes: UnsafeMutableRawBufferPointer, _ range: Range<Int>
    ) throws(LayoutError) {
        let bits = bitmap(bytes)
        guard range.lowerBound > 0, range.upperBound <= bits.bitCount, bits.isUsed(range) else {
            throw .badValue(
                field: "bg_bitmap of group \(bytes[Field.block])", found: UInt64(truncatingIfNeeded: range.lowerBound),
                expected: "\(range.count) bits in use")
        }
        bits.clear(range)
        bytes[Field.freeBits] = bytes[Field.freeBits] &+ UInt16(range.count)
    }
}

// Which block a bit of a suballocator means. Spec: ocfs2-disk 9.4, 9.6.
extension GroupDescriptor {
    /// The block of `bit` of a validated group; nil when no run of a discontiguous group has it.
    package static func block(
        ofBit bit: Int, _ bytes: UnsafeRawBufferPointer, _ parameters: VolumeParameters
    ) -> UInt64? {
        precondition(bit >= 0 && bit < Int(bytes[Field.bits]), "bit \(bit) of \(bytes[Field.bits])")
        guard isDiscontiguous(bytes, parameters.features) else { return bytes[Field.block] + UInt64(bit) }
        let list = ExtentListView(reading: bytes, offset: listOffset)
        let shift = parameters.geometry.blocksPerClusterBits
        guard let record = list.record(covering: UInt32(bit >> shift)) else { return nil }
        return record.block + UInt64(bit) - UInt64(record.cpos) << UInt64(shift)
    }

    /// Bits from `bit` to the end of its run: an allocation never spans two. Spec: ocfs2-disk 9.6.
    package static func bits(
        inRunOf bit: Int, _ bytes: UnsafeRawBufferPointer, _ parameters: VolumeParameters
    ) -> Range<Int>? {
        let all = Int(bytes[Field.bits])
        guard isDiscontiguous(bytes, parameters.features) else { return bit < all ? bit..<all : nil }
        let list = ExtentListView(reading: bytes, offset: listOffset)
        let shift = parameters.geometry.blocksPerClusterBits
        guard let record = list.record(covering: UInt32(bit >> shift)) else { return nil }
        let end = min(all, Int(record.end) << shift)
        return bit < end ? bit..<end : nil
    }

    /// The bit of `block` in a validated group; nil when it lies outside.
    package static func bit(
        ofBlock block: UInt64, _ bytes: UnsafeRawBufferPointer, _ parameters: VolumeParameters
    ) -> Int? {
        let all = UInt64(bytes[Field.bits])
        guard isDiscontiguous(bytes, parameters.features) else {
            let first = bytes[Field.block]
            return block >= first && block - first < all ? Int(block - first) : nil
        }
        let list = ExtentListView(reading: bytes, offset: listOffset)
        let shift = UInt64(parameters.geometry.blocksPerClusterBits)
        for index in 0..<list.count {
            let record = list[index]
            guard block >= record.block, block - record.block < UInt64(record.clusters) << shift else { continue }
            let bit = UInt64(record.cpos) << shift + (block - record.block)
            return bit < all ? Int(bit) : nil
        }
        return nil
    }
}

// Checks. Spec: ocfs2-disk 9.2.
extension GroupDescriptor {
    /// What the allocator's dinode promises about its groups.
    package struct Allocator: Hashable, Sendable {
        /// The allocator's dinode.
        package var block: UInt64
        package var clustersPerGroup: UInt16
        package var bitsPerCluster: UInt16
        package var chainCount: UInt16

        package init(block: UInt64, clustersPerGroup: UInt16, bitsPerCluster: UInt16, chainCount: UInt16) {
            self.block = block
            self.clustersPerGroup = clustersPerGroup
            self.bitsPerCluster = bitsPerCluster
            self.chainCount = chainCount
        }

        /// From the validated dinode of the allocator.
        package init(dinode bytes: UnsafeRawBufferPointer) {
            block = bytes[Dinode.Field.block]
            clustersPerGroup = bytes[ChainList.Field.clustersPerGroup]
            bitsPerCluster = bytes[ChainList.Field.bitsPerCluster]
            chainCount = bytes[ChainList.Field.count]
        }
    }

    /// Checks the group read from `block` against its allocator, and the runs of a discontiguous group.
    package static func validate(
        _ bytes: UnsafeRawBufferPointer, block: UInt64, of allocator: Allocator, _ parameters: VolumeParameters
    ) throws(LayoutError) {
        try parameters.requireBlock(bytes)
        try FixedSignature.groupDescriptor.require(bytes, at: Field.signature)
        try requireEqual("bg_blkno", bytes[Field.block], block)
        try requireEqual("bg_generation", UInt64(bytes[Field.volumeGeneration]), UInt64(parameters.generation))
        try requireEqual("bg_parent_dinode", bytes[Field.parent], allocator.block)
        let size = UInt64(bytes[Field.bitmapSize])
        try requireAtMost("bg_size", size, UInt64(parameters.geometry.clusterGroupBitmapSize))
        let bits = UInt64(bytes[Field.bits])
        try requireAtMost("bg_bits", bits, 8 * size)
        try requireAtMost(
            "bg_bits", bits, UInt64(allocator.clustersPerGroup) * UInt64(allocator.bitsPerCluster))
        try requireAtMost("bg_free_bits_count", UInt64(bytes[Field.freeBits]), bits)
        guard bytes[Field.chain] < allocator.chainCount else {
            throw .badValue(
                field: "bg_chain", found: UInt64(bytes[Field.chain]), expected: "below \(allocator.chainCount)")
        }
        let next = bytes[Field.nextGroup]
        if next != 0 { try parameters.requireMetadataBlock("bg_next_group", next) }
        if isDiscontiguous(bytes, parameters.features) { try validateRuns(bytes, bits, parameters) }
    }

    /// The runs of a discontiguous group follow each other without gaps and hold all bits. Spec: ocfs2-disk 9.6.
    private static func validateRuns(
        _ bytes: UnsafeRawBufferPointer, _ bits: UInt64, _ parameters: VolumeParameters
    ) throws(LayoutError) {
        let geometry = parameters.geometry
        try ExtentListView.validate(
            bytes, offset: listOffset, capacity: geometry.groupExtentCapacity, isCapacityExact: true, depth: 0)
        let list = ExtentListView(reading: bytes, offset: listOffset)
        try list.validateRecords(parameters)
        var end: UInt64 = 0
        for index in 0..<list.count {
            let record = list[index]
            try requireEqual("e_cpos of run \(index)", UInt64(record.cpos), end)
            guard !record.isEmpty else {
                throw .badValue(field: "e_leaf_clusters of run \(index)", found: 0, expected: "at least 1")
            }
            end = record.end
        }
        try requireEqual("first run of the group", list[0].block, bytes[Field.block])
        try requireEqual("clusters of the runs", geometry.blocks(inClusters: UInt32(clamping: end)), bits)
    }
}
