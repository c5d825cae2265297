public import LayoutKit

/// Clusters that a slot freed and that are not yet back in the global bitmap; lies in the dinode of
/// truncate_log:NNNN. Spec: ocfs2-disk 11.
///
///     offset  size  field (of the dinode)
///     0xc0    2     tl_count: capacity
///     0xc2    2     tl_used
///     0xc8    8 n   records: t_start (first cluster), t_clusters
@usableFromInline
package enum TruncateLog {
    @usableFromInline
    package enum Field {
        @inlinable package static var capacity: LE16 { LE16(offset: 0xc0) }
        @inlinable package static var count: LE16 { LE16(offset: 0xc2) }
    }

    @inlinable package static var recordsOffset: Int { 0xc8 }

    /// A run of freed clusters. One that starts at cluster 0 is ignored.
    @usableFromInline
    package struct Record: Hashable, Sendable {
        @usableFromInline package var start: UInt32
        @usableFromInline package var clusters: UInt32

        @inlinable
        package init(start: UInt32, clusters: UInt32) {
            self.start = start
            self.clusters = clusters
        }
    }

    @inlinable
    package static func record(_ bytes: UnsafeRawBufferPointer, _ index: Int) -> Record {
        let offset = recordOffset(bytes[Field.capacity], index)
        return Record(start: bytes[LE32(offset: offset)], clusters: bytes[LE32(offset: offset + 4)])
    }

    @inlinable
    package static func setRecord(_ bytes: UnsafeMutableRawBufferPointer, _ index: Int, _ record: Record) {
        let offset = recordOffset(bytes[Field.capacity], index)
        bytes[LE32(offset: offset)] = record.start
        bytes[LE32(offset: offset + 4)] = record.clusters
    }

    @inlinable @inline(__always)
    static func recordOffset(_ capacity: UInt16, _ index: Int) -> Int {
        precondition(index >= 0 && index < Int(capacity), "record \(index) of \(capacity)")
        return recordsOffset &+ index &* 8
    }

    /// Makes the content of a new truncate log dinode.
    package static func initialize(_ bytes: UnsafeMutableRawBufferPointer, _ geometry: VolumeGeometry) {
        bytes.part(offset: 0xc0, count: geometry.blockSize - 0xc0).clear(count: geometry.blockSize - 0xc0)
        bytes[Field.capacity] = UInt16(geometry.truncateLogCapacity)
    }

    /// Notes that the clusters are free; they follow the last record if they lie directly behind it in the same cluster
    /// group. false: the log is full and nothing was noted.
    package static func append(
        _ bytes: UnsafeMutableRawBufferPointer, _ freed: Record, _ geometry: VolumeGeometry
    ) -> Bool {
        let count = Int(bytes[Field.count])
        if count > 0 {
            var last = record(UnsafeRawBufferPointer(bytes), count - 1)
            let group = geometry.clusterGroup(ofCluster: freed.start)
            if last.start != 0, UInt64(last.start) + UInt64(last.clusters) == UInt64(freed.start),
                geometry.clusterGroup(ofCluster: last.start) == group
            {
                last.clusters += freed.clusters
                setRecord(bytes, count - 1, last)
                return true
            }
        }
        guard count < Int(bytes[Field.capacity]) else { return false }
        bytes[Field.count] = UInt16(count + 1)
        setRecord(bytes, count, freed)
        return true
    }

    /// Checks the content of a truncate log dinode: counts, and records inside of the volume.
    package static func validate(
        _ bytes: UnsafeRawBufferPointer, _ parameters: VolumeParameters
    ) throws(LayoutError) {
        try parameters.requireBlock(bytes)
        let capacity = UInt64(bytes[Field.capacity])
        try requireAtMost("tl_count", capacity, UInt64(parameters.geometry.truncateLogCapacity))
        try requireAtMost("tl_used", UInt64(bytes[Field.count]), capacity)
        for index in 0..<Int(bytes[Field.count]) {
            let record = record(bytes, index)
            guard UInt64(record.start) + UInt64(record.clusters) <= UInt64(parameters.clusterCount) else {
                throw .badValue(
                    field: "t_start of record \(index)", found: UInt64(record.start),
                    expected: "\(record.clusters) clusters inside the volume")
            }
        }
    }
}
