package import OCFS2Layout

/// An entry that a listing shows.
package struct DirectoryEntry {
    /// The inode's block.
    package var number: UInt64
    /// nil: the entry does not say.
    package var type: FileType?
    /// Valid only during the visit.
    package var name: UnsafeRawBufferPointer
    /// Continue behind this entry with it. See ``DirectoryCookie``.
    package var next: DirectoryCookie

    package init(number: UInt64, type: FileType?, name: UnsafeRawBufferPointer, next: DirectoryCookie) {
        self.number = number
        self.type = type
        self.name = name
        self.next = next
    }
}

/// A place in a listing: the offset in bytes of the next entry in the directory.
///
/// Entries never move (not even when an inline directory gets blocks of its own), so a cookie stays good while names
/// come and go: an offset that is inside an entry by now means the first entry behind it.
package struct DirectoryCookie: Equatable, Hashable, Comparable, Sendable {
    package var byteOffset: UInt64

    package init(byteOffset: UInt64) {
        self.byteOffset = byteOffset
    }

    package static let start = DirectoryCookie(byteOffset: 0)

    package static func < (left: DirectoryCookie, right: DirectoryCookie) -> Bool {
        left.byteOffset < right.byteOffset
    }
}
