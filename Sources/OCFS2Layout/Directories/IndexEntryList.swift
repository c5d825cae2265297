import LayoutKit

/// The entries of a directory's index, in an inline dx root or in a dx leaf. Spec: ocfs2-disk 8.6.
///
///     offset  size  field
///     0       4     reserved
///     4       2     de_count: capacity
///     6       2     de_num_used
///     8       16 n  entries: dx_major_hash, dx_minor_hash, dx_dirent_blk
///
/// Unsorted. Indexes outside of the list trap: the header was validated.
@usableFromInline
package struct IndexEntryList {
    /// From the list's header on.
    @usableFromInline package let bytes: UnsafeMutableRawBufferPointer

    /// One entry: the name's hash and the block that holds the name.
    package struct Entry: Hashable, Sendable {
        package var hash: NameHash
        /// Physical block of the directory.
        package var block: UInt64

        package init(hash: NameHash, block: UInt64) {
            self.hash = hash
            self.block = block
        }
    }

    private static var capacityField: LE16 { LE16(offset: 4) }
    private static var countField: LE16 { LE16(offset: 6) }

    package init(_ bytes: UnsafeMutableRawBufferPointer, offset: Int) {
        self.bytes = bytes.dropped(offset)
    }

    package var capacity: Int { Int(bytes[Self.capacityField]) }
    package var count: Int { Int(bytes[Self.countField]) }
    package var isFull: Bool { count >= capacity }

    package subscript(index: Int) -> Entry {
        get {
            let offset = entryOffset(index)
            return Entry(
                hash: NameHash(major: bytes[LE32(offset: offset)], minor: bytes[LE32(offset: offset + 4)]),
                block: bytes[LE64(offset: offset + 8)])
        }
        nonmutating set {
            let offset = entryOffset(index)
            bytes[LE32(offset: offset)] = newValue.hash.major
            bytes[LE32(offset: offset + 4)] = newValue.hash.minor
            bytes[LE64(offset: offset + 8)] = newValue.block
        }
    }

    private func entryOffset(_ index: Int) -> Int {
        precondition(index >= 0 && index < capacity, "entry \(index) of \(capacity)")
        return 8 + index * 16
    }

    /// Index of the first entry from `start` on with this hash; nil for none.
    package func firstIndex(of hash: NameHash, from start: Int = 0) -> Int? {
        let wanted = UInt64(hash.minor) << 32 | UInt64(hash.major)
        var index = start
        let used = count
        precondition(used <= capacity, "\(used) entries of \(capacity)")
        while index < used {
            if bytes[LE64(offset: 8 &+ index &* 16)] == wanted { return index }
            index &+= 1
        }
        return nil
    }

    /// Makes an empty list; entries' bytes are not touched.
    package func initialize(capacity: Int) {
        bytes.clear(count: 8)
        bytes[Self.capacityField] = UInt16(capacity)
    }

    /// Adds an entry behind the last. The list must not be full.
    package func append(_ entry: Entry) {
        let index = count
        precondition(index < capacity, "the list is full")
        self[index] = entry
        bytes[Self.countField] = UInt16(index + 1)
    }

    /// Takes an entry out: those behind it move down, the freed last one becomes zero.
    package func remove(at index: Int) {
        let last = count - 1
        precondition(index >= 0 && index <= last, "entry \(index) of \(count) in use")
        for place in index..<last { self[place] = self[place + 1] }
        self[last] = Entry(hash: .dots, block: 0)
        bytes[Self.countField] = UInt16(last)
    }

    /// Keeps the first `kept` entries and zeroes the others.
    package func truncate(to kept: Int) {
        for index in kept..<max(kept, count) { self[index] = Entry(hash: .dots, block: 0) }
        bytes[Self.countField] = UInt16(kept)
    }

    /// Checks the header at `offset`.
    static func validate(
        _ bytes: UnsafeRawBufferPointer, offset: Int, capacity: Int
    ) throws(LayoutError) {
        let list = bytes.dropped(offset)
        try requireEqual("de_count", UInt64(list[capacityField]), UInt64(capacity))
        try requireAtMost("de_num_used", UInt64(list[countField]), UInt64(capacity))
    }
}
