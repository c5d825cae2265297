internal import DRBDLayout
internal import EngineKit

// Writes of applications, from the activity log to their release. Spec: drbd-wire 12 to 14.
//
// Cost of a 4 KiB write to a hot extent, protocol C: one disk operation, one packet of 40 bytes and a reference to the
// payload, two rows of tables, no allocation; the answer costs one acknowledgement and, later, its share of a barrier.

extension ReplicationEngine {
    /// Whether writes go to the peer. Spec: drbd-wire 12.4.
    func isMirrored(_ volume: Volume) -> Bool {
        guard connection.isLive else { return false }
        let state = volume.state
        return state.pdsk == .upToDate
            || (state.pdsk >= .inconsistent && state.pdsk != .unknown && state.conn >= .wfBitMapT
                && state.conn <= .pausedSyncT)
    }

    /// The extents of a write are in the log: it starts unless another write is under way at its place.
    func startWrite(_ index: Int) {
        let volume = requests[index].volume
        if isHeld(volume) {
            volume.heldStarts.append(index)
            hasWaitingRequests = true
            return
        }
        guard !isTooLongForPeer(index) else { return cutAgain(index) }
        if volume.usableDisk != nil, !requests[index].flags.contains(.passedLog) {
            // It waited while a disk was attached, whose log knows nothing of it.
            beginInActivityLog(
                .request, index, volume, sector: requests[index].sector, byteCount: requests[index].byteCount)
            return
        }
        if volume.intervals.overlaps(sector: requests[index].sector, byteCount: requests[index].byteCount) {
            volume.overlapWaiters.append(index)
            return
        }
        volume.intervals.insert(
            .local, index: index, sector: requests[index].sector, byteCount: requests[index].byteCount)
        requests[index].flags.insert(.underWay)
        dispatchWrite(index)
    }

    /// Gives a write to the local disk and to the peer, as far as they take it.
    private func dispatchWrite(_ index: Int) {
        let volume = requests[index].volume
        let disk = volume.usableDisk
        let isMirrored = isMirrored(volume)
        // What only an Inconsistent copy gets would be overwritten one day. Spec: drbd-wire 12.4.
        guard volume.state.disk == .upToDate || (isMirrored && volume.state.pdsk == .upToDate) else {
            log(
                .error, volume,
                "IO ERROR: neither local nor remote data, sector \(requests[index].sector)+"
                    + "\(requests[index].byteCount / 512)")
            finishIfDone(index)
            return
        }
        if let disk, !isMirrored { markUnmirrored(index, volume, disk) }
        if isMirrored { sendWrite(index, volume) }
        if let disk { submitWrite(index, volume, disk) }
    }

    /// The peer does not get this write: its blocks are out of sync from now on, not only when it is done, so that no
    /// bitmap that leaves in between lacks them.
    private func markUnmirrored(_ index: Int, _ volume: Volume, _ disk: Disk) {
        let (sector, byteCount) = (requests[index].sector, requests[index].byteCount)
        let count = disk.bitmap.setOutOfSync(sector: sector, byteCount: byteCount)
        let isToTell = volume.state.conn == .ahead || (volume.state.conn == .wfBitMapS && volume.isBitmapSent)
        if count > 0 && isToTell { sendOutOfSync(volume, sector: sector, byteCount: byteCount) }
    }

    private func submitWrite(_ index: Int, _ volume: Volume, _ disk: Disk) {
        requests[index].flags.insert(.localPending)
        requests[index].submittedAt = now
        let request = requests[index]
        volume.counters.writtenSectors += UInt64(request.byteCount / 512)
        volume.counters.otherSectors += UInt64(request.byteCount / 512)
        armDiskCheck(volume, disk)
        submitData(
            .request, cookie: requests.cookie(of: index), volume, disk, diskKind(of: request, disk),
            sector: request.sector, byteCount: request.byteCount, data: request.data)
    }

    private func diskKind(of request: LocalRequest, _ disk: Disk) -> DiskOperation.Kind {
        switch request.kind {
        case .read: .read
        case .write: .write(flushBefore: false, forceUnitAccess: request.flags.contains(.forceUnitAccess))
        case .discard: discardKind(disk)
        case .writeZeroes: .writeZeroes(mayUnmap: request.flags.contains(.mayUnmap))
        }
    }

    /// Both replicas must read the same after a discard: where the disk does not promise zeroes, they are written.
    /// Spec: drbd-wire 16.
    func discardKind(_ disk: Disk) -> DiskOperation.Kind {
        let readsZeroes = disk.device.discardZeroes && disk.options.discardZeroesIfAligned
        return disk.device.canDiscard && readsZeroes ? .discard : .writeZeroes(mayUnmap: true)
    }

    // MARK: Towards the peer

