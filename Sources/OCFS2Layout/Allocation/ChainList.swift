public import LayoutKit

/// The list of chains in the dinode of an allocator. Spec: ocfs2-disk 9.1.
///
///     offset  size  field (from 0xc0 of the dinode)
///     0x00    2     cl_cpg: clusters in a group
///     0x02    2     cl_bpc: bits for each cluster
///     0x04    2     cl_count: capacity
///     0x06    2     cl_next_free_rec: chains in use
///     0x08    8     reserved
///     0x10    16 n  records: c_free, c_total, c_blkno
@usableFromInline
package enum ChainList {
    @usableFromInline
    package enum Field {
        @inlinable package static var clustersPerGroup: LE16 { LE16(offset: 0xc0) }
        @inlinable package static var bitsPerCluster: LE16 { LE16(offset: 0xc2) }
        @inlinable package static var capacity: LE16 { LE16(offset: 0xc4) }
        @inlinable package static var count: LE16 { LE16(offset: 0xc6) }
    }

    /// Offset of record 0 in the dinode.
    @inlinable package static var recordsOffset: Int { 0xd0 }

    /// One chain. A chain whose first group is 0 was never used.
    @usableFromInline
    package struct Record: Hashable, Sendable {
        /// Bits.
        @usableFromInline package var free: UInt32
        /// Bits.
        @usableFromInline package var total: UInt32
        /// Descriptor block of the first group.
        @usableFromInline package var firstGroup: UInt64

        @inlinable
        package init(free: UInt32, total: UInt32, firstGroup: UInt64) {
            self.free = free
            self.total = total
            self.firstGroup = firstGroup
        }
    }

    /// Record `index` of a validated dinode.
    @inlinable
    package static func record(_ bytes: UnsafeRawBufferPointer, _ index: Int) -> Record {
        let offset = recordOffset(bytes[Field.capacity], index)
        return Record(
            free: bytes[LE32(offset: offset)], total: bytes[LE32(offset: offset + 4)],
            firstGroup: bytes[LE64(offset: offset + 8)])
    }

    @inlinable
    package static func setRecord(_ bytes: UnsafeMutableRawBufferPointer, _ index: Int, _ record: Record) {
        let offset = recordOffset(bytes[Field.capacity], index)
        bytes[LE32(offset: offset)] = record.free
        bytes[LE32(offset: offset + 4)] = record.total
        bytes[LE64(offset: offset + 8)] = record.firstGroup
    }

    @inlinable @inline(__always)
    static func recordOffset(_ capacity: UInt16, _ index: Int) -> Int {
        precondition(index >= 0 && index < Int(capacity), "chain \(index) of \(capacity)")
        return recordsOffset &+ index &* 16
    }

    /// Makes an allocator without groups; the dinode's content before is zero.
    package static func initialize(
        _ bytes: UnsafeMutableRawBufferPointer, clustersPerGroup: UInt16, bitsPerCluster: UInt16,
        _ geometry: VolumeGeometry
    ) {
        bytes.part(offset: 0xc0, count: geometry.blockSize - 0xc0).clear(count: geometry.blockSize - 0xc0)
        bytes[Field.clustersPerGroup] = clustersPerGroup
        bytes[Field.bitsPerCluster] = bitsPerCluster
        bytes[Field.capacity] = UInt16(geometry.chainCapacity)
    }

    /// Checks the list of a dinode. Spec: ocfs2-disk 5.5 check 13.
    package static func validate(
        _ bytes: UnsafeRawBufferPointer, _ parameters: VolumeParameters
    ) throws(LayoutError) {
        try parameters.requireBlock(bytes)
        let capacity = parameters.geometry.chainCapacity
        try requireEqual("cl_count", UInt64(bytes[Field.capacity]), UInt64(capacity))
        try requireAtMost("cl_next_free_rec", UInt64(bytes[Field.count]), UInt64(capacity))
        guard bytes[Field.clustersPerGroup] > 0 else {
            throw .badValue(field: "cl_cpg", found: 0, expected: "at least 1")
        }
        let bits = Int(bytes[Field.bitsPerCluster])
        guard bits == 1 || bits == parameters.geometry.blocksPerCluster else {
            throw .badValue(
                field: "cl_bpc", found: UInt64(bits), expected: "1 or \(parameters.geometry.blocksPerCluster)")
        }
    }
}
