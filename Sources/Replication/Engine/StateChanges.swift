internal import DRBDLayout
internal import EngineKit

// State changes: decided by StateRules, applied here. What follows from a change is in AfterStateChange.swift.

extension ReplicationEngine {
    /// The volume with this number, if there is one.
    func volume(_ number: VolumeNumber) -> Volume? {
        for volume in volumes where volume.number == number { return volume }
        return nil
    }

    /// Application I/O is held for a reason of the resource. The three bits are the same in all volumes.
    var isSuspended: Bool { volumes.first?.state.isSuspended ?? false }

    /// What the rules want to know besides the states.
    func context(of volume: Volume) -> StateContext {
        var context = StateContext()
        context.fencing = volume.disk?.options.fencing ?? .dontCare
        context.allowTwoPrimaries = connection.network?.allowTwoPrimaries ?? false
        context.hasVerifyAlgorithm = connection.network?.verifyAlgorithm != nil
        context.agreedVersion = connection.dialect.version
        context.isOpen = volume.openCount > 0
        context.onNoDataAccessible = options.onNoDataAccessible
        if let disk = volume.disk {
            context.isExposedDataCurrent = GenerationUUIDs.areEqual(volume.exposedUUID, disk.uuids.current)
            context.negotiatedDisk = disk.negotiatedDisk
            context.negotiatedPeerDisk = disk.negotiatedPeerDisk
        } else {
            context.isExposedDataCurrent = false
        }
        context.isPeerPrimaryOnOtherVolume = volumes.contains { $0 !== volume && $0.state.peer == .primary }
        // A volume that the peer does not know (yet) waits in WFReportParams: that is no handshake under way.
        context.isHandshakeStateSent =
            volume.isDecidingSync || volume.isHandshakeStateSent && !volumes.contains { $0.state.conn >= .connected }
        return context
    }

    /// What would become of a request, without doing it.
    func decide(_ volume: Volume, _ request: StateRequest, _ kind: StateRules.Kind) -> StateDecision {
        StateRules.decide(volume.state, request, kind, context: context(of: volume))
    }

    /// Changes the state of one volume. A refusal is logged unless `isQuiet`.
    @discardableResult
    func change(
        _ volume: Volume, _ request: StateRequest, _ kind: StateRules.Kind, isQuiet: Bool = false
    ) -> StateChangeResult {
        let decision = decide(volume, request, kind)
        if decision.result == .success {
            apply(decision, to: volume)
        } else if decision.result != .nothingToDo && !isQuiet {
            logRefusal(decision, of: volume)
        }
        return decision.result
    }

    /// Changes the connection state (and what goes with it) of all volumes, or of none.
    @discardableResult
    func changeAll(_ request: StateRequest, _ kind: StateRules.Kind, isQuiet: Bool = false) -> StateChangeResult {
        if volumes.isEmpty { return changeConnectionAlone(request) }
        let decisions = volumes.map { decide($0, request, kind) }
        for (volume, decision) in zip(volumes, decisions) where !decision.result.isSuccess {
            if !isQuiet { logRefusal(decision, of: volume) }
            return decision.result
        }
        if let conn = request.conn { connection.state = min(conn, .wfReportParams) }
        guard decisions.contains(where: { $0.result == .success }) else { return .nothingToDo }
        let isLoggedTogether = logCommonChange(decisions)
        for (volume, decision) in zip(volumes, decisions) where decision.result == .success {
            apply(decision, to: volume, isLogged: isLoggedTogether)
        }
        return .success
    }

    /// A resource without volumes has only the state of its connection.
    private func changeConnectionAlone(_ request: StateRequest) -> StateChangeResult {
        guard let conn = request.conn, min(conn, .wfReportParams) != connection.state else { return .nothingToDo }
        var (old, new) = (DeviceState(), DeviceState())
        old.conn = connection.state
        new.conn = min(conn, .wfReportParams)
        let verdict = StateRules.transition(from: old, to: new)
        guard verdict.isSuccess else { return verdict }
        connection.state = new.conn
        if let text = StateLog.change(from: old, to: new) { log(.info, text) }
        changed()
        return .success
    }

