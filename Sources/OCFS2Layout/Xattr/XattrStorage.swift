public import LayoutKit

/// One attribute in a storage. Spec: ocfs2-disk-2 16.2.
///
///     offset  size  field
///     0       4     xe_name_hash
///     4       2     xe_name_offset, from the storage's start
///     6       1     xe_name_len
///     7       1     xe_type: bit 7 = the value lies here, low 7 bits = index
///     8       8     xe_value_size
package struct XattrEntry: Hashable, Sendable {
    package static let byteCount = 16
    /// Longer values lie outside, behind a value root. Bytes.
    package static let localValueMax = 80
    /// Bytes of a value root.
    package static let valueRootByteCount = 48

    package var hash: UInt32
    package var nameOffset: Int
    package var nameLength: Int
    /// Low 7 bits of the type; not every number has an ``XattrIndex``.
    package var indexNumber: UInt8
    /// Whether the value lies behind the name; else a value root does.
    package var isLocal: Bool
    /// Bytes.
    package var valueSize: UInt64

    package init(
        hash: UInt32, nameOffset: Int, nameLength: Int, indexNumber: UInt8, isLocal: Bool, valueSize: UInt64
    ) {
        self.hash = hash
        self.nameOffset = nameOffset
        self.nameLength = nameLength
        self.indexNumber = indexNumber
        self.isLocal = isLocal
        self.valueSize = valueSize
    }

    package var index: XattrIndex? { XattrIndex(rawValue: indexNumber) }

    /// Where the value or the value root begins.
    package var valueOffset: Int { nameOffset + padded(nameLength) }

    /// Bytes that name and value take together.
    package var nameValueSize: Int {
        padded(nameLength) + (isLocal ? padded(Int(truncatingIfNeeded: valueSize)) : Self.valueRootByteCount)
    }

    /// Bytes that a name and a value of these lengths take.
    package static func nameValueSize(nameLength: Int, valueSize: Int) -> Int {
        padded(nameLength) + (valueSize <= localValueMax ? padded(valueSize) : valueRootByteCount)
    }
}

/// Rounded up to a multiple of 4.
private func padded(_ count: Int) -> Int { (count + 3) & ~3 }

/// A place for attributes: the tail of a dinode, the inside of an xattr block, or a bucket. Spec: ocfs2-disk-2 16.2.
///
///     offset  size  field
///     0       2     xh_count
///     2       2     xh_free_start: buckets only
///     4       2     xh_name_value_len: buckets only
///     6       2     xh_num_buckets: first bucket of an extent only
///     8       8     xh_check: buckets only
///     16      16 n  entries, growing upwards; names and values grow downwards from the end
///
/// Does not own the bytes. Indexes outside of a validated storage trap.
@usableFromInline
package struct XattrStorage {
    @usableFromInline
    package enum Field {
        @inlinable package static var count: LE16 { LE16(offset: 0) }
        @inlinable package static var freeStart: LE16 { LE16(offset: 2) }
        @inlinable package static var nameValueLength: LE16 { LE16(offset: 4) }
        @inlinable package static var bucketCount: LE16 { LE16(offset: 6) }
    }

    package static let headerByteCount = 16
    /// Bytes that stay free between entries and names.
    package static let gap = 4

    /// Exactly the storage.
    package let bytes: UnsafeMutableRawBufferPointer

    package init(_ bytes: UnsafeMutableRawBufferPointer) {
        precondition(bytes.count >= Self.headerByteCount, "\(bytes.count) bytes are no xattr storage")
        self.bytes = bytes
    }

    /// The inline area at the end of a validated dinode that has one.
    package init(inlineOf dinode: DinodeView) {
        self.init(dinode.bytes.dropped(dinode.bytes.count - dinode.xattrInlineSize))
    }

    package var count: Int {
        get { Int(bytes[Field.count]) }
        nonmutating set { bytes[Field.count] = UInt16(newValue) }
    }

    package subscript(index: Int) -> XattrEntry {
        get {
            let offset = entryOffset(index)
            let type = bytes[U8(offset: offset + 7)]
            return XattrEntry(
                hash: bytes[LE32(offset: offset)], nameOffset: Int(bytes[LE16(offset: offset + 4)]),
                nameLength: Int(bytes[U8(offset: offset + 6)]), indexNumber: type & 0x7f, isLocal: type & 0x80 != 0,
                valueSize: bytes[LE64(offset: offset + 8)])
        }
        nonmutating set {
            let offset = entryOffset(index)
            bytes[LE32(offset: offset)] = newValue.hash
            bytes[LE16(offset: offset + 4)] = UInt16(newValue.nameOffset)
            bytes[U8(offset: offset + 6)] = UInt8(newValue.nameLength)
            bytes[U8(offset: offset + 7)] = newValue.indexNumber | (newValue.isLocal ? 0x80 : 0)
            bytes[LE64(offset: offset + 8)] = newValue.valueSize
        }
    }

    private func entryOffset(_ index: Int) -> Int {
        precondition(index >= 0, "entry \(index)")
        return Self.headerByteCount + index * XattrEntry.byteCount
    }

    package func name(of entry: XattrEntry) -> UnsafeRawBufferPointer {
        UnsafeRawBufferPointer(bytes.part(offset: entry.nameOffset, count: entry.nameLength))
    }

    /// The bytes of a value that lies here.
    package func localValue(of entry: XattrEntry) -> UnsafeMutableRawBufferPointer {
        precondition(entry.isLocal, "the value lies outside")
        return bytes.part(offset: entry.valueOffset, count: Int(entry.valueSize))
    }

    /// The root of a value that lies outside.
    package func valueRoot(of entry: XattrEntry) -> UnsafeMutableRawBufferPointer {
        precondition(!entry.isLocal, "the value lies here")
        return bytes.part(offset: entry.valueOffset, count: XattrEntry.valueRootByteCount)
    }

    /// Lowest byte that a name or value uses; the size of the storage when there is none.
    package var lowestNameOffset: Int {
        (0..<count).reduce(bytes.count) { min($0, self[$1].nameOffset) }
    }

    /// Index of the entry with this index number, hash and name; nil for none.
    package func find(indexNumber: UInt8, _ name: UnsafeRawBufferPointer, hash: UInt32) -> Int? {
        for index in 0..<count {
            let entry = self[index]
            if entry.hash == hash, entry.indexNumber == indexNumber, entry.nameLength == name.count,
                areEqual(self.name(of: entry), name)
            {
                return index
            }
        }
        return nil
    }
}

