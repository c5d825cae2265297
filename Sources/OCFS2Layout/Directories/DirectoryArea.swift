public import LayoutKit

/// One entry of a directory. Spec: ocfs2-disk 8.1.
///
///     offset  size  field
///     0       8     inode: 0 = unused
///     8       2     rec_len: bytes to the next entry
///     10      1     name_len
///     11      1     file_type
///     12            name
@usableFromInline
package struct DirectoryEntry: Hashable, Sendable {
    /// Where the entry begins in its area.
    @usableFromInline package let offset: Int
    /// Block of the dinode; 0: the entry is unused.
    @usableFromInline package let inode: UInt64
    /// Bytes to the next entry.
    @usableFromInline package let length: Int
    @usableFromInline package let nameLength: Int
    /// As stored: 0 or a number that ``FileType`` lacks means unknown.
    @usableFromInline package let fileType: UInt8

    @inlinable
    package init(offset: Int, inode: UInt64, length: Int, nameLength: Int, fileType: UInt8) {
        self.offset = offset
        self.inode = inode
        self.length = length
        self.nameLength = nameLength
        self.fileType = fileType
    }

    @inlinable package var isUsed: Bool { inode != 0 }
    /// Where the next entry begins.
    @inlinable package var end: Int { offset &+ length }
    @inlinable package var type: FileType? { FileType(rawValue: fileType) }

    /// Bytes of the entry that a new one could take.
    @inlinable package var hole: Int {
        isUsed ? length &- Self.lengthNeeded(forName: nameLength) : length
    }

    /// The length of an entry with a name of `count` bytes, at least.
    @inlinable
    package static func lengthNeeded(forName count: Int) -> Int { (12 &+ count &+ 3) & ~3 }

    /// The shortest entry.
    @inlinable package static var lengthMin: Int { 16 }
    @inlinable package static var nameLengthMax: Int { 255 }
}

/// The part of a directory that entries fill from end to end: a data block without its trailer, or the inline data of a
/// dinode. Spec: ocfs2-disk 8.1, 8.2.
///
/// Does not own the bytes. Nothing is assumed of them: every step checks the entry it stands on.
@usableFromInline
package struct DirectoryArea {
    @usableFromInline package let bytes: UnsafeMutableRawBufferPointer

    /// `bytes` must be exactly the area.
    @inlinable
    package init(_ bytes: UnsafeMutableRawBufferPointer) {
        self.bytes = bytes
    }

    /// A data block; `hasTrailer` as ``VolumeParameters/directoryHasTrailer(isIndexed:)`` says.
    @inlinable
    package init(block: UnsafeMutableRawBufferPointer, hasTrailer: Bool) {
        bytes = hasTrailer ? block.part(offset: 0, count: block.count &- DirectoryTrailer.byteCount) : block
    }

    /// For reading only.
    @inlinable
    package init(reading bytes: UnsafeRawBufferPointer) {
        self.init(UnsafeMutableRawBufferPointer(mutating: bytes))
    }

    /// Bytes of the area.
    @inlinable package var count: Int { bytes.count }

    /// The entry at `offset`, checked: inside of the area, long enough for its name, followed by room for another one
    /// or by the end.
    package func entry(at offset: Int) throws(LayoutError) -> DirectoryEntry {
        guard offset >= 0, offset & 3 == 0, offset <= count - DirectoryEntry.lengthMin else {
            throw .badValue(
                field: "offset of a directory entry", found: UInt64(truncatingIfNeeded: offset),
                expected: "a multiple of 4, at most \(count - DirectoryEntry.lengthMin)")
        }
        let length = Int(bytes[LE16(offset: offset + 8)])
        let nameLength = Int(bytes[U8(offset: offset + 10)])
        let inode = bytes[LE64(offset: offset)]
        let end = offset + length
        guard length >= DirectoryEntry.lengthMin, length & 3 == 0,
            length >= DirectoryEntry.lengthNeeded(forName: nameLength),
            end == count || end <= count - DirectoryEntry.lengthMin
        else {
            throw .badValue(
                field: "rec_len at \(offset)", found: UInt64(length),
                expected: "a multiple of 4, room for \(nameLength) bytes of name, inside of \(count) bytes")
        }
        guard inode == 0 || nameLength > 0 else {
            throw .badValue(field: "name_len at \(offset)", found: 0, expected: "at least 1")
        }
        return DirectoryEntry(
            offset: offset, inode: inode, length: length, nameLength: nameLength,
            fileType: bytes[U8(offset: offset + 11)])
    }

    /// The bytes of the entry's name. The entry must come from this area.
    @inlinable
    package func name(of entry: DirectoryEntry) -> UnsafeRawBufferPointer {
        UnsafeRawBufferPointer(bytes.part(offset: entry.offset &+ 12, count: entry.nameLength))
    }

    /// Calls `body` with every entry, used or not, until it returns false.
    package func forEach(_ body: (DirectoryEntry) -> Bool) throws(LayoutError) {
        var offset = 0
        while offset < count {
            let entry = try entry(at: offset)
            guard body(entry) else { return }
            offset = entry.end
        }
    }

    /// The used entry with this name; names are bytes.
    package func find(_ name: UnsafeRawBufferPointer) throws(LayoutError) -> DirectoryEntry? {
        var offset = 0
        while offset < count {
            let entry = try entry(at: offset)
            if entry.isUsed, entry.nameLength == name.count, areEqual(self.name(of: entry), name) { return entry }
            offset = entry.end
        }
        return nil
    }

    /// Whether every entry is sound: to be asked once for a block that others search.
    package func validate() throws(LayoutError) {
        try forEach { _ in true }
    }

    /// The largest hole that an entry fits in, as `db_free_rec_len` holds it; 0 for none.
    package func largestHole() throws(LayoutError) -> Int {
        var largest = 0
        try forEach { entry in
            largest = max(largest, entry.hole)
            return true
        }
        return largest >= DirectoryEntry.lengthMin ? largest : 0
    }

    /// Whether no entry is in use but `.` and `..`. Spec: ocfs2-disk 8.8.
    package func isEmpty() throws(LayoutError) -> Bool {
        var isEmpty = true
        try forEach { entry in
            guard entry.isUsed else { return true }
            let name = name(of: entry)
            let isDot = name.count <= 2 && name[0] == 0x2e && (name.count == 1 || name[1] == 0x2e)
            isEmpty = isDot
            return isEmpty
        }
        return isEmpty
    }
}

