package import DRBDLayout

/// What the normalisation of a state had to do against the wish.
package enum StateWarning: Equatable, Sendable {
    case resyncAborted
    case verifyAborted
    case lostWhileNegotiating
    case upgradedDisk
    case upgradedPeerDisk

    /// The line for the log.
    package var text: String {
        switch self {
        case .resyncAborted: "Resync aborted."
        case .verifyAborted: "Online-verify aborted."
        case .lostWhileNegotiating: "Connection lost while negotiating, no data!"
        case .upgradedDisk: "Implicitly upgraded disk"
        case .upgradedPeerDisk: "Implicitly upgraded pdsk"
        }
    }
}

extension StateRules {
    /// A state in which the fields agree with each other, made of a wish. Spec: drbd-disk-and-state 11.1, whose rule
    /// numbers stand at the steps.
    package static func sanitize(
        _ wanted: DeviceState, from old: DeviceState, context: StateContext
    ) -> (state: DeviceState, warnings: [StateWarning]) {
        var new = wanted
        var warnings: [StateWarning] = []
        forgetPeerUnlessConnected(&new)  // 1
        if new.conn == .standAlone && new.disk == .diskless && new.role == .secondary {  // 2
            new.aftrIsp = false
        }
        if new.conn > .connected && (new.disk <= .failed || new.pdsk <= .failed) {  // 3
            warnings.append(new.conn.isVerify ? .verifyAborted : .resyncAborted)
            keepLaggardsApart(&new)
            new.conn = .connected
        }
        if new.conn < .connected && new.disk == .negotiating {  // 4
            endNegotiation(&new, context: context, warnings: &warnings)
        }
        if new.conn >= .connected && new.conn < .ahead {  // 5
            new.disk = upToDateIfConsistent(new.disk)
            new.pdsk = upToDateIfConsistent(new.pdsk)
        }
        clampDisks(&new, warnings: &warnings)  // 6
        if context.fencing == .resourceAndStonith && needsFencing(new) && !needsFencing(old) {  // 7
            new.suspFen = true
        }
        if context.onNoDataAccessible == .suspendIO && lacksData(new) && !lacksData(old) {  // 8
            new.suspNod = true
        }
        new.conn = new.conn.resync(paused: new.aftrIsp || new.peerIsp || new.userIsp)  // 9
        return (new, warnings)
    }

    /// Rule 1. Inconsistent and Outdated are remembered about a peer that is gone.
    private static func forgetPeerUnlessConnected(_ new: inout DeviceState) {
        guard new.conn < .connected else { return }
        new.peerIsp = false
        new.peer = .unknown
        if new.pdsk > .unknown || new.pdsk < .inconsistent { new.pdsk = .unknown }
    }

    /// A target that did not get the source's data must not be taken for up to date by rule 5.
    ///
    /// Deviation: kernels turn the Outdated target of a resync that is aborted before it began into UpToDate.
    private static func keepLaggardsApart(_ new: inout DeviceState) {
        switch new.conn {
        case .wfBitMapT, .wfSyncUUID, .syncTarget, .pausedSyncT, .behind:
            if new.disk > .inconsistent { new.disk = .inconsistent }
        case .wfBitMapS, .syncSource, .pausedSyncS, .ahead:
            if new.pdsk > .inconsistent { new.pdsk = .inconsistent }
        case .standAlone, .disconnecting, .unconnected, .timeout, .brokenPipe, .networkFailure, .protocolError,
            .tearDown, .wfConnection, .wfReportParams, .connected, .startingSyncS, .startingSyncT, .verifyS, .verifyT:
            break
        }
    }

    /// Rule 4.
    private static func endNegotiation(
        _ new: inout DeviceState, context: StateContext, warnings: inout [StateWarning]
    ) {
        if context.isExposedDataCurrent {
            new.disk = context.negotiatedDisk
            new.pdsk = context.negotiatedPeerDisk
        } else {
            warnings.append(.lostWhileNegotiating)
            new.disk = .diskless
            new.pdsk = .unknown
        }
    }

    /// Rule 5. Who is connected and need not sync is up to date.
    private static func upToDateIfConsistent(_ disk: DiskState) -> DiskState {
        disk == .consistent || disk == .outdated ? .upToDate : disk
    }

    /// Rule 6.
    private static func clampDisks(_ new: inout DeviceState, warnings: inout [StateWarning]) {
        let (disk, pdsk) = diskRanges(of: new.conn)
        if new.disk < disk.lowerBound {
            warnings.append(.upgradedDisk)
            new.disk = disk.lowerBound
        } else if new.disk > disk.upperBound {
            new.disk = disk.upperBound
        }
        if new.pdsk < pdsk.lowerBound {
            warnings.append(.upgradedPeerDisk)
            new.pdsk = pdsk.lowerBound
        } else if new.pdsk > pdsk.upperBound {
            new.pdsk = pdsk.upperBound
        }
    }

    /// The disk states that a connection state permits, own and peer's. Spec: drbd-disk-and-state 11.1, second table.
    package static func diskRanges(
        of conn: ConnectionState
    ) -> (disk: ClosedRange<DiskState>, pdsk: ClosedRange<DiskState>) {
        switch conn {
        case .wfBitMapT, .pausedSyncT, .startingSyncT, .wfSyncUUID, .behind:
            (.inconsistent ... .outdated, .upToDate ... .upToDate)
        case .verifyS, .verifyT:
            (.upToDate ... .upToDate, .upToDate ... .upToDate)
        case .connected:
            (.diskless ... .upToDate, .diskless ... .upToDate)
        case .wfBitMapS, .pausedSyncS, .startingSyncS, .ahead:
            (.upToDate ... .upToDate, .inconsistent ... .consistent)
        case .syncTarget:
            (.inconsistent ... .inconsistent, .upToDate ... .upToDate)
        case .syncSource:
            (.upToDate ... .upToDate, .inconsistent ... .inconsistent)
        case .standAlone, .disconnecting, .unconnected, .timeout, .brokenPipe, .networkFailure, .protocolError,
            .tearDown, .wfConnection, .wfReportParams:
            (.diskless ... .upToDate, .inconsistent ... .unknown)
        }
    }

    /// Rule 7: a Primary without its peer, whose disk may still be used elsewhere.
    private static func needsFencing(_ state: DeviceState) -> Bool {
        state.role == .primary && state.conn < .connected && state.pdsk > .outdated
    }

    /// Rule 8: a Primary without any good data.
    package static func lacksData(_ state: DeviceState) -> Bool {
        state.role == .primary && state.disk < .upToDate && state.pdsk < .upToDate
    }
}

extension ConnectionState {
    package var isVerify: Bool { self == .verifyS || self == .verifyT }

    /// Rule 9: the resync state that goes with the pause flags; other states stay.
    fileprivate func resync(paused: Bool) -> ConnectionState {
        switch self {
        case .syncSource, .pausedSyncS: paused ? .pausedSyncS : .syncSource
        case .syncTarget, .pausedSyncT: paused ? .pausedSyncT : .syncTarget
        case .standAlone, .disconnecting, .unconnected, .timeout, .brokenPipe, .networkFailure, .protocolError,
            .tearDown, .wfConnection, .wfReportParams, .connected, .startingSyncS, .startingSyncT, .wfBitMapS,
            .wfBitMapT, .wfSyncUUID, .verifyS, .verifyT, .ahead, .behind:
            self
        }
    }
}
