package import DRBDLayout

/// How long start-up waits for the peer, and when it has waited enough. Spec: drbd-config-and-tools 12.3,
/// drbd-disk-and-state 18. Seconds; 0 is for ever.
package struct WaitTimes: Equatable, Sendable {
    package var connection: Int
    package var degraded: Int
    package var outdated: Int
    /// What the classic program says about times that it lowers.
    package private(set) var notices = ""

    package init(connection: Int, degraded: Int, outdated: Int) {
        self.connection = connection
        self.degraded = degraded
        self.outdated = outdated
        Self.lower(&self.degraded, "degr-wfc-timeout", to: connection, "wfc-timeout", &notices)
        Self.lower(&self.outdated, "outdated-wfc-timeout", to: self.degraded, "degr-wfc-timeout", &notices)
    }

    private static func lower(
        _ value: inout Int, _ name: String, to limit: Int, _ limitName: String, _ notices: inout String
    ) {
        guard limit > 0, value == 0 || value > limit else { return }
        value = limit
        notices += "\(name) has to be shorter than \(limitName)\n"
        notices += "\(name) implicitly set to \(limitName) (\(limit)s)\n"
    }

    package func limit(peerDisk: DiskState, wasDegraded: Bool) -> Int {
        if peerDisk == .outdated { return outdated }
        return wasDegraded ? degraded : connection
    }

    static func connectAnswer(_ state: DeviceState, waitsAfterSplitBrain: Bool) -> StateWaiter.Answer? {
        if state.conn >= .connected { return .reached }
        return state.conn == .standAlone && !waitsAfterSplitBrain ? .gaveUp : nil
    }

    /// Connected without a resync, or the peer left and it is known what the disk is worth.
    static func syncAnswer(_ state: DeviceState, waitsAfterSplitBrain: Bool) -> StateWaiter.Answer? {
        if state.conn == .connected { return .reached }
        if state.conn == .standAlone && !waitsAfterSplitBrain { return .gaveUp }
        return state.conn == .wfConnection && state.disk == .upToDate ? .reached : nil
    }
}
