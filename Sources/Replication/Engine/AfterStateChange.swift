internal import DRBDLayout
internal import EngineKit

// What follows from a state change, as steps of the worker in a fixed order. Spec: drbd-disk-and-state 12, whose numbers
// stand at the steps.

extension ReplicationEngine {
    /// Puts down what this change demands. The conditions are judged now, the work is done in turn.
    func scheduleAfterChange(_ volume: Volume, from old: DeviceState, to new: DeviceState) {
        if new.role == .secondary { volume.hasLostWrites = false }
        scheduleHandlersAndResumption(volume, old, new)  // 3, 4, 5
        scheduleSyncUUID(volume, old, new)  // 6
        schedulePeerAttach(volume, old, new)  // 7
        scheduleNewGeneration(volume, old, new)  // 9, 10
        scheduleNotices(volume, old, new)  // 11 to 14
        scheduleBitmapExchange(volume, old, new)  // 8, behind the P_STATE of 14
        scheduleStartingSync(volume, old, new)  // 15
        scheduleDiskLoss(volume, old, new)  // 16
        scheduleGrowthSync(volume, new)  // 18
        scheduleSyncEnd(volume, old, new)  // 17, 20, 21
        if volume.disk?.isDirty == true {  // 22
            enqueue(.worker) { engine in engine.syncMetadata(volume, .worker) }
        }
    }

    private func scheduleHandlersAndResumption(_ volume: Volume, _ old: DeviceState, _ new: DeviceState) {
        if StateRules.lacksData(new) && !StateRules.lacksData(old) {
            enqueue(.worker) { engine in engine.runHandler("pri-on-incon-degr", volume, .worker) }
        }
        guard new.isSuspended else { return }
        let cameBack = old.conn < .connected && new.conn >= .connected
        let hasDataAgain = StateRules.lacksData(old) && !StateRules.lacksData(new)
        guard cameBack || hasDataAgain else { return }
        enqueue(.worker) { engine in
            engine.resumeAfterSuspension(cameBack: cameBack)
            return .done
        }
    }

    /// Step 6: before any P_STATE that tells of SyncSource.
    private func scheduleSyncUUID(_ volume: Volume, _ old: DeviceState, _ new: DeviceState) {
        func isSource(_ conn: ConnectionState) -> Bool { conn == .syncSource || conn == .pausedSyncS }
        guard isSource(new.conn), !isSource(old.conn) else { return }
        enqueue(.worker) { engine in
            guard let disk = volume.usableDisk, isSource(volume.state.conn) else { return .done }
            let uuid = disk.uuids.startResyncAsSource(random: disk.uuids.freshSyncUUID)
            disk.touch()
            engine.logGenerations("updated sync UUID", volume, disk)
            return engine.syncMetadata(volume, .worker) { engine in
                if isSource(volume.state.conn) { engine.sendSyncUUID(volume, uuid) }
            }
        }
    }

    private func schedulePeerAttach(_ volume: Volume, _ old: DeviceState, _ new: DeviceState) {
        // A peer that connected while it attached was seen as Attaching first, and waits for an answer likewise.
        guard old.pdsk <= .attaching, new.pdsk > old.pdsk, new.pdsk != .unknown else { return }
        let resync = volume.resync
        enqueue(.worker) { engine in
            // Handlers may have held this up, and the next resync begun.
            if volume.resync === resync { engine.cancelResync(volume) }
            engine.sendUUIDs(volume, volume.uncorrectedUUIDs)
            volume.uncorrectedUUIDs = nil
            engine.sendState(volume, new)
            return .done
        }
    }

    private func scheduleBitmapExchange(_ volume: Volume, _ old: DeviceState, _ new: DeviceState) {
        guard old.conn != .wfBitMapS, new.conn == .wfBitMapS else { return }
        enqueue(.worker) { engine in
            if volume.state.conn == .wfBitMapS { engine.startSendingBitmap(volume) }
            return .done
        }
    }

