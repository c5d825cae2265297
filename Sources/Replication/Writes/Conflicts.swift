internal import DRBDLayout
internal import EngineKit

// Two Primaries: the order between the sockets, and writes that meet. Spec: drbd-wire 14.
//
// Exactly one node, the one that accepted the meta socket, has RESOLVE_CONFLICTS ("R"); the other is "N".
//
//     the peer's write P overlaps own L in flight    R: P inside L: P_SUPERSEDED, else P_RETRY_WRITE; P is dropped
//                                                    N: P waits until L is answered or sent back
//     P inside L, and the own disk works on L        R: P waits for it: what is acknowledged to the peer must be read
//                                                    here. Deviation: kernels as R supersede it at once, and a read
//                                                    that begins after the peer's answer still finds the old data
//     the same, but the peer acknowledged L before   P comes after L on the peer: it waits until L is done here.
//                                                    Deviation: kernels as R supersede it, and the copies differ
//     P overlaps an earlier write of the peer        both: P waits for it

extension ReplicationEngine {
    /// How a write of the peer stands to what is under way.
    enum ConflictOutcome {
        case free
        case waits
        /// Answered without being written.
        case resolved
    }

    /// R looks at a write only when all acknowledgements that the peer sent before it are processed.
    func passSequence(_ sequence: UInt32, _ volume: Volume) -> PacketVerdict {
        let mustWait =
            connection.resolvesConflicts && connection.allowsTwoPrimaries
            && !faults.contains(.ignoreSequenceNumbers)
        if mustWait, Int32(bitPattern: (sequence &- 1) &- volume.peerSequence) > 0 {
            guard let since = connection.sequenceWaitSince, connection.sequenceWaitedFor == sequence else {
                startSequenceWait(sequence)
                return .retry
            }
            guard now - since >= connection.pingTimeout else { return .retry }
            // Deviation: kernels call it a protocol error; as a rule the meta socket has lost its way.
            log(
                .error,
                "Timed out waiting for missing ack packets; disconnecting: sequence \(sequence) came, "
                    + "expected \(volume.peerSequence &+ 1)")
            loseConnection(.networkFailure)
            return .done
        }
        connection.sequenceWaitSince = nil
        advancePeerSequence(volume, sequence)
        return .done
    }

    private func startSequenceWait(_ sequence: UInt32) {
        connection.sequenceWaitSince = now
        connection.sequenceWaitedFor = sequence
        after(connection.pingTimeout) { engine in engine.retryStalledPacket() }
    }

    /// Numbers wrap: their signed difference decides.
    func advancePeerSequence(_ volume: Volume, _ sequence: UInt32) {
        if Int32(bitPattern: sequence &- volume.peerSequence) > 0 { volume.peerSequence = sequence }
    }

    func resolveConflict(_ write: IncomingWrite) -> ConflictOutcome {
        let volume = write.volume
        let (sector, byteCount) = (write.header.sector, write.byteCount)
        guard volume.intervals.overlaps(sector: sector, byteCount: byteCount) else { return .free }
        if volume.intervals.overlapping(.peer, sector: sector, byteCount: byteCount) != nil
            || volume.intervals.overlapping(.resync, sector: sector, byteCount: byteCount) != nil
        {
            return .waits
        }
        if faults.contains(.ignoreConflicts) { return .free }
        guard connection.resolvesConflicts else {
            return waitForOwnWrite(write)
        }
        let concurrent = volume.intervals.locals(sector: sector, byteCount: byteCount) {
            requests[$0].flags.contains(.peerPending)
        }
        guard let own = concurrent.first else { return .waits }
        let end = sector + UInt64(byteCount / 512)
        let over = concurrent.first { $0.first <= sector && end <= $0.end }
        if let over, requests[over.index].flags.contains(.localPending) { return .waits }
        if own.first != sector || own.end != end {
            log(
                .warning, volume,
                "Concurrent writes detected: local=\(own.first)s +\((own.end - own.first) * 512), "
                    + "remote=\(sector)s +\(byteCount)")
        }
        let isSuperseded = over != nil || connection.dialect.version < 100
        sendAck(
            isSuperseded ? .superseded : .retryWrite, volume, sector: sector, blockID: write.header.blockID,
            byteCount: byteCount)
        return .resolved
    }

    /// N: the peer's write comes after the own one. Bounded by ko-count * timeout.
    private func waitForOwnWrite(_ write: IncomingWrite) -> ConflictOutcome {
        guard let limit = connection.requestTimeout else { return .waits }
        guard connection.conflictSince == nil else { return .waits }
        connection.conflictSince = now
        let serial = connection.serial
        after(limit) { engine in
            guard engine.connection.serial == serial, let since = engine.connection.conflictSince,
                engine.now - since >= limit
            else { return }
            engine.log(.error, "Timed out waiting for a conflicting write of this node to be answered")
            engine.loseConnection(.timeout)
        }
        return .waits
    }

    // MARK: Answers to own writes

    /// P_RECV_ACK, P_WRITE_ACK, P_RS_WRITE_ACK, P_SUPERSEDED, P_RETRY_WRITE, P_NEG_ACK for an own write.
    func receiveWriteAnswer(_ command: PacketCommand, _ ack: BlockAck, _ volume: Volume) -> PacketVerdict {
        guard let index = requests.index(of: ack.blockID), requests[index].volume === volume,
            requests[index].sector == ack.sector, requests[index].kind != .read,
            requests[index].flags.contains(.wasSent)
        else {
            return receiveStrayAnswer(command, ack, volume)
        }
        switch command {
        case .receiveAck, .writeAck:
            if command == .writeAck && faults.contains(.clearBitOnWriteAck) {
                setInSync(volume, sector: ack.sector, byteCount: Int(ack.size))
            }
            peerAnswered(index, isOK: true)
        case .resyncWriteAck:
            // What failed here is not equal. Before it is known to be good here, a failure is still to come and marks.
            if !requests[index].flags.contains(.localFailed), volume.disk?.owesInconsistent != true {
                setInSync(volume, sector: requests[index].sector, byteCount: requests[index].byteCount)
            }
            peerAnswered(index, isOK: true)
            finishTargetIfDone(volume)
        case .negativeAck:
            log(.error, volume, "peer failed a write at sector \(ack.sector)+\(requests[index].byteCount / 512)")
            requests[index].flags.insert(.peerFailed)
            // At once: the peer's disk may be back soon, and ask for what it lacks. Later it would not be told.
            volume.disk?.bitmap.setOutOfSync(sector: requests[index].sector, byteCount: requests[index].byteCount)
            peerAnswered(index, isOK: false)
        case .superseded:
            // The peer's write lies over it: the epoch does without, the application gets its answer.
            removeFromEpoch(index)
            peerAnswered(index, isOK: true)
        case .retryWrite:
            postpone(index)
        default:
            preconditionFailure("\(command) is no answer to a write")
        }
        return .done
    }

    /// An answer for nothing that is known: only P_NEG_ACK may come so (protocols A and B). Spec: drbd-wire 12.2.
    private func receiveStrayAnswer(_ command: PacketCommand, _ ack: BlockAck, _ volume: Volume) -> PacketVerdict {
        guard command == .negativeAck, connection.wireProtocol != .c else {
            return .violation(
                "\(command) for sector \(ack.sector) with block_id \(ack.blockID): no such request is under way")
        }
        if rangeDefect(volume, ack.sector, Int(ack.size), limit: 128 << 20) == nil {
            volume.disk?.bitmap.setOutOfSync(sector: ack.sector, byteCount: Int(ack.size))
        }
        return .done
    }
}
