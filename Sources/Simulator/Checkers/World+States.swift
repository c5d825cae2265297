internal import DRBDLayout
internal import EngineKit
internal import Replication

// What hosts announce, and what follows for the models.
extension World {
    func announced(host: SimulatedHost, _ event: StateChangeEvent) {
        guard case .volume(let volume, let from, let to) = event else { return }
        let index = Int(volume.rawValue)
        guard index < host.states.count else { return }
        trace.note(
            .state, host: host.index, UInt64(from.rawValue), UInt64(to.rawValue),
            "volume \(volume): \(Self.describe(from)) -> \(Self.describe(to))")
        let old = host.states[index]
        host.states[index] = to
        markChange(host, from: old, to: to)
        noteSync(host: host.index, volume: index, from: old, to: to)
        updateModel(index, changed: host.index)
    }

    func updateModels(changed host: Int) {
        for volume in models.indices { updateModel(volume, changed: host) }
    }

    private func updateModel(_ volume: Int, changed: Int) {
        let model = models[volume]
        for host in 0...1 {
            let state = hosts[host].states[volume]
            let isRunning = hosts[host].isRunning
            model.setSessionLive(host: host, isRunning && state.conn >= .connected, now: now)
            if isRunning, isApart(state) { model.wasPrimaryApart[host] = true }
            if state.conn < .connected, model.resyncTarget == host { model.resyncTarget = nil }
            noteAccess(host: host, volume: volume)
        }
        for writer in 0...1 {
            for holder in 0...1 {
                model.setSurety(writer: writer, holder: holder, isSure(writer: writer, holder: holder, volume))
            }
        }
        updateSync(volume)
    }

    /// Whether this copy goes on without the other one: its host is Primary alone, or a Primary (here or there) writes
    /// while the other disk is gone.
    private func isApart(_ state: DeviceState) -> Bool {
        guard state.disk == .upToDate else { return false }
        if state.conn < .connected { return state.role == .primary }
        return state.pdsk < .inconsistent && (state.role == .primary || state.peer == .primary)
    }

    /// Whether a write that a host issues now is on the disk of `holder` when it is acknowledged.
    private func isSure(writer: Int, holder: Int, _ volume: Int) -> Bool {
        guard hosts[holder].isRunning, hosts[holder].states[volume].disk == .upToDate else { return false }
        if writer == holder { return true }
        let own = hosts[writer].states[volume].conn
        guard models[volume].usesProtocolC, own >= .connected, hosts[holder].states[volume].conn >= .connected else {
            return false
        }
        // It may have agreed to a detach that was never carried out.
        guard hosts[writer].states[volume].pdsk == .upToDate else { return false }
        return own != .wfBitMapS && own != .startingSyncS && own != .ahead
    }

    private func noteAccess(host: Int, volume: Int) {
        let own = hosts[host].states[volume]
        let other = hosts[1 - host].states[volume]
        let hasLocal = own.disk == .upToDate
        if !hasLocal { knowledge.lastWithoutLocal[host][volume] = now }
        if own.conn < .connected { knowledge.lastApart[host][volume] = now }
        let hasRemote =
            own.conn >= .connected && own.pdsk == .upToDate && other.disk == .upToDate
            && other.conn >= .connected
        let knowsCopy = hasLocal || (own.conn >= .connected && own.pdsk == .upToDate)
        if knowsCopy || knowledge.knowsCopy[host][volume] { knowledge.lastWithCopy[host][volume] = now }
        knowledge.knowsCopy[host][volume] = knowsCopy
        let isWithout = !hasLocal && !hasRemote
        if isWithout || knowledge.isWithoutData[host][volume] { knowledge.lastWithoutData[host][volume] = now }
        knowledge.isWithoutData[host][volume] = isWithout
    }

    // MARK: Becoming one

    private static let copying: [ConnectionState] = [
        .wfBitMapT, .startingSyncT, .wfSyncUUID, .syncTarget, .pausedSyncT, .behind,
    ]

    private func noteSync(host: Int, volume: Int, from: DeviceState, to: DeviceState) {
        let model = models[volume]
        if Self.copying.contains(to.conn), model.resyncTarget != host {
            model.resyncTarget = host
            if isDiscardAllowed(target: host, volume: volume) { model.discardGranted[host] = true }
            if from.disk == .inconsistent, hosts[host].admin.connectedToDiscard { model.isGivenUp[host] = true }
        }
        if to.conn == .syncTarget || to.conn == .pausedSyncT { model.isHalfSynced[host] = true }
        let isComplete = from.disk < .upToDate && to.disk == .upToDate && to.conn >= .connected
        guard isComplete, model.resyncTarget == host, from.conn >= .syncTarget else { return }
        // The source need not know yet, and may be gone before it does.
        trace.note(.check, host: host, UInt64(volume), "volume \(volume): resync is complete")
        if let problem = model.finishResync(target: host) { fail("volume \(volume): \(problem)") }
    }

    /// Whether a split brain that ends with this host as target is what somebody asked for.
    private func isDiscardAllowed(target: Int, volume: Int) -> Bool {
        if hosts[target].admin.connectedToDiscard { return true }
        let options = hosts[target].plan.network
        let primaries = hosts.filter { $0.states[volume].role == .primary }.count
        let zeroPrimaries = options.afterSplitBrain0Primaries
        let byZero = zeroPrimaries != .disconnect && zeroPrimaries != .discardZeroChanges
        let policy = [zeroPrimaries, options.afterSplitBrain1Primary, options.afterSplitBrain2Primaries][primaries]
        let isAllowed =
            switch policy {
            case .disconnect, .discardZeroChanges: false
            case .discardYoungerPrimary, .discardOlderPrimary, .discardLeastChanges, .discardLocal, .discardRemote:
                true
            case .discardSecondary: hosts[target].states[volume].role != .primary
            case .consensus, .callPriLost, .violently: byZero
            }
        if isAllowed { reach(.splitBrainSolvedByPolicy) }
        return isAllowed
    }

