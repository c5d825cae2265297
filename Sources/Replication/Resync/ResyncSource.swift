internal import DRBDLayout
internal import EngineKit

// The source reads what the target asks for. Spec: drbd-wire 11.

extension ReplicationEngine {
    /// P_RS_DATA_REQUEST, P_RS_THIN_REQ, P_CSUM_RS_REQUEST: always answered with data.
    func receiveResyncRequest(_ request: BlockRequest, _ volume: Volume) -> PacketVerdict {
        if let text = rangeDefect(
            volume, request.sector, Int(request.size), limit: connection.dialect.requestByteCountMax)
        {
            return .violation(text)
        }
        if volume.state.conn == .ahead {
            sendAck(
                .resyncCancel, volume, sector: request.sector, blockID: request.blockID, byteCount: Int(request.size))
            return .done
        }
        guard volume.usableDisk != nil, volume.state.disk == .upToDate else {
            log(.error, volume, "Can not satisfy peer's resync request, no UpToDate data.")
            refuseResyncRead(volume, sector: request.sector, byteCount: Int(request.size))
            return .done
        }
        let index = insertPeerRead(.resyncRead, request, volume)
        peerRequests[index].resyncCount = volume.resyncCount
        if volume.yieldingReads.isEmpty, !mustYield(index) {
            beginPeerRead(index)
        } else {
            volume.yieldingReads.append(index)
            armYieldTimer(volume)
        }
        return .done
    }

    // MARK: c-min-rate, drbd-disk-and-state 19.3

    /// How long a request steps back.
    private static let yieldTime = Duration.milliseconds(100)

    /// Whether the source gives way to its applications. Not where the peer is Primary, which does so as the target.
    private func mustYield(_ index: Int) -> Bool {
        let volume = peerRequests[index].volume
        guard let resync = volume.resync, resync.part == .source, let disk = volume.usableDisk,
            volume.state.peer != .primary,
            !volume.resyncExtents.isWanted(ResyncExtents.extent(ofSector: peerRequests[index].sector))
        else { return false }
        let left = volume.leftBits(resync)
        resync.progress.advance(leftBits: left, now: now)
        return resync.throttle.shouldYield(
            rateMin: disk.options.rateMin, otherSectors: volume.counters.otherSectors,
            isWriteWaitingForLog: !volume.extentWaiters.isEmpty,
            speed: resync.progress.recentSpeed(leftBits: left, now: now))
    }

    private func armYieldTimer(_ volume: Volume) {
        guard !volume.isYieldTimerArmed else { return }
        volume.isYieldTimerArmed = true
        after(Self.yieldTime) { engine in
            volume.isYieldTimerArmed = false
            engine.releaseYieldingReads(volume)
            engine.changed()
        }
    }

    /// One has waited long enough; those behind it go on up to the next that must wait itself.
    private func releaseYieldingReads(_ volume: Volume) {
        guard let waited = volume.yieldingReads.popFirst() else { return }
        beginPeerRead(waited)
        while let next = volume.yieldingReads.first, !mustYield(next) {
            _ = volume.yieldingReads.popFirst()
            beginPeerRead(next)
        }
        if !volume.yieldingReads.isEmpty { armYieldTimer(volume) }
    }

    private func refuseResyncRead(_ volume: Volume, sector: UInt64, byteCount: Int) {
        sendAck(
            .negativeResyncDataReply, volume, sector: sector, blockID: WireConstants.resyncBlockID,
            byteCount: byteCount)
    }

    /// Reads when no write of an application is in the extent: between the read and its reply no newer write of the
    /// block may go out.
    func lockThenRead(_ index: Int) {
        guard !tryLockAndRead(index) else { return }
        peerRequests[index].volume.lockWaiters.append(index)
        hasWaitingRequests = true
    }

    /// False: it must wait.
    private func tryLockAndRead(_ index: Int) -> Bool {
        let volume = peerRequests[index].volume
        let sector = peerRequests[index].sector
        guard let disk = volume.usableDisk else {
            peerRequestWithoutDisk(index)
            return true
        }
        switch volume.resyncExtents.lock(ResyncExtents.extent(ofSector: sector), against: disk.activityLog) {
        case .locked:
            let overlaps =
                volume.intervals.overlapping(.local, sector: sector, byteCount: peerRequests[index].byteCount) != nil
            if overlaps, !faults.contains(.skipResyncLock) {
                // Nothing changed by this: whoever waits is asked again when the write is done.
                volume.resyncExtents.unlock(ResyncExtents.extent(ofSector: sector))
                return false
            }
            peerRequests[index].flags.insert(.holdsExtent)
            submitPeerRead(index, disk)
            return true
        case .busy:
            return false
        case .yielded:
            volume.shouldRetryExtents = true
            return false
        }
    }

