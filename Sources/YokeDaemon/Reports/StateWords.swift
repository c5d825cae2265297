package import DRBDLayout

/// The words that `drbdsetup status` and `events2` use, which are those of DRBD 9. Spec: drbd-config-and-tools 12.2.
extension DeviceState {
    /// State of the connection: `Connecting` for WFConnection, `Connected` from WFReportParams on.
    package var connectionWord: String {
        if conn >= .wfReportParams { return "Connected" }
        return conn == .wfConnection ? "Connecting" : conn.name
    }

    /// State of the replication of one volume: `Off` up to WFReportParams, `Established` when connected.
    package var replicationWord: String {
        if conn <= .wfReportParams { return "Off" }
        return conn == .connected ? "Established" : conn.name
    }

    /// `no`, or a comma list of user, no-data, fencing.
    package var suspendedWord: String {
        Self.list([(susp, "user"), (suspNod, "no-data"), (suspFen, "fencing")])
    }

    /// `no`, or a comma list of user, peer, dependency.
    package var resyncSuspendedWord: String {
        Self.list([(userIsp, "user"), (peerIsp, "peer"), (aftrIsp, "dependency")])
    }

    /// A resync or verify, running or paused (numbers 16 to 21).
    package var isSyncing: Bool { conn >= .syncSource && conn <= .pausedSyncT }

    private static func list(_ flags: [(isSet: Bool, word: String)]) -> String {
        let words = flags.filter(\.isSet).map(\.word)
        return words.isEmpty ? "no" : words.joined(separator: ",")
    }
}

/// What a resource shows as a whole, made of its volumes.
package struct ResourceState: Equatable, Sendable {
    package var role = Role.secondary
    package var peer = Role.unknown
    package var suspended = "no"
    package var connection = "StandAlone"
    /// The lowest connection state of the volumes.
    package var conn = ConnectionState.standAlone

    package init(_ states: [DeviceState]) {
        guard let first = states.first else { return }
        if states.contains(where: { $0.role == .primary }) { role = .primary }
        peer = first.peer
        if states.contains(where: { $0.peer == .primary }) { peer = .primary }
        suspended = states.first { $0.suspendedWord != "no" }?.suspendedWord ?? "no"
        conn = states.map(\.conn).min() ?? .standAlone
        connection = (states.min { $0.conn < $1.conn } ?? first).connectionWord
    }
}
