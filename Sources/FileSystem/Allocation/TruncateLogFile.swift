internal import EngineKit
internal import Journal
internal import LayoutKit
internal import OCFS2Layout

/// The truncate log of a slot: clusters that were freed here and are not back in the global bitmap yet.
/// Spec: ocfs2-disk 11.
///
/// Nobody else looks at the dinode while the slot is ours; there is no cluster lock on it. Records come at the end while a
/// flush takes them from the front.
final class TruncateLogFile {
    let inode: Inode
    private unowned let volume: MountedVolume
    private unowned let bitmap: ClusterBitmap
    /// Records that tasks may still add.
    private var promised = 0
    private let flushLock = AsyncReadWriteLock()
    /// Records at the front whose clusters a flush gives back: nothing is added to them.
    private var flushing = 0
    private let roomFreed = AsyncSignal()

    private var lastAppend = Instant.zero
    private var isTimerSet = false

    /// From the last record to the flush. Spec: ocfs2-disk 11, schedule.
    private static let flushDelay = Duration.seconds(2)
    /// Records that go back in one transaction.
    private static let flushBatch = 16

    init(_ volume: MountedVolume, _ bitmap: ClusterBitmap, slot: Int? = nil) async throws(FileSystemError) {
        self.volume = volume
        self.bitmap = bitmap
        inode = try await volume.systemInode(.truncateLog, slot: slot ?? volume.slot)
        do throws(LayoutError) {
            try TruncateLog.validate(inode.block.rawBytes, volume.parameters)
        } catch {
            throw volume.report(Corruption(block: inode.number, inode: inode.number, what: error.description))
        }
    }

    private var bytes: UnsafeMutableRawBufferPointer { inode.block.bytes }
    var count: Int { Int(bytes[TruncateLog.Field.count]) }
    private var capacity: Int { Int(bytes[TruncateLog.Field.capacity]) }

    /// Clusters in the log.
    var clusters: Int {
        (0..<count).reduce(0) { $0 + Int(TruncateLog.record(inode.block.rawBytes, $1).clusters) }
    }

    // MARK: Appending

    /// Makes room for records, by a flush if need be. Returns how many: not more than the log has.
    func makeRoom(_ wanted: Int) async throws(FileSystemError) -> Int {
        let records = min(wanted, capacity)
        while count + promised + records > capacity {
            if count > 0 {
                try await flush()
            } else {
                // Others have all the room, and will give it back.
                await roomFreed.wait()
            }
        }
        promised += records
        return records
    }

    func giveRoomBack(_ records: Int) {
        promised -= records
        roomFreed.notify()
    }

    /// Notes a run of clusters of one group as free. false: no room. 1 credit.
    func append(_ run: ClusterRun, _ handle: JournalHandle) -> Bool {
        let record = TruncateLog.Record(start: run.cluster, clusters: run.count)
        handle.modify(inode.block)
        if flushing > 0, flushing == count {
            guard count < capacity else { return false }
            bytes[TruncateLog.Field.count] += 1
            TruncateLog.setRecord(bytes, count - 1, record)
        } else {
            guard TruncateLog.append(bytes, record, volume.geometry) else { return false }
        }
        lastAppend = volume.environment.now
        setTimer()
        return true
    }

    private func setTimer() {
        guard !isTimerSet else { return }
        isTimerSet = true
        volume.environment.call(at: lastAppend + Self.flushDelay) { [weak self] in self?.timerFired() }
    }

    private func timerFired() {
        isTimerSet = false
        guard count > 0, !volume.isReadOnly, !volume.tasks.isClosing else { return }
        guard volume.environment.now >= lastAppend + Self.flushDelay else { return setTimer() }
        volume.tasks.start(volume.environment) { [self] in
            do throws(FileSystemError) {
                try await flush()
            } catch {
                volume.environment.log(.warning, "the truncate log could not be flushed: \(error)")
            }
        }
    }

    // MARK: Flushing

    /// Gives the clusters of all records of now back to the global bitmap.
    ///
    /// First a checkpoint: a replay must not bring the records back after their clusters have new owners.
    /// Spec: ocfs2-disk 11.
    func flush() async throws(FileSystemError) {
        await flushLock.lock(.exclusive)
        defer { flushLock.unlock(.exclusive) }
        guard count > 0 else { return }
        try volume.requireWriting()
        flushing = count
        defer {
            flushing = 0
            roomFreed.notify()
        }
        try await volume.checkpoint()
        try await bitmap.hold.acquire()
        defer { bitmap.hold.release() }
        while flushing > 0 {
            try await giveBack(min(flushing, Self.flushBatch))
            await volume.environment.yield()
        }
    }

    /// Gives back the first `records` records.
    private func giveBack(_ records: Int) async throws(FileSystemError) {
        var runs: [ClusterRun] = []
        var releases = ClusterBitmap.Releases()
        for index in 0..<records {
            let record = TruncateLog.record(inode.block.rawBytes, index)
            if record.start == 0 || record.clusters == 0 { continue }
            for run in volume.geometry.piecesInGroups(of: ClusterRun(cluster: record.start, count: record.clusters)) {
                if try await isOwned(run, runs, &releases) {
                    runs.append(run)
                    continue
                }
                _ = volume.report(
                    Corruption(
                        block: inode.number, inode: inode.number,
                        what: "clusters \(run.cluster) + \(run.count) of the truncate log are free already"))
                try volume.requireWritable()
            }
        }
        try await volume.transaction(credits: runs.count + 2) { handle async throws(FileSystemError) in
            for run in runs { try await bitmap.release(run, handle) }
            handle.modify(inode.block)
            let left = count - records
            for index in 0..<left {
                TruncateLog.setRecord(bytes, index, TruncateLog.record(inode.block.rawBytes, index + records))
            }
            bytes[TruncateLog.Field.count] = UInt16(left)
            flushing -= records
        }
    }

    /// Whether the clusters can go back: marked, and named once.
    private func isOwned(
        _ run: ClusterRun, _ others: [ClusterRun], _ releases: inout ClusterBitmap.Releases
    ) async throws(FileSystemError) -> Bool {
        guard !others.contains(where: { UInt64($0.cluster) < run.end && UInt64(run.cluster) < $0.end }) else {
            return false
        }
        return try await bitmap.mayRelease(run, with: &releases)
    }
}

extension VolumeGeometry {
    /// The run, cut where cluster groups begin.
    func piecesInGroups(of run: ClusterRun) -> [ClusterRun] {
        var pieces: [ClusterRun] = []
        var start = UInt64(run.cluster)
        while start < run.end {
            let next = (start / UInt64(clustersPerGroup) + 1) * UInt64(clustersPerGroup)
            let end = min(next, run.end)
            pieces.append(ClusterRun(cluster: UInt32(start), count: UInt32(end - start)))
            start = end
        }
        return pieces
    }
}
