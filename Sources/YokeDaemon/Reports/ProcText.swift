package import DRBDLayout
package import Replication

/// The text of `/proc/drbd`, byte by byte as cluster agents parse it. Spec: drbd-config-and-tools 15.
package enum ProcText {
    /// Version, netlink interface and the protocol range that we speak.
    package static let versionLine = "version: 8.4.11 (api:1/proto:100-101)"
    /// The build tag has 24 columns.
    package static let buildLine = "srcversion: " + TextColumns.left("YOKE", 24)

    /// - Parameter reports: any order; volumes are printed by minor.
    package static func text(of reports: [ResourceReport]) -> String {
        var lines = versionLine + "\n" + buildLine + "\n"
        let devices = reports.flatMap { report in report.volumes.map { (report: report, volume: $0) } }
            .sorted { $0.volume.minor < $1.volume.minor }
        var previous: Int?
        for device in devices {
            if let previous, device.volume.minor != previous + 1 { lines += "\n" }
            previous = device.volume.minor
            lines += text(of: device.volume, in: device.report)
        }
        return lines
    }

    /// The lines of one volume.
    static func text(of volume: VolumeReport, in report: ResourceReport) -> String {
        let head = TextColumns.right("\(volume.minor)", 2) + ": cs:"
        guard !volume.isUnconfigured else { return head + "Unconfigured\n" }
        let snapshot = volume.snapshot
        let state = snapshot.state
        var text =
            head + "\(state.conn.name) ro:\(state.role.name)/\(state.peer.name)"
            + " ds:\(state.disk.name)/\(state.pdsk.name) \(protocolLetter(report)) \(flags(of: snapshot))\n"
        text += "    " + counters(of: snapshot, ordering: report.snapshot.writeOrdering) + "\n"
        if let progress = snapshot.progress, let lines = progressLines(progress, state: state) { text += lines }
        return text
    }

    static func protocolLetter(_ report: ResourceReport) -> Character {
        switch report.snapshot.network?.wireProtocol {
        case .a: "A"
        case .b: "B"
        case .c: "C"
        case nil: " "
        }
    }

    static func flags(of volume: VolumeSnapshot) -> String {
        let state = volume.state
        return (state.isSuspended ? "s" : "r") + (state.aftrIsp ? "a" : "-") + (state.peerIsp ? "p" : "-")
            + (state.userIsp ? "u" : "-") + "-" + (volume.isActivityLogSuspended ? "s" : "-")
    }

    private static func counters(of volume: VolumeSnapshot, ordering: String) -> String {
        // Counters of sectors, 32 bits wide, shown in KiB.
        func kib(_ sectors: UInt64) -> UInt64 { (sectors & 0xffff_ffff) / 2 }
        return "ns:\(kib(volume.sentSectors)) nr:\(kib(volume.receivedSectors)) dw:\(kib(volume.writtenSectors))"
            + " dr:\(kib(volume.readSectors)) al:\(volume.activityLogWrites) bm:\(volume.bitmapWrites)"
            + " lo:\(volume.localPending) pe:\(volume.peerPending) ua:\(volume.unacknowledged)"
            + " ap:\(volume.applicationPending) ep:\(volume.epochs) wo:\(ordering.prefix(1))"
            + " oos:\(volume.outOfSyncBits * 4)"
    }
}

/// The progress bar. Spec: drbd-config-and-tools 15.
extension ProcText {
    /// Both lines, or nil where the kernel shows none (paused, not syncing).
    package static func progressLines(_ progress: SyncProgress, state: DeviceState) -> String? {
        guard let bar = progressBar(progress, state: state) else { return nil }
        return bar + "\n" + speedLine(progress, state: state) + "\n"
    }

    /// The line with the bar, without a newline.
    package static func progressBar(_ progress: SyncProgress, state: DeviceState) -> String? {
        let word: String
        switch state.conn {
        case .syncSource, .syncTarget: word = "sync'ed:"
        case .verifyS, .verifyT: word = "verified:"
        default: return nil
        }
        let total = progress.totalBits
        let left = min(progress.leftBits, total)
        let perMille = perMille(progress)
        let done = Int(perMille / 50)
        var text = "\t[" + String(repeating: "=", count: max(0, done - 1)) + ">"
        text += String(repeating: ".", count: 20 - done) + "] " + word
        text += TextColumns.right("\(perMille / 10)", 3) + ".\(perMille % 10)% "
        if total > 1 << 20 {
            text += "(\((left >> 10) * 4)/\((total >> 10) * 4))M"
        } else {
            text += "(\(left * 4)/\(total * 4))K"
        }
        return text
    }

    /// Integer arithmetic as the kernel does it; odd values at the start and the end belong to it.
    package static func perMille(_ progress: SyncProgress) -> UInt64 {
        let total = progress.totalBits
        guard progress.leftBits <= total else { return total > 0 ? 0 : 1000 }
        let shift: UInt64 = total > 0xffff_ffff ? 16 : 10
        return 1000 - (progress.leftBits >> shift) * 1000 / (1 + (total >> shift))
    }

    /// KiB/s since the mark two steps ago.
    package static func currentSpeed(_ progress: SyncProgress) -> UInt64 {
        let left = min(progress.leftBits, progress.totalBits)
        let cleared = progress.markLeftBits > left ? progress.markLeftBits - left : 0
        return cleared / max(1, seconds(progress.markAge)) * 4
    }

    /// Seconds until the end at that speed.
    package static func secondsLeft(_ progress: SyncProgress) -> UInt64 {
        let left = min(progress.leftBits, progress.totalBits)
        let cleared = progress.markLeftBits > left ? progress.markLeftBits - left : 0
        return max(1, seconds(progress.markAge)) * (left / (cleared / 100 + 1)) / 100
    }

    private static func speedLine(_ progress: SyncProgress, state: DeviceState) -> String {
        let total = progress.totalBits
        let left = min(progress.leftBits, total)
        let rest = secondsLeft(progress)
        let average = (total - left) / max(1, seconds(progress.runningTime)) * 4
        var text = "\tfinish: \(rest / 3600):" + TextColumns.zeroes(rest % 3600 / 60, 2) + ":"
        text += TextColumns.zeroes(rest % 60, 2)
        text += " speed: \(TextColumns.grouped(currentSpeed(progress))) (\(TextColumns.grouped(average)))"
        if state.conn == .syncTarget || state.conn == .verifyS {
            text += " want: \(TextColumns.grouped(UInt64(max(0, progress.wantedRate ?? 0))))"
        }
        return text + " K/sec" + (seconds(progress.markAge) > 180 ? " (stalled)" : "")
    }

    private static func seconds(_ duration: Duration) -> UInt64 {
        UInt64(max(0, duration.components.seconds))
    }
}