    /// Puts a write on the data socket and into the log of the current epoch.
    func sendWrite(_ index: Int, _ volume: Volume) {
        sendDueBarrier()
        volume.packetSequence &+= 1
        joinTransferLog(index)
        var flags: DataFlags = [.readWriteSync]
        if volume.state.conn >= .syncSource && volume.state.conn <= .pausedSyncT { flags.insert(.maySetInSync) }
        if requests[index].flags.contains(.forceUnitAccess) { flags.insert(.forceUnitAccess) }
        switch connection.wireProtocol {
        case .a: break
        case .b: flags.insert(.sendReceiveAck)
        case .c: flags.insert(.sendWriteAck)
        }
        if flags.contains(.maySetInSync) { flags.insert(.sendWriteAck) }
        requests[index].sentAt = now
        requests[index].flags.remove([.peerOK, .peerFailed])
        requests[index].flags.formUnion([.peerPending, .wasSent])
        let position = sendDataPacket(index, volume, flags)
        if connection.wireProtocol == .a {
            requests[index].flags.insert(.untilTransmitted)
            log.untransmitted.append((cookie: requests.cookie(of: index), position: position))
        }
        volume.counters.peerPending += 1
        volume.counters.sentSectors += UInt64(requests[index].byteCount / 512)
        armRequestCheck(volume)
        if connection.wireProtocol == .a { considerCongestion(volume) }
    }

    /// - Returns: where the packet ends in the stream of the socket.
    private func sendDataPacket(_ index: Int, _ volume: Volume, _ flags: DataFlags) -> UInt64 {
        let request = requests[index]
        var flags = flags
        var header = DataHeader(
            sector: request.sector, blockID: requests.cookie(of: index), sequence: volume.packetSequence)
        switch request.kind {
        case .read:
            preconditionFailure("a read is no write")
        case .write:
            guard let data = request.data else { preconditionFailure("write \(index) has lost its data") }
            header.flags = flags
            return sendBulk(.data, volume, header, data)
        case .writeZeroes where !connection.dialect.features.contains(.writeZeroes):
            // Nothing on the wire says it: plain zeroes do. Spec: drbd-wire 16.
            header.flags = flags
            return sendZeroData(volume, header, byteCount: request.byteCount)
        case .discard, .writeZeroes:
            let isDiscard = request.kind == .discard
            if isDiscard || request.flags.contains(.mayUnmap) { flags.insert(.discard) }
            if !isDiscard { flags.insert(.zeroes) }
            header.flags = flags
            send(
                isDiscard ? .trim : .zeroes, volume,
                TrimRequest(header: header, size: UInt32(request.byteCount)))
            return connection.dataPosition
        }
    }

    /// Longer requests were cut, see ``cutAgain(_:)``.
    private func sendZeroData(_ volume: Volume, _ header: DataHeader, byteCount: Int) -> UInt64 {
        let data = IOSlice(buffer: buffers.take(byteCount: byteCount), offset: 0, count: byteCount)
        data.bytes.initializeMemory(as: UInt8.self, repeating: 0)
        return sendBulk(.data, volume, header, data)
    }

    // MARK: Completions

    /// The disk is done with a part of an application's request.
    func localCompleted(_ index: Int, errno: Int32) {
        let volume = requests[index].volume
        dataOperationEnded(volume, isWrite: requests[index].kind != .read)
        requests[index].flags.remove(.localPending)
        requests[index].flags.insert(errno == 0 ? .localOK : .localFailed)
        if requests[index].kind == .read {
            localReadCompleted(index, errno: errno)
            return
        }
        if errno != 0 {
            dataFailed(volume, .write, sector: requests[index].sector, byteCount: requests[index].byteCount)
        }
        finishIfDone(index)
    }

    /// The peer answered a write (or the socket took it, protocol A).
    func peerAnswered(_ index: Int, isOK: Bool) {
        let volume = requests[index].volume
        guard requests[index].flags.contains(.peerPending) else { return }
        requests[index].flags.remove([.peerPending, .untilTransmitted])
        requests[index].flags.insert(isOK ? .peerOK : .peerFailed)
        volume.counters.peerPending -= 1
        if requests[index].flags.contains(.inTransferLog) { countAnswer(ofEpoch: requests[index].epoch) }
        finishIfDone(index)
    }

    /// Answers the application and lets go of the request, as far as it is time.
    func finishIfDone(_ index: Int) {
        let flags = requests[index].flags
        if !flags.contains(.answered) {
            guard flags.isDisjoint(with: [.localPending, .peerPending]) else { return }
            if flags.contains(.postponed) {
                // Out of the way of the peer's write that it has to come after. Spec: drbd-wire 14.2.
                leaveIntervals(index, requests[index].volume)
                return
            }
            guard !isHeldBack(index) else { return }
            answerWrite(index)
        }
        release(index)
    }

    private func leaveIntervals(_ index: Int, _ volume: Volume) {
        guard requests[index].flags.contains(.underWay) else { return }
        requests[index].flags.remove(.underWay)
        volume.intervals.remove(.local, index: index)
        intervalEnded(volume)
    }

