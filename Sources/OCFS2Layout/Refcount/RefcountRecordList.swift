import LayoutKit

/// How many extents share a run of clusters. 16 bytes: r_cpos 8, r_clusters 4, r_refcount 4. Spec: ocfs2-disk-2 17.1.
package struct RefcountRecord: Hashable, Sendable {
    package static let byteCount = 16

    /// First physical cluster.
    package var start: UInt64
    package var clusters: UInt32
    /// At least 1.
    package var count: UInt32

    package init(start: UInt64, clusters: UInt32, count: UInt32) {
        self.start = start
        self.clusters = clusters
        self.count = count
    }

    /// First cluster behind the run.
    package var end: UInt64 { start &+ UInt64(clusters) }
}

/// The records of a refcount block: rl_count 2, rl_used 2, reserved 12, then the records, sorted by cluster and not
/// overlapping. Spec: ocfs2-disk-2 17.1.
package struct RefcountRecordList {
    private let bytes: UnsafeMutableRawBufferPointer

    private static let headerByteCount = 16
    private static var capacityField: LE16 { LE16(offset: 0) }
    private static var countField: LE16 { LE16(offset: 2) }

    package init(_ bytes: UnsafeMutableRawBufferPointer, offset: Int) {
        self.bytes = bytes.dropped(offset)
    }

    package var capacity: Int { Int(bytes[Self.capacityField]) }

    package private(set) var count: Int {
        get { Int(bytes[Self.countField]) }
        nonmutating set { bytes[Self.countField] = UInt16(newValue) }
    }

    package var isFull: Bool { count >= capacity }

    package subscript(index: Int) -> RefcountRecord {
        get {
            let offset = recordOffset(index)
            return RefcountRecord(
                start: bytes[LE64(offset: offset)], clusters: bytes[LE32(offset: offset + 8)],
                count: bytes[LE32(offset: offset + 12)])
        }
        nonmutating set {
            let offset = recordOffset(index)
            bytes[LE64(offset: offset)] = newValue.start
            bytes[LE32(offset: offset + 8)] = newValue.clusters
            bytes[LE32(offset: offset + 12)] = newValue.count
        }
    }

    private func recordOffset(_ index: Int) -> Int {
        precondition(index >= 0 && index < capacity, "record \(index) of \(capacity)")
        return Self.headerByteCount + index * RefcountRecord.byteCount
    }

    /// Index of the first record that ends behind `cluster`; ``count`` for none. It holds the cluster, or lies behind.
    package func index(atOrAfter cluster: UInt64) -> Int {
        var low = 0, high = count
        while low < high {
            let middle = (low + high) / 2
            if self[middle].end <= cluster { low = middle + 1 } else { high = middle }
        }
        return low
    }

    /// Makes an empty list.
    package func initialize(capacity: Int) {
        bytes.clear(count: Self.headerByteCount)
        bytes[Self.capacityField] = UInt16(capacity)
    }

    /// Makes room at `index` and writes the record. The list must not be full.
    package func insert(_ record: RefcountRecord, at index: Int) {
        let before = count
        precondition(before < capacity && index <= before, "no room for a record at \(index)")
        for place in stride(from: before, to: index, by: -1) { self[place] = self[place - 1] }
        self[index] = record
        count = before + 1
    }

    /// Closes the gap at `index`; the freed last record becomes zero.
    package func remove(at index: Int) {
        let last = count - 1
        precondition(index >= 0 && index <= last, "record \(index) of \(count)")
        for place in index..<last { self[place] = self[place + 1] }
        self[last] = RefcountRecord(start: 0, clusters: 0, count: 0)
        count = last
    }

    /// Checks the list at `offset`: header, order, and that the clusters lie on the volume.
    static func validate(
        _ bytes: UnsafeRawBufferPointer, offset: Int, capacity: Int, _ parameters: VolumeParameters
    ) throws(LayoutError) {
        let header = bytes.dropped(offset)
        try requireEqual("rl_count", UInt64(header[capacityField]), UInt64(capacity))
        try requireAtMost("rl_used", UInt64(header[countField]), UInt64(capacity))
        let list = RefcountRecordList(UnsafeMutableRawBufferPointer(mutating: bytes), offset: offset)
        var end: UInt64 = 0
        for index in 0..<list.count {
            let record = list[index]
            guard record.start >= end, record.clusters > 0, record.start < UInt64(parameters.clusterCount),
                record.end <= UInt64(parameters.clusterCount)
            else {
                throw .badValue(
                    field: "r_cpos of record \(index)", found: record.start,
                    expected: "at least \(end), \(record.clusters) clusters inside the volume")
            }
            guard record.count > 0 else {
                throw .badValue(field: "r_refcount of record \(index)", found: 0, expected: "at least 1")
            }
            end = record.end
        }
    }
}