    private func peerRequestWithoutDisk(_ index: Int) {
        let request = peerRequests[index]
        dropPeerRequest(index)
        request.volume.counters.unacknowledged -= 1
        guard request.connectionSerial == connection.serial else { return }
        refuseResyncRead(request.volume, sector: request.sector, byteCount: request.byteCount)
    }

    /// Extents may have become free. In order of arrival; one that still waits does not hold up the others.
    func retryLockWaiters(_ volume: Volume) {
        guard !volume.lockWaiters.isEmpty else { return }
        for _ in 0..<volume.lockWaiters.count {
            guard let index = volume.lockWaiters.popFirst() else { return }
            if !tryLockAndRead(index) { volume.lockWaiters.append(index) }
        }
    }

    func finishResyncRead(_ index: Int, errno: Int32) {
        let request = peerRequests[index]
        let volume = request.volume
        dropPeerRequest(index)
        // Before an error below ends the resync and lets go of all extents. Writes that wait for this one are tried
        // when the input is done: the reply stands on the data socket by then, and they come behind it.
        if request.flags.contains(.holdsExtent) { unlockExtent(volume, sector: request.sector) }
        volume.counters.unacknowledged -= 1
        // A target whose disk left in between has forgotten what it asked for, and nothing has kept the block from being
        // written here since. Deviation: kernels send it, and kernels write it.
        let isCurrent =
            request.connectionSerial == connection.serial && connection.isLive
            && request.resyncCount == volume.resyncCount
        if errno == 0, isCurrent, let data = request.data {
            sendReply(
                .resyncDataReply, volume,
                DataHeader(sector: request.sector, blockID: WireConstants.resyncBlockID), data)
        } else if isCurrent {
            dataFailed(volume, .read, sector: request.sector, byteCount: request.byteCount)
            refuseResyncRead(volume, sector: request.sector, byteCount: request.byteCount)
            volume.resync?.failedBits += UInt64((request.byteCount + 4095) / 4096)
        }
    }

    /// P_RS_WRITE_ACK or P_NEG_ACK for a block of the resync.
    func receiveResyncAck(_ ack: BlockAck, _ volume: Volume, isGood: Bool) -> PacketVerdict {
        if let text = rangeDefect(volume, ack.sector, Int(ack.size), limit: 128 << 20) { return .violation(text) }
        if isGood {
            // A write that failed here may lie over what the target acknowledges.
            if volume.disk?.owesInconsistent != true {
                setInSync(volume, sector: ack.sector, byteCount: Int(ack.size))
            }
        } else {
            volume.resync?.failedBits += UInt64((ack.size + 4095) / 4096)
        }
        return .done
    }

    // MARK: End

    /// The target says that it is done.
    func finishResyncIfClean(_ volume: Volume) {
        guard let resync = volume.resync, resync.part == .source, !resync.isFinishing else { return }
        // Bits that this disk's own write errors left are no reason for the target to wait.
        guard volume.leftBits(resync) == 0 || volume.disk?.owesInconsistent == true else { return }
        endResyncAsSource(volume, withFailures: resync.failedBits > 0)
    }

    /// Whether nothing is left to sync but blocks that failed.
    func hasOnlyFailedBits(_ volume: Volume) -> Bool {
        guard let resync = volume.resync, resync.part == .source, !resync.isFinishing else { return false }
        return volume.leftBits(resync) == 0 && resync.failedBits > 0
    }

    func endResyncAsSource(_ volume: Volume, withFailures: Bool) {
        guard let resync = volume.resync, !resync.isFinishing else { return }
        resync.isFinishing = true
        ping { engine in
            guard volume.resync === resync, let disk = volume.usableDisk else { return }
            engine.logEnd(volume, resync)
            if !withFailures {
                disk.uuids.finishResyncAsSource()
                volume.peerUUIDs = disk.uuids
                disk.touch()
                engine.logGenerations("updated UUIDs", volume, disk)
            }
            engine.change(
                volume, StateRequest(conn: .connected, pdsk: withFailures ? .inconsistent : .upToDate), .hard)
            engine.unfenceIfEqual()
        }
    }

    /// Both sides have all data again: the fence may be taken down. Spec: drbd-disk-and-state 16.
    private func unfenceIfEqual() {
        let isFencing = volumes.contains { ($0.disk?.options.fencing ?? .dontCare) != .dontCare }
        guard isFencing, volumes.allSatisfy({ $0.state.disk == .upToDate && $0.state.pdsk == .upToDate }) else {
            return
        }
        runHandler("unfence-peer", nil) { _, _ in }
    }
}
