package import LayoutKit

/// Block and cluster size of a volume, and the arithmetic that follows from them. Spec: ocfs2-disk 1, 5.4, 9.3.
///
/// Block numbers are 64 bits wide, cluster numbers 32; both count from the start of the device. Cluster c begins at
/// block `c * blocksPerCluster`.
@usableFromInline
package struct VolumeGeometry: Hashable, Sendable {
    /// 9 to 12.
    @usableFromInline package let blockSizeBits: Int
    /// 12 to 20.
    @usableFromInline package let clusterSizeBits: Int

    /// Throws ``LayoutError/badValue(field:found:expected:)`` for sizes that the format does not have.
    package init(blockSizeBits: Int, clusterSizeBits: Int) throws(LayoutError) {
        guard (9...12).contains(blockSizeBits) else {
            throw .badValue(
                field: "s_blocksize_bits", found: UInt64(truncatingIfNeeded: blockSizeBits), expected: "9 to 12")
        }
        guard (12...20).contains(clusterSizeBits) else {
            throw .badValue(
                field: "s_clustersize_bits", found: UInt64(truncatingIfNeeded: clusterSizeBits), expected: "12 to 20")
        }
        self.blockSizeBits = blockSizeBits
        self.clusterSizeBits = clusterSizeBits
    }

    /// Bytes.
    @inlinable package var blockSize: Int { 1 << blockSizeBits }
    /// Bytes.
    @inlinable package var clusterSize: Int { 1 << clusterSizeBits }
    @inlinable package var blocksPerClusterBits: Int { clusterSizeBits &- blockSizeBits }
    @inlinable package var blocksPerCluster: Int { 1 << blocksPerClusterBits }
}

// Conversions.
extension VolumeGeometry {
    @inlinable
    package func firstBlock(ofCluster cluster: UInt32) -> UInt64 {
        UInt64(cluster) &<< UInt64(blocksPerClusterBits)
    }

    /// `clusters` clusters in blocks.
    @inlinable
    package func blocks(inClusters clusters: UInt32) -> UInt64 {
        UInt64(clusters) &<< UInt64(blocksPerClusterBits)
    }

    /// The cluster that holds the block. The block must lie on the volume, whose clusters number below 2^32: a larger
    /// block number comes back as 0xffffffff, which no volume has.
    @inlinable
    package func cluster(ofBlock block: UInt64) -> UInt32 {
        UInt32(clamping: block &>> UInt64(blocksPerClusterBits))
    }

    /// Whether the block is the first one of its cluster.
    @inlinable
    package func isClusterAligned(block: UInt64) -> Bool {
        block & (UInt64(blocksPerCluster) &- 1) == 0
    }

    /// Clusters that hold `bytes` bytes, rounded up.
    @inlinable
    package func clusters(coveringBytes bytes: UInt64) -> UInt64 {
        (bytes &>> UInt64(clusterSizeBits)) &+ (bytes & (UInt64(clusterSize) &- 1) == 0 ? 0 : 1)
    }

    /// Clusters that hold `blocks` blocks, rounded up.
    @inlinable
    package func clusters(coveringBlocks blocks: UInt64) -> UInt64 {
        (blocks &>> UInt64(blocksPerClusterBits)) &+ (blocks & (UInt64(blocksPerCluster) &- 1) == 0 ? 0 : 1)
    }

    /// Blocks that hold `bytes` bytes, rounded up.
    @inlinable
    package func blocks(coveringBytes bytes: UInt64) -> UInt64 {
        (bytes &>> UInt64(blockSizeBits)) &+ (bytes & (UInt64(blockSize) &- 1) == 0 ? 0 : 1)
    }

    /// Byte offset of the block on the device. The block must lie on the volume.
    @inlinable
    package func byteOffset(ofBlock block: UInt64) -> UInt64 {
        block &<< UInt64(blockSizeBits)
    }

    /// Logical cluster (cpos) of a file that holds the byte.
    @inlinable
    package func cpos(ofByte offset: UInt64) -> UInt64 {
        offset &>> UInt64(clusterSizeBits)
    }
}

