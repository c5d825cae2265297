package import LayoutKit

/// A bucket: 4096 bytes in consecutive blocks of an index extent, entries sorted by hash. Spec: ocfs2-disk-2 16.7.
///
/// Unlike in other storages a removed name leaves a hole, and no name with its value crosses a block boundary. The
/// bytes are one buffer of 4096, whatever the block size.
package struct XattrBucket {
    package static let byteCount = 4096
    /// No extent of buckets is longer, unless a cluster is. Bytes.
    package static let extentByteCountMax = 65536

    package let storage: XattrStorage
    private let blockSize: Int

    package init(_ bytes: UnsafeMutableRawBufferPointer, blockSize: Int) {
        storage = XattrStorage(bytes.part(offset: 0, count: Self.byteCount))
        self.blockSize = blockSize
    }

    package var count: Int { storage.count }

    package var freeStart: Int {
        get { Int(storage.bytes[XattrStorage.Field.freeStart]) }
        nonmutating set { storage.bytes[XattrStorage.Field.freeStart] = UInt16(newValue) }
    }

    /// Bytes of live names and values.
    package var nameValueLength: Int {
        get { Int(storage.bytes[XattrStorage.Field.nameValueLength]) }
        // A foreign bucket may hold any number: it is kept within the field, not trusted.
        nonmutating set { storage.bytes[XattrStorage.Field.nameValueLength] = UInt16(clamping: newValue) }
    }

    /// Buckets in use of the extent; only in its first bucket.
    package var bucketCount: Int {
        get { Int(storage.bytes[XattrStorage.Field.bucketCount]) }
        nonmutating set { storage.bytes[XattrStorage.Field.bucketCount] = UInt16(newValue) }
    }

    /// Buckets of a cluster.
    package static func perCluster(_ geometry: VolumeGeometry) -> Int { geometry.clusterSize / byteCount }
    /// Blocks of a bucket.
    package static func blocks(_ geometry: VolumeGeometry) -> Int { byteCount / geometry.blockSize }
    /// The longest extent of buckets.
    package static func extentClustersMax(_ geometry: VolumeGeometry) -> Int {
        max(1, extentByteCountMax / geometry.clusterSize)
    }

    /// Checks the entries and the header. Holes, and what the kernel leaves in emptied buckets, are no fault.
    package func validate() throws(LayoutError) {
        try storage.validate()
        try requireAtMost("xh_free_start", UInt64(freeStart), UInt64(Self.byteCount))
        guard freeStart <= storage.lowestNameOffset else {
            throw .badValue(
                field: "xh_free_start", found: UInt64(freeStart), expected: "at most \(storage.lowestNameOffset)")
        }
        for index in 1..<max(1, count) where storage[index].hash < storage[index - 1].hash {
            throw .badValue(
                field: "xe_name_hash of entry \(index)", found: UInt64(storage[index].hash),
                expected: "at least \(storage[index - 1].hash)")
        }
    }

    /// Index of the first entry whose hash is not below `hash`.
    package func lowerBound(_ hash: UInt32) -> Int {
        var low = 0, high = count
        while low < high {
            let middle = (low + high) / 2
            if storage[middle].hash < hash { low = middle + 1 } else { high = middle }
        }
        return low
    }

    /// Index of the entry with this index number, hash and name; nil for none.
    package func find(indexNumber: UInt8, _ name: UnsafeRawBufferPointer, hash: UInt32) -> Int? {
        var index = lowerBound(hash)
        while index < count {
            let entry = storage[index]
            guard entry.hash == hash else { return nil }
            if entry.indexNumber == indexNumber, entry.nameLength == name.count,
                areEqual(storage.name(of: entry), name)
            {
                return index
            }
            index += 1
        }
        return nil
    }
}

// Changing it.
extension XattrBucket {
    /// Zeroes the bucket and makes an empty one.
    package func initialize() {
        storage.bytes.clear(count: Self.byteCount)
        freeStart = Self.byteCount
    }

    /// Where a name and value of this size would begin below `free`: not across a block boundary.
    private func place(_ size: Int, below free: Int) -> Int {
        guard size > 0, free - size >= 0, (free - size) / blockSize != (free - 1) / blockSize else {
            return free - size
        }
        return free / blockSize * blockSize - size
    }

    /// Whether an entry with this name and value size fits now.
    package func hasRoom(nameValueSize: Int) -> Bool {
        place(nameValueSize, below: freeStart)
            >= XattrStorage.headerByteCount + (count + 1) * XattrEntry.byteCount + XattrStorage.gap
    }

    /// Whether it would fit if the holes were joined: ``defragment()`` may still leave too little, because of block
    /// boundaries.
    package func hasRoomWithHoles(nameValueSize: Int) -> Bool {
        Self.byteCount - nameValueLength - nameValueSize
            >= XattrStorage.headerByteCount + (count + 1) * XattrEntry.byteCount + XattrStorage.gap
    }

