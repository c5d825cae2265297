internal import EngineKit
package import Journal
internal import OCFS2Layout

/// The mapping of an owner: logical clusters to runs of physical ones, as a b-tree of extent lists. Spec: ocfs2-disk 6.
///
/// A value that only names the root: make one where it is needed. Changes need the owner's lock, exclusively; lookups at
/// least shared.
///
/// **Before a change**: count ``metadataNeeded()`` blocks into the ``SpaceNeeds`` of the reservation (inserts and flag
/// changes), and ``insertCredits`` or ``removeCredits`` into the handle.
package struct ExtentTree {
    let volume: MountedVolume
    let root: ExtentRoot

    package init(_ volume: MountedVolume, _ root: ExtentRoot) {
        self.volume = volume
        self.root = root
    }

    private var reader: ExtentTreeEditor<ExtentTreeReader> {
        let storage = ExtentTreeReader(volume: volume, owner: root.owner, validSince: root.validSince)
        return ExtentTreeEditor(storage: storage, root: root, shiftMax: shiftMax)
    }

    private func changer(_ reservation: Reservation?, _ handle: JournalHandle) -> ExtentTreeEditor<ExtentTreeChanger> {
        let storage = ExtentTreeChanger(
            volume: volume, owner: root.owner, validSince: root.validSince, reservation: reservation, handle: handle)
        return ExtentTreeEditor(storage: storage, root: root, shiftMax: shiftMax)
    }

    /// A part of what a transaction takes, because a change has more to do than to move records.
    private var shiftMax: Int { max(16, (volume.journal?.creditsMax ?? 0) / 4) }

    /// Levels above the leaves.
    package var depth: Int { reader.rootList.depth }
    /// No extent at all.
    package var isEmpty: Bool { reader.rootList.count == 0 }
}

// Reading.
extension ExtentTree {
    /// What maps the cluster.
    package func lookup(_ cpos: UInt32) async throws(FileSystemError) -> ExtentLookup {
        let extent = try await extent(atOrAfter: cpos)
        guard let extent else { return .hole(clusters: nil) }
        return extent.contains(cpos) ? .extent(extent) : .hole(clusters: extent.cpos - cpos)
    }

    /// The first extent that ends behind `cpos`: the one that covers it, or the next one; nil if there is none.
    package func extent(atOrAfter cpos: UInt32) async throws(FileSystemError) -> Extent? {
        var cpos = cpos
        while true {
            let (list, block, next) = try await reader.leaf(for: cpos)
            let index = list.leafIndex(atOrAfter: cpos)
            if index < list.count { return try checked(list[index], in: block) }
            guard let next else { return nil }
            guard next > cpos else { throw reader.storage.corrupt(block.number, "leaves out of order at \(next)") }
            cpos = next
        }
    }

    /// The last extent that begins at or before `cpos`. For trees that are searched by hash.
    package func extent(atOrBefore cpos: UInt32) async throws(FileSystemError) -> Extent? {
        let (list, block, _) = try await reader.leaf(for: cpos)
        for index in stride(from: list.count - 1, through: 0, by: -1) where list[index].cpos <= cpos {
            return list[index].isEmpty ? nil : try checked(list[index], in: block)
        }
        return nil
    }

    /// The extent with the highest cpos.
    package func lastExtent() async throws(FileSystemError) -> Extent? {
        let path = try await reader.rightEdge()
        let list = path.leaf.list
        guard list.count > 0, !list[list.count - 1].isEmpty else { return nil }
        return try checked(list[list.count - 1], in: path.leaf.block)
    }

    /// All extents in order.
    package func forEach(
        _ body: (Extent) async throws(FileSystemError) -> Void
    ) async throws(FileSystemError) {
        var next: UInt32? = 0
        while let cpos = next, let extent = try await extent(atOrAfter: cpos) {
            try await body(extent)
            next = UInt32(exactly: extent.end)
        }
    }

    private func checked(_ record: ExtentRecord, in block: MetadataBlock) throws(FileSystemError) -> Extent {
        try reader.require(record, in: block)
        return Extent(record)
    }
}

// What a change needs.
extension ExtentTree {
    /// Metadata blocks that one ``insert(_:_:_:)``, ``replace(_:_:_:)`` or ``remove(cpos:count:_:_:_:)`` may take.
    /// Spec: ocfs2-disk 6.6
    package func metadataNeeded() -> Int {
        let list = reader.rootList
        return list.depth == 0 && list.count + 2 <= list.capacity ? 0 : list.depth + 2
    }

    /// Blocks that an insert or a replacement changes, those of the allocator for the blocks that it may take included.
    /// One that has to move records of many leaves takes more by itself (``JournalHandle/ensure(credits:)``).
    package var insertCredits: Int {
        let depth = depth
        return 1 + 2 * (depth + 1) + 3 * (depth + 2) + 1
    }

    /// Blocks that a removal changes, those of allocators for the blocks that it may free or take included. Not the
    /// truncate log.
    package var removeCredits: Int {
        insertCredits + 2 * depth
    }

    /// As ``insertCredits`` with what moving records to the right of `cpos` takes.
    ///
    /// - Parameter adding: records that come to those of the leaf at most; 0: one may go.
    func changeCredits(at cpos: UInt32, adding: Int = 2) async throws(FileSystemError) -> Int {
        guard depth > 0 else { return removeCredits }
        let path = try await reader.path(to: cpos)
        guard !path.isRightmost else { return removeCredits }
        let leaves = try await reader.leavesChanged(behind: path, adding: adding)
        return removeCredits + leaves + leaves / path.leaf.list.capacity
    }

