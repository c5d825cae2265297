internal import DRBDLayout
internal import EngineKit

// The target asks for blocks, writes them, acknowledges them. Spec: drbd-wire 11.

extension ReplicationEngine {
    /// Longer requests than this gain nothing on a disk, and their data falls out of the processor's cache between the
    /// socket and the disk. The window then holds some 16 of them, so that both disks and the link work at once.
    private static let resyncRequestByteCountMax = 256 << 10

    /// Asks for blocks as far as budget, window, locks and other I/O allow.
    func requestResync(_ volume: Volume) {
        guard let resync = volume.resync, let disk = volume.usableDisk, volume.state.conn == .syncTarget,
            resync.mayRequest, !resync.isFinishing
        else { return }
        let limits = ResyncRequestFormer.Limits(
            byteCountMax: min(
                Self.resyncRequestByteCountMax, connection.dialect.requestByteCountMax,
                max(4096, volume.peerRequestByteCountMax & ~4095)),
            discardGranularity: disk.options.resyncDiscardGranularity)
        while resync.budget > 0, resync.outstandingBlocks < resyncWindowBlocks {
            guard let bit = resync.former.candidate(in: disk.bitmap) else { return endOfBitmap(volume, resync) }
            guard !mustYield(volume, resync, disk), lockForResync(volume, disk, bit: bit) else { return }
            let request = resync.former.form(from: bit, in: disk.bitmap, limits: limits, budget: &resync.budget)
            resync.controller.blocksRequested(request.blockCount)
            resync.asked(sector: request.sector, byteCount: request.byteCount)
            volume.counters.peerPending += 1
            send(
                .resyncDataRequest, volume, BlockRequest(sector: request.sector, size: UInt32(request.byteCount)))
        }
    }

    private func mustYield(_ volume: Volume, _ resync: Resync, _ disk: Disk) -> Bool {
        resync.throttle.shouldYield(
            rateMin: disk.options.rateMin, otherSectors: volume.counters.otherSectors,
            isWriteWaitingForLog: !volume.extentWaiters.isEmpty,
            speed: resync.progress.recentSpeed(leftBits: volume.leftBits(resync), now: now))
    }

    /// Takes the extent of a bit, unless writes are in it.
    private func lockForResync(_ volume: Volume, _ disk: Disk, bit: Int) -> Bool {
        switch volume.resyncExtents.lock(ResyncExtents.extent(ofBit: bit), against: disk.activityLog) {
        case .locked:
            // Writes that started while the log was suspended hold no extents.
            let extent = UInt64(ResyncExtents.extent(ofBit: bit))
            let overlaps = volume.intervals.overlapping(.local, sector: extent << 15, byteCount: 16 << 20) != nil
            if overlaps, !faults.contains(.skipResyncLock) {
                volume.resyncExtents.unlock(ResyncExtents.extent(ofBit: bit))
                return false
            }
            return true
        case .busy:
            return false
        case .yielded:
            volume.shouldRetryExtents = true
            changed()
            return false
        }
    }

    func unlockExtent(_ volume: Volume, sector: UInt64) {
        let extent = ResyncExtents.extent(ofSector: sector)
        // A disk error or the end of the resync may have let go of all of them.
        guard volume.resyncExtents.isHeld(extent) else { return }
        if volume.resyncExtents.unlock(extent) {
            volume.shouldRetryExtents = true
            changed()
        }
    }

    /// Everything was asked for. What became out of sync behind the position in the meantime gets another pass.
    private func endOfBitmap(_ volume: Volume, _ resync: Resync) {
        guard resync.outstandingCount == 0, volume.leftBits(resync) > 0, resync.passes < 3, !isWritingResync(volume)
        else { return }
        resync.passes += 1
        resync.former.position = 0
    }

    /// Replies are on their way to the disk.
    private func isWritingResync(_ volume: Volume) -> Bool {
        volume.intervals.overlapping(.resync, sector: 0, byteCount: Int.max / 2) != nil
    }

    // MARK: Replies