    /// One line of the resource when the change is the same for all volumes.
    private func logCommonChange(_ decisions: [StateDecision]) -> Bool {
        var common: String?
        for (volume, decision) in zip(volumes, decisions) {
            guard let text = StateLog.change(from: volume.state, to: decision.new) else { return false }
            if let common, common != text { return false }
            common = text
        }
        guard let common else { return false }
        log(.info, common)
        return true
    }

    private func logRefusal(_ decision: StateDecision, of volume: Volume) {
        for line in StateLog.refusal(decision.result, state: volume.state, wanted: decision.wanted) {
            log(.error, volume, line)
        }
    }

    /// Takes a decided state: log, event, flags of the superblock, and what follows.
    private func apply(_ decision: StateDecision, to volume: Volume, isLogged: Bool = false) {
        let (old, new) = (volume.state, decision.new)
        volume.state = new
        stateChangeCount += 1
        for warning in decision.warnings { log(.warning, volume, warning.text) }
        if !isLogged, let text = StateLog.change(from: old, to: new) { log(.info, volume, text) }
        actions.append(.changed(.volume(volume.number, from: old, to: new)))
        if new.conn >= .connected || new.conn < .wfReportParams { volume.isHandshakeStateSent = false }
        if old.conn >= .connected, new.conn < .connected { volume.hasLostPrimaryPeer = old.peer == .primary }
        // The peer was forced to be the one with the data. Spec: drbd-wire 8.3 step 7.
        if old.disk == .inconsistent, old.pdsk == .inconsistent, old.peer == .secondary, new.peer == .primary {
            volume.considersResync = true
        }
        followResync(volume, from: old, to: new)
        updateMetadataFlags(volume, from: old, to: new)
        spreadSuspension(from: volume, old: old, new: new)
        changed()
        scheduleAfterChange(volume, from: old, to: new)
    }

    /// The flags follow the state while a disk is attached. Spec: drbd-disk-and-state 4 rule 1.
    private func updateMetadataFlags(_ volume: Volume, from old: DeviceState, to new: DeviceState) {
        guard let disk = volume.disk, new.disk >= .inconsistent else { return }
        if StateRules.clearsCrashedPrimary(from: old, to: new) {
            disk.isCrashedPrimary = false
            volume.peerUUIDFlags.remove(.crashedPrimary)
        }
        let flags = StateRules.metadataFlags(disk.flags, after: new, isCrashedPrimary: disk.isCrashedPrimary)
        guard flags != disk.flags else { return }
        if disk.flags.contains(.primaryIndicator), !flags.contains(.primaryIndicator) { disk.owesBitmap = true }
        disk.flags = flags
        disk.touch()
        if disk.owesBitmap { payBitmap(volume, disk) }
    }

    /// The bits that hold I/O belong to the resource: what one volume's change set or cleared holds for all.
    private func spreadSuspension(from volume: Volume, old: DeviceState, new: DeviceState) {
        guard old.susp != new.susp || old.suspNod != new.suspNod || old.suspFen != new.suspFen else { return }
        if let text = StateLog.change(from: old, to: new, .suspension) { log(.info, text) }
        for other in volumes where other !== volume {
            let before = other.state
            other.state.susp = new.susp
            other.state.suspNod = new.suspNod
            other.state.suspFen = new.suspFen
            if other.state != before {
                actions.append(.changed(.volume(other.number, from: before, to: other.state)))
            }
        }
    }

    /// Sets or clears bits that hold I/O, for the whole resource.
    func changeSuspension(susp: Bool? = nil, noData: Bool? = nil, fencing: Bool? = nil) {
        guard let volume = volumes.first else { return }
        change(volume, StateRequest(susp: susp, suspNod: noData, suspFen: fencing), .hard)
        if !isSuspended { releaseHeldCompletions() }
    }

    /// A disk that can be read and written, in the sense of the rules.
    func isPrimaryAnywhere() -> Bool { volumes.contains { $0.state.role == .primary } }
}
