internal import DRBDLayout
internal import EngineKit

// fence-peer: asking the administrator's means whether the peer can still have changed data. Spec: drbd-disk-and-state 16.

extension ReplicationEngine {
    /// The highest policy among the volumes whose disk is good enough to matter.
    private var fencingPolicy: DiskOptions.Fencing {
        volumes.filter { $0.state.disk >= .consistent }.compactMap { $0.disk?.options.fencing }.max() ?? .dontCare
    }

    /// Called when a connection ended: a Primary that does not know about the peer's disk asks in the background.
    func startFencing() {
        let isUnsure = volumes.contains { $0.state.pdsk >= .unknown }
        guard isPrimaryAnywhere(), isUnsure else { return }
        guard fencingPolicy != .dontCare else {
            if volumes.contains(where: { $0.state.suspFen }) {
                log(.info, "Not fencing peer, I'm not even Consistent myself.")
                changeSuspension(fencing: false)
            }
            return
        }
        let serial = connection.serial
        fencePeer(serial: serial) { _, _ in }
    }

    /// Runs the handler; `body` gets whether the peer's disk is Outdated or worse now.
    func fencePeer(serial: UInt64? = nil, _ body: @escaping (ReplicationEngine, Bool) -> Void) {
        guard volumes.contains(where: { $0.state.disk >= .consistent }) else {
            log(.info, "Not fencing peer, I'm not even Consistent myself.")
            return body(self, false)
        }
        let policy = fencingPolicy
        runHandler("fence-peer", nil) { engine, status in
            let isStale =
                serial.map { engine.connection.serial != $0 } ?? false
                || engine.volumes.contains { $0.state.conn >= .wfReportParams }
            if isStale {
                engine.log(.info, "Ignoring fence-peer exit code")
                return body(engine, false)
            }
            body(engine, engine.heedFencing(status, policy))
        }
    }

    /// Carries out what the exit code says.
    private func heedFencing(_ status: Int32, _ policy: DiskOptions.Fencing) -> Bool {
        let request: StateRequest
        let meaning: String
        switch status {
        case 3:
            (request, meaning) = (StateRequest(pdsk: .inconsistent), "peer is inconsistent or worse")
        case 4:
            (request, meaning) = (StateRequest(pdsk: .outdated), "peer was fenced")
        case 5:
            log(.info, "fence-peer helper returned 5 (peer is unreachable, assumed to be dead)")
            guard volumes.contains(where: { $0.state.disk == .upToDate }) else {
                log(.info, "doing nothing since disk != UpToDate")
                return false
            }
            return applyFencing(StateRequest(pdsk: .outdated))
        case 6:
            log(.warning, "Peer is primary, outdating myself.")
            _ = applyFencing(StateRequest(disk: .outdated))
            return false
        case 7:
            if policy != .resourceAndStonith { log(.error, "fence-peer() = 7 && fencing != Stonith !!!") }
            (request, meaning) = (StateRequest(pdsk: .outdated), "peer was stonithed")
        default:
            log(.error, "fence-peer helper broken, returned \(status)")
            return false
        }
        log(.info, "fence-peer helper returned \(status) (\(meaning))")
        return applyFencing(request)
    }

    private func applyFencing(_ request: StateRequest) -> Bool {
        for volume in volumes { change(volume, request, .soft, isQuiet: true) }
        let isFenced = volumes.allSatisfy { $0.state.pdsk <= .outdated }
        if isFenced, volumes.contains(where: { $0.state.suspFen }) { thawAfterFencing() }
        return isFenced
    }

    /// New generation first, then what was held goes on with this copy alone.
    private func thawAfterFencing() {
        for volume in volumes { enqueueOwedGeneration(volume) }
        enqueue(.worker) { engine in
            engine.clearTransferLog()
            engine.changeSuspension(fencing: false)
            return .done
        }
    }

    /// The new current UUID that was put off while I/O was held.
    func enqueueOwedGeneration(_ volume: Volume) {
        guard volume.owesNewCurrentUUID else { return }
        volume.owesNewCurrentUUID = false
        enqueue(.worker) { engine in
            // The peer may be back meanwhile.
            guard volume.state.conn < .connected else { return .done }
            return engine.makeNewGeneration(volume, .worker) { _ in }
        }
    }

    /// The reason for which I/O was held is over: the peer is back, or a disk is. Spec: drbd-disk-and-state 12 steps 4, 5.
    ///
    /// Deviation: kernels go on when a disk is attached, but not when a resync or the peer's attach brings good data back;
    /// and they go on when a peer is back that has no good data either, with errors.
    func resumeAfterSuspension(cameBack: Bool) {
        let isWholeConnection = volumes.allSatisfy { $0.state.conn >= .connected }
        let lacksData = volumes.contains { StateRules.lacksData($0.state) }
        if cameBack && isWholeConnection {
            for volume in volumes { volume.owesNewCurrentUUID = false }
            resendTransferLog()
            changeSuspension(noData: lacksData ? nil : false, fencing: false)
            return
        }
        guard !lacksData, volumes.contains(where: { $0.state.suspNod }) else { return }
        // The other volumes may go on without the peer too.
        for volume in volumes { enqueueOwedGeneration(volume) }
        enqueue(.worker) { engine in
            let isOnlyReason = !engine.volumes.contains { $0.state.susp || $0.state.suspFen }
            if isOnlyReason { engine.settleKeptRequests() }
            engine.changeSuspension(noData: false)
            return .done
        }
    }
}