    /// Adds a name with zeroed room for its value or value root, in the order of hashes. nil: no room; the caller
    /// defragments or divides the bucket.
    package func insert(indexNumber: UInt8, _ name: UnsafeRawBufferPointer, hash: UInt32, valueSize: Int) -> Int? {
        let size = XattrEntry.nameValueSize(nameLength: name.count, valueSize: valueSize)
        guard hasRoom(nameValueSize: size) else { return nil }
        let entry = XattrEntry(
            hash: hash, nameOffset: place(size, below: freeStart), nameLength: name.count, indexNumber: indexNumber,
            isLocal: valueSize <= XattrEntry.localValueMax, valueSize: UInt64(valueSize))
        let index = lowerBound(hash)
        let before = count
        storage.count = before + 1
        for place in stride(from: before, to: index, by: -1) { storage[place] = storage[place - 1] }
        storage[index] = entry
        storage.writeName(name, of: entry)
        freeStart = entry.nameOffset
        nameValueLength += size
        return index
    }

    /// Takes an entry out; its name leaves a hole. The first entry's hash stays as a marker when the bucket gets empty.
    package func remove(at index: Int) {
        let removed = storage[index]
        nameValueLength -= removed.nameValueSize
        storage.closeGap(at: index)
        guard count == 0 else { return }
        freeStart = Self.byteCount
        storage.bytes[LE32(offset: XattrStorage.headerByteCount)] = removed.hash
    }

    /// Joins all holes: packs names and values against the end, highest first.
    package func defragment() {
        let order = (0..<count).sorted { storage[$0].nameOffset > storage[$1].nameOffset }
        guard let base = storage.bytes.baseAddress else { return }
        var free = Self.byteCount
        for index in order {
            var entry = storage[index]
            // In a foreign bucket a name may cross a boundary: it stays where it is.
            let start = max(place(entry.nameValueSize, below: free), entry.nameOffset)
            if start != entry.nameOffset {
                (base + start).copyMemory(from: base + entry.nameOffset, byteCount: entry.nameValueSize)
                entry.nameOffset = start
                storage[index] = entry
            }
            free = start
        }
        freeStart = free
    }

    /// Fills an empty bucket with the attributes of a block, sorted by hash. They must be valid, and fit.
    package func fill(from block: XattrStorage) {
        initialize()
        for index in 0..<block.count {
            let entry = block[index]
            let place = insert(
                indexNumber: entry.indexNumber, block.name(of: entry), hash: entry.hash,
                valueSize: Int(entry.valueSize))
            guard let place else { preconditionFailure("a block's attributes fit a bucket") }
            let target = storage[place]
            let count = entry.nameValueSize - (entry.valueOffset - entry.nameOffset)
            storage.bytes.part(offset: target.valueOffset, count: count)
                .copyMemory(from: UnsafeRawBufferPointer(block.bytes.part(offset: entry.valueOffset, count: count)))
        }
    }
}

// Dividing a full bucket. Spec: ocfs2-disk-2 16.7.
extension XattrBucket {
    /// Index of the first entry that goes to the new bucket: the change of hash nearest to the middle. nil when all
    /// hashes are equal.
    package var divideIndex: Int? {
        let middle = count / 2
        for distance in 0..<max(1, count) {
            let below = middle - distance
            if below > 0, below < count, storage[below - 1].hash != storage[below].hash { return below }
            let above = middle + distance + 1
            if above < count, storage[above - 1].hash != storage[above].hash { return above }
        }
        return nil
    }

    /// Moves the upper entries to `upper`, whose bytes are overwritten; names and values stay where they are in each.
    ///
    /// When all hashes are equal the new bucket is empty, with the next hash as a marker.
    package func divide(into upper: XattrBucket) {
        guard let split = divideIndex else {
            upper.initialize()
            // What the kernel stores here is the block size.
            upper.freeStart = blockSize
            if count > 0 {
                upper.storage.bytes[LE32(offset: XattrStorage.headerByteCount)] = storage[0].hash &+ 1
            }
            return
        }
        upper.storage.bytes.copyMemory(from: UnsafeRawBufferPointer(storage.bytes))
        upper.bucketCount = 0
        upper.keep(split..<count)
        keep(0..<split)
    }

    /// Drops all entries but those of `range`, which move to the front.
    private func keep(_ range: Range<Int>) {
        let before = count
        for (place, index) in range.enumerated() { storage[place] = storage[index] }
        let start = XattrStorage.headerByteCount + range.count * XattrEntry.byteCount
        let unused = (before - range.count) * XattrEntry.byteCount
        storage.bytes.part(offset: start, count: unused).clear(count: unused)
        storage.count = range.count
        freeStart = storage.lowestNameOffset
        nameValueLength = (0..<range.count).reduce(0) { $0 + storage[$1].nameValueSize }
    }
}
