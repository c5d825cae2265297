package import LayoutKit

/// What the superblock says about every other block: the values that blocks are checked against and made with.
@usableFromInline
package struct VolumeParameters: Hashable, Sendable {
    @usableFromInline package var geometry: VolumeGeometry
    @usableFromInline package var features: VolumeFeatures
    /// `i_fs_generation` of the superblock: stands in every metadata block. Spec: ocfs2-disk 3.
    @usableFromInline package var generation: UInt32
    /// Clusters of the volume.
    @usableFromInline package var clusterCount: UInt32
    /// 1 to 255.
    @usableFromInline package var slotCount: UInt16
    package var rootBlock: UInt64
    package var systemDirectoryBlock: UInt64
    package var firstClusterGroup: UInt64
    /// Start of the xattr name hash; fourth seed of the directory hash.
    package var uuidHash: UInt32
    /// First three seeds of the directory hash.
    package var indexSeed: IndexSeed
    /// Space that a new inline xattr area takes; 0 without xattrs.
    package var xattrInlineSize: UInt16

    package init(
        geometry: VolumeGeometry, features: VolumeFeatures, generation: UInt32, clusterCount: UInt32, slotCount: UInt16,
        rootBlock: UInt64 = 0, systemDirectoryBlock: UInt64 = 0, firstClusterGroup: UInt64? = nil, uuidHash: UInt32 = 0,
        indexSeed: IndexSeed = IndexSeed(0, 0, 0), xattrInlineSize: UInt16 = 0
    ) {
        self.geometry = geometry
        self.features = features
        self.generation = generation
        self.clusterCount = clusterCount
        self.slotCount = slotCount
        self.rootBlock = rootBlock
        self.systemDirectoryBlock = systemDirectoryBlock
        self.firstClusterGroup = firstClusterGroup ?? geometry.firstClusterGroup
        self.uuidHash = uuidHash
        self.indexSeed = indexSeed
        self.xattrInlineSize = xattrInlineSize
    }

    /// Blocks of the volume.
    @inlinable package var blockCount: UInt64 { geometry.blocks(inClusters: clusterCount) }
    @inlinable package var blockSize: Int { geometry.blockSize }

    /// Whether directory data blocks end in a trailer. Spec: ocfs2-disk 8.3.
    @inlinable
    package func directoryHasTrailer(isIndexed: Bool) -> Bool {
        isIndexed || features.hasMetaecc
    }
}

/// `s_dx_seed`: three random numbers.
package struct IndexSeed: Hashable, Sendable {
    package var first: UInt32
    package var second: UInt32
    package var third: UInt32

    package init(_ first: UInt32, _ second: UInt32, _ third: UInt32) {
        self.first = first
        self.second = second
        self.third = third
    }
}

// Checks that several kinds of blocks share. Spec: ocfs2-disk 3.
extension VolumeParameters {
    /// Throws unless a whole block is there.
    package func requireBlock(_ bytes: UnsafeRawBufferPointer) throws(LayoutError) {
        try LayoutError.require(geometry.blockSize, of: bytes)
    }

    /// Throws unless the block number can be one of a metadata block: behind the superblock, on the volume.
    package func requireMetadataBlock(_ field: @autoclosure () -> String, _ block: UInt64) throws(LayoutError) {
        guard block > 2, block < blockCount else {
            throw .badValue(field: field(), found: block, expected: "3 to \(blockCount &- 1)")
        }
    }

    /// Throws unless the slot number is that of a slot, or 0xffff where global allocators are allowed.
    package func requireSlot(
        _ field: @autoclosure () -> String, _ slot: UInt16, orGlobal: Bool = false
    ) throws(LayoutError) {
        if slot < slotCount || (orGlobal && slot == Suballocation.globalSlot) { return }
        throw .badValue(
            field: field(), found: UInt64(slot),
            expected: "0 to \(slotCount &- 1)" + (orGlobal ? " or 65535" : ""))
    }
}

/// Where the allocation bit of a metadata block lies: the triple that blocks carry. Spec: ocfs2-disk 3.
@usableFromInline
package struct Suballocation: Hashable, Sendable {
    /// Slot whose inode_alloc (dinodes) or extent_alloc (all other kinds) owns the block; 0xffff: a global allocator.
    package var slot: UInt16
    /// Bit in the group.
    package var bit: UInt16
    /// Block of the group's descriptor; 0 is usual for contiguous groups.
    package var group: UInt64

    @inlinable package static var globalSlot: UInt16 { 0xffff }

    package init(slot: UInt16, bit: UInt16, group: UInt64) {
        self.slot = slot
        self.bit = bit
        self.group = group
    }

    /// Block of the descriptor of the group that holds the bit of `block`; nil when the bit cannot be right.
    package func descriptorBlock(of block: UInt64) -> UInt64? {
        if group != 0 { return group }
        return block > UInt64(bit) ? block - UInt64(bit) : nil
    }
}
