public import LayoutKit

/// An extent list where it lies: in a dinode, an extent block, or a root of another tree. Spec: ocfs2-disk 6.1.
///
///     offset  size  field
///     0x00    2     l_tree_depth: 0 = leaf
///     0x02    2     l_count: capacity
///     0x04    2     l_next_free_rec: records in use
///     0x06    10    reserved
///     0x10    16 n  l_recs
///
/// Does not own the bytes. Indexes outside of the list trap: the list was validated, so that ``count`` is at most
/// ``capacity`` and the records lie within the bytes.
@usableFromInline
package struct ExtentListView {
    /// From the list's header on, to the end of the block or area.
    @usableFromInline package let bytes: UnsafeMutableRawBufferPointer

    @usableFromInline
    package enum Field {
        @inlinable package static var depth: LE16 { LE16(offset: 0) }
        @inlinable package static var capacity: LE16 { LE16(offset: 2) }
        @inlinable package static var count: LE16 { LE16(offset: 4) }
    }

    /// Bytes before the first record.
    @inlinable package static var headerByteCount: Int { 16 }
    /// More than any tree has: 2^32 one-cluster records, 28 in a block of 512 bytes, need 7 levels.
    @inlinable package static var depthMax: Int { 8 }

    /// The list at `offset` of `bytes`.
    @inlinable
    package init(_ bytes: UnsafeMutableRawBufferPointer, offset: Int) {
        self.bytes = bytes.dropped(offset)
    }

    /// For reading only.
    @inlinable
    package init(reading bytes: UnsafeRawBufferPointer, offset: Int) {
        self.init(UnsafeMutableRawBufferPointer(mutating: bytes), offset: offset)
    }

    @inlinable package var depth: Int {
        get { Int(bytes[Field.depth]) }
        nonmutating set { bytes[Field.depth] = UInt16(newValue) }
    }

    @inlinable package var capacity: Int {
        get { Int(bytes[Field.capacity]) }
        nonmutating set { bytes[Field.capacity] = UInt16(newValue) }
    }

    /// Records in use, an empty one at index 0 included.
    @inlinable package var count: Int {
        get { Int(bytes[Field.count]) }
        nonmutating set { bytes[Field.count] = UInt16(newValue) }
    }

    @inlinable package var isLeaf: Bool { bytes[Field.depth] == 0 }
    @inlinable package var isFull: Bool { bytes[Field.count] == bytes[Field.capacity] }

    /// The record at `index`, in use or not.
    @inlinable
    package subscript(index: Int) -> ExtentRecord {
        get {
            let offset = recordOffset(index)
            let cpos = bytes[LE32(offset: offset)]
            let block = bytes[LE64(offset: offset + 8)]
            guard isLeaf else {
                return ExtentRecord(cpos: cpos, clusters: bytes[LE32(offset: offset + 4)], block: block)
            }
            return ExtentRecord(
                cpos: cpos, clusters: UInt32(bytes[LE16(offset: offset + 4)]), block: block,
                flags: ExtentRecord.Flags(rawValue: bytes[U8(offset: offset + 7)]))
        }
        nonmutating set {
            let offset = recordOffset(index)
            bytes[LE32(offset: offset)] = newValue.cpos
            bytes[LE64(offset: offset + 8)] = newValue.block
            guard isLeaf else {
                bytes[LE32(offset: offset + 4)] = newValue.clusters
                return
            }
            precondition(newValue.clusters <= ExtentRecord.leafClustersMax, "\(newValue) is too long for a leaf")
            bytes[LE16(offset: offset + 4)] = UInt16(truncatingIfNeeded: newValue.clusters)
            bytes[U8(offset: offset + 6)] = 0
            bytes[U8(offset: offset + 7)] = newValue.flags.rawValue
        }
    }

    @inlinable @inline(__always)
    func recordOffset(_ index: Int) -> Int {
        precondition(index >= 0 && index < capacity, "record \(index) of \(capacity)")
        return Self.headerByteCount &+ index &* ExtentRecord.byteCount
    }

    /// Whether index 0 is the one open slot. Spec: ocfs2-disk 6.3 T4.
    @inlinable package var hasEmptyFirst: Bool { count > 0 && isLeaf && self[0].isEmpty }
}

extension ExtentListView {
    /// Makes an empty list; the records' bytes are not touched.
    package func initialize(capacity: Int, depth: Int = 0) {
        bytes.clear(count: Self.headerByteCount)
        self.depth = depth
        self.capacity = capacity
    }

    /// Moves `count` records from `source` to `target`; both runs lie within the capacity and may overlap.
    package func move(from source: Int, to target: Int, count: Int) {
        guard count > 0 else { return }
        precondition(source >= 0 && target >= 0 && max(source, target) + count <= capacity, "records out of the list")
        guard let base = bytes.baseAddress else { return }
        let from = base + recordOffset(source), to = base + recordOffset(target)
        to.copyMemory(from: from, byteCount: count * ExtentRecord.byteCount)
    }

    /// Zeroes the records of `range`.
    package func clear(_ range: Range<Int>) {
        guard !range.isEmpty else { return }
        precondition(range.lowerBound >= 0 && range.upperBound <= capacity, "records out of the list")
        let count = range.count * ExtentRecord.byteCount
        bytes.part(offset: recordOffset(range.lowerBound), count: count).clear(count: count)
    }

