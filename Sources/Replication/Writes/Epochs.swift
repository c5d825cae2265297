internal import DRBDLayout
internal import EngineKit

// The writer's side of epochs: which write belongs to which, when P_BARRIER goes out, what P_BARRIER_ACK releases.
// Spec: drbd-wire 13, 14.3.

extension ReplicationEngine {
    /// Appends a write that is being sent to the current epoch.
    func joinTransferLog(_ index: Int) {
        if !log.hasOpenEpoch { log.epochs.append(TransferLog.Epoch(number: log.currentNumber)) }
        let place = log.epochs.count - 1
        log.epochs[place].writeCount += 1
        log.epochs[place].unansweredCount += 1
        requests[index].epoch = log.currentNumber
        requests[index].volume.inFlightSectors += UInt64(requests[index].byteCount / 512)
        requests[index].flags.insert(.inTransferLog)
        requests[index].previous = log.tail
        requests[index].next = -1
        if log.tail >= 0 { requests[log.tail].next = index } else { log.head = index }
        log.tail = index
        if log.epochs[place].writeCount >= connection.epochSizeMax { closeEpoch() }
    }

    private func unlink(_ index: Int) {
        let (previous, next) = (requests[index].previous, requests[index].next)
        if previous >= 0 { requests[previous].next = next } else { log.head = next }
        if next >= 0 { requests[next].previous = previous } else { log.tail = previous }
        requests[index].previous = -1
        requests[index].next = -1
        requests[index].flags.remove(.inTransferLog)
        let volume = requests[index].volume
        volume.inFlightSectors -= UInt64(requests[index].byteCount / 512)
        if volume.state.conn == .ahead { considerReturn(volume) }
    }

    /// No further write joins the current epoch; its P_BARRIER is due. An epoch without writes stays open.
    func closeEpoch() {
        guard log.hasOpenEpoch else { return }
        log.epochs[log.epochs.count - 1].isClosed = true
        log.currentNumber &+= 1
        log.isBarrierDue = true
        changed()
    }

    /// Sends the P_BARRIER of a closed epoch; called before anything of a later epoch and when all is sent.
    func sendDueBarrier() {
        guard log.isBarrierDue else { return }
        log.isBarrierDue = false
        guard connection.isLive else { return }
        for place in 0..<log.epochs.count where log.epochs[place].isClosed {
            guard log.epochs[place].barrierSentAt == nil else { continue }
            log.epochs[place].barrierSentAt = now
            send(.barrier, nil, Barrier(number: log.epochs[place].number))
        }
        dropEmptyEpochs()
    }

    /// One write of the epoch was answered.
    func countAnswer(ofEpoch number: UInt32) {
        guard let place = log.place(ofEpoch: number) else { return }
        log.epochs[place].unansweredCount -= 1
    }

    /// The peer superseded a write or sent it back: it leaves the log and the count of its epoch.
    func removeFromEpoch(_ index: Int) {
        guard requests[index].flags.contains(.inTransferLog) else { return }
        if let place = log.place(ofEpoch: requests[index].epoch) {
            log.epochs[place].writeCount -= 1
            log.epochs[place].removedCount += 1
            if requests[index].flags.contains(.peerPending) { log.epochs[place].unansweredCount -= 1 }
        }
        unlink(index)
        dropEmptyEpochs()
    }

    /// An epoch of nothing but superseded and returned writes is never acknowledged. Spec: drbd-wire 14.3.
    private func dropEmptyEpochs() {
        while let first = log.epochs.first, first.writeCount == 0, first.barrierSentAt != nil {
            _ = log.epochs.popFirst()
            changed()
        }
    }

    /// Receives P_BARRIER_ACK. False: the peer broke the rules.
    func receiveBarrierAck(_ ack: BarrierAck) -> Bool {
        // An epoch with conflicts that the peer passes over: a kernel as the holder of RESOLVE_CONFLICTS never
        // acknowledges it. Deviation: kernels drop the connection here. Spec: drbd-wire 14.3.
        while let first = log.epochs.first, first.number != ack.number, first.removedCount > 0,
            first.unansweredCount == 0, first.barrierSentAt != nil,
            log.place(ofEpoch: ack.number) != nil
        {
            releaseOldestEpoch()
        }
        guard let first = log.epochs.first, first.barrierSentAt != nil else {
            log(.error, "BAD! BarrierAck #\(ack.number) received, but no epoch in tl!?")
            return false
        }
        guard first.number == ack.number else {
            log(.error, "BAD! BarrierAck #\(ack.number) received, expected #\(first.number)!")
            return false
        }
        let count = Int(ack.writeCount)
        guard count == first.writeCount || count == first.writeCount + first.removedCount else {
            log(
                .error,
                "BAD! BarrierAck #\(ack.number) received with n_writes=\(count), expected n_writes=\(first.writeCount)!"
            )
            return false
        }
        if connection.wireProtocol == .c, first.unansweredCount > 0 {
            log(
                .error,
                "BAD! BarrierAck #\(ack.number) received, but \(first.unansweredCount) of its writes are not "
                    + "acknowledged")
            return false
        }
        releaseOldestEpoch()
        return true
    }