    private func isTogether(_ volume: Int) -> Bool {
        hosts.allSatisfy { host in
            let state = host.states[volume]
            guard host.isRunning, state.disk == .upToDate, state.conn >= .connected else { return false }
            switch state.conn {
            case .startingSyncS, .startingSyncT, .wfBitMapS, .wfBitMapT, .wfSyncUUID, .ahead, .behind: return false
            default: return true
            }
        }
    }

    private func updateSync(_ volume: Int) {
        let model = models[volume]
        let isTogether = isTogether(volume)
        guard isTogether != model.isInSync else { return }
        model.isInSync = isTogether
        guard isTogether else { return }
        splitBrainAttempts = 0
        if models.allSatisfy(\.isInSync) { for host in hosts { host.isDiskSuspect = false } }
        var problem: String?
        if let half = [0, 1].first(where: { model.isHalfSynced[$0] }) {
            problem = "\(hosts[half].name) was a sync target, did not finish, and is UpToDate without another resync"
        } else {
            trace.note(.check, host: -1, UInt64(volume), "volume \(volume): in sync without a resync")
            problem = model.declareInSync()
        }
        if let problem { fail("volume \(volume): \(problem)") }
    }

    /// An engine says that there is a split brain: then both hosts must have been Primary on their own.
    func splitBrainClaimed(host: SimulatedHost, volume: Int) {
        reach(.splitBrain)
        host.admin.sawSplitBrain = true
        let model = models[volume]
        for index in 0...1 where !model.wasPrimaryApart[index] {
            return fail(
                "\(host.name) claims a split brain, but \(hosts[index].name) was not Primary on its own since the "
                    + "copies were last equal")
        }
    }

    // MARK: Marks

    private func markChange(_ host: SimulatedHost, from: DeviceState, to: DeviceState) {
        if from.conn != to.conn { markConnection(host, from: from.conn, to: to.conn) }
        if from.disk != to.disk {
            if to.disk == .failed { reach(.diskFailed) }
            if to.disk == .negotiating { reach(.attachedWhileConnected) }
        }
        if to.role == .primary, to.disk == .diskless, to.conn >= .connected, from != to { reach(.disklessPrimary) }
        if to.suspNod || to.suspFen || to.susp { reach(.suspendedIO) }
    }

    private func markConnection(_ host: SimulatedHost, from: ConnectionState, to: ConnectionState) {
        switch to {
        case .wfBitMapS: reach(.bitmapSync)
        case .startingSyncS, .startingSyncT: reach(.fullSync)
        case .pausedSyncS, .pausedSyncT: reach(.syncPaused)
        case .ahead: reach(.ahead)
        case .timeout: reach(.requestTimeout)
        default: break
        }
        switch from {
        case .syncSource, .syncTarget:
            if to == .connected { reach(.syncFinished) } else if to < .connected { reach(.syncInterrupted) }
        case .verifyS, .verifyT:
            if to == .connected { reach(.verifyFinished) } else if to < .connected { reach(.verifyInterrupted) }
        default: break
        }
    }

    func logged(host: SimulatedHost, _ record: LogRecord) {
        trace.note(.log, host: host.index, Trace.hash(of: record.text), "\(record.level): \(record.text)")
        let text = record.text
        if contains(text, "Split-Brain detected") || contains(text, "Inconsistent but has data that") {
            host.admin.sawSplitBrain = true
        }
        let isWrongPrimary = host.index != preferredPrimary || host.states.contains { $0.disk != .upToDate }
        if contains(text, "but I am primary") || isWrongPrimary && contains(text, "Multiple primaries not allowed") {
            host.admin.sawRoleConflict = true
        }
        if contains(text, "based on AL.") { reach(.activityLogReplay) }
        if contains(text, "meta data I/O error") { reach(.metadataFailed) }
        if contains(text, "initial packet") && contains(text, "crossed") { reach(.crossedSockets) }
        if contains(text, "PingAck did not arrive") { reach(.pingTimeout) }
        // The network changes nothing, so one of the two engines has broken the protocol. Only acknowledgements that a
        // dead meta socket swallowed are regular.
        if contains(text, "error receiving P_"), !contains(text, "Timed out waiting for missing ack packets") {
            fail("\(host.name) sees a protocol error: \(text)")
        }
        if contains(text, "Unrelated data") || contains(text, "unrelated data") {
            fail("\(host.name) takes the peer for unrelated: \(text)")
        }
        // A block that cannot be read counts as different.
        if contains(text, "Out of sync: start="), !hosts.contains(where: { $0.isDiskSuspect }) {
            fail("\(host.name) finds a difference by verify: \(text)")
        }
    }

    private func contains(_ text: String, _ part: String) -> Bool {
        let wanted = Array(part.utf8)
        let bytes = Array(text.utf8)
        guard bytes.count >= wanted.count else { return false }
        return (0...bytes.count - wanted.count).contains { bytes[$0..<$0 + wanted.count].elementsEqual(wanted) }
    }
}
