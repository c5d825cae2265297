internal import DRBDLayout
internal import EngineKit

// The end of a connection, whatever the reason. Spec: drbd-wire 21.2, drbd-disk-and-state 12 (connection level).
//
//     reason state, sockets closed -> new generation durable (worker) -> disks done with the peer's requests
//       -> log of writes cleared or kept -> bitmap, superblock -> fence-peer -> Unconnected -> next attempt
//                                                                            -> StandAlone

extension ReplicationEngine {
    /// Drops the connection or the attempt; `reason` is the state that tells why.
    ///
    /// - Parameter isRefusal: this node refuses what the peer must refuse too (split brain, unrelated data): the peer
    ///   gets the time to find that out by itself.
    func loseConnection(_ reason: ConnectionState, isRefusal: Bool = false) {
        switch connection.phase {
        case .off:
            return
        case .closing:
            // Only an administrator's end is stronger than what is under way.
            if reason == .disconnecting { changeAll(StateRequest(conn: .disconnecting), .hard, isQuiet: true) }
            return
        case .resting, .establishing, .features, .authenticating, .live:
            break
        }
        let wasLive = connection.isLive
        changeAll(StateRequest(conn: reason), .hard)
        dropSockets(isGraceful: reason == .tearDown || reason == .disconnecting, untilPeerCloses: isRefusal)
        connection.phase = .closing
        connection.phaseDeadline = nil
        connection.serial += 1
        stopKeepAlive()
        dropSteps(.receiver)
        for volume in volumes { volume.isDecidingSync = false }
        connection.epoch = ReceivedEpoch()
        connection.replies = ReplyBacklog()
        for volume in volumes { dropWaitingPeerReads(volume) }
        connection.sequenceWaitSince = nil
        connection.conflictSince = nil
        changed()
        if wasLive { log(.info, "connection terminated") }
        enqueue(.worker) { engine in
            let ticket = engine.ticket(.worker)
            engine.when({ $0.peerRequests.count == 0 }) { engine in engine.resume(ticket) }
            return .waits
        }
        enqueue(.worker) { engine in
            engine.forgetPeer()
            return .done
        }
        for volume in volumes {
            enqueue(.worker) { engine in engine.writeChangedBitmap(volume, .worker) }
            enqueue(.worker) { engine in engine.syncMetadata(volume, .worker) }
        }
        enqueue(.worker) { engine in
            engine.endTeardown()
            return .done
        }
    }

    /// Closes all sockets; on a graceful end what waits on them is still sent.
    private func dropSockets(isGraceful: Bool, untilPeerCloses: Bool) {
        if connection.establishment != nil {
            feed(.stop)
            connection.establishment = nil
        }
        let channels = connection.channels
        connection.data = nil
        connection.meta = nil
        connection.sendCheckAt = nil
        for channel in channels {
            if isGraceful { lingerThenClose(channel, untilPeerCloses: untilPeerCloses) } else { closeChannel(channel) }
        }
    }

    /// Everything that was about the peer's connection is over.
    private func forgetPeer() {
        for volume in volumes {
            volume.packetSequence = 0
            volume.peerSequence = 0
            volume.isHandshakeStateSent = false
            volume.considersResync = false
            volume.stateChangeReply = nil
            volume.bitmapReceiver = nil
            volume.uncorrectedUUIDs = nil
            cancelResync(volume)
        }
        connection.stateChangeReply = nil
        if isSuspended {
            log(.info, "requests are kept while I/O is suspended")
        } else {
            clearTransferLog()
        }
        retryRemoteReads()
    }

    private func endTeardown() {
        log(.info, "Connection closed")
        startFencing()
        if connection.state == .disconnecting {
            becomeStandAlone()
            return
        }
        changeAll(StateRequest(conn: .unconnected), .hard)
        connection.phase = .resting
        let pause: Duration = connection.pausesBeforeRetry ? .seconds(1) : .zero
        connection.pausesBeforeRetry = false
        let serial = connection.serial
        if pause == .zero {
            startEstablishing()
        } else {
            after(pause) { engine in
                guard engine.connection.serial == serial, engine.connection.phase == .resting else { return }
                engine.startEstablishing()
                engine.changed()
            }
        }
    }

    /// The network configuration is gone.
    private func becomeStandAlone() {
        changeAll(StateRequest(conn: .standAlone), .hard)
        connection.state = .standAlone
        connection.phase = .off
        connection.network = nil
        connection.once = ConnectOnce()
        connection.dialect = .beforeAgreement
        actions.append(.changed(.networkConfiguration(isPresent: false)))
        changed()
    }
}