    /// Makes room at `index`, writes the record there and counts it. The list must not be full.
    package func insert(_ record: ExtentRecord, at index: Int) {
        let before = count
        precondition(before < capacity && index <= before, "no room for a record at \(index)")
        move(from: index, to: index + 1, count: before - index)
        count = before + 1
        self[index] = record
    }

    /// Closes the gap at `index`; the freed last record becomes zero.
    package func remove(at index: Int) {
        let before = count
        precondition(index < before, "record \(index) of \(before) in use")
        move(from: index + 1, to: index, count: before - index - 1)
        count = before - 1
        clear(before - 1..<before)
    }

    /// Copies header and records of another list of at least this use; the capacity stays.
    package func copyRecords(from other: ExtentListView) {
        precondition(other.count <= capacity, "\(other.count) records do not fit \(capacity)")
        depth = other.depth
        count = other.count
        for index in 0..<other.count { self[index] = other[index] }
        clear(count..<capacity)
    }
}

// Searching.
extension ExtentListView {
    /// Interior list: index of the child to descend to. Spec: ocfs2-disk 6.4. nil for an empty list.
    @inlinable
    package func childIndex(for cpos: UInt32) -> Int? {
        let used = count
        guard used > 0 else { return nil }
        // Records are sorted and without gaps, so the last one that starts at or below cpos is the one.
        var low = 0, high = used
        while low < high {
            let middle = (low &+ high) / 2
            if self[middle].cpos <= cpos { low = middle &+ 1 } else { high = middle }
        }
        guard low > 0, self[low &- 1].contains(cpos) else { return used &- 1 }
        return low &- 1
    }

    /// Leaf: index of the first record whose end lies behind `cpos`; ``count`` when all end before. The record covers
    /// `cpos`, or is the first one behind a hole.
    @inlinable
    package func leafIndex(atOrAfter cpos: UInt32) -> Int {
        var low = hasEmptyFirst ? 1 : 0, high = count
        while low < high {
            let middle = (low &+ high) / 2
            if self[middle].end <= UInt64(cpos) { low = middle &+ 1 } else { high = middle }
        }
        return low
    }

    /// Leaf: the record that covers `cpos`, nil in a hole.
    @inlinable
    package func record(covering cpos: UInt32) -> ExtentRecord? {
        let index = leafIndex(atOrAfter: cpos)
        guard index < count else { return nil }
        let record = self[index]
        return record.contains(cpos) ? record : nil
    }
}

// Checks.
extension ExtentListView {
    /// Checks the header of the list at `offset`: capacity, use and depth. Without it no record may be touched.
    ///
    /// `capacity` is what fits there; `isCapacityExact` when `l_count` must have that very value.
    package static func validate(
        _ bytes: UnsafeRawBufferPointer, offset: Int, capacity: Int, isCapacityExact: Bool, depth: Int? = nil
    ) throws(LayoutError) {
        try LayoutError.require(offset + headerByteCount + capacity * ExtentRecord.byteCount, of: bytes)
        let list = bytes.dropped(offset)
        let found = Int(list[Field.capacity])
        guard found > 0, found <= capacity, found == capacity || !isCapacityExact else {
            throw .badValue(
                field: "l_count", found: UInt64(found), expected: isCapacityExact ? "\(capacity)" : "1 to \(capacity)")
        }
        try requireAtMost("l_next_free_rec", UInt64(list[Field.count]), UInt64(found))
        if let depth {
            try requireEqual("l_tree_depth", UInt64(list[Field.depth]), UInt64(depth))
        } else {
            try requireAtMost("l_tree_depth", UInt64(list[Field.depth]), UInt64(depthMax))
        }
    }

    /// Checks the records of a list whose header is right: sorted, not overlapping, inside the volume, clusters
    /// aligned, children where metadata can lie.
    ///
    /// `isMappingClusters`: the leaf records name clusters; false for the tree of a refcount root, whose leaves are
    /// blocks.
    package func validateRecords(
        _ parameters: VolumeParameters, isMappingClusters: Bool = true
    ) throws(LayoutError) {
        var end: UInt64 = 0
        let used = count
        for index in 0..<used {
            let record = self[index]
            if isLeaf, record.isEmpty {
                guard index == 0 else {
                    throw .badValue(field: "e_leaf_clusters of record \(index)", found: 0, expected: "at least 1")
                }
                continue
            }
            guard UInt64(record.cpos) >= end || index == 0 else {
                throw .badValue(
                    field: "e_cpos of record \(index)", found: UInt64(record.cpos), expected: "at least \(end)")
            }
            end = record.end
            if isLeaf, isMappingClusters {
                try requireAtMost("e_cpos + e_leaf_clusters of record \(index)", end, UInt64(UInt32.max) + 1)
                try validate(leaf: record, index, parameters)
            } else {
                try parameters.requireMetadataBlock("e_blkno of record \(index)", record.block)
            }
        }
    }

    private func validate(leaf record: ExtentRecord, _ index: Int, _ parameters: VolumeParameters) throws(LayoutError) {
        let geometry = parameters.geometry
        let cluster = record.block >> UInt64(geometry.blocksPerClusterBits)
        guard record.block != 0, geometry.isClusterAligned(block: record.block) else {
            throw .badValue(
                field: "e_blkno of record \(index)", found: record.block,
                expected: "a multiple of \(geometry.blocksPerCluster)")
        }
        let limit = UInt64(parameters.clusterCount)
        guard cluster < limit, UInt64(record.clusters) <= limit - cluster else {
            throw .badValue(
                field: "e_blkno of record \(index)", found: record.block,
                expected: "\(record.clusters) clusters inside the volume")
        }
    }
}
