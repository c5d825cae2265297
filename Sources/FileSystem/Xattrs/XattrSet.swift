import Journal
import LayoutKit
import OCFS2Layout

/// The extended attributes of an inode. Spec: ocfs2-disk-2 16.
///
///     inline     tail of the dinode
///     block      one block of its own
///     indexed    that block as the root of a tree: lowest hash -> clusters of buckets
///
/// A name is in one of them only. A value that only names the inode: make one where it is needed; the caller holds the
/// inode's lock, shared for reading and exclusively for changes.
struct XattrSet {
    let inode: Inode

    init(_ inode: Inode) {
        self.inode = inode
    }

    var volume: MountedVolume { inode.volume }

    /// Number of the block, 0: none.
    var blockNumber: UInt64 { inode.block.bytes[Dinode.Field.xattrBlock] }

    var hasInlineArea: Bool { inode.attributes.dynamicFeatures.contains(.inlineXattr) }

    /// The attributes in the dinode.
    func inlineHolder() throws(FileSystemError) -> XattrHolder? {
        guard hasInlineArea else { return nil }
        let size = inode.dinode.xattrInlineSize
        guard size >= XattrStorage.headerByteCount, size <= volume.blockSize - Dinode.inlineDataOffset else {
            throw volume.report(
                Corruption(block: inode.number, inode: inode.number, what: "i_xattr_inline_size \(size)"))
        }
        let holder = XattrHolder(
            .inline, inode, [inode.block], start: volume.blockSize - size, byteCount: size)
        try holder.validate()
        return holder
    }

    /// The external block, checked.
    func block() async throws(FileSystemError) -> MetadataBlock? {
        guard blockNumber != 0 else { return nil }
        let block = try await volume.block(blockNumber, .xattrBlock, for: inode)
        do throws(LayoutError) {
            try XattrBlock.validate(UnsafeRawBufferPointer(block.bytes), block: block.number, volume.parameters)
        } catch {
            throw volume.report(Corruption(block: block.number, inode: inode.number, what: "\(error)"))
        }
        return block
    }

    /// The attributes in an external block that is not indexed.
    func holder(of block: MetadataBlock) -> XattrHolder {
        XattrHolder(
            .block, inode, [block], start: XattrBlock.storageOffset,
            byteCount: volume.blockSize - XattrBlock.storageOffset)
    }

    func index(_ block: MetadataBlock) -> XattrIndexTree? {
        guard XattrBlock.isIndexed(UnsafeRawBufferPointer(block.bytes)) else { return nil }
        return XattrIndexTree(inode: inode, root: block)
    }

    /// The holder outside of the dinode where a name of this hash is or would be; nil: there is no external block.
    func outerHolder(for hash: UInt32) async throws(FileSystemError) -> XattrHolder? {
        guard let block = try await block() else { return nil }
        guard let index = index(block) else { return holder(of: block) }
        return try await index.place(for: hash).holder
    }

    func find(_ key: XattrKey) async throws(FileSystemError) -> (holder: XattrHolder, index: Int)? {
        if let holder = try inlineHolder(), let index = holder.find(key) { return (holder, index) }
        if let holder = try await outerHolder(for: key.hash), let index = holder.find(key) { return (holder, index) }
        return nil
    }

    /// Errors: `noAttribute`.
    func value(of key: XattrKey) async throws(FileSystemError) -> [UInt8] {
        guard let (holder, index) = try await find(key) else { throw .noAttribute }
        return try await value(of: holder.storage[index], in: holder)
    }

    /// Every holder in turn, the dinode's first.
    func forEachHolder(
        _ body: (XattrHolder) async throws(FileSystemError) -> Void
    ) async throws(FileSystemError) {
        if let holder = try inlineHolder() { try await body(holder) }
        guard let block = try await block() else { return }
        guard let index = index(block) else { return try await body(holder(of: block)) }
        try await index.forEachBucket(body)
    }
}

// Values outside of their storage. Spec: ocfs2-disk-2 16.4.
extension XattrSet {
    /// setxattr(2) allows no more.
    static let valueByteCountMax = 65536

    func value(of entry: XattrEntry, in holder: XattrHolder) async throws(FileSystemError) -> [UInt8] {
        if entry.isLocal { return Array(UnsafeRawBufferPointer(holder.storage.localValue(of: entry))) }
        guard entry.valueSize <= UInt64(Self.valueByteCountMax) else {
            throw holder.corrupt("a value of \(entry.valueSize) bytes")
        }
        let size = Int(entry.valueSize)
        var value: [UInt8] = []
        value.reserveCapacity(size)
        let tree = try holder.valueTree(of: entry)
        var cpos: UInt32 = 0
        while value.count < size {
            guard case .extent(let extent) = try await tree.lookup(cpos), extent.cpos == cpos else {
                throw holder.corrupt("a value of \(size) bytes has no cluster \(cpos)")
            }
            let blockCount = min(
                volume.geometry.blocks(inClusters: extent.count),
                volume.geometry.blocks(coveringBytes: UInt64(size - value.count)))
            let numbers = (0..<blockCount).map { extent.block + $0 }
            for block in try await volume.blocks(numbers, .plain, for: inode) {
                value += UnsafeRawBufferPointer(block.bytes).prefix(size - value.count)
            }
            cpos += extent.count
        }
        return value
    }

    /// What ``write(_:to:_:_:)`` takes.
    static func needs(forValueOf byteCount: Int, _ volume: MountedVolume) -> (space: SpaceNeeds, credits: Int) {
        guard byteCount > XattrEntry.localValueMax else { return (SpaceNeeds(), 0) }
        let clusters = Int(volume.geometry.clusters(coveringBytes: UInt64(byteCount)))
        let blocks = Int(volume.geometry.blocks(coveringBytes: UInt64(byteCount)))
        // Room for one record in the root: the second run makes a tree of depth 1. Spec: ocfs2-disk-2 16.4.
        let treeBlocks = clusters > 1 ? 3 : 0
        return (
            SpaceNeeds(metadataBlocks: treeBlocks, clusters: clusters),
            blocks + clusters * Credits.clusterAllocation + 2 + treeBlocks * (1 + Credits.suballocation)
        )
    }

    /// Writes a value to new clusters of an empty tree, as journalled blocks.
    func write(
        _ value: [UInt8], to tree: ExtentTree, _ reservation: Reservation, _ handle: JournalHandle
    ) async throws(FileSystemError) {
        var left = Int(volume.geometry.clusters(coveringBytes: UInt64(value.count)))
        var cpos: UInt32 = 0
        var done = 0
        while left > 0 {
            let run = try await reservation.claimClusters(atMost: left, handle)
            let first = volume.geometry.firstBlock(ofCluster: run.cluster)
            try await tree.insert(Extent(cpos: cpos, count: run.count, block: first), reservation, handle)
            for number in first..<first + volume.geometry.blocks(inClusters: run.count) where done < value.count {
                let block = volume.freshBlock(number, .plain)
                let part = value[done..<min(value.count, done + volume.blockSize)]
                part.withUnsafeBytes { block.bytes.copyMemory(from: $0) }
                handle.modify(block)
                done += part.count
            }
            cpos += run.count
            left -= Int(run.count)
        }
    }
}
