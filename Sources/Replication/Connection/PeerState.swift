internal import DRBDLayout
internal import EngineKit

// P_STATE: what the peer says of itself, and the sync handshake that it may start. Spec: drbd-wire 8.3, whose numbers
// stand at the steps, and 9.

extension ReplicationEngine {
    func receiveState(_ peer: DeviceState, _ volume: Volume) -> PacketVerdict {
        let own = volume.state
        volume.peerConn = peer.conn
        var realDisk = peer.disk  // 1
        if peer.disk == .negotiating {
            realDisk = volume.peerUUIDFlags.contains(.inconsistent) ? .inconsistent : .consistent
        }
        guard own.conn > .tearDown else { return .done }  // 2
        if peer.conn >= .connected { payGenerationToPeer(volume) }
        if own.pdsk == .inconsistent || own.pdsk == .consistent, realDisk == .upToDate, own.conn > .connected,
            own.disk == .upToDate
        {  // 3
            if peer.conn > .connected && peer.conn < .syncSource {
                realDisk = .inconsistent
            } else if own.conn >= .syncSource && peer.conn == .connected {
                finishResyncIfClean(volume)
                return .done
            }
        }
        if own.conn == .verifyT, own.disk == .upToDate, peer.conn == .connected, realDisk == .upToDate {  // 4
            endVerifyByPeer(volume)
            return .done
        }
        // Deviation: a target that is done may go Ahead before this node has seen the end: that comes first. Kernels keep
        // the sync UUID open and take over generations from before the resync.
        if own.conn == .syncSource || own.conn == .pausedSyncS, peer.conn == .ahead, realDisk == .upToDate,
            volume.resync != nil
        {
            endResyncAsSource(volume, withFailures: false)
            return .retry
        }
        // Deviation: a source ends the resync when the target is left with failed blocks; kernels stay SyncSource
        // until the connection is made anew. Spec: drbd-wire 11.5.
        if own.conn == .syncSource || own.conn == .pausedSyncS, peer.conn == .connected, realDisk == .inconsistent,
            hasOnlyFailedBits(volume)
        {
            endResyncAsSource(volume, withFailures: true)
            return .done
        }
        if own.pdsk == .upToDate, realDisk == .inconsistent, own.conn == .connected, peer.conn > .syncSource {  // 5
            realDisk = .upToDate
        }
        // A target that still waits for the data of a disk that is gone here. Deviation: kernels take it for UpToDate, since
        // they are Connected again (rule 5 of drbd-disk-and-state 11.1), and go on with its old data.
        if own.conn == .connected, own.disk <= .failed, peer.conn.isOfTarget, realDisk > .inconsistent {
            realDisk = .inconsistent
        }
        guard needsHandshake(volume, peer) else {
            concludeState(volume, peer, realDisk, connection: nextConnection(own, peer))
            return .done
        }
        // Deviation: kernels compare at once. A peer whose disk left and is back before the new generation has had its
        // turn would be taken for equal, or for a split brain.
        guard volume.generationsPending == 0 else { return .retry }
        startSyncHandshake(volume, peer, realDisk)
        return .done
    }

    /// Step 6.
    private func nextConnection(_ own: DeviceState, _ peer: DeviceState) -> ConnectionState {
        if peer.conn == .ahead { return .behind }
        // The peer has ended a verify because of an error of its disk.
        if own.conn.isVerify, peer.conn == .connected, peer.disk < .upToDate { return .connected }
        return own.conn == .wfReportParams ? .connected : own.conn
    }

    /// Step 7.
    private func needsHandshake(_ volume: Volume, _ peer: DeviceState) -> Bool {
        let own = volume.state
        guard volume.peerUUIDs != nil, peer.disk >= .negotiating, own.disk >= .negotiating, volume.disk != nil else {
            return false
        }
        if own.conn < .connected { return true }
        guard own.conn == .connected else { return volume.considersResync }
        if peer.disk == .negotiating || own.disk == .negotiating { return true }
        if volume.considersResync { return true }
        // The peer was forced to be the one with the data while this disk was still negotiating.
        if own.disk == .inconsistent, own.pdsk == .inconsistent, peer.disk == .upToDate, peer.role == .primary {
            return true
        }
        return peer.conn >= .startingSyncS && peer.conn <= .wfBitMapT
    }

