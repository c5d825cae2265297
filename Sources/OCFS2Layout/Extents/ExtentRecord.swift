/// One record of an extent list: a run of clusters, or a child of the tree. 16 bytes. Spec: ocfs2-disk 6.1.
///
///     offset  size  leaf                       interior
///     0       4     e_cpos                     e_cpos: lowest cluster covered
///     4       2     e_leaf_clusters            e_int_clusters, 4 bytes: clusters covered
///     6       1     reserved
///     7       1     e_flags
///     8       8     e_blkno: first block       e_blkno: child extent block
@usableFromInline
package struct ExtentRecord: Hashable, Sendable {
    @inlinable package static var byteCount: Int { 16 }
    /// A leaf record's length has 16 bits.
    @inlinable package static var leafClustersMax: UInt32 { 0xffff }

    @usableFromInline
    package struct Flags: OptionSet, Hashable, Sendable {
        @usableFromInline package let rawValue: UInt8

        @inlinable
        package init(rawValue: UInt8) {
            self.rawValue = rawValue
        }

        /// Allocated, never written: reads as zeroes.
        @inlinable package static var unwritten: Flags { Flags(rawValue: 0x01) }
        /// Shared with other inodes: its clusters are in the refcount tree.
        @inlinable package static var refcounted: Flags { Flags(rawValue: 0x02) }
    }

    /// First logical cluster; in an index tree the lowest hash, in a refcount tree the lowest physical cluster.
    @usableFromInline package var cpos: UInt32
    /// Length. At most 65535 in a leaf.
    @usableFromInline package var clusters: UInt32
    /// Always empty in interior records.
    @usableFromInline package var flags: Flags
    /// First block of the run, or the child.
    @usableFromInline package var block: UInt64

    @inlinable
    package init(cpos: UInt32, clusters: UInt32, block: UInt64, flags: Flags = []) {
        self.cpos = cpos
        self.clusters = clusters
        self.flags = flags
        self.block = block
    }

    /// All zero: the one slot that a leaf may leave open, at index 0. Spec: ocfs2-disk 6.3 T4.
    @inlinable package static var empty: ExtentRecord { ExtentRecord(cpos: 0, clusters: 0, block: 0) }

    /// Whether the record covers nothing.
    @inlinable package var isEmpty: Bool { clusters == 0 }

    /// First cluster behind the record; one bit wider, because a record may end at 2^32.
    @inlinable package var end: UInt64 { UInt64(cpos) &+ UInt64(clusters) }

    @inlinable
    package func contains(_ cpos: UInt32) -> Bool {
        self.cpos <= cpos && UInt64(cpos) < end
    }
}