    func receiveResyncReply(_ header: DataHeader, _ volume: Volume, _ data: IOSlice) -> PacketVerdict {
        takeReply(volume, sector: header.sector, byteCount: data.count, kind: .resyncWrite, data)
    }

    func receiveDeallocated(_ notice: ResyncDeallocated, _ volume: Volume) -> PacketVerdict {
        takeReply(volume, sector: notice.sector, byteCount: Int(notice.size), kind: .resyncZeroes, nil)
    }

    private func takeReply(
        _ volume: Volume, sector: UInt64, byteCount: Int, kind: PeerRequest.Kind, _ data: IOSlice?
    ) -> PacketVerdict {
        guard let resync = volume.resync, resync.part == .target, let asked = resync.askedByteCount(sector: sector)
        else {
            return receiveStrayReply(volume, sector: sector, byteCount: byteCount)
        }
        guard asked == byteCount else {
            return .violation("\(byteCount) bytes at sector \(sector), expected \(asked)")
        }
        // Writes of the peer at this place came before and go first. Spec: drbd-wire 11.3.
        if volume.intervals.overlaps(sector: sector, byteCount: byteCount) { return .retry }
        _ = resync.answered(sector: sector)
        volume.counters.peerPending -= 1
        volume.counters.receivedSectors += UInt64(byteCount / 512)
        resync.controller.sectorsArrived(byteCount / 512)
        guard let disk = volume.usableDisk else {
            unlockExtent(volume, sector: sector)
            refuseReply(volume, sector: sector, byteCount: byteCount)
            return .done
        }
        let index = addPeerRequest(
            PeerRequest(
                kind: kind, volume: volume, connectionSerial: connection.serial, sector: sector,
                byteCount: byteCount, blockID: WireConstants.resyncBlockID, dataFlags: [], data: data,
                flags: [.holdsExtent, .underWay, .submitted]))
        volume.counters.unacknowledged += 1
        volume.intervals.insert(.resync, index: index, sector: sector, byteCount: byteCount)
        volume.counters.writtenSectors += UInt64(byteCount / 512)
        let operation: DiskOperation.Kind =
            kind == .resyncWrite ? .write(flushBefore: false, forceUnitAccess: false) : discardKind(disk)
        submitData(
            .peerRequest, cookie: peerRequests.cookie(of: index), volume, disk, operation, sector: sector,
            byteCount: byteCount, data: data)
        requestResync(volume)
        return .done
    }

    /// A reply for a resync that is over here, or for none.
    private func receiveStrayReply(_ volume: Volume, sector: UInt64, byteCount: Int) -> PacketVerdict {
        if let text = rangeDefect(volume, sector, byteCount, limit: 128 << 20) { return .violation(text) }
        guard volume.resync == nil else {
            return .violation("\(byteCount) bytes at sector \(sector): not asked for")
        }
        refuseReply(volume, sector: sector, byteCount: byteCount)
        return .done
    }

    private func refuseReply(_ volume: Volume, sector: UInt64, byteCount: Int) {
        sendAck(
            .negativeAck, volume, sector: sector, blockID: WireConstants.resyncBlockID, byteCount: byteCount)
    }

    func finishResyncWrite(_ index: Int, errno: Int32) {
        let request = peerRequests[index]
        let volume = request.volume
        dropPeerRequest(index)
        // Before an error below ends the resync and lets go of all extents.
        if request.flags.contains(.holdsExtent) { unlockExtent(volume, sector: request.sector) }
        volume.counters.unacknowledged -= 1
        volume.intervals.remove(.resync, index: index)
        let isCurrent = request.connectionSerial == connection.serial && connection.isLive
        if errno == 0 {
            if isCurrent {
                setInSync(volume, sector: request.sector, byteCount: request.byteCount)
                sendAck(
                    .resyncWriteAck, volume, sector: request.sector, blockID: WireConstants.resyncBlockID,
                    byteCount: request.byteCount)
            }
        } else {
            dataFailed(volume, .write, sector: request.sector, byteCount: request.byteCount)
            if isCurrent {
                noteFailed(volume, byteCount: request.byteCount)
                refuseReply(volume, sector: request.sector, byteCount: request.byteCount)
            }
        }
        intervalEnded(volume)
        requestResync(volume)
        finishTargetIfDone(volume)
    }

