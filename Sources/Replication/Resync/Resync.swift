internal import DRBDLayout
internal import EngineKit

/// A resync or an online verify under way on a volume.
final class Resync {
    enum Part {
        case source
        case target
        /// Drives an online verify.
        case verifySource
        case verifyTarget
    }

    let part: Part
    var progress: ResyncProgress
    var controller = ResyncController()
    var former = ResyncRequestFormer()
    var throttle = ResyncThrottle()
    /// Requests that the peer has not answered, by first sector; each holds its extent.
    private var outstanding: [UInt64: Int] = [:]
    /// Blocks of those requests.
    private(set) var outstandingBlocks = 0
    /// Blocks that may still be asked for before the next tick.
    var budget = 0
    /// The target's disk knows what it lacks.
    var mayRequest = false
    /// All is done; the acknowledgements on the meta socket are being awaited.
    var isFinishing = false
    /// The bitmap was searched to its end so often.
    var passes = 0
    /// When changed bitmap blocks were last written.
    var bitmapWrittenAt: Instant

    // MARK: Verify

    /// Next block to be compared, in sectors.
    var verifyPosition: UInt64 = 0
    /// Sector behind the last one to be compared.
    var verifyEnd: UInt64 = 0
    /// Size of the device, whose last block may be a short one.
    var verifyLimit: UInt64 = 0
    /// Blocks that are not compared yet.
    var verifyBlocksLeft = 0
    /// Blocks that differ.
    var verifyDifferences = 0
    /// A run of different sectors that is not logged yet.
    var differingRun: Range<UInt64>?
    /// The first request told where it starts (VerifyT).
    var hasVerifyStarted = false

    init(_ part: Part, totalBits: UInt64, now: Instant) {
        self.part = part
        progress = ResyncProgress(totalBits: totalBits, now: now)
        bitmapWrittenAt = now
    }

    var outstandingCount: Int { outstanding.count }

    /// A request went out.
    func asked(sector: UInt64, byteCount: Int) {
        outstanding[sector] = byteCount
        outstandingBlocks += (byteCount + 4095) / 4096
    }

    /// Length of the request that begins there, if it is not answered.
    func askedByteCount(sector: UInt64) -> Int? { outstanding[sector] }

    /// The request that begins there is answered. Returns its length.
    func answered(sector: UInt64) -> Int? {
        guard let byteCount = outstanding.removeValue(forKey: sector) else { return nil }
        outstandingBlocks -= (byteCount + 4095) / 4096
        return byteCount
    }

    /// The lowest sector that is asked for and not answered.
    var lowestOutstanding: UInt64? { outstanding.keys.min() }

    var isVerify: Bool { part == .verifySource || part == .verifyTarget }
    var failedBits: UInt64 {
        get { progress.failedBits }
        set { progress.failedBits = newValue }
    }
}

extension Volume {
    /// Bits (verify: blocks) that a resync has still to do, without those that failed.
    func leftBits(_ resync: Resync) -> UInt64 {
        if resync.isVerify { return UInt64(max(0, resync.verifyBlocksLeft)) }
        let set = UInt64(disk?.bitmap.setBitCount ?? 0)
        return set - min(set, resync.failedBits)
    }
}

// Start, tick and end of a resync; what the two sides do in between is in ResyncTarget.swift and ResyncSource.swift.
// Spec: drbd-wire 10, 11; drbd-disk-and-state 19.

extension ReplicationEngine {
    /// Time between two ticks of the controller. Spec: drbd-disk-and-state 19.
    static let resyncTickInterval = Duration.milliseconds(100)

    /// Runs the handler, then becomes SyncSource or SyncTarget.
    func startResync(_ volume: Volume, asSource: Bool) {
        guard volume.resync == nil || volume.resync?.isFinishing == true else {
            log(.error, volume, "Resync already running!")
            return
        }
        let handler = asSource ? "before-resync-source" : "before-resync-target"
        let (serial, changes) = (connection.serial, volume.connectionChanges)
        runHandler(handler, volume) { engine, status in
            // A disk may be gone meanwhile, and the next attempt under way.
            guard engine.connection.serial == serial, engine.connection.isLive, volume.connectionChanges == changes
            else {
                return
            }
            guard status == 0 || (asSource && status == 3) else {
                engine.log(.info, volume, "\(handler) handler returned \(status), dropping connection.")
                engine.loseConnection(.disconnecting)
                return
            }
            engine.enterResync(volume, asSource: asSource)
        }
    }

    private func enterResync(_ volume: Volume, asSource: Bool) {
        guard let disk = volume.usableDisk else { return }
        let request =
            asSource
            ? StateRequest(conn: .syncSource, pdsk: .inconsistent)
            : StateRequest(conn: .syncTarget, disk: .inconsistent)
        let total = UInt64(disk.bitmap.setBitCount)
        let resync = Resync(asSource ? .source : .target, totalBits: total, now: now)
        volume.resync = resync
        volume.resyncCount += 1
        volume.mayTargetBeDone = false
        let result = change(volume, request, .soft)
        guard result.isSuccess else {
            if volume.resync === resync { volume.resync = nil }
            return
        }
        log(
            .info, volume,
            "Began resync as \(asSource ? "SyncSource" : "SyncTarget") (will sync \(total * 4) KB [\(total) bits set])."
        )
        guard !asSource else { return }
        // No block is overwritten before the disk says that it is Inconsistent, and which bits the source told: it
        // forgets them as blocks are acknowledged, and a power failure may take those blocks along. Deviation: kernels
        // keep the source's bits in core only.
        writeBitmap(volume, .changed) { engine, isSuccess in
            guard isSuccess, volume.resync === resync else { return }
            disk.touch()
            engine.syncMetadata(volume) { engine in
                guard volume.resync === resync else { return }
                resync.mayRequest = true
                if volume.state.conn == .syncTarget { volume.resyncTickAt = engine.now }
                engine.finishTargetIfDone(volume)
            }
        }
    }