    /// The peer has all writes of the oldest epoch on stable storage.
    private func releaseOldestEpoch() {
        guard let epoch = log.epochs.popFirst() else { return }
        while log.head >= 0, requests[log.head].epoch == epoch.number {
            let index = log.head
            let cookie = requests.cookie(of: index)
            unlink(index)
            if requests[index].flags.contains(.isToRepeat) {
                repeatWhenResumed(index)
                continue
            }
            if requests[index].flags.contains(.peerPending) { peerAnswered(index, isOK: true) }
            guard requests.index(of: cookie) != nil else { continue }
            let isDataNeeded = !requests[index].flags.isDisjoint(with: [.localPending, .awaitsState])
            if !isDataNeeded { requests[index].data = nil }
            release(index)
        }
        changed()
    }

    /// The data socket took bytes: protocol A counts writes as done that left.
    func writesTransmitted(position: UInt64) {
        while let first = log.untransmitted.first, first.position <= position {
            _ = log.untransmitted.popFirst()
            guard let index = requests.index(of: first.cookie) else { continue }
            guard requests[index].flags.contains(.untilTransmitted) else { continue }
            peerAnswered(index, isOK: true)
        }
    }

    // MARK: Loss of the connection

    /// Forgets the peer: what it may not have on stable storage is out of sync, and answered with the local result.
    /// Spec: drbd-wire 21.2 step 2.
    func clearTransferLog() {
        failFlushesOfPeer()
        log.epochs = RingQueue()
        log.isBarrierDue = false
        log.untransmitted = RingQueue()
        log.currentNumber &+= 1
        while log.head >= 0 {
            let index = log.head
            unlink(index)
            let request = requests[index]
            if let disk = request.volume.disk, !faults.contains(.dropOutOfSyncOnDisconnect) {
                disk.bitmap.setOutOfSync(sector: request.sector, byteCount: request.byteCount)
            }
            noteLoss(ofAnswered: request)
            requests[index].flags.remove(.peerOK)
            forgetPeer(index)
        }
        for volume in volumes {
            for index in volume.postponed {
                if let disk = volume.disk {
                    disk.bitmap.setOutOfSync(
                        sector: requests[index].sector, byteCount: requests[index].byteCount)
                }
                forgetPeer(index)
            }
            volume.postponed.removeAll()
        }
        changed()
    }

    private func forgetPeer(_ index: Int) {
        let volume = requests[index].volume
        if requests[index].flags.contains(.peerPending) { volume.counters.peerPending -= 1 }
        requests[index].flags.remove([.peerPending, .untilTransmitted, .postponed])
        finishIfDone(index)
    }

    /// Sends again what the peer did not acknowledge as durable. Spec: drbd-wire 21.3.
    ///
    /// Deviation: kernels leave out what was acknowledged one by one, since the peer is known not to have rebooted. It is
    /// not when this node's disk is no good copy, and with protocol A nobody knows what arrived.
    func resendTransferLog() {
        log.epochs = RingQueue()
        log.isBarrierDue = false
        log.untransmitted = RingQueue()
        log.currentNumber &+= 1
        var indexes: [Int] = []
        while log.head >= 0 {
            indexes.append(log.head)
            unlink(log.head)
        }
        for volume in volumes {
            indexes += volume.postponed
            volume.postponed.removeAll()
        }
        for index in indexes {
            let volume = requests[index].volume
            if requests[index].flags.contains(.peerPending) { volume.counters.peerPending -= 1 }
            requests[index].flags.remove([.peerPending, .untilTransmitted, .postponed])
            if requests[index].flags.contains(.isToRepeat) {
                repeatWhenResumed(index)
            } else if requests[index].flags.contains(.answered), mayPeerHaveOverwritten(volume) {
                leaveOut(index, volume)
            } else if isMirrored(volume), requests[index].kind != .write || requests[index].data != nil {
                sendWrite(index, volume)
            } else {
                volume.disk?.bitmap.setOutOfSync(
                    sector: requests[index].sector, byteCount: requests[index].byteCount)
                noteLoss(ofAnswered: requests[index])
                finishIfDone(index)
            }
        }
        // Those that are answered to the application end no epoch any more.
        moveFlushes(to: closedEpoch())
        changed()
    }

    /// Whether another Primary may have written over what this one had answered, on the copy that both work on now.
    private func mayPeerHaveOverwritten(_ volume: Volume) -> Bool {
        volume.hasLostPrimaryPeer && volume.state.disk != .upToDate
    }

    /// The peer acknowledged this write before it went on alone: sent again it would hide what came later. A flush that
    /// should have made it durable there fails, since it may be gone with the peer's power.
    private func leaveOut(_ index: Int, _ volume: Volume) {
        volume.disk?.bitmap.setOutOfSync(sector: requests[index].sector, byteCount: requests[index].byteCount)
        for place in flushes.indices where flushes[place].volume === volume && flushes[place].lastEpoch != nil {
            flushes[place].errno = Errno.io
        }
        noteLoss(ofAnswered: requests[index])
        release(index)
    }
}
