package import Journal
package import OCFS2Layout

extension MountedVolume {
    /// Reserves space before a handle is opened; `noSpace` strikes here and nowhere later.
    ///
    /// Takes the allocators' cluster locks in lock order; may add a group to a suballocator, move the window, flush the
    /// truncate log.
    package func reserve(_ needs: SpaceNeeds) async throws(FileSystemError) -> Reservation {
        fatalError("not built")
    }

    // MARK: Clusters for data. Spec: ocfs2-disk 9.5, 10

    /// Promises that `clusters` clusters will be found later; no disk change.
    package func promise(clusters: Int) async throws(FileSystemError) -> SpacePromise {
        fatalError("not built")
    }

    /// Takes back `clusters` clusters of the promise (all: nil).
    package func giveBack(_ promise: SpacePromise, clusters: Int? = nil) {
        fatalError("not built")
    }

    /// A run of 1 to `atMost` clusters that nobody else gets; no disk change. `promise`: the run was promised before and is
    /// taken from it.
    package func reserveRun(
        atMost: Int, near: UInt32?, promise: SpacePromise? = nil
    ) async throws(FileSystemError) -> ReservedRun {
        fatalError("not built")
    }

    /// Marks the first `count` clusters of the run as used in this transaction; the rest is given back.
    /// ``Credits/clusterAllocation`` credits.
    package func commitRun(_ run: ReservedRun, count: Int, _ handle: JournalHandle) async throws(FileSystemError) {
        fatalError("not built")
    }

    /// Gives the whole run back.
    package func cancelRun(_ run: ReservedRun) {
        fatalError("not built")
    }

    // MARK: Freeing. Spec: ocfs2-disk 11

    /// Makes room in the truncate log for `count` records: flushes it when it is fuller. Before the handle; the room stays
    /// as long as what is returned, or until that is released. Behind the locks of inodes.
    package func prepareToFree(_ count: Int = 1) async throws(FileSystemError) -> FreeingRoom {
        fatalError("not built")
    }

    /// Puts a run of clusters, which does not cross a cluster group, into the truncate log.
    /// ``Credits/clusterFree`` credits.
    package func freeClusters(_ run: ClusterRun, _ handle: JournalHandle) async throws(FileSystemError) {
        fatalError("not built")
    }

    /// Takes the lock of the allocator of a metadata block (any kind but dinodes). Before the handle, behind the locks of
    /// inodes; a task that holds a ``Reservation`` may take it as well.
    package func lockForFreeing(_ place: Suballocation) async throws(FileSystemError) -> FreeingLock {
        fatalError("not built")
    }

    /// Frees a metadata block (any kind but dinodes). The caller holds ``lockForFreeing(_:)``.
    /// ``Credits/suballocationFree`` credits.
    package func freeMetadataBlock(
        _ place: Suballocation, _ number: UInt64, _ handle: JournalHandle
    ) async throws(FileSystemError) {
        fatalError("not built")
    }
}
