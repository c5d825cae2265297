import Journal
import LayoutKit
import OCFS2Layout

/// A block of a directory (or its dinode) with the entries in it: the layout's ``DirectoryArea`` and whose it is.
///
/// An entry that is not what the format says is reported as corruption of the block.
struct EntryArea {
    let inode: Inode
    let block: MetadataBlock
    let view: DirectoryArea

    typealias Entry = OCFS2Layout.DirectoryEntry

    /// Bytes that entries fill.
    var byteCount: Int { view.count }

    func entry(at offset: Int) throws(FileSystemError) -> Entry {
        try check { () throws(LayoutError) in try view.entry(at: offset) }
    }

    func find(_ name: FileName) throws(FileSystemError) -> Entry? {
        try check { () throws(LayoutError) in
            try name.withBytes { bytes throws(LayoutError) in try view.find(bytes) }
        }
    }

    /// Whether a name of this length fits.
    func hasRoom(for need: Int) throws(FileSystemError) -> Bool {
        try check { () throws(LayoutError) in
            var hasRoom = false
            try view.forEach { entry in
                hasRoom = entry.hole >= need
                return !hasRoom
            }
            return hasRoom
        }
    }

    func largestHole() throws(FileSystemError) -> Int {
        try check { () throws(LayoutError) in try view.largestHole() }
    }

    /// No names but `.` and `..`.
    func isEmpty() throws(FileSystemError) -> Bool {
        try check { () throws(LayoutError) in try view.isEmpty() }
    }

    /// Runs `body`; what it finds wrong is wrong with the block.
    func check<Result>(_ body: () throws(LayoutError) -> Result) throws(FileSystemError) -> Result {
        do throws(LayoutError) {
            return try body()
        } catch {
            throw inode.volume.report(Corruption(block: block.number, inode: inode.number, what: "\(error)"))
        }
    }
}

// The trailer of a data block of an indexed directory. Spec: ocfs2-disk 8.3.
extension EntryArea {
    /// `db_free_rec_len`: the largest hole that an entry fits in, 0 for none.
    var freeLength: Int {
        get { Int(block.bytes[DirectoryTrailer.largestHole(block.bytes.count)]) }
        nonmutating set { block.bytes[DirectoryTrailer.largestHole(block.bytes.count)] = UInt16(newValue) }
    }

    /// Next block of the free list, 0 at its end.
    var nextFree: UInt64 {
        get { block.bytes[DirectoryTrailer.nextFree(block.bytes.count)] }
        nonmutating set { block.bytes[DirectoryTrailer.nextFree(block.bytes.count)] = newValue }
    }
}
