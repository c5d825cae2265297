internal import DRBDLayout
internal import EngineKit

// Commands that change how a volume stands: invalidate, pause, suspend, new generation, options.
// Spec: drbd-disk-and-state 14.4, 14.5.

extension ReplicationEngine {
    // MARK: invalidate

    /// This disk's data is to be taken from the peer.
    func invalidate(_ volume: Volume, _ id: CommandID) {
        guard volume.disk != nil, volume.state.disk > .attaching else { return fail(id, .noDisk) }
        whenBitmapIsQuiet(volume) { engine in
            guard volume.state.conn == .standAlone, volume.state.role == .secondary else {
                engine.requestChange(volume, StateRequest(conn: .startingSyncT)) { engine, result in
                    engine.finish(id, result)
                }
                return
            }
            let result = engine.change(volume, StateRequest(disk: .inconsistent), .soft)
            guard result.isSuccess, let disk = volume.disk else { return engine.finish(id, result) }
            // What the disk holds is nobody's data any more: whoever has some is newer, also after a split brain.
            disk.uuids = GenerationUUIDs(current: GenerationUUIDs.justCreated)
            disk.touch()
            engine.rewriteBitmap(volume, { $0.setAll() }) { engine, isSuccess in
                if isSuccess { engine.finish(id, .success) } else { engine.fail(id, .metadataIOError) }
            }
        }
    }

    /// The peer's data is to be taken from this disk.
    func invalidateRemote(_ volume: Volume, _ id: CommandID) {
        guard let disk = volume.disk, volume.state.disk > .attaching else { return fail(id, .noDisk) }
        whenBitmapIsQuiet(volume) { engine in
            guard volume.state.conn == .standAlone, volume.state.role == .primary else {
                engine.requestChange(volume, StateRequest(conn: .startingSyncS)) { engine, result in
                    engine.finish(id, result)
                }
                return
            }
            let result = engine.change(volume, StateRequest(pdsk: .inconsistent), .soft)
            guard result.isSuccess else { return engine.finish(id, result) }
            engine.rewriteBitmap(volume, { $0.setAll() }) { engine, isSuccess in
                guard isSuccess else { return engine.fail(id, .metadataIOError) }
                disk.activityLog.isSuspended = true
                engine.log(.info, volume, "Suspended AL updates")
                engine.finish(id, .success)
            }
        }
    }

    private func whenBitmapIsQuiet(_ volume: Volume, _ body: @escaping (ReplicationEngine) -> Void) {
        when({ _ in volume.disk?.bitmapJobs.isEmpty ?? true }, body)
    }

    /// Entered StartingSyncS or StartingSyncT: all bits are set, then the resync starts without an exchange of bitmaps.
    /// Spec: drbd-disk-and-state 12 step 15.
    func scheduleStartingSync(_ volume: Volume, _ old: DeviceState, _ new: DeviceState) {
        guard new.conn.isStartingSync, old.conn != new.conn else { return }
        enqueue(.worker) { engine in
            let ticket = engine.ticket(.worker)
            engine.rewriteBitmap(volume, { $0.setAll() }) { engine, isSuccess in
                engine.startInvalidated(volume, isSuccess: isSuccess)
                engine.resume(ticket)
            }
            return .waits
        }
    }

    private func startInvalidated(_ volume: Volume, isSuccess: Bool) {
        guard isSuccess else {
            change(volume, StateRequest(conn: .connected), .hard)
            return
        }
        switch volume.state.conn {
        case .startingSyncT: change(volume, StateRequest(conn: .wfSyncUUID), .hard)
        case .startingSyncS: startResync(volume, asSource: true)
        default: break
        }
    }

    // MARK: pause-sync, resume-sync

    func pauseSync(_ volume: Volume, _ id: CommandID) {
        let result = change(volume, StateRequest(userIsp: true), .soft)
        if result == .nothingToDo { return fail(id, .pauseFlagSet) }
        finish(id, result)
    }

    func resumeSync(_ volume: Volume, _ id: CommandID) {
        let result = change(volume, StateRequest(userIsp: false), .soft)
        guard result == .nothingToDo else { return finish(id, result) }
        if volume.state.aftrIsp { return fail(id, .pausedByDependency) }
        if volume.state.peerIsp { return fail(id, .pausedByPeer) }
        fail(id, .pauseFlagCleared)
    }

    func resyncDependencyChanged(_ number: VolumeNumber, mustWait: Bool) {
        guard let volume = volume(number) else { return }
        change(volume, StateRequest(aftrIsp: mustWait), .hard)
    }