    private func noteFailed(_ volume: Volume, byteCount: Int) {
        volume.resync?.failedBits += UInt64((byteCount + 4095) / 4096)
    }

    /// P_NEG_RS_DREPLY or P_RS_CANCEL: the block does not come.
    func receiveResyncRefusal(_ ack: BlockAck, _ volume: Volume, isCancelled: Bool) -> PacketVerdict {
        guard let resync = volume.resync, let byteCount = resync.answered(sector: ack.sector) else {
            // Of a resync that is over.
            return .done
        }
        resync.controller.requestRefused((byteCount + 4095) / 4096)
        volume.counters.peerPending -= 1
        unlockExtent(volume, sector: ack.sector)
        if resync.isVerify {
            verifyBlockDone(volume, resync, byteCount: byteCount)
        } else if !isCancelled {
            log(.error, volume, "Got NegRSDReply. sector \(ack.sector)s, len \(byteCount).")
            noteFailed(volume, byteCount: byteCount)
        }
        finishTargetIfDone(volume)
        return .done
    }

    /// P_RS_IS_IN_SYNC answers requests with checksums, which are never sent; a peer may still say it.
    func receiveIsInSync(_ ack: BlockAck, _ volume: Volume) -> PacketVerdict {
        guard let resync = volume.resync, let byteCount = resync.answered(sector: ack.sector) else {
            return .done
        }
        volume.counters.peerPending -= 1
        resync.controller.sectorsArrived(byteCount / 512)
        setInSync(volume, sector: ack.sector, byteCount: byteCount)
        unlockExtent(volume, sector: ack.sector)
        finishTargetIfDone(volume)
        return .done
    }

    // MARK: End

    /// Ends the resync when nothing is left but what failed. Spec: drbd-wire 11.5.
    func finishTargetIfDone(_ volume: Volume) {
        guard let resync = volume.resync, resync.part == .target, resync.mayRequest, !resync.isFinishing else { return }
        guard volume.state.conn == .syncTarget || volume.state.conn == .pausedSyncT else { return }
        guard resync.outstandingCount == 0, volume.leftBits(resync) == 0, !isWritingResync(volume) else { return }
        resync.isFinishing = true
        volume.resyncTickAt = nil
        ping { engine in
            guard volume.resync === resync, let disk = volume.usableDisk else { return }
            // All that was written and cleared is durable before the disk counts as UpToDate.
            engine.writeBitmap(volume, .changed) { engine, isSuccess in
                guard isSuccess, volume.resync === resync, volume.disk === disk else { return }
                engine.endResyncAsTarget(volume, resync, disk)
            }
        }
    }

    private func endResyncAsTarget(_ volume: Volume, _ resync: Resync, _ disk: Disk) {
        let hasFailures = resync.failedBits > 0
        logEnd(volume, resync)
        // A peer that does not end the resync says so by its next P_STATE.
        volume.peerConn = .connected
        if !hasFailures, let peer = volume.peerUUIDs {
            disk.uuids.finishResyncAsTarget(peer: peer, isPrimary: volume.state.role == .primary)
            volume.peerUUIDs = disk.uuids
            volume.exposedUUID = disk.uuids.current
            disk.touch()
            logGenerations("updated UUIDs", volume, disk)
        }
        change(
            volume, StateRequest(conn: .connected, disk: hasFailures ? .inconsistent : .upToDate, pdsk: .upToDate),
            .hard)
        runHandler("after-resync-target", volume) { _, _ in }
    }

    func logEnd(_ volume: Volume, _ resync: Resync) {
        log(.info, volume, resync.progress.doneText(isVerify: resync.isVerify, now: now))
        if resync.failedBits > 0 { log(.error, volume, "            \(resync.failedBits) failed blocks") }
    }
}
