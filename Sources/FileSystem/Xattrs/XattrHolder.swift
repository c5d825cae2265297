import Journal
import LayoutKit
import OCFS2Layout

/// A copy of one place that holds attributes: the tail of a dinode, the inside of an xattr block, or a bucket.
/// Spec: ocfs2-disk-2 16.2, 16.7.
///
/// Changes are tried out on the copy, which costs nothing when they do not fit; ``store(_:)`` makes them true.
final class XattrHolder {
    enum Kind {
        case inline, block, bucket
    }

    let kind: Kind
    let inode: Inode
    /// One, or those of a bucket.
    let blocks: [MetadataBlock]
    /// Where the storage begins in the first block.
    private let start: Int
    private let bytes: UnsafeMutableRawBufferPointer

    init(_ kind: Kind, _ inode: Inode, _ blocks: [MetadataBlock], start: Int, byteCount: Int) {
        self.kind = kind
        self.inode = inode
        self.blocks = blocks
        self.start = start
        bytes = .allocate(byteCount: byteCount, alignment: 8)
        load()
    }

    deinit {
        bytes.deallocate()
    }

    var storage: XattrStorage { XattrStorage(bytes) }
    var bucket: XattrBucket { XattrBucket(bytes, blockSize: inode.volume.blockSize) }
    var count: Int { storage.count }
    /// Credits that ``store(_:)`` takes.
    var credits: Int { blocks.count }

    /// Hash of the first entry; of an empty bucket the marker that stands there.
    var firstHash: UInt32 { bytes[LE32(offset: XattrStorage.headerByteCount)] }

    /// Takes the bytes from the blocks.
    func load() {
        forEachPart { copied, block in copied.copyMemory(from: UnsafeRawBufferPointer(block)) }
    }

    /// Writes the copy to the blocks; a bucket gets its check, which covers all of its blocks. Spec: ocfs2-disk 15.
    func store(_ handle: JournalHandle) {
        if kind == .bucket, inode.volume.features.hasMetaecc {
            BlockCheck.store(into: bytes, at: BlockCheck.bucketOffset)
        }
        forEachPart { copied, block in block.copyMemory(from: UnsafeRawBufferPointer(copied)) }
        for block in blocks { handle.modify(block) }
    }

    private func forEachPart(_ body: (UnsafeMutableRawBufferPointer, UnsafeMutableRawBufferPointer) -> Void) {
        var done = 0
        for block in blocks {
            let offset = done == 0 ? start : 0
            let count = min(bytes.count - done, block.bytes.count - offset)
            body(bytes.part(offset: done, count: count), block.bytes.part(offset: offset, count: count))
            done += count
        }
    }

    /// Takes over the contents of another bucket.
    func copy(from other: XattrHolder) {
        bytes.copyMemory(from: UnsafeRawBufferPointer(other.bytes))
    }

    func validate() throws(FileSystemError) {
        do throws(LayoutError) {
            if kind == .bucket {
                if inode.volume.features.hasMetaecc { _ = try BlockCheck.verify(bytes, at: BlockCheck.bucketOffset) }
                try bucket.validate()
            } else {
                try storage.validate()
            }
        } catch {
            throw corrupt("\(error)")
        }
    }

    /// What a change relies on besides: names and values do not overlap, nor cross a block boundary in a bucket; the
    /// sum of their lengths in a bucket's header is computed anew.
    func requireChangeable() throws(FileSystemError) {
        var end = bytes.count
        let blockSize = inode.volume.blockSize
        for entry in (0..<count).map({ storage[$0] }).sorted(by: { $0.nameOffset > $1.nameOffset }) {
            let entryEnd = entry.nameOffset + entry.nameValueSize
            guard entryEnd <= end else { throw corrupt("attributes overlap at \(entry.nameOffset)") }
            if kind == .bucket, entry.nameValueSize > 0, entry.nameOffset / blockSize != (entryEnd - 1) / blockSize {
                throw corrupt("an attribute crosses a block boundary at \(entry.nameOffset)")
            }
            end = entry.nameOffset
        }
        if kind == .bucket { bucket.nameValueLength = (0..<count).reduce(0) { $0 + storage[$1].nameValueSize } }
    }

    func corrupt(_ what: String) -> FileSystemError {
        inode.volume.report(Corruption(block: blocks[0].number, inode: inode.number, what: what))
    }
}

// Entries.
extension XattrHolder {
    func find(_ key: XattrKey) -> Int? {
        key.name.withUnsafeBytes { name in
            kind == .bucket
                ? bucket.find(indexNumber: key.index.rawValue, name, hash: key.hash)
                : storage.find(indexNumber: key.index.rawValue, name, hash: key.hash)
        }
    }

    /// Makes an entry with room for the value or its root; nil: there is no room for it.
    func insert(_ key: XattrKey, valueSize: Int) -> Int? {
        key.name.withUnsafeBytes { name in
            guard kind == .bucket else {
                return storage.insert(
                    indexNumber: key.index.rawValue, name, hash: key.hash, valueSize: valueSize)
            }
            let bucket = bucket
            if let index = bucket.insert(
                indexNumber: key.index.rawValue, name, hash: key.hash, valueSize: valueSize)
            {
                return index
            }
            guard bucket.hasRoomWithHoles(nameValueSize: key.nameValueSize(valueSize)) else { return nil }
            bucket.defragment()
            return bucket.insert(indexNumber: key.index.rawValue, name, hash: key.hash, valueSize: valueSize)
        }
    }

    func remove(at index: Int) {
        if kind == .bucket { bucket.remove(at: index) } else { storage.removeCompact(at: index) }
    }

    /// The tree of a value that lies outside, as the blocks (not the copy) have it.
    func valueTree(of entry: XattrEntry) throws(FileSystemError) -> ExtentTree {
        let volume = inode.volume
        let offset = start + entry.valueOffset
        let block = kind == .bucket ? offset / volume.blockSize : 0
        let inBlock = offset - block * volume.blockSize
        guard block < blocks.count, inBlock + XattrValueRoot.byteCount <= volume.blockSize else {
            throw corrupt("a value root crosses a block boundary")
        }
        return ExtentTree(volume, .xattrValue(block: blocks[block], offset: inBlock, owner: inode))
    }
}