// Capacities of the structures. Spec: ocfs2-disk 5.4.
extension VolumeGeometry {
    /// Extent records of a dinode.
    @inlinable package var dinodeExtentCapacity: Int { (blockSize - 0xd0) / 16 }
    /// Extent records of a dinode whose last `xattrInlineSize` bytes are an xattr area.
    @inlinable
    package func dinodeExtentCapacity(xattrInlineSize: Int) -> Int { (blockSize - 0xd0 - xattrInlineSize) / 16 }
    /// Chain records of an allocator's dinode; `cl_count` must have exactly this value.
    @inlinable package var chainCapacity: Int { (blockSize - 0xd0) / 16 }
    @inlinable package var extentBlockCapacity: Int { (blockSize - 0x40) / 16 }
    /// Bytes of inline data, without an inline xattr area.
    @inlinable package var inlineDataCapacity: Int { blockSize - 0xc8 }
    /// Bytes of a fast symlink's target with its NUL.
    @inlinable package var fastSymlinkCapacity: Int { blockSize - 0xc0 }
    /// Bytes of the window bitmap of a local alloc (`la_size`).
    @inlinable package var localAllocBitmapSize: Int { blockSize - 0xd0 }
    @inlinable package var truncateLogCapacity: Int { (blockSize - 0xc8) / 8 }
    /// Bytes of the bitmap of a cluster group.
    @inlinable package var clusterGroupBitmapSize: Int { blockSize - 0x40 }
    /// Extent records of a discontiguous group.
    @inlinable package var groupExtentCapacity: Int { (blockSize - 0x150) / 16 }
    @inlinable package var indexLeafCapacity: Int { (blockSize - 0x30) / 16 }
    /// Entries of an inline dx root.
    @inlinable package var indexRootEntryCapacity: Int { (blockSize - 0xc8) / 16 }
    /// Extent records of a dx root.
    @inlinable package var indexRootExtentCapacity: Int { (blockSize - 0xd0) / 16 }
    /// Extent records of the root of an xattr tree.
    @inlinable package var xattrRootExtentCapacity: Int { (blockSize - 0x50) / 16 }
    /// Refcount records of a block, and extent records of the root of a refcount tree.
    @inlinable package var refcountCapacity: Int { (blockSize - 0x90) / 16 }
}

// The groups of the global bitmap. Spec: ocfs2-disk 9.3.
extension VolumeGeometry {
    /// `cl_cpg` of the global bitmap, whatever the size of the volume.
    @inlinable package var clustersPerGroup: UInt32 { UInt32(clusterGroupBitmapSize * 8) }

    /// Descriptor block of group 0: the start of the first cluster behind the superblock.
    @inlinable package var firstClusterGroup: UInt64 {
        let cluster = (3 + blocksPerCluster - 1) / blocksPerCluster
        return UInt64(cluster * blocksPerCluster)
    }

    /// Group of the global bitmap that has the cluster's bit.
    @inlinable
    package func clusterGroup(ofCluster cluster: UInt32) -> UInt32 { cluster / clustersPerGroup }

    /// Index of the cluster's bit in its group. Group 0 counts from cluster 0 too.
    @inlinable
    package func clusterGroupBit(ofCluster cluster: UInt32) -> UInt32 { cluster % clustersPerGroup }

    /// Block of the group's descriptor.
    @inlinable
    package func descriptorBlock(ofClusterGroup group: UInt32) -> UInt64 {
        group == 0 ? firstClusterGroup : UInt64(group) * blocks(inClusters: clustersPerGroup)
    }

    /// Groups of a volume of `clusters` clusters.
    @inlinable
    package func clusterGroupCount(clusters: UInt32) -> UInt32 {
        clusters == 0 ? 0 : (clusters - 1) / clustersPerGroup + 1
    }

    /// Clusters of a new group of a suballocator: 1 MiB at 512-byte blocks, 2 MiB at 1 KiB, else 4 MiB.
    /// Spec: ocfs2-disk 9.4.
    @inlinable package var suballocatorClustersPerGroup: Int {
        let bytes = blockSizeBits == 9 ? 1 << 20 : blockSizeBits == 10 ? 2 << 20 : 4 << 20
        return max(1, bytes >> clusterSizeBits)
    }
}
