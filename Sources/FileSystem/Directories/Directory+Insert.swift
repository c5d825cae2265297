import EngineKit
import Journal
import LayoutKit
import OCFS2Layout

extension Directory {
    /// Where a new name goes. All blocks are read and have room.
    struct Insertion {
        let name: FileName
        let space: Space
        /// Indexed directories.
        let leaf: (place: LeafPlace, hash: NameHash)?
    }

    /// A data block (or the dinode) with room for a name.
    struct Space {
        let area: EntryArea
        let index: DirectoryIndex?
        /// The block before the area's in the free list; nil: the area's is the first.
        let predecessor: MetadataBlock?
    }

    /// Blocks that an insertion changes: dinode, data block, its predecessor in the free list, dx root, leaf.
    static let insertionCredits = 5

    /// Finds a place for a name that is not in the directory, and makes room.
    ///
    /// Errors: `noSpace`.
    func planInsertion(of name: FileName) async throws(FileSystemError) -> Insertion {
        let space = try await planSpace(forName: name.bytes.count)
        guard let index = space.index else { return Insertion(name: name, space: space, leaf: nil) }
        let hash = index.hash(of: name)
        return Insertion(name: name, space: space, leaf: (try await index.leafWithRoom(for: hash), hash))
    }

    /// Room for a name of `count` bytes; in an indexed directory its leaf is another matter.
    func planSpace(forName count: Int) async throws(FileSystemError) -> Space {
        let need = EntryArea.Entry.lengthNeeded(forName: count)
        if isInline {
            let area = inlineArea()
            if try area.hasRoom(for: need) { return Space(area: area, index: nil, predecessor: nil) }
            try await leaveDinode()
        }
        guard isIndexed else { return try await planLinearSpace(need) }
        while true {
            let index = try await index()
            if let place = try await freeBlock(index, need: need) {
                guard try place.area.largestHole() >= need else {
                    throw corrupt("db_free_rec_len is too large", block: place.area.block.number)
                }
                return Space(area: place.area, index: index, predecessor: place.predecessor)
            }
            try await appendBlock()
        }
    }

    private func planLinearSpace(_ need: Int) async throws(FileSystemError) -> Space {
        let state = state
        var first = need >= state.linearNeed ? state.linearStart : 0
        while true {
            let areas = try await areas(from: first, atMost: Self.readAheadBlockCount)
            if areas.isEmpty {
                try await appendBlock()
                continue
            }
            for (place, area) in areas.enumerated() {
                guard try area.hasRoom(for: need) else { continue }
                state.linearStart = first + UInt64(place)
                state.linearNeed = need
                return Space(area: area, index: nil, predecessor: nil)
            }
            first += UInt64(areas.count)
            if first % 64 == 0 { await volume.environment.yield() }
        }
    }

    /// Writes the name. ``insertionCredits`` credits.
    func carryOut(
        _ insertion: Insertion, number: UInt64, type: FileType, _ handle: JournalHandle
    ) throws(FileSystemError) {
        let area = insertion.space.area
        try area.check { () throws(LayoutError) in
            let placed = try insertion.name.withBytes { name throws(LayoutError) in
                try area.view.insert(name, inode: number, type: type)
            }
            precondition(placed != nil, "the room that was planned for a name is gone")
        }
        handle.modify(area.block)
        if let index = insertion.space.index, let (leaf, hash) = insertion.leaf {
            leaf.entries.append(IndexEntryList.Entry(hash: hash, block: area.block.number))
            handle.modify(leaf.block)
            index.root.bytes[IndexRoot.Field.entryCount] &+= 1
            handle.modify(index.root)
            try updateHole(of: area, predecessor: insertion.space.predecessor, root: index.root, handle)
        }
        touch(handle)
    }

    /// After an insertion: the block leaves the free list when it has no hole any more.
    private func updateHole(
        of area: EntryArea, predecessor: MetadataBlock?, root: MetadataBlock, _ handle: JournalHandle
    ) throws(FileSystemError) {
        let hole = try area.largestHole()
        area.freeLength = hole
        guard hole == 0 else { return }
        let next = area.nextFree
        area.nextFree = 0
        if let predecessor {
            self.area(of: predecessor).nextFree = next
            handle.modify(predecessor)
        } else {
            root.bytes[IndexRoot.Field.firstFree] = next
        }
    }

    /// The directory was changed now.
    func touch(_ handle: JournalHandle) {
        let now = volume.environment.wallTime
        inode.attributes.modificationTime = now
        inode.attributes.changeTime = now
        inode.storeAttributes(handle)
    }
}

// MARK: The free list

extension Directory {
    /// How far the list is searched when a whole walk has failed not long ago.
    private static let shortWalkMax = 8

    /// The first block of the free list with a hole of `need` bytes, and the one before it.
    ///
    /// Blocks with small holes stay in the list for ever and can be many. So after a walk in vain only the head is
    /// searched, where new blocks are, until enough was freed that another walk is paid for.
    private func freeBlock(
        _ index: DirectoryIndex, need: Int
    ) async throws(FileSystemError) -> (area: EntryArea, predecessor: MetadataBlock?)? {
        let state = state
        let worthWalking = max(4 * volume.blockSize, Int(clamping: inode.attributes.size / 16))
        let isShort = need >= state.failedNeed && state.bytesFreedSinceFailure < worthWalking
        let most = isShort ? UInt64(Self.shortWalkMax) : blockCount
        var predecessor: MetadataBlock?
        var number = index.root.bytes[IndexRoot.Field.firstFree]
        var walked: UInt64 = 0
        // Brent's: a list that comes back to a block that was marked is a loop.
        var marked: UInt64 = 0
        while number != 0, walked < most {
            guard number != marked else { throw corrupt("the free list is a loop", block: index.root.number) }
            if walked & (walked &- 1) == 0 { marked = number }
            let area = try await area(atBlock: number)
            if area.freeLength >= need { return (area, predecessor) }
            predecessor = area.block
            number = area.nextFree
            walked += 1
            if walked % 64 == 0 { await volume.environment.yield() }
        }
        if number != 0, !isShort {
            throw corrupt("the free list is longer than the directory", block: index.root.number)
        }
        if !isShort {
            state.failedNeed = need
            state.bytesFreedSinceFailure = 0
        }
        return nil
    }
}