    /// The result of the handshake is there.
    func concludeHandshake(
        _ volume: Volume, _ peer: DeviceState, _ realDisk: DiskState, _ conclusion: ConnectionState?
    ) {
        volume.isDecidingSync = false
        guard connection.isLive, volume.state.conn > .tearDown else { return }
        var realDisk = realDisk
        guard let conclusion else {
            if volume.state.disk == .negotiating {
                change(volume, StateRequest(disk: .failed), .hard)
                concludeState(volume, peer, realDisk, connection: .connected)
            } else if peer.disk == .negotiating {
                log(.error, volume, "Disk attach process on the peer node was aborted.")
                realDisk = .diskless
                concludeState(volume, peer, realDisk, connection: .connected)
                // The peer waits for this to judge by itself, and comes to the mirrored result.
                sendUUIDs(volume)
                sendState(volume, volume.state)
            } else if connection.peerWantsDryRun && !connection.once.tentative {
                loseConnection(.protocolError)
            } else {
                loseConnection(.disconnecting, isRefusal: true)
            }
            return
        }
        concludeState(volume, peer, realDisk, connection: conclusion)
    }

    /// Steps 8 to 12: the state that follows.
    private func concludeState(
        _ volume: Volume, _ peer: DeviceState, _ realDisk: DiskState, connection next: ConnectionState
    ) {
        let own = volume.state
        volume.considersResync = false
        volume.isDecidingSync = false
        var request = StateRequest(
            peer: peer.role, conn: next, pdsk: realDisk, peerIsp: peer.aftrIsp || peer.userIsp)
        // A P_STATE from before the peer learned of this disk decides nothing about it. Deviation: kernels take it for
        // the answer, and the disk for what it was.
        let isBeforeAnswer = volume.peerUUIDs == nil && peer.disk >= .negotiating
        if own.disk == .negotiating, !isBeforeAnswer, next == .connected || next == .wfBitMapS {  // 8
            request.disk = volume.disk?.negotiatedDisk ?? .diskless
        }
        let isConnecting = own.conn < .connected && next >= .connected
        if own.isSuspended, volume.owesNewCurrentUUID, isConnecting, realDisk == .consistent {  // 9
            log(.error, volume, "Aborting Connect, can not thaw IO with an only Consistent peer")
            abandonSuspendedWrites(volume)
            return
        }
        let result = change(volume, request, isConnecting ? .soft : .hard)  // 10
        guard result.isSuccess else {
            loseConnection(.disconnecting)
            return
        }
        let wantsResync = own.conn > .wfReportParams && next > .connected && peer.conn <= .connected
        if wantsResync && peer.disk != .negotiating {  // 11
            sendUUIDs(volume)
            sendState(volume, volume.state)
        }
        if isConnecting { clearOnceWhenAllConnected() }  // 12
    }

    private func clearOnceWhenAllConnected() {
        guard volumes.allSatisfy({ $0.state.conn >= .connected }) else { return }
        connection.once.discardMyData = false
    }

    // MARK: Sync handshake

    /// The peer rebooted while I/O was held: what waited is completed with this copy alone. Spec: drbd-wire 8.3 step 9.
    private func abandonSuspendedWrites(_ volume: Volume) {
        volume.owesNewCurrentUUID = false
        enqueue(.worker) { engine in
            engine.makeNewGeneration(volume, .worker) { engine in
                engine.clearTransferLog()
                engine.changeSuspension(noData: false, fencing: false)
            }
        }
        loseConnection(.protocolError)
    }

    /// - Parameter role: as it was when the handshake began, also if a policy demoted this node since.
    private func side(own volume: Volume, _ disk: Disk, role: Role) -> SyncDecision.Side {
        var flags: UUIDSet.Flags = []
        if connection.once.discardMyData { flags.insert(.discardMyData) }
        if disk.isCrashedPrimary { flags.insert(.crashedPrimary) }
        return SyncDecision.Side(
            uuids: disk.uuids, flags: flags, changedBits: volume.announcedChangedBits, role: role,
            disk: volume.state.disk == .negotiating ? disk.negotiatedDisk : volume.state.disk,
            wantsDryRun: connection.once.tentative)
    }

