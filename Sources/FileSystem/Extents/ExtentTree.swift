package import Journal

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

    // MARK: Reading

    /// What maps the cluster.
    package func lookup(_ cpos: UInt32) async throws(FileSystemError) -> ExtentLookup {
        fatalError("not built")
    }

    /// The first extent that ends behind `cpos`: the one that covers it, or the next one; nil if there is none.
    package func extent(atOrAfter cpos: UInt32) async throws(FileSystemError) -> Extent? {
        fatalError("not built")
    }

    /// The last extent that begins at or before `cpos`. For trees that are searched by hash.
    package func extent(atOrBefore cpos: UInt32) async throws(FileSystemError) -> Extent? {
        fatalError("not built")
    }

    /// The extent with the highest cpos.
    package func lastExtent() async throws(FileSystemError) -> Extent? {
        fatalError("not built")
    }

    /// All extents in order.
    package func forEach(
        _ body: (Extent) async throws(FileSystemError) -> Void
    ) async throws(FileSystemError) {
        fatalError("not built")
    }

    // MARK: What a change needs

    /// Metadata blocks that one ``insert(_:_:_:)`` or flag change may take.
    package func metadataNeeded() -> Int {
        fatalError("not built")
    }

    /// Blocks that an insert changes, with the blocks that it may take. One that has to move records of many leaves takes
    /// more by itself (``JournalHandle/extend(credits:)``).
    package var insertCredits: Int { fatalError("not built") }

    /// Blocks that a removal changes, with the blocks that it may free. Not the truncate log.
    package var removeCredits: Int { fatalError("not built") }

    // MARK: Changing

    /// Adds an extent where nothing is mapped; merges it with its neighbours where the format allows.
    package func insert(
        _ extent: Extent, _ reservation: Reservation, _ handle: JournalHandle
    ) async throws(FileSystemError) {
        fatalError("not built")
    }

    /// Replaces the extents in a range that is mapped completely by one extent record by `extent` (other flags or other
    /// blocks).
    package func replace(
        _ extent: Extent, _ reservation: Reservation, _ handle: JournalHandle
    ) async throws(FileSystemError) {
        fatalError("not built")
    }

    /// Drops the mapping of a range that lies within one extent. Freeing its clusters is the caller's.
    ///
    /// A range in the middle of an extent makes two of it and may take metadata blocks: it needs a reservation.
    ///
    /// - Parameter locks: from ``lockForRemoving()``, taken before the handle.
    package func remove(
        cpos: UInt32, count: UInt32, _ locks: RemovalLocks, _ reservation: Reservation?, _ handle: JournalHandle
    ) async throws(FileSystemError) {
        fatalError("not built")
    }

    /// The locks of the allocators of the extent blocks that one ``remove(cpos:count:_:_:_:)`` may free.
    package func lockForRemoving() async throws(FileSystemError) -> RemovalLocks {
        fatalError("not built")
    }

    /// Makes the root an empty list of depth 0 again. The tree has no extent blocks any more, or they are the caller's.
    package func reset(_ handle: JournalHandle) {
        fatalError("not built")
    }
}

/// Locks of suballocators whose blocks a removal may free. Released after the handle has ended, always.
package final class RemovalLocks {
    private var locks: [FreeingLock]

    init(_ locks: [FreeingLock]) {
        self.locks = locks
    }

    package func release() {
        for lock in locks { lock.release() }
        locks = []
    }
}
