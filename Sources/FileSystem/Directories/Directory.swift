import EngineKit
import Journal
import LayoutKit
import OCFS2Layout

/// A directory's names. Spec: ocfs2-disk 8.
///
///     inline        names in the dinode
///     linear        names in blocks of the data tree, searched one after the other
///     indexed       the same blocks, and an index: hash of a name -> block that holds it
///
/// A directory begins inline and gets blocks, and an index if the volume has indexes, when the dinode is full. It never
/// shrinks.
///
/// A value that only names the inode: make one where it is needed. The caller holds ``Inode/gate`` and the metadata
/// lock, both shared for reading and exclusively for changes.
///
/// **Changes** have two parts. *Planning* reads all blocks and makes room, in transactions of its own, which leave the
/// directory valid. *Carrying out* happens inside the operation's handle, neither waits nor fails. A plan is good until
/// the next one is made for the same directory; removals are planned after insertions.
struct Directory {
    let inode: Inode

    /// Errors: `notADirectory`.
    init(_ inode: Inode) throws(FileSystemError) {
        guard inode.isDirectory else { throw .notADirectory }
        self.inode = inode
    }

    var volume: MountedVolume { inode.volume }
    var isInline: Bool { inode.hasInlineData }
    var isIndexed: Bool { inode.isIndexed }

    /// Blocks in use; what is allocated behind them holds nothing.
    ///
    /// Rounded up: without inline data mkfs.ocfs2 gives `lost+found` the size of its block less the trailer.
    var blockCount: UInt64 { volume.geometry.blocks(coveringBytes: inode.attributes.size) }

    /// Whether data blocks end in a trailer. Spec: ocfs2-disk 8.3.
    var hasTrailers: Bool { volume.parameters.directoryHasTrailer(isIndexed: isIndexed) }

    var state: DirectoryState {
        if let state = inode.directory { return state }
        let state = DirectoryState()
        inode.directory = state
        return state
    }
}

// MARK: Blocks

extension Directory {
    /// The names in the dinode.
    func inlineArea() -> EntryArea {
        EntryArea(inode: inode, block: inode.block, view: DirectoryArea(inode.dinode.inlineData))
    }

    func area(of block: MetadataBlock) -> EntryArea {
        EntryArea(inode: inode, block: block, view: DirectoryArea(block: block.bytes, hasTrailer: hasTrailers))
    }

    /// The names in the data block `number` of the volume.
    func area(atBlock number: UInt64) async throws(FileSystemError) -> EntryArea {
        area(of: try await volume.block(number, .directoryData, for: inode))
    }

    /// The names in the `index`th block; 0 is the dinode of an inline directory.
    func area(_ index: UInt64) async throws(FileSystemError) -> EntryArea {
        if isInline { return inlineArea() }
        return try await area(atBlock: try await physicalBlock(index))
    }

    /// As ``area(_:)`` for the blocks from `first` on, at most `count` and to the end, read at once.
    func areas(from first: UInt64, atMost count: Int) async throws(FileSystemError) -> [EntryArea] {
        if isInline { return first == 0 ? [inlineArea()] : [] }
        let end = min(blockCount, first + UInt64(count))
        guard first < end else { return [] }
        var numbers: [UInt64] = []
        for index in first..<end { numbers.append(try await physicalBlock(index)) }
        return try await volume.blocks(numbers, .directoryData, for: inode).map { area(of: $0) }
    }

    /// Where the `index`th data block lies on the volume.
    func physicalBlock(_ index: UInt64) async throws(FileSystemError) -> UInt64 {
        let geometry = volume.geometry
        let cluster = index >> UInt64(geometry.blocksPerClusterBits)
        guard let cpos = UInt32(exactly: cluster) else { throw corrupt("directory of \(blockCount) blocks") }
        guard case .extent(let extent) = try await ExtentTree(volume, .data(inode)).lookup(cpos) else {
            throw corrupt("a directory with a hole at cluster \(cpos)")
        }
        let inCluster = index & (UInt64(geometry.blocksPerCluster) - 1)
        return extent.block + geometry.blocks(inClusters: cpos - extent.cpos) + inCluster
    }

    func corrupt(_ what: String, block: UInt64? = nil) -> FileSystemError {
        volume.report(Corruption(block: block ?? inode.number, inode: inode.number, what: what))
    }
}

// MARK: What the first entries say

extension Directory {
    /// The second entry of the first block. Spec: ocfs2-disk 8.1.
    static let parentEntryOffset = 16

    /// Where `..` leads.
    func parentNumber() async throws(FileSystemError) -> UInt64 {
        try await parentEntry().number
    }

    /// The entry `..`.
    func parentEntry() async throws(FileSystemError) -> Found {
        let area = try await area(0)
        let entry = try area.entry(at: Self.parentEntryOffset)
        guard entry.isUsed, area.view.name(of: entry).elementsEqual(FileName.dotDot.bytes) else {
            throw corrupt("the second entry is not \"..\"", block: area.block.number)
        }
        return Found(area: area, entry: entry)
    }

    /// No names but `.` and `..`.
    func isEmpty() async throws(FileSystemError) -> Bool {
        if isIndexed { return try await index().root.bytes[IndexRoot.Field.entryCount] <= 2 }
        var first: UInt64 = 0
        while true {
            let areas = try await areas(from: first, atMost: Self.readAheadBlockCount)
            if areas.isEmpty { return true }
            for area in areas {
                guard try area.isEmpty() else { return false }
            }
            first += UInt64(areas.count)
            await volume.environment.yield()
        }
    }

    /// Blocks that a search reads at once.
    static let readAheadBlockCount = 16
}

// MARK: Searching

extension Directory {
    /// An entry and where it lies.
    struct Found {
        var area: EntryArea
        var entry: EntryArea.Entry
        /// The inode's block.
        var number: UInt64 { entry.inode }
    }

    func find(_ name: FileName) async throws(FileSystemError) -> Found? {
        if isInline { return try found(name, in: inlineArea()) }
        if isIndexed { return try await index().find(name) }
        var first: UInt64 = 0
        while true {
            let areas = try await areas(from: first, atMost: Self.readAheadBlockCount)
            if areas.isEmpty { return nil }
            for area in areas {
                if let found = try found(name, in: area) { return found }
            }
            first += UInt64(areas.count)
            if first % 64 == 0 { await volume.environment.yield() }
        }
    }

    func found(_ name: FileName, in area: EntryArea) throws(FileSystemError) -> Found? {
        guard let entry = try area.find(name) else { return nil }
        return Found(area: area, entry: entry)
    }

    /// The index of an indexed directory.
    func index() async throws(FileSystemError) -> DirectoryIndex {
        let number = inode.block.bytes[Dinode.Field.indexRoot]
        let root = try await volume.block(number, .indexRoot, for: inode)
        return DirectoryIndex(directory: self, root: root)
    }
}