    /// Records that come to those of the leaf when a part of one becomes another one.
    func recordsAdded(replacing part: Extent) async throws(FileSystemError) -> Int {
        guard let whole = try await extent(atOrBefore: part.cpos) else { return 0 }
        return (whole.cpos < part.cpos ? 1 : 0) + (whole.end > part.end ? 1 : 0)
    }

    /// Sees to it that ``changeCredits(at:adding:)`` fit a transaction, however large the tree is. Takes transactions of
    /// its own if need be, and then blocks of the reservation: those that the change itself would take.
    ///
    /// - Returns: whether ``endChange(at:)`` has to follow the change.
    func prepareChange(
        at cpos: UInt32, adding: Int, _ reservation: Reservation?
    ) async throws(FileSystemError) -> Bool {
        guard depth > 0 else { return false }
        let leavesToTheRight = try await reader.path(to: cpos).leavesToTheRightAtMost
        guard reader.usesHoles(leavesToTheRight: leavesToTheRight) else { return false }
        for _ in 0..<adding {
            for place in try await reader.holesToMake(at: cpos, adding: adding) {
                try await volume.transaction(credits: stepCredits) { handle throws(FileSystemError) in
                    try await self.changer(reservation, handle).makeHole(at: place)
                }
                await volume.environment.yield()
            }
        }
        return true
    }

    /// Takes away the holes that a change or its preparation left.
    func endChange(at cpos: UInt32) async throws(FileSystemError) {
        while depth > 0, let place = try await reader.lastHole(from: cpos) {
            // The last one leaves the tree at its right edge, where a leaf may become empty.
            let locks = try await lockForRemoving()
            defer { locks.release() }
            try await volume.transaction(credits: stepCredits) { handle throws(FileSystemError) in
                try await self.changer(nil, handle).moveHole(at: place)
            }
            await volume.environment.yield()
        }
    }

    private var stepCredits: Int { removeCredits + 2 * shiftMax }
}

// Changing.
extension ExtentTree {
    /// Adds an extent where nothing is mapped; merges it with its neighbours where the format allows.
    package func insert(
        _ extent: Extent, _ reservation: Reservation, _ handle: JournalHandle
    ) async throws(FileSystemError) {
        try await changer(reservation, handle).insert(extent.record)
    }

    /// Puts `extent` (other flags or other blocks) in the place of a range that lies within one extent.
    package func replace(
        _ extent: Extent, _ reservation: Reservation, _ handle: JournalHandle
    ) async throws(FileSystemError) {
        try await changer(reservation, handle).replace(extent.record)
    }

    /// Drops the mapping of a range that lies within one extent. Freeing its clusters is the caller's.
    ///
    /// A range in the middle of an extent makes two of it and may take metadata blocks: it needs a reservation.
    ///
    /// - Parameter locks: from ``lockForRemoving()``, taken before the handle.
    package func remove(
        cpos: UInt32, count: UInt32, _ locks: RemovalLocks, _ reservation: Reservation?, _ handle: JournalHandle
    ) async throws(FileSystemError) {
        try await changer(reservation, handle).remove(cpos, count)
    }

    /// The locks of the allocators of the extent blocks that one ``remove(cpos:count:_:_:_:)`` may free.
    package func lockForRemoving() async throws(FileSystemError) -> RemovalLocks {
        let locks = RemovalLocks()
        do throws(FileSystemError) {
            for (number, place) in try await rightEdgeBlocks().sorted(by: { $0.place.slot < $1.place.slot }) {
                try await locks.add(number, place, volume)
            }
        } catch {
            locks.release()
            throw error
        }
        return locks
    }

    private func rightEdgeBlocks() async throws(FileSystemError) -> [(number: UInt64, place: Suballocation)] {
        try await reader.rightEdge().nodes.dropFirst().map {
            ($0.block.number, ExtentBlock.suballocation($0.block.rawBytes))
        }
    }

    /// Whether the locks also cover the blocks that are on the right edge now, and those can be freed.
    func mayRemove(with locks: RemovalLocks) async throws(FileSystemError) -> Bool {
        for (number, place) in try await rightEdgeBlocks() {
            guard locks.slots.contains(place.slot) else { return false }
            try await volume.requireFreeable(place, number)
        }
        return true
    }

    /// Throws unless one extent covers the range that is to be replaced or removed, and the leaves beside it are sound. To
    /// be asked before the handle, where damage costs one file and not the mount.
    func requireChangeable(_ part: Extent) async throws(FileSystemError) {
        try await reader.requireChangeable(part.cpos, part.count)
    }

    /// Throws unless one extent covers the range. As ``requireChangeable(_:)``, but reads only what the change itself reads.
    func requireMapped(_ part: Extent) async throws(FileSystemError) {
        try await reader.requireMapped(part.cpos, part.count)
    }

    /// As ``requireMapped(_:)`` for an extent that is to be inserted: nothing is mapped there.
    func requireUnmapped(cpos: UInt32, count: UInt32) async throws(FileSystemError) {
        try await reader.requireUnmapped(cpos, count)
    }

    /// Makes the root an empty list of depth 0 again. The tree has no extent blocks any more, or they are the caller's.
    package func reset(_ handle: JournalHandle) {
        changer(nil, handle).reset()
    }
}

/// Locks of suballocators whose blocks a removal may free. Released after the handle has ended, always.
package final class RemovalLocks {
    private var locks: [FreeingLock] = []
    private(set) var slots: [UInt16] = []

    /// Throws `corrupt` unless the block can be freed. Slots in order.
    func add(_ number: UInt64, _ place: Suballocation, _ volume: MountedVolume) async throws(FileSystemError) {
        guard !slots.contains(place.slot) else { return try await volume.requireFreeable(place, number) }
        locks.append(try await volume.lockForFreeing(place, number))
        slots.append(place.slot)
    }

    package func release() {
        for lock in locks { lock.release() }
        locks = []
        slots = []
    }
}