    private func answerWrite(_ index: Int) {
        let volume = requests[index].volume
        requests[index].flags.insert(.answered)
        let isGood = isStored(index, volume)
        // What the peer may depend on is in another epoch from now on.
        if requests[index].flags.contains(.wasSent), requests[index].epoch == log.currentNumber { closeEpoch() }
        leaveIntervals(index, volume)
        answerPart(ofMaster: requests[index].master, errno: isGood ? 0 : Errno.io)
    }

    /// Whether the write is in a copy that counts: an UpToDate one, or the only one there is. What only the target of a
    /// resync has will be overwritten by the source's data.
    private func isStored(_ index: Int, _ volume: Volume) -> Bool {
        let flags = requests[index].flags
        if flags.contains(.localOK), volume.state.disk == .upToDate { return true }
        return flags.contains(.peerOK) && volume.state.pdsk == .upToDate
    }

    // MARK: Without any good copy

    /// Whether a write that no good copy took waits for one instead of being answered. Spec: drbd-wire 21.3,
    /// drbd-disk-and-state 12 step 4.
    private func isHeldBack(_ index: Int) -> Bool {
        let volume = requests[index].volume
        guard options.onNoDataAccessible == .suspendIO, !isStored(index, volume) else { return false }
        guard !volume.state.suspNod else {
            leaveIntervals(index, volume)
            if requests[index].flags.contains(.inTransferLog) {
                requests[index].flags.insert(.isToRepeat)
                // With its epoch it leaves the log.
                if requests[index].epoch == log.currentNumber { closeEpoch() }
            } else {
                repeatWhenResumed(index)
            }
            return true
        }
        return awaitState(ofPeerFor: index)
    }

    /// The refusal comes on the meta socket and may be here before the P_STATE that says why. True: it is awaited.
    private func awaitState(ofPeerFor index: Int) -> Bool {
        let request = requests[index]
        guard request.flags.contains(.peerFailed), connection.isLive, request.volume.state.pdsk == .upToDate,
            !request.flags.contains(.hasAwaitedState)
        else { return false }
        guard !request.flags.contains(.awaitsState) else { return true }
        requests[index].flags.insert(.awaitsState)
        let cookie = requests.cookie(of: index)
        after(connection.pingTimeout) { engine in
            guard let index = engine.requests.index(of: cookie),
                engine.requests[index].flags.contains(.awaitsState)
            else { return }
            engine.requests[index].flags.remove(.awaitsState)
            engine.requests[index].flags.insert(.hasAwaitedState)
            engine.finishIfDone(index)
            engine.changed()
        }
        return true
    }

    /// Puts a write back to where it waits for I/O to go on.
    func repeatWhenResumed(_ index: Int) {
        requests[index].flags.remove([
            .localOK, .localFailed, .peerOK, .peerFailed, .isToRepeat, .awaitsState, .hasAwaitedState,
        ])
        requests[index].volume.heldStarts.append(index)
        hasWaitingRequests = true
    }

    /// Frees a write that is answered and left the transfer log.
    func release(_ index: Int) {
        let flags = requests[index].flags
        guard flags.contains(.answered), flags.isDisjoint(with: [.inTransferLog, .localPending, .peerPending]) else {
            return
        }
        let request = requests[index]
        requests.remove(index)
        if flags.contains(.inActivityLog) {
            endInActivityLog(request.volume, sector: request.sector, byteCount: request.byteCount)
        }
    }

    // MARK: Overlaps

    /// A write under way ended: those that overlap it look again, in order of arrival.
    func intervalEnded(_ volume: Volume) {
        if !volume.overlapWaiters.isEmpty {
            for index in volume.overlapWaiters.removeAll() { startWrite(index) }
        }
        changed()
    }

    /// The peer sent a write back: it is repeated when the peer's own write at its place is done.
    func postpone(_ index: Int) {
        let volume = requests[index].volume
        guard requests[index].flags.contains(.peerPending) else { return }
        removeFromEpoch(index)
        requests[index].flags.remove([.peerPending, .untilTransmitted])
        requests[index].flags.insert(.postponed)
        volume.counters.peerPending -= 1
        volume.postponed.append(index)
        finishIfDone(index)
    }

    /// The peer's write at this place is done and acknowledged: those that it sent back are repeated from the start.
    func restartPostponed(_ volume: Volume, sector: UInt64, byteCount: Int) {
        guard !volume.postponed.isEmpty else { return }
        let end = sector + UInt64(byteCount / 512)
        var kept: [Int] = []
        let candidates = volume.postponed
        volume.postponed.removeAll()
        for index in candidates {
            let first = requests[index].sector
            let overlaps = first < end && sector < first + UInt64(requests[index].byteCount / 512)
            guard overlaps, !requests[index].flags.contains(.localPending) else {
                kept.append(index)
                continue
            }
            requests[index].flags.remove([.postponed, .localOK, .localFailed, .peerOK, .peerFailed])
            startWrite(index)
        }
        volume.postponed = kept + volume.postponed
    }
}
