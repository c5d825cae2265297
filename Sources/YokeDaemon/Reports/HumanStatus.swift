internal import DRBDLayout
internal import Replication

/// `yoke status`: one line of health for each resource, then roles, connection and disks; then the mounts.
package enum HumanStatus {
    package static func text(
        of reports: [ResourceReport], _ mounts: [MountReport] = [], node: String, isColoured: Bool = false
    ) -> String {
        guard !reports.isEmpty || !mounts.isEmpty else {
            return "no resource is up on \(node): yoke drbdadm up all, or yoke init for a first one\n"
        }
        let parts = reports.map { text(of: $0, isColoured) } + mounts.map { $0.text(isColoured: isColoured) }
        let head = parts.count > 1 ? [headline(of: reports, mounts, node: node, isColoured)] : []
        return (head + parts).joined(separator: "\n")
    }

    /// The whole host in one line: how many are well, or what is worst.
    private static func headline(
        of reports: [ResourceReport], _ mounts: [MountReport], node: String, _ isColoured: Bool
    ) -> String {
        let findings =
            reports.map { report in
                let health = Health(of: report)
                return (level: health.level, text: "\(report.name): \(health.sentence)")
            } + mounts.map { (level: $0.health, text: "\($0.directory): \($0.sentence)") }
        let worst = findings.dropFirst().reduce(findings[0]) { $1.level > $0.level ? $1 : $0 }
        let word = isColoured ? TerminalText.painted(worst.level.word, worst.level) : worst.level.word
        let count = "\(counted(reports.count, "resource")), \(counted(mounts.count, "mount"))"
        return "\(node): \(word) - \(worst.level == .healthy ? count : worst.text)\n"
    }

    private static func counted(_ count: Int, _ noun: String) -> String { "\(count) \(noun)\(count == 1 ? "" : "s")" }

    /// The exit status of `yoke status`: the worst of all resources and mounts.
    package static func exitStatus(of reports: [ResourceReport], _ mounts: [MountReport] = []) -> Int32 {
        (reports.map { Health(of: $0).level } + mounts.map(\.health)).max()?.rawValue ?? 0
    }

    private static func text(of report: ResourceReport, _ isColoured: Bool) -> String {
        let health = Health(of: report)
        let state = ResourceState(report.snapshot.volumes.map(\.state))
        let word = isColoured ? TerminalText.painted(health.level.word, health.level) : health.level.word
        var lines = ["\(report.name): \(word) - \(health.sentence)"]
        lines.append("  role        \(state.role.name), peer \(state.peer.name)")
        var link = state.connection
        if let network = report.snapshot.network { link += ", protocol \(letter(network.wireProtocol))" }
        if let local = report.localAddress, let remote = report.remoteAddress { link += ", \(local) - \(remote)" }
        lines.append("  connection  \(link)")
        for volume in report.volumes { lines += self.lines(of: volume) }
        return lines.joined(separator: "\n") + "\n"
    }

    private static func lines(of volume: VolumeReport) -> [String] {
        let snapshot = volume.snapshot
        let state = snapshot.state
        var line = "  volume \(TextColumns.left("\(snapshot.volume)", 3))  drbd\(volume.minor)"
        line += ", \(size(snapshot.sizeSectors)), disk \(state.disk.name), peer \(state.pdsk.name)"
        if snapshot.outOfSyncBits > 0 { line += ", out of sync \(size(snapshot.outOfSyncBits * 8))" }
        if let node = volume.deviceNode { line += ", device \(node)" }
        guard let progress = snapshot.progress, let bar = ProcText.progressBar(progress, state: state) else {
            return [line]
        }
        return [line, "             " + bar.dropFirst()]
    }

    static func letter(_ letter: NetworkOptions.WireProtocol) -> String {
        switch letter {
        case .a: "A"
        case .b: "B"
        case .c: "C"
        }
    }

    /// Sectors as KiB, MiB, GiB or TiB with one decimal.
    static func size(_ sectors: UInt64) -> String {
        let kib = sectors / 2
        let units = ["KiB", "MiB", "GiB", "TiB"]
        var unit = 0
        while unit < units.count - 1 && kib >> (10 * UInt64(unit + 1)) > 0 { unit += 1 }
        if unit == 0 { return "\(kib) KiB" }
        let tenths = (kib * 10) >> (10 * UInt64(unit))
        return "\(tenths / 10).\(tenths % 10) \(units[unit])"
    }
}

/// `yoke status --json`.
extension HumanStatus {
    package static func json(of reports: [ResourceReport], _ mounts: [MountReport] = [], node: String) -> JSONText {
        let worst = (reports.map { Health(of: $0).level } + mounts.map(\.health)).max() ?? .healthy
        return .object([
            .init("node", .string(node)), .init("health", .string(worst.word.lowercased())),
            .init("resources", .array(reports.map(json(of:)))), .init("mounts", .array(mounts.map(\.json))),
        ])
    }

    private static func json(of report: ResourceReport) -> JSONText {
        let health = Health(of: report)
        let state = ResourceState(report.snapshot.volumes.map(\.state))
        func string(_ text: String?) -> JSONText { text.map(JSONText.string) ?? .null }
        return .object([
            .init("name", .string(report.name)), .init("health", .string(health.level.word.lowercased())),
            .init("summary", .string(health.sentence)), .init("role", .string(state.role.name)),
            .init("peerRole", .string(state.peer.name)), .init("connection", .string(state.conn.name)),
            .init("protocol", string(report.snapshot.network.map { letter($0.wireProtocol) })),
            .init("suspended", .string(state.suspended)), .init("localAddress", string(report.localAddress)),
            .init("peerAddress", string(report.remoteAddress)),
            .init("volumes", .array(report.volumes.map(json(of:)))),
        ])
    }

    private static func json(of volume: VolumeReport) -> JSONText {
        let snapshot = volume.snapshot
        let state = snapshot.state
        var sync = JSONText.null
        if let progress = snapshot.progress, state.isSyncing {
            let perMille = Health.perMille(progress)
            sync = .object([
                .init("percent", .decimal("\(perMille / 10).\(perMille % 10)")),
                .init("bytesPerSecond", .number(ProcText.currentSpeed(progress) << 10)),
                .init("secondsLeft", .number(ProcText.secondsLeft(progress))),
                .init("isPaused", .boolean(state.conn == .pausedSyncS || state.conn == .pausedSyncT)),
            ])
        }
        return .object([
            .init("volume", .number(UInt64(snapshot.volume.rawValue))), .init("minor", .number(UInt64(volume.minor))),
            .init("device", volume.deviceNode.map(JSONText.string) ?? .null),
            .init("disk", .string(state.disk.name)), .init("peerDisk", .string(state.pdsk.name)),
            .init("connection", .string(state.conn.name)), .init("sizeBytes", .number(snapshot.sizeSectors << 9)),
            .init("outOfSyncBytes", .number(snapshot.outOfSyncBits << 12)),
            .init("sentBytes", .number(snapshot.sentSectors << 9)),
            .init("receivedBytes", .number(snapshot.receivedSectors << 9)),
            .init("writtenBytes", .number(snapshot.writtenSectors << 9)),
            .init("readBytes", .number(snapshot.readSectors << 9)), .init("sync", sync),
        ])
    }
}
