package import Journal

/// Space that a transaction can count on: what was reserved is there to be claimed, without waiting and without ENOSPC.
///
/// Made before the handle is opened (``MountedVolume/reserve(_:)``), claimed from inside, released after the handle has
/// ended, always. Holds the cluster locks of the allocators until then.
package final class Reservation {
    package unowned let volume: MountedVolume

    init(volume: MountedVolume) {
        self.volume = volume
    }

    /// Takes the block of a new inode, if possible in the group of its directory. More than was reserved traps.
    ///
    /// 3 credits (``Credits/suballocation``).
    package func claimInode(near parent: Inode?, _ handle: JournalHandle) async throws(FileSystemError) -> ClaimedBlock {
        fatalError("not built")
    }

    /// Takes a block for any other kind of metadata. 3 credits.
    package func claimMetadataBlock(_ handle: JournalHandle) async throws(FileSystemError) -> ClaimedBlock {
        fatalError("not built")
    }

    /// Takes 1 to `atMost` clusters in one run. What they hold is undefined. ``Credits/clusterAllocation`` credits.
    package func claimClusters(atMost: Int, _ handle: JournalHandle) async throws(FileSystemError) -> ClusterRun {
        fatalError("not built")
    }

    /// Gives back what was not claimed, and the locks.
    package func release() {
        fatalError("not built")
    }
}

/// Clusters that nobody else gets, without any change on disk: data is written to them before the transaction that makes
/// them reachable. Ends with ``MountedVolume/commitRun(_:count:_:)`` or ``MountedVolume/cancelRun(_:)``.
package final class ReservedRun {
    package let run: ClusterRun

    init(run: ClusterRun) {
        self.run = run
    }
}

/// Clusters that are promised but not chosen: a cached write can be answered, its blocks are found when it is flushed.
package final class SpacePromise {
    package private(set) var clusters: Int

    init(clusters: Int) {
        self.clusters = clusters
    }
}

/// The right to free blocks of one suballocator.
package final class FreeingLock {
    init() {}

    package func release() {
        fatalError("not built")
    }
}

/// Room for records in the truncate log.
package final class FreeingRoom {
    init() {}

    package func release() {
        fatalError("not built")
    }
}
