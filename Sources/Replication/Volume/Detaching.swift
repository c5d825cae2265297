internal import DRBDLayout
internal import EngineKit

// Detach and what follows when a disk failed. Spec: drbd-disk-and-state 8.2, 15.2.
//
//     detach or error -> Failed -> the peer is told, operations under way end -> bitmap, superblock -> Diskless

extension ReplicationEngine {
    func detach(_ volume: Volume, force: Bool, _ body: @escaping (ReplicationEngine, StateChangeResult) -> Void) {
        if force {
            forceDetach(volume)
            when({ _ in volume.disk == nil && volume.state.disk == .diskless }) { engine in body(engine, .success) }
            return
        }
        guard volume.state.disk != .diskless else { return body(self, .nothingToDo) }
        requestChange(volume, StateRequest(disk: .failed)) { engine, result in
            guard result.isSuccess else { return body(engine, result) }
            engine.when({ _ in volume.disk == nil && volume.state.disk == .diskless }) { engine in
                body(engine, .success)
            }
        }
    }

    /// Nothing is awaited from the disk any more: what waits for it fails.
    func forceDetach(_ volume: Volume) {
        abandonAttach(volume)
        guard let disk = volume.disk, !disk.isAbandoned else {
            if volume.state.disk == .attaching { change(volume, StateRequest(disk: .failed), .hard) }
            return
        }
        disk.isAbandoned = true
        change(volume, StateRequest(disk: .failed), .hard)
        abortDiskRequests(volume)
        for job in disk.bitmapJobs {
            job.isSuccess = false
            job.finish(self)
        }
        disk.bitmapJobs.removeAll()
        releaseDurabilityWaits(disk, all: true)
        releaseActivityLogWaiters(volume)
        epochFlushEnded(disk, isGood: false)
        changed()
    }

    /// Fails what the disk works on. The late completions find nothing.
    private func abortDiskRequests(_ volume: Volume) {
        // By cookie: the end of one may be the end of others.
        for cookie in requests.indexes.map({ requests.cookie(of: $0) }) {
            guard let index = requests.index(of: cookie), requests[index].volume === volume,
                requests[index].flags.contains(.localPending)
            else { continue }
            // Payload that a stuck disk may still write to or read from stays with the operation, not with us.
            localCompleted(index, errno: Errno.io)
        }
        // Those that were not submitted stand in a queue, and end there.
        for cookie in peerRequests.indexes.map({ peerRequests.cookie(of: $0) }) {
            guard let index = peerRequests.index(of: cookie), peerRequests[index].volume === volume,
                peerRequests[index].flags.contains(.submitted)
            else { continue }
            peerRequestCompleted(index, errno: Errno.io)
        }
        failFlushes(ofDiskOf: volume)
    }

    /// Entered Failed or Diskless. Spec: drbd-disk-and-state 12 step 16, 15.2.
    func scheduleDiskLoss(_ volume: Volume, _ old: DeviceState, _ new: DeviceState) {
        if new.disk == .failed && old.disk != .failed {
            // No write goes to the peer's copy alone before the peer knows that it is: it has to mark what it gets.
            volume.holdCount += 1
            let resync = volume.resync
            enqueue(.worker) { engine in
                if new.conn >= .connected { engine.sendState(volume, new) }
                volume.holdCount -= 1
                if volume.resync === resync { engine.cancelResync(volume) }
                engine.releaseActivityLogWaiters(volume)
                engine.letGoOfDisk(volume)
                return .done
            }
        }
        if new.disk == .diskless && old.disk != .diskless {
            enqueue(.worker) { engine in
                if new.conn >= .connected { engine.sendState(volume, new) }
                engine.dropDisk(volume)
                return .done
            }
        }
    }

    /// When nothing is under way on the disk: bitmap, superblock, Diskless.
    private func letGoOfDisk(_ volume: Volume) {
        guard let disk = volume.disk, !disk.isAbandoned else {
            change(volume, StateRequest(disk: .diskless), .hard)
            return
        }
        whenIdle(volume, disk) { engine in
            guard disk.options.diskFlushes, disk.hasUnflushedData else { return engine.writeLastMetadata(volume, disk) }
            // An epoch that the peer has yet to end is acknowledged without this disk.
            engine.flushData(volume, disk) { _, errno in
                if errno != 0 { disk.isDistrusted = true }
            }
            engine.whenIdle(volume, disk) { engine in engine.writeLastMetadata(volume, disk) }
        }
    }

    /// Calls `body` when nothing is under way on the disk. One that is given up meanwhile is let go at once.
    private func whenIdle(_ volume: Volume, _ disk: Disk, _ body: @escaping (ReplicationEngine) -> Void) {
        when({ _ in disk.operationsPending == 0 || disk.isAbandoned }) { engine in
            guard !disk.isAbandoned else {
                engine.change(volume, StateRequest(disk: .diskless), .hard)
                return
            }
            body(engine)
        }
    }

    private func writeLastMetadata(_ volume: Volume, _ disk: Disk) {
        writeBitmap(volume, .changed) { engine, isSuccess in
            let isUnwritten = disk.hadIOError && disk.bitmap.nextChangedBlock(from: 0) != nil
            if !isSuccess || isUnwritten || disk.isDistrusted {
                disk.flags.insert(.fullSync)
                disk.touch()
            }
            engine.syncMetadata(volume) { engine in
                engine.whenIdle(volume, disk) { engine in
                    engine.change(volume, StateRequest(disk: .diskless), .hard)
                }
            }
        }
    }

    private func dropDisk(_ volume: Volume) {
        if let disk = volume.disk {
            releaseDurabilityWaits(disk, all: true)
            // Extents of a log that is gone are nobody's.
            for index in requests.indexes where requests[index].volume === volume {
                requests[index].flags.remove([.inActivityLog, .passedLog])
            }
            for index in peerRequests.indexes where peerRequests[index].volume === volume {
                peerRequests[index].flags.remove(.inActivityLog)
            }
        }
        volume.disk = nil
        volume.owesGrowthSync = false
        // From now on the data that applications see is the peer's.
        if volume.state.conn >= .connected, volume.state.pdsk == .upToDate, let peer = volume.peerUUIDs {
            volume.exposedUUID = peer.current
        }
        volume.resyncExtents = ResyncExtents(faults: faults)
        if volume.state.conn < .connected {
            volume.sizeSectors = volume.state.role == .primary ? volume.sizeSectors : 0
        }
        actions.append(.releaseBackingDevices(volume.number))
        changed()
    }
}
