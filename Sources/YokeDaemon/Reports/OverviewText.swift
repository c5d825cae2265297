internal import DRBDLayout
internal import Replication

/// `drbd-overview`. Spec: drbd-config-and-tools 16.
package enum OverviewText {
    /// What goes to stderr first.
    package static let notice =
        "NOTE: drbd-overview will be deprecated soon.\nPlease consider using drbdmon.\n\n"

    /// Deviation: a volume of the configuration that is not up has a line too, as with 8.3, whose minors always exist.
    ///
    /// - Parameters:
    ///   - configured: name and volume (`r0/0`) of the minors that the configuration knows.
    ///   - users: who uses a minor's device (`/mnt ext4 20G 5G 15G 25%`), by minor.
    package static func text(
        of reports: [ResourceReport], configured: [Int: String], users: [Int: String] = [:]
    ) -> String {
        let devices = reports.flatMap { report in report.volumes.map { (report: report, volume: $0) } }
        let minors = Set(devices.map(\.volume.minor)).union(configured.keys).sorted()
        let minorWidth = max(2, minors.last.map { "\($0)".count } ?? 2)
        var rows: [[String]] = []
        var bars: [String?] = []
        for minor in minors {
            let device = devices.first { $0.volume.minor == minor }
            let name = configured[minor] ?? "??not-found??"
            let head = TextColumns.right("\(minor)", minorWidth) + ":" + name
            guard let device, !device.volume.isUnconfigured else {
                rows.append([head, "", "Unconfigured", ".", ".", ""])
                bars.append(nil)
                continue
            }
            let state = device.volume.snapshot.state
            rows.append([
                head, "", state.conn.name, "\(state.role.name)/\(state.peer.name)",
                "\(state.disk.name)/\(state.pdsk.name)", users[minor] ?? "",
            ])
            bars.append(device.volume.snapshot.progress.flatMap { ProcText.progressBar($0, state: state) })
        }
        let widths = (0..<6).map { column in rows.map { $0[column].count }.max() ?? 0 }
        let lineWidth = widths.reduce(6, +)
        var text = ""
        for (row, bar) in zip(rows, bars) {
            let padded = row.indices.map { $0 == 5 ? row[5] : TextColumns.left(row[$0], widths[$0]) }
            text += padded.joined(separator: " ") + "\n"
            if let bar { text += TextColumns.left(bar, lineWidth) + "\n" }
        }
        return text
    }
}
