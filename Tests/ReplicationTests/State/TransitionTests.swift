import DRBDLayout
import Testing

@testable import Replication

/// Spec: drbd-disk-and-state 11.3, 11.4.
struct TransitionTests {
    private func state(
        _ conn: ConnectionState, role: Role = .secondary, disk: DiskState = .upToDate, pdsk: DiskState = .upToDate
    ) -> DeviceState {
        DeviceState(role: role, peer: .secondary, conn: conn, disk: disk, pdsk: pdsk)
    }

    /// The table of 11.3, written as the chapter has it.
    private func expected(_ old: ConnectionState, _ new: ConnectionState) -> StateChangeResult {
        if old == new { return .nothingToDo }
        if old == .standAlone {
            return new == .disconnecting ? .alreadyStandAlone : new == .unconnected ? .success : .needsConnection
        }
        if old < .wfReportParams && new >= .connected { return .needsConnection }
        if old.rawValue >= 3 && old.rawValue <= 7 && new != .unconnected && new != .disconnecting {
            return .inTransientState
        }
        if old == .disconnecting && new != .standAlone { return .inTransientState }
        return .success
    }

    @Test("each pair of connection states is judged by the table", arguments: ConnectionState.allCases)
    func pairs(old: ConnectionState) {
        for new in ConnectionState.allCases {
            #expect(
                StateRules.transition(from: state(old), to: state(new)) == expected(old, new), "\(old) -> \(new)")
        }
    }

    @Test("a disk that is gone cannot fail any more, whatever the connection does")
    func disklessCannotFail() {
        let old = state(.connected, disk: .diskless)
        #expect(StateRules.transition(from: old, to: state(.connected, disk: .failed)) == .isDiskless)
        #expect(StateRules.transition(from: old, to: state(.timeout, disk: .failed)) == .isDiskless)
    }

    struct Row: Sendable, CustomTestStringConvertible {
        let name: String
        let old: DeviceState
        let new: DeviceState
        var isSent = false
        let code: StateChangeResult
        var testDescription: String { name }
    }

    private static func row(
        _ name: String, _ code: StateChangeResult, _ old: ConnectionState, _ new: ConnectionState,
        roles: (Role, Role) = (.secondary, .secondary), disks: (DiskState, DiskState) = (.upToDate, .upToDate),
        peers: (DiskState, DiskState) = (.upToDate, .upToDate), isSent: Bool = false
    ) -> Row {
        Row(
            name: name, old: DeviceState(role: roles.0, conn: old, disk: disks.0, pdsk: peers.0),
            new: DeviceState(role: roles.1, conn: new, disk: disks.1, pdsk: peers.1), isSent: isSent, code: code)
    }

    static let rows: [Row] = [
        row("promote", .success, .connected, .connected, roles: (.secondary, .primary)),
        row("full sync while one runs", .resyncRunning, .syncSource, .startingSyncS),
        row("full sync from Connected", .success, .connected, .startingSyncT),
        row("full sync without connection", .needsConnection, .wfConnection, .startingSyncT),
        row("disconnect of StandAlone", .alreadyStandAlone, .standAlone, .disconnecting),
        row("a disk from nothing", .isDiskless, .connected, .connected, disks: (.diskless, .inconsistent)),
        row("attaching from nothing", .success, .connected, .connected, disks: (.diskless, .attaching)),
        row("no network configuration", .noNetworkConfiguration, .disconnecting, .wfConnection),
        row("network configuration", .success, .unconnected, .wfConnection),
        row(
            "outdate Inconsistent", .lowerThanOutdated, .wfConnection, .wfConnection,
            disks: (.inconsistent, .outdated)),
        row("outdate UpToDate", .success, .wfConnection, .wfConnection, disks: (.upToDate, .outdated)),
        row("Attaching finds Outdated", .success, .wfConnection, .wfConnection, disks: (.attaching, .outdated)),
        row("disconnect while Unconnected", .inTransientState, .unconnected, .disconnecting),
        row("disconnect while WFConnection", .success, .wfConnection, .disconnecting),
        row(
            "role change in the handshake", .inTransientState, .wfReportParams, .wfReportParams,
            roles: (.secondary, .primary), isSent: true),
        row("handshake begins", .success, .wfConnection, .wfReportParams, isSent: true),
        row("handshake ends", .success, .wfReportParams, .wfBitMapS, isSent: true),
        row(
            "promotion while the peer prepares to send its data", .inTransientState, .wfBitMapT, .wfBitMapT,
            roles: (.secondary, .primary), disks: (.outdated, .outdated)),
        row(
            "promotion as SyncTarget", .success, .syncTarget, .syncTarget, roles: (.secondary, .primary),
            disks: (.inconsistent, .inconsistent)),
        row(
            "promotion without a disk", .success, .connected, .connected, roles: (.secondary, .primary),
            disks: (.diskless, .diskless)),
        row("verify without connection", .needsConnection, .wfReportParams, .verifyS),
        row("verify during resync", .resyncRunning, .syncSource, .verifyS),
        row("verify from Connected", .success, .connected, .verifyT),
        row("sync without connection", .needsConnection, .wfConnection, .syncSource),
        row(
            "outdate the peer without connection", .needsConnectionForOutdate, .wfConnection, .disconnecting,
            peers: (.unknown, .outdated)),
        row(
            "peer outdated already", .success, .wfConnection, .disconnecting, peers: (.outdated, .outdated)),
    ]

    @Test("a wish is judged by the table", arguments: rows)
    func soft(row: Row) {
        var context = StateContext()
        context.isHandshakeStateSent = row.isSent
        #expect(StateRules.softTransition(from: row.old, to: row.new, context: context) == row.code)
    }

    @Test("the last rule that hits answers: verify from StandAlone needs a connection, not a disk")
    func lastHit() {
        let old = state(.wfConnection, disk: .diskless)
        let new = state(.verifyS, disk: .upToDate)
        #expect(StateRules.softTransition(from: old, to: new, context: StateContext()) == .needsConnection)
    }
}