    /// Decides who syncs from whom; the data socket waits for it.
    private func startSyncHandshake(_ volume: Volume, _ peer: DeviceState, _ realDisk: DiskState) {
        let role = volume.state.role
        volume.isDecidingSync = true
        enqueue(.receiver) { engine in
            engine.decideSync(volume, peer, realDisk, .notTried, role: role)
        }
    }

    private func decideSync(
        _ volume: Volume, _ peer: DeviceState, _ realDisk: DiskState, _ demotion: SyncDecision.Demotion, role: Role
    ) -> SerialWork.Outcome {
        guard let disk = volume.disk, let peerUUIDs = volume.peerUUIDs else {
            concludeState(volume, peer, realDisk, connection: .connected)
            return .done
        }
        let own = side(own: volume, disk, role: role)
        let other = SyncDecision.Side(
            uuids: peerUUIDs, flags: volume.peerUUIDFlags, changedBits: volume.peerChangedBits, role: peer.role,
            disk: realDisk, wantsDryRun: connection.peerWantsDryRun)
        let decision = SyncDecision.decide(
            own: own, peer: other, ownDiskNow: volume.state.disk, options: connection.network ?? NetworkOptions(),
            UUIDComparison.Circumstances(
                resolveConflicts: connection.resolvesConflicts, agreedVersion: connection.dialect.version,
                hasWriteSame: connection.dialect.features.contains(.writeSame), faults: faults),
            demotion: demotion)
        for record in decision.log { log(record.level, volume, record.text) }
        // Of an earlier handshake that the peer did not ask about.
        if demotion == .notTried { volume.uncorrectedUUIDs = nil }
        switch decision.comparison.correction {
        case .own(let uuids):
            // A peer that attaches decides after it was told, and must come to the mirrored result.
            if volume.state.conn == .connected { volume.uncorrectedUUIDs = disk.uuids }
            disk.uuids = uuids
            disk.touch()
        case .peer(let uuids):
            volume.peerUUIDs = uuids
        case nil:
            break
        }
        for handler in decision.handlers {
            enqueue(.receiver) { engine in engine.runHandler(handler.rawValue, volume, .receiver) }
        }
        enqueue(.receiver) { engine in engine.follow(decision.conclusion, volume, peer, realDisk, role: role) }
        return .done
    }

    /// Carries a decision out: what must be durable first, then the state.
    private func follow(
        _ conclusion: SyncDecision.Conclusion, _ volume: Volume, _ peer: DeviceState, _ realDisk: DiskState,
        role: Role
    ) -> SerialWork.Outcome {
        switch conclusion {
        case .demote:
            // State changes are refused while nodes connect, as the kernel does. Spec: drbd-wire 9.4.
            volume.isDecidingSync = false
            defer { volume.isDecidingSync = true }
            let result = change(volume, StateRequest(role: .secondary), .soft)
            if result.isSuccess { volume.disk?.uuids.setRole(isPrimary: false) }
            return decideSync(volume, peer, realDisk, result.isSuccess ? .succeeded : .failed, role: role)
        case .refuse, .dryRun:
            concludeHandshake(volume, peer, realDisk, nil)
            return .done
        case .proceed(let next, let isFull):
            let ticket = ticket(.receiver)
            let serial = connection.serial
            let conclude: (ReplicationEngine, Bool) -> Void = { engine, isSuccess in
                if engine.connection.serial == serial {
                    engine.concludeHandshake(volume, peer, realDisk, isSuccess ? next : nil)
                }
                engine.resume(ticket)
            }
            if isFull {
                rewriteBitmap(volume, { $0.setAll() }, conclude)
            } else {
                syncMetadata(volume) { engine in conclude(engine, true) }
            }
            return .waits
        }
    }
}

extension ConnectionState {
    /// Whether a node in this state has yet to get data that its peer has.
    fileprivate var isOfTarget: Bool {
        switch self {
        case .startingSyncT, .wfBitMapT, .wfSyncUUID, .syncTarget, .pausedSyncT, .behind: true
        case .standAlone, .disconnecting, .unconnected, .timeout, .brokenPipe, .networkFailure, .protocolError,
            .tearDown, .wfConnection, .wfReportParams, .connected, .startingSyncS, .wfBitMapS, .syncSource, .verifyS,
            .verifyT, .pausedSyncS, .ahead:
            false
        }
    }
}