// Checks.
extension XattrStorage {
    /// Checks that all entries, names, values and value roots lie inside of the storage and behind the entries, that
    /// no two of them overlap, and that exactly the values of at most ``XattrEntry/localValueMax`` bytes lie here.
    package func validate() throws(LayoutError) {
        let capacity = (bytes.count - Self.headerByteCount) / XattrEntry.byteCount
        try requireAtMost("xh_count", UInt64(count), UInt64(capacity))
        let entriesEnd = Self.headerByteCount + count * XattrEntry.byteCount
        for index in 0..<count {
            let entry = self[index]
            guard entry.isLocal == (entry.valueSize <= UInt64(XattrEntry.localValueMax)) else {
                throw .badValue(
                    field: "xe_value_size of entry \(index)", found: entry.valueSize,
                    expected: entry.isLocal ? "at most 80" : "above 80")
            }
            guard entry.nameOffset >= entriesEnd, entry.nameOffset + entry.nameValueSize <= bytes.count else {
                throw .badValue(
                    field: "xe_name_offset of entry \(index)", found: UInt64(entry.nameOffset),
                    expected: "\(entriesEnd) to \(bytes.count - entry.nameValueSize)")
            }
            if !entry.isLocal {
                try XattrValueRoot.validate(UnsafeRawBufferPointer(valueRoot(of: entry)))
            }
        }
        try validateNoOverlap()
    }

    private func validateNoOverlap() throws(LayoutError) {
        guard count > 1 else { return }
        let places = (0..<count).map { self[$0] }.sorted { $0.nameOffset < $1.nameOffset }
        var end = 0
        for entry in places where entry.nameValueSize > 0 {
            guard entry.nameOffset >= end else {
                throw .badValue(
                    field: "xe_name_offset", found: UInt64(entry.nameOffset), expected: "at least \(end)")
            }
            end = entry.nameOffset + entry.nameValueSize
        }
    }
}

// Changing a compact storage: inline areas and blocks. Entries are unsorted, names and values lie without holes.
extension XattrStorage {
    /// Makes an empty storage.
    package func initialize() {
        bytes.clear(count: bytes.count)
    }

    /// Whether a name and a value of this size together fit. Spec: ocfs2-disk-2 16.2.
    package func hasRoom(nameValueSize: Int) -> Bool {
        lowestNameOffset - Self.headerByteCount - count * XattrEntry.byteCount - Self.gap
            >= XattrEntry.byteCount + nameValueSize
    }

    /// Adds a name with room for its value, or for its value root, which are zero. Returns the entry's index, nil when
    /// there is no room.
    package func insert(indexNumber: UInt8, _ name: UnsafeRawBufferPointer, hash: UInt32, valueSize: Int) -> Int? {
        let size = XattrEntry.nameValueSize(nameLength: name.count, valueSize: valueSize)
        guard hasRoom(nameValueSize: size) else { return nil }
        let entry = XattrEntry(
            hash: hash, nameOffset: lowestNameOffset - size, nameLength: name.count, indexNumber: indexNumber,
            isLocal: valueSize <= XattrEntry.localValueMax, valueSize: UInt64(valueSize))
        let index = count
        count = index + 1
        self[index] = entry
        writeName(name, of: entry)
        return index
    }

    /// Zeroes the entry's name and value space and writes the name.
    func writeName(_ name: UnsafeRawBufferPointer, of entry: XattrEntry) {
        let space = bytes.part(offset: entry.nameOffset, count: entry.nameValueSize)
        space.clear(count: space.count)
        space.copyMemory(from: name)
    }

    /// Takes an entry out: later entries move down, names and values below it move up.
    package func removeCompact(at index: Int) {
        let removed = self[index]
        let size = removed.nameValueSize
        let lowest = lowestNameOffset
        if removed.nameOffset > lowest, let base = bytes.baseAddress {
            (base + lowest + size).copyMemory(from: base + lowest, byteCount: removed.nameOffset - lowest)
        }
        bytes.part(offset: lowest, count: size).clear(count: size)
        closeGap(at: index)
        for place in 0..<count {
            var entry = self[place]
            guard entry.nameOffset < removed.nameOffset else { continue }
            entry.nameOffset += size
            self[place] = entry
        }
    }

    /// Moves the entries behind `index` down; the last one becomes zero.
    func closeGap(at index: Int) {
        let last = count - 1
        precondition(index >= 0 && index <= last, "entry \(index) of \(count)")
        for place in index..<last { self[place] = self[place + 1] }
        let offset = Self.headerByteCount + last * XattrEntry.byteCount
        bytes.part(offset: offset, count: XattrEntry.byteCount).clear(count: XattrEntry.byteCount)
        count = last
    }
}
