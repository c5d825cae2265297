internal import DRBDLayout
internal import Replication

/// `drbd-overview`. Spec: drbd-config-and-tools 16.
package enum OverviewText {
    /// What goes to stderr first.
    package static let notice =
        "NOTE: drbd-overview will be deprecated soon.\nPlease consider using drbdmon.\n\n"

    /// - Parameters:
    ///   - configured: minors that the configuration knows (name and volume are shown for those).
    ///   - users: who uses a minor's device (`/mnt ext4 20G 5G 15G 25%`), by minor.
    package static func text(
        of reports: [ResourceReport], configured: Set<Int>, users: [Int: String] = [:]
    ) -> String {
        let devices = reports.flatMap { report in report.volumes.map { (report: report, volume: $0) } }
            .sorted { $0.volume.minor < $1.volume.minor }
        let minorWidth = max(2, devices.map { "\($0.volume.minor)".count }.max() ?? 2)
        var rows: [[String]] = []
        var bars: [String?] = []
        for (report, volume) in devices {
            let name = configured.contains(volume.minor) ? "\(report.name)/\(volume.snapshot.volume)" : "??not-found??"
            let head = TextColumns.right("\(volume.minor)", minorWidth) + ":" + name
            let state = volume.snapshot.state
            if volume.isUnconfigured {
                rows.append([head, "", "Unconfigured", ".", ".", ""])
                bars.append(nil)
            } else {
                rows.append([
                    head, "", state.conn.name, "\(state.role.name)/\(state.peer.name)",
                    "\(state.disk.name)/\(state.pdsk.name)", users[volume.minor] ?? "",
                ])
                bars.append(volume.snapshot.progress.flatMap { ProcText.progressBar($0, state: state) })
            }
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