    // MARK: Ticks

    /// The volume's share of a tick.
    func volumeTick(_ volume: Volume) {
        if let due = volume.resyncTickAt, due <= now { resyncTick(volume) }
        checkRequests(volume)
        checkDisk(volume)
    }

    private func resyncTick(_ volume: Volume) {
        volume.resyncTickAt = nil
        guard let resync = volume.resync, let disk = volume.usableDisk, connection.isLive else { return }
        guard volume.state.conn == .syncTarget || volume.state.conn == .verifyS else { return }
        volume.resyncTickAt = now + Self.resyncTickInterval
        resync.progress.advance(leftBits: volume.leftBits(resync), now: now)
        // The window is kept by the requests themselves, which go on between the ticks.
        resync.budget = resync.controller.tick(options: disk.options, buffersMax: Int.max / 4)
        if resync.part == .verifySource {
            requestVerify(volume)
        } else {
            requestResync(volume)
            writeClearedBits(volume, resync, disk)
        }
        changed()
    }

    /// Cleared bits go to the disk lazily: when an extent became clean, at most every two seconds.
    /// Spec: drbd-disk-and-state 6.
    private func writeClearedBits(_ volume: Volume, _ resync: Resync, _ disk: Disk) {
        guard disk.bitmap.hasCleanedExtent, now - resync.bitmapWrittenAt >= .seconds(2), disk.bitmapJobs.isEmpty else {
            return
        }
        disk.bitmap.hasCleanedExtent = false
        resync.bitmapWrittenAt = now
        writeBitmap(volume, .changed) { _, _ in }
    }

    /// Blocks of requests under way at the most. Spec: drbd-wire 11.4.
    var resyncWindowBlocks: Int { max(64, connection.network?.buffersMax ?? 2048) / 2 }

    // MARK: Bits

    /// A range is known to be equal on both disks.
    func setInSync(_ volume: Volume, sector: UInt64, byteCount: Int) {
        guard let disk = volume.disk else { return }
        disk.bitmap.setInSync(sector: sector, byteCount: byteCount)
    }

    // MARK: End

    /// Forgets a resync or verify: requests under way end without consequence.
    func cancelResync(_ volume: Volume) {
        if let resync = volume.resync {
            volume.counters.peerPending -= resync.outstandingCount
            volume.resync = nil
            volume.resyncCount += 1
        }
        volume.resyncTickAt = nil
        volume.resyncExtents.removeAll()
        dropWaitingPeerReads(volume, isResyncOnly: true)
        for index in peerRequests.indexes where peerRequests[index].volume === volume {
            peerRequests[index].flags.remove(.holdsExtent)
        }
        volume.shouldRetryExtents = true
        changed()
    }

    /// What a change of state means for a resync under way.
    func followResync(_ volume: Volume, from old: DeviceState, to new: DeviceState) {
        considerRepair(volume, from: old, to: new)
        if let disk = volume.disk, disk.owesInconsistent {
            if new.disk <= .inconsistent || new.conn < .connected {
                // Without the peer this is the best copy; the bit that is set will be synced from it again.
                disk.owesInconsistent = false
            } else if new.conn == .connected, new.pdsk == .upToDate {
                enqueue(.worker) { engine in
                    let state = volume.state
                    if disk.owesInconsistent, volume.disk === disk, state.conn == .connected, state.pdsk == .upToDate {
                        engine.change(volume, StateRequest(disk: .inconsistent), .hard)
                    }
                    return .done
                }
            }
        }
        guard old.conn != new.conn else { return }
        volume.connectionChanges += 1
        func isPaused(_ conn: ConnectionState) -> Bool { conn == .pausedSyncS || conn == .pausedSyncT }
        if let resync = volume.resync {
            if isPaused(new.conn) {
                resync.progress.pause(now: now)
                volume.resyncExtents.stopDraining()
                volume.shouldRetryExtents = true
            } else if isPaused(old.conn), new.conn == .syncSource || new.conn == .syncTarget {
                resync.progress.resume(leftBits: volume.leftBits(resync), now: now)
                if new.conn == .syncTarget, resync.mayRequest { volume.resyncTickAt = now }
            }
        }
        if new.conn.isVerify && !old.conn.isVerify { beginVerify(volume, new) }
        let wasSyncing = old.conn >= .syncSource && old.conn <= .pausedSyncT
        let isSyncing = new.conn >= .syncSource && new.conn <= .pausedSyncT
        if old.conn == .verifyS && new.conn < .connected { endVerifyByLoss(volume) }
        if wasSyncing && !isSyncing { cancelResync(volume) }
        if new.conn == .wfBitMapS || new.conn == .wfBitMapT {
            volume.isBitmapSent = false
            volume.bitmapReceiver = nil
        }
        if old.conn < .connected, new.conn >= .connected, let disk = volume.disk, disk.activityLog.isSuspended {
            disk.activityLog.isSuspended = false
            log(.info, volume, "Resumed AL updates")
        }
    }
}
