package import Journal
internal import EngineKit
internal import LayoutKit
package import OCFS2Layout

/// The right to free blocks of one suballocator. Ends with ``release()`` or with the object.
package final class FreeingLock {
    private var allocator: Suballocator?

    fileprivate init(_ allocator: Suballocator) {
        self.allocator = allocator
    }

    deinit {
        release()
    }

    package func release() {
        allocator?.hold.release()
        allocator = nil
    }
}

/// Room for records in the truncate log. Ends with ``release()`` or with the object.
package final class FreeingRoom {
    private weak var log: TruncateLogFile?
    private let records: Int

    fileprivate init(_ log: TruncateLogFile, records: Int) {
        self.log = log
        self.records = records
    }

    deinit {
        release()
    }

    package func release() {
        log?.giveRoomBack(records)
        log = nil
    }
}

extension MountedVolume {
    /// Makes room in the truncate log for `count` records: flushes it when it is fuller. Before the handle; the room stays
    /// as long as what is returned, or until that is released. Behind the locks of inodes.
    package func prepareToFree(_ count: Int = 1) async throws(FileSystemError) -> FreeingRoom {
        let log = try usedSpace().truncateLog
        return FreeingRoom(log, records: try await log.makeRoom(count))
    }

    /// Puts a run of clusters, which does not cross a cluster group, into the truncate log.
    /// ``Credits/clusterFree`` credits.
    package func freeClusters(_ run: ClusterRun, _ handle: JournalHandle) async throws(FileSystemError) {
        let space = try usedSpace()
        guard run.cluster > 0, run.end <= UInt64(parameters.clusterCount) else {
            throw report(
                Corruption(
                    block: space.bitmap.inode.number,
                    what: "clusters \(run.cluster) + \(run.count) are freed, the volume has \(parameters.clusterCount)")
            )
        }
        for piece in geometry.piecesInGroups(of: run) where !space.truncateLog.append(piece, handle) {
            try await freeDirectly(piece, handle)
        }
    }

    /// Frees clusters without the log, when it is full: legal as long as they are not handed out before this transaction is
    /// durable, and before the images of metadata that was in them are out of the journal: a checkpoint or a replay would
    /// write those over their new owner's data. Spec: ocfs2-disk-2 25.2; ocfs2-disk 9.5, no reuse before commit.
    private func freeDirectly(_ run: ClusterRun, _ handle: JournalHandle) async throws(FileSystemError) {
        let space = try usedSpace()
        try await space.bitmap.hold.acquire()
        defer { space.bitmap.hold.release() }
        var releases = ClusterBitmap.Releases()
        guard try await space.bitmap.mayRelease(run, with: &releases) else {
            // As a flush of the log has it: what is free already stays free, and the rest of the change is sound.
            _ = report(
                Corruption(
                    block: space.bitmap.inode.number, what: "clusters \(run.cluster) + \(run.count) are free already"))
            return
        }
        _ = handle.extend(credits: 2)
        try await space.bitmap.release(run, handle)
        space.reserved.insert(run.range)
        space.reservedCount += Int(run.count)
        handle.afterCommit { [self] in
            // Nothing is handed out any more after the unmount has begun.
            guard !tasks.isClosing else { return }
            tasks.start(environment) { [self] in await releaseAfterCheckpoint(run, space) }
        }
    }

    private func releaseAfterCheckpoint(_ run: ClusterRun, _ space: SpaceBook) async {
        do throws(FileSystemError) {
            try await checkpoint()
        } catch {
            environment.log(.warning, "clusters \(run.cluster) + \(run.count) stay reserved: \(error)")
            return
        }
        space.reserved.remove(run.range)
        space.reservedCount -= Int(run.count)
    }

    /// Takes the lock of the allocator of a metadata block (any kind but dinodes). Before the handle, behind the locks of
    /// inodes; a task that holds a ``Reservation`` may take it as well.
    ///
    /// Errors: `corrupt` when the block `number` cannot be freed.
    package func lockForFreeing(
        _ place: Suballocation, _ number: UInt64
    ) async throws(FileSystemError) -> FreeingLock {
        try await lockForFreeing(.extentAlloc, place, number)
    }

    func lockForFreeing(
        _ kind: SystemInode, _ place: Suballocation, _ number: UInt64
    ) async throws(FileSystemError) -> FreeingLock {
        let allocator = try await allocator(kind, place)
        try await allocator.hold.acquire()
        do throws(FileSystemError) {
            try await allocator.requireReleasable(place, number)
        } catch {
            allocator.hold.release()
            throw error
        }
        return FreeingLock(allocator)
    }

    /// As ``lockForFreeing(_:_:)`` for one more block of an allocator whose lock the caller has.
    func requireFreeable(_ place: Suballocation, _ number: UInt64) async throws(FileSystemError) {
        try await allocator(.extentAlloc, place).requireReleasable(place, number)
    }

    /// Frees a metadata block (any kind but dinodes). The caller holds ``lockForFreeing(_:_:)``.
    /// ``Credits/suballocationFree`` credits.
    package func freeMetadataBlock(
        _ place: Suballocation, _ number: UInt64, _ handle: JournalHandle
    ) async throws(FileSystemError) {
        try await allocator(.extentAlloc, place).release(place, number, handle)
    }

    func allocator(_ kind: SystemInode, _ place: Suballocation) async throws(FileSystemError) -> Suballocator {
        guard Int(place.slot) < Int(parameters.slotCount) else {
            throw report(
                Corruption(
                    block: parameters.systemDirectoryBlock,
                    what: "a block is freed that slot \(place.slot) gave, the volume has \(parameters.slotCount)"))
        }
        return try await usedSpace().suballocator(kind, slot: Int(place.slot))
    }
}
