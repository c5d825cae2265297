internal import DRBDLayout
internal import Replication

/// How a resource does, in one word and one sentence with what to do next: the first line of `yoke status`.
package struct Health: Equatable, Sendable {
    /// The raw value is the exit status of `yoke status`.
    package enum Level: Int32, Comparable, Sendable {
        /// Both copies are up to date and connected.
        case healthy = 0
        /// The data is served, but a failure now would hurt.
        case degraded = 1
        /// The data is not served, or two histories exist.
        case broken = 2

        /// As `yoke status` prints it.
        package var word: String {
            switch self {
            case .healthy: "healthy"
            case .degraded: "degraded"
            case .broken: "BROKEN"
            }
        }

        package static func < (left: Level, right: Level) -> Bool { left.rawValue < right.rawValue }
    }

    package var level: Level
    package var sentence: String

    package init(_ level: Level, _ sentence: String) {
        self.level = level
        self.sentence = sentence
    }

    /// The worst of all volumes.
    package init(of report: ResourceReport) {
        let name = report.name
        guard !report.volumes.isEmpty else {
            self.init(.broken, "no volume: yoke drbdadm up \(name)")
            return
        }
        let findings = report.volumes.map { Self.finding($0, report) }
        self = findings.dropFirst().reduce(findings[0]) { $1.level > $0.level ? $1 : $0 }
    }

    private static func finding(_ volume: VolumeReport, _ report: ResourceReport) -> Health {
        let name = report.name
        let state = volume.snapshot.state
        if volume.isUnconfigured { return Health(.broken, "not configured: yoke drbdadm up \(name)") }
        if let frozen = frozen(state, name) { return frozen }
        if let trouble = report.trouble, state.conn < .connected {
            return Health(
                .broken,
                "\(trouble); choose the side to keep: on the other one yoke drbdadm secondary \(name) and"
                    + " \(discard(name)), then here yoke drbdadm connect \(name)")
        }
        let isServed = state.disk == .upToDate || (state.conn >= .connected && state.pdsk == .upToDate)
        if !isServed { return Health(.broken, unserved(state, name)) }
        if state.isSyncing || state.conn > .connected { return Health(.degraded, syncing(volume.snapshot)) }
        switch (state.conn, state.disk, state.pdsk) {
        case (.connected, .upToDate, .upToDate):
            return Health(.healthy, "both copies are up to date")
        case (.connected, .upToDate, _):
            return Health(.degraded, "the peer's disk is \(state.pdsk.name): look at the log of the peer")
        case (.connected, _, _):
            return Health(
                .degraded,
                "the disk here is \(state.disk.name), the peer serves the data: "
                    + "repair it, then yoke drbdadm attach \(name)")
        case (.standAlone, _, _):
            return Health(.degraded, "not connected and not trying: yoke drbdadm connect \(name)")
        default:
            return Health(.degraded, "the peer is not connected: is its yoked (or DRBD) up, and the network between?")
        }
    }

    private static func frozen(_ state: DeviceState, _ name: String) -> Health? {
        guard state.isSuspended else { return nil }
        // Under a mount the two hosts decide it between them: who lets I/O go on by hand makes a split brain.
        if state.suspFen {
            return Health(
                .broken,
                "I/O waits until it is known what became of the peer: see the mount's verdict, or the fence-peer handler"
            )
        }
        let reason =
            state.suspNod ? "because no copy of the data is reachable" : "by the admin"
        return Health(.broken, "I/O is frozen \(reason): yoke drbdadm resume-io \(name) lets it go on")
    }

    private static func discard(_ name: String) -> String {
        "yoke drbdadm -- --discard-my-data connect \(name)"
    }

    private static func unserved(_ state: DeviceState, _ name: String) -> String {
        switch state.disk {
        case .diskless: "no disk here and no connection to a good copy: yoke drbdadm attach \(name)"
        case .inconsistent where state.conn >= .connected:
            "neither copy was ever made valid: on the side to copy from, yoke drbdadm primary --force \(name)"
        case .inconsistent: "the copy here is incomplete: connect to the peer that has the good one"
        case .outdated: "the copy here is old: connect to the peer that has the new one"
        default: "the disk is \(state.disk.name): wait for the peer, or yoke drbdadm primary --force \(name)"
        }
    }

    private static func syncing(_ snapshot: VolumeSnapshot) -> String {
        let state = snapshot.state
        let verb =
            switch state.conn {
            case .syncSource: "sending to the peer"
            case .syncTarget: "receiving from the peer"
            case .verifyS, .verifyT: "comparing with the peer"
            case .pausedSyncS, .pausedSyncT: "resync is paused (\(state.resyncSuspendedWord))"
            case .ahead, .behind: "the network is congested, the peer will be brought up to date later"
            default: "preparing a resync"
            }
        guard let progress = snapshot.progress, state.isSyncing else { return verb }
        let perMille = Self.perMille(progress)
        let rest = ProcText.secondsLeft(progress)
        let time = "\(rest / 3600):\(TextColumns.zeroes(rest % 3600 / 60, 2)):\(TextColumns.zeroes(rest % 60, 2))"
        return "\(verb): \(perMille / 10).\(perMille % 10) % done,"
            + " \(TextColumns.grouped(ProcText.currentSpeed(progress))) KiB/s, \(time) left"
    }

    /// What is done, plainly; /proc/drbd rounds in its own way.
    static func perMille(_ progress: SyncProgress) -> UInt64 {
        guard progress.totalBits > 0 else { return 1000 }
        return (progress.totalBits - min(progress.leftBits, progress.totalBits)) * 1000 / progress.totalBits
    }
}