    // MARK: suspend-io, resume-io

    func suspendIO(_ id: CommandID) {
        changeSuspension(susp: true)
        finish(id, .success)
    }

    func resumeIO(_ id: CommandID) {
        for volume in volumes {
            if volume.disk == nil, volume.owesNewCurrentUUID {
                volume.exposedUUID = random.next()
                volume.owesNewCurrentUUID = false
            }
            enqueueOwedGeneration(volume)
        }
        enqueue(.worker) { engine in
            engine.settleKeptRequests()
            engine.changeSuspension(susp: false, noData: false, fencing: false)
            engine.finish(id, .success)
            return .done
        }
    }

    /// As ``resumeIO(_:)``, but what was held is only marked as out of sync: the next connection brings the other host's
    /// data. Whoever submitted it has given it up.
    func yieldToPeer(_ id: CommandID) {
        for volume in volumes { volume.owesNewCurrentUUID = false }
        enqueue(.worker) { engine in
            engine.settleKeptRequests()
            engine.changeSuspension(susp: false, noData: false, fencing: false)
            engine.finish(id, .success)
            return .done
        }
    }

    /// Requests of a connection that was lost while I/O was suspended, and that a new one has not taken over.
    func settleKeptRequests() {
        let isTakenOver = volumes.contains { $0.state.conn >= .connected }
        guard isSuspended, !isTakenOver else { return }
        clearTransferLog()
    }

    // MARK: new-current-uuid

    /// Spec: drbd-disk-and-state 7.3, drbd-wire 6.4.
    func newCurrentUUID(_ volume: Volume, clearBitmap: Bool, _ id: CommandID) {
        // A P_STATE from the peer's side of the handshake would say Inconsistent of a disk that is declared good by then.
        when({ _ in volume.state.conn != .connected || volume.peerConn >= .connected }) { engine in
            engine.beginGenerationByAdministrator(volume, clearBitmap: clearBitmap, id)
        }
    }

    private func beginGenerationByAdministrator(_ volume: Volume, clearBitmap: Bool, _ id: CommandID) {
        guard let disk = volume.usableDisk else { return fail(id, .noDisk) }
        let skipsInitialSync =
            clearBitmap && volume.state.conn == .connected && disk.uuids.current == GenerationUUIDs.justCreated
        if clearBitmap && !skipsInitialSync && volume.state.conn != .standAlone {
            return fail(id, .needsStandAlone)
        }
        volume.holdCount += 1
        let announced = disk.uuids.beginGenerationByAdministrator(
            random: random.next(), isPrimary: volume.state.role == .primary, clearsBitmap: clearBitmap)
        volume.exposedUUID = disk.uuids.current
        disk.touch()
        logGenerations("new current UUID", volume, disk)
        let conclude: (ReplicationEngine, Bool) -> Void = { engine, isSuccess in
            volume.holdCount -= 1
            guard isSuccess else { return engine.fail(id, .metadataIOError) }
            if skipsInitialSync {
                disk.activityLog.isSuspended = false
                engine.sendUUIDs(volume, announced, extra: .skipInitialSync)
                volume.peerUUIDs = disk.uuids
                engine.change(volume, StateRequest(disk: .upToDate, pdsk: .upToDate), .hard)
            }
            engine.syncMetadata(volume) { engine in engine.finish(id, .success) }
        }
        if clearBitmap {
            rewriteBitmap(volume, { $0.clearAll() }, conclude)
        } else {
            syncMetadata(volume) { engine in conclude(engine, true) }
        }
    }

    // MARK: disk-options

    func changeDiskOptions(_ volume: Volume, _ options: DiskOptions, _ id: CommandID) {
        guard let disk = volume.disk else { return fail(id, .noDisk) }
        if options.fencing == .resourceAndStonith, connection.network?.wireProtocol == .a {
            return fail(id, .fencingNeedsProtocolBOrC)
        }
        // The size is that of attach and of resize.
        var options = options
        options.sizeSectors = disk.options.sizeSectors
        disk.options = options
        disk.activityLog.writesTransactions = options.activityLogUpdates
        if options.activityLogUpdates == disk.flags.contains(.activityLogDisabled) {
            if options.activityLogUpdates {
                disk.flags.remove(.activityLogDisabled)
            } else {
                disk.flags.insert(.activityLogDisabled)
            }
            disk.touch()
        }
        if connection.isLive, volume.state.conn >= .wfReportParams { sendSyncParameters(volume) }
        syncMetadata(volume) { engine in engine.finish(id, .success) }
    }
}
