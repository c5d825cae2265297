package import DRBDLayout

extension StateRules {
    /// Whether a state may follow another at all; holds for facts too. `nothingToDo`: the connection state stays.
    /// Spec: drbd-disk-and-state 11.3.
    package static func transition(from old: DeviceState, to new: DeviceState) -> StateChangeResult {
        if old.disk == .diskless && new.disk == .failed { return .isDiskless }
        if old.conn == new.conn { return .nothingToDo }
        switch old.conn {
        case .standAlone:
            if new.conn == .disconnecting { return .alreadyStandAlone }
            if new.conn != .unconnected { return .needsConnection }
        case .disconnecting:
            if new.conn >= .connected { return .needsConnection }
            if new.conn != .standAlone { return .inTransientState }
        case .timeout, .brokenPipe, .networkFailure, .protocolError, .tearDown:
            if new.conn >= .connected { return .needsConnection }
            if new.conn != .unconnected && new.conn != .disconnecting { return .inTransientState }
        case .unconnected, .wfConnection:
            if new.conn >= .connected { return .needsConnection }
        case .wfReportParams, .connected, .startingSyncS, .startingSyncT, .wfBitMapS, .wfBitMapT, .wfSyncUUID,
            .syncSource, .syncTarget, .verifyS, .verifyT, .pausedSyncS, .pausedSyncT, .ahead, .behind:
            break
        }
        return .success
    }

    /// Whether a state is allowed, wherever it comes from. The first rule that hits answers.
    /// Spec: drbd-disk-and-state 11.2.
    package static func validity(of state: DeviceState, context: StateContext) -> StateChangeResult {
        roleFault(state, context) ?? resyncFault(state, context) ?? .success
    }

    private static func roleFault(_ state: DeviceState, _ context: StateContext) -> StateChangeResult? {
        let isPrimary = state.role == .primary
        if !context.allowTwoPrimaries && isPrimary {
            if state.peer == .primary { return .twoPrimaries }
            if context.isPeerPrimaryOnOtherVolume { return .otherVolumePrimaryOnPeer }
        }
        if state.role == .secondary && context.isOpen { return .deviceInUse }
        if isPrimary && state.conn < .connected {
            if state.disk < .upToDate { return .noUpToDateDisk }
            if context.fencing >= .resourceOnly && state.pdsk >= .unknown { return .primaryNeedsPeerOutdated }
        }
        if isPrimary && state.disk <= .inconsistent && state.pdsk <= .inconsistent { return .noUpToDateDisk }
        return nil
    }

    private static func resyncFault(_ state: DeviceState, _ context: StateContext) -> StateChangeResult? {
        if state.conn > .connected {
            if state.disk < .inconsistent { return .noLocalDisk }
            if state.pdsk < .inconsistent { return .noRemoteDisk }
            if state.disk < .upToDate && state.pdsk < .upToDate { return .noUpToDateDisk }
        }
        if state.disk == .outdated && state.conn.forbidsOutdated { return .connectedOutdates }
        if state.conn.isVerify {
            if !context.hasVerifyAlgorithm { return .noVerifyAlgorithm }
            if context.agreedVersion < 88 { return .notSupportedByPeer }
        }
        if state.role == .primary && state.disk < .upToDate && state.pdsk < .upToDate { return .noUpToDateDisk }
        if state.conn.isStartingSync && state.pdsk == .unknown { return .needsConnection }
        if state.conn >= .connected && state.pdsk == .unknown { return .connectedOutdates }
        return nil
    }

    /// Whether a wish may be served now; facts are not asked. Of the rules that hit, the last one answers.
    /// Spec: drbd-disk-and-state 11.4.
    package static func softTransition(
        from old: DeviceState, to new: DeviceState, context: StateContext
    ) -> StateChangeResult {
        var result = StateChangeResult.success
        let leavesConnection = new.conn == .disconnecting
        if new.conn.isStartingSync && old.conn > .connected { result = .resyncRunning }
        if leavesConnection && old.conn == .standAlone { result = .alreadyStandAlone }
        if new.disk > .attaching && old.disk == .diskless { result = .isDiskless }
        if new.conn == .wfConnection && old.conn < .unconnected { result = .noNetworkConfiguration }
        if new.disk == .outdated && old.disk < .outdated && old.disk != .attaching { result = .lowerThanOutdated }
        if leavesConnection && old.conn == .unconnected { result = .inTransientState }
        if context.isHandshakeStateSent && !isHandshakeStep(from: old.conn, to: new.conn) {
            result = .inTransientState
        }
        if promotesDuringHandshake(from: old, to: new) { result = .inTransientState }
        if new.conn.isVerify && old.conn < .connected { result = .needsConnection }
        if new.conn.isVerify && new.conn != old.conn && old.conn > .connected { result = .resyncRunning }
        if new.conn.isStartingSync && old.conn < .connected { result = .needsConnection }
        if (new.conn == .syncSource || new.conn == .syncTarget) && old.conn < .wfReportParams {
            result = .needsConnection
        }
        if leavesConnection && new.pdsk == .outdated && old.conn < .connected && old.pdsk > .outdated {
            result = .needsConnectionForOutdate
        }
        return result
    }

    private static func isHandshakeStep(from old: ConnectionState, to new: ConnectionState) -> Bool {
        (old == .wfConnection && new == .wfReportParams) || (old == .wfReportParams && new >= .connected)
    }

    /// A promotion while the peer prepares to send us its data.
    private static func promotesDuringHandshake(from old: DeviceState, to new: DeviceState) -> Bool {
        old.role != .primary && new.role == .primary && new.pdsk == .upToDate && new.disk != .upToDate
            && new.disk != .diskless && (new.conn <= .wfSyncUUID || new.conn != old.conn)
    }
}

extension ConnectionState {
    package var isStartingSync: Bool { self == .startingSyncS || self == .startingSyncT }

    /// An own disk that is Outdated is a contradiction here. Spec: drbd-disk-and-state 11.2.
    fileprivate var forbidsOutdated: Bool {
        self == .connected || self == .wfBitMapS || self == .syncSource || self == .pausedSyncS
    }
}