// Changing it. Spec: ocfs2-disk 8.2.
extension DirectoryArea {
    /// Puts a name into the first hole that it fits in. nil: there is none, and nothing was changed.
    package func insert(
        _ name: UnsafeRawBufferPointer, inode: UInt64, type: FileType
    ) throws(LayoutError) -> DirectoryEntry? {
        precondition((1...DirectoryEntry.nameLengthMax).contains(name.count), "name of \(name.count) bytes")
        let need = DirectoryEntry.lengthNeeded(forName: name.count)
        var offset = 0
        while offset < count {
            let entry = try entry(at: offset)
            if entry.hole >= need {
                return place(name, inode, type, over: entry)
            }
            offset = entry.end
        }
        return nil
    }

    private func place(
        _ name: UnsafeRawBufferPointer, _ inode: UInt64, _ type: FileType, over entry: DirectoryEntry
    ) -> DirectoryEntry {
        var offset = entry.offset, length = entry.length
        if entry.isUsed {
            let kept = DirectoryEntry.lengthNeeded(forName: entry.nameLength)
            bytes[LE16(offset: offset + 8)] = UInt16(kept)
            offset += kept
            length -= kept
        }
        write(name, inode, type, at: offset, length: length)
        return DirectoryEntry(
            offset: offset, inode: inode, length: length, nameLength: name.count, fileType: type.rawValue)
    }

    private func write(
        _ name: UnsafeRawBufferPointer, _ inode: UInt64, _ type: FileType, at offset: Int, length: Int
    ) {
        bytes[LE64(offset: offset)] = inode
        bytes[LE16(offset: offset + 8)] = UInt16(length)
        bytes[U8(offset: offset + 10)] = UInt8(name.count)
        bytes[U8(offset: offset + 11)] = type.rawValue
        bytes.part(offset: offset + 12, count: name.count).copyMemory(from: name)
    }

    /// Takes an entry out: its space goes to the entry before it. The first entry of the area only becomes unused.
    ///
    /// `entry` must come from this area as it is now; an offset at which no entry begins throws.
    package func remove(_ entry: DirectoryEntry) throws(LayoutError) {
        var previous: DirectoryEntry?
        var offset = 0
        while offset < entry.offset {
            let before = try self.entry(at: offset)
            previous = before
            offset = before.end
        }
        guard offset == entry.offset else {
            throw .badValue(
                field: "offset of a directory entry", found: UInt64(entry.offset), expected: "the start of an entry")
        }
        let current = try self.entry(at: offset)
        if let previous {
            bytes[LE16(offset: previous.offset + 8)] = UInt16(previous.length + current.length)
        }
        bytes[LE64(offset: offset)] = 0
    }

    /// Points an entry to another inode. The name stays.
    package func retarget(_ entry: DirectoryEntry, inode: UInt64, type: FileType) {
        bytes[LE64(offset: entry.offset)] = inode
        bytes[U8(offset: entry.offset + 11)] = type.rawValue
    }

    /// One unused entry that fills the area; every other byte becomes zero.
    package func initializeEmpty() {
        bytes.clear(count: count)
        bytes[LE16(offset: 8)] = UInt16(count)
    }

    /// The entries of a new directory: `.` and `..`; every other byte becomes zero.
    package func initialize(own: UInt64, parent: UInt64) {
        bytes.clear(count: count)
        withUnsafeBytes(of: UInt16(0x2e2e)) { dots in
            write(UnsafeRawBufferPointer(rebasing: dots[..<1]), own, .directory, at: 0, length: 16)
            write(dots, parent, .directory, at: 16, length: count - 16)
        }
    }

    /// Extends the last entry so that it ends at the end of this area, whose first `filled` bytes were an area of their
    /// own: an inline directory that became a block. Spec: ocfs2-disk 8.4.
    package func extendLastEntry(filled: Int) throws(LayoutError) {
        let before = DirectoryArea(bytes.part(offset: 0, count: filled))
        var last: DirectoryEntry?
        try before.forEach { entry in
            last = entry
            return true
        }
        guard let last else { return initializeEmpty() }
        bytes[LE16(offset: last.offset + 8)] = UInt16(count - last.offset)
    }
}

/// Whether two runs of equal length hold the same bytes.
func areEqual(_ left: UnsafeRawBufferPointer, _ right: UnsafeRawBufferPointer) -> Bool {
    guard left.count == right.count else { return false }
    var index = 0
    while index &+ 8 <= left.count {
        if left[LE64(offset: index)] != right[LE64(offset: index)] { return false }
        index &+= 8
    }
    while index < left.count {
        if left[U8(offset: index)] != right[U8(offset: index)] { return false }
        index &+= 1
    }
    return true
}