    /// Steps 9 and 10. No write may be answered between the loss of the peer's copy and the durable new generation.
    private func scheduleNewGeneration(_ volume: Volume, _ old: DeviceState, _ new: DeviceState) {
        if new.pdsk < .inconsistent && old.peer == .primary && new.peer == .secondary, volume.usableDisk != nil {
            enqueue(.worker) { engine in engine.writeChangedBitmap(volume, .worker) }
        }
        guard let disk = volume.usableDisk else { return }
        let reason = StateRules.newGeneration(
            from: old, to: new, bitmapUUID: disk.uuids.bitmap, isResyncOpen: disk.uuids.isResyncOpen,
            mayTargetBeDone: volume.mayTargetBeDone, faults: faults)
        guard reason != nil else { return }
        if old.conn < .connected, new.role != .primary, new.peer == .primary {
            // A Primary without a disk may yet refuse this data.
            volume.owesGenerationToPeer = true
            return
        }
        // The peer may come back and have missed nothing. Deviation: kernels put it off also when only the peer's disk is
        // gone, whose applications write on here.
        if new.isSuspended, new.conn < .connected {
            volume.owesNewCurrentUUID = true
            return
        }
        volume.holdCount += 1
        volume.generationsPending += 1
        enqueue(.worker) { engine in
            engine.makeNewGeneration(volume, .worker) { engine in
                volume.holdCount -= 1
                volume.generationsPending -= 1
                engine.changed()
                engine.sendUUIDs(volume)
            }
        }
    }

    /// A Primary without a disk has accepted this node's data: from its first write on this is another generation.
    ///
    /// Deviation: kernels begin it when they see the peer, who may refuse the connection and find a split brain later.
    func payGenerationToPeer(_ volume: Volume) {
        guard volume.owesGenerationToPeer else { return }
        volume.owesGenerationToPeer = false
        guard let disk = volume.usableDisk, disk.uuids.bitmap == 0, volume.state.disk == .upToDate,
            volume.state.pdsk < .inconsistent, volume.state.peer == .primary,
            !faults.contains(.forgetNewCurrentUUID)
        else { return }
        enqueue(.receiver) { engine in
            engine.makeNewGeneration(volume, .receiver) { engine in engine.sendUUIDs(volume) }
        }
    }

    private func scheduleNotices(_ volume: Volume, _ old: DeviceState, _ new: DeviceState) {
        if old.role == .primary, new.role == .secondary, new.conn <= .connected, volume.usableDisk != nil {  // 11
            enqueue(.worker) { engine in engine.writeChangedBitmap(volume, .worker) }
        }
        if new.conn >= .connected, old.disk == .attaching, new.disk == .negotiating {  // 12
            enqueue(.worker) { engine in
                engine.sendSizes(volume)
                engine.sendUUIDs(volume)
                engine.sendState(volume, new)
                return .done
            }
        }
        let isPauseChanged = old.aftrIsp != new.aftrIsp || old.userIsp != new.userIsp
        let isPauseToTell = new.conn >= .connected && isPauseChanged  // 13
        let isHandshakeOver = old.conn == .wfReportParams && new.conn >= .connected  // 14
        for isToTell in [isPauseToTell, isHandshakeOver] where isToTell {
            enqueue(.worker) { engine in
                engine.sendState(volume, new)
                return .done
            }
        }
    }

    private func scheduleSyncEnd(_ volume: Volume, _ old: DeviceState, _ new: DeviceState) {
        let becameInconsistent =
            old.disk == .upToDate && new.disk == .inconsistent && new.conn >= .connected  // 17
        let targetFinished = old.disk < .upToDate && old.conn >= .syncSource && new.conn == .connected  // 20
        if targetFinished {
            // The generation that the peer learns by this must outlive a crash.
            enqueue(.worker) { engine in engine.syncMetadata(volume, .worker) }
        }
        for isToTell in [becameInconsistent, targetFinished] where isToTell {
            enqueue(.worker) { engine in
                engine.sendState(volume, new)
                return .done
            }
        }
        let leftSync =
            old.conn > .connected && old.conn < .ahead && (new.conn == .connected || new.conn >= .ahead)  // 21
        if leftSync, volume.usableDisk != nil {
            enqueue(.worker) { engine in engine.writeChangedBitmap(volume, .worker) }
        }
    }
}
