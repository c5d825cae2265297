internal import DRBDLayout
internal import Replication

/// `drbdsetup status`. Spec: drbd-config-and-tools 12.2.
package struct StatusText {
    package var isVerbose = false
    package var hasStatistics = false
    /// Lines are wrapped at this width.
    package var columnCount = 80

    package init(isVerbose: Bool = false, hasStatistics: Bool = false) {
        self.isVerbose = isVerbose
        self.hasStatistics = hasStatistics
    }

    /// The lines of one resource and the empty line after it.
    package func text(of report: ResourceReport) -> String {
        let state = ResourceState(report.snapshot.volumes.map(\.state))
        var writer = WrappedWriter(columnCount: columnCount)
        writer.begin(indent: 0)
        writer.word("\(report.name)")
        writer.word("role:\(state.role.name)")
        if isVerbose || state.suspended != "no" { writer.word("suspended:\(state.suspended)") }
        if hasStatistics {
            writer.newLine()
            writer.word("write-ordering:\(report.snapshot.writeOrdering)")
        }
        let namesVolumes =
            isVerbose || report.volumes.count > 1 || report.volumes.contains { $0.snapshot.volume.rawValue != 0 }
        for volume in report.volumes { write(volume, namesVolumes, &writer) }
        if report.hasNetwork || report.snapshot.volumes.contains(where: { $0.state.conn > .standAlone }) {
            writePeer(of: report, state, namesVolumes, &writer)
        }
        return writer.text + "\n\n"
    }

    private func write(_ volume: VolumeReport, _ namesVolumes: Bool, _ writer: inout WrappedWriter) {
        writer.begin(indent: 2)
        if namesVolumes { writer.word("volume:\(volume.snapshot.volume)") }
        if isVerbose { writer.word("minor:\(volume.minor)") }
        writer.word("disk:\(volume.snapshot.state.disk.name)")
        let blocked = volume.snapshot.blockedWord
        if hasStatistics {
            writer.newLine()
            for field in volume.snapshot.deviceStatistics { writer.word(field.text) }
        } else if blocked != "no" {
            writer.word("blocked:\(blocked)")
        }
    }

    private func writePeer(
        of report: ResourceReport, _ state: ResourceState, _ namesVolumes: Bool, _ writer: inout WrappedWriter
    ) {
        let isConnected = state.conn >= .wfReportParams
        writer.begin(indent: 2)
        writer.word("peer")
        if isVerbose || !isConnected { writer.word("connection:\(state.connection)") }
        if isVerbose || isConnected { writer.word("role:\(state.peer.name)") }
        if isVerbose { writer.word("congested:no") }
        for volume in report.volumes {
            let word = volume.snapshot.state
            let isSilent = !isVerbose && word.conn <= .wfReportParams && word.pdsk == .unknown
            // Without anything to tell there is no line for the peer's volume.
            if isSilent && !hasStatistics && word.resyncSuspendedWord == "no" { continue }
            writer.begin(indent: 4)
            if namesVolumes { writer.word("volume:\(volume.snapshot.volume)") }
            if isVerbose || word.conn > .wfReportParams { writer.word("replication:\(word.replicationWord)") }
            if isConnected || isVerbose || word.pdsk != .unknown { writer.word("peer-disk:\(word.pdsk.name)") }
            if word.isSyncing { writer.word("done:\(TextColumns.hundredths(volume.snapshot.doneHundredths))") }
            if isVerbose || word.resyncSuspendedWord != "no" {
                writer.word("resync-suspended:\(word.resyncSuspendedWord)")
            }
            if hasStatistics {
                writer.newLine()
                for field in volume.snapshot.peerStatistics { writer.word(field.text) }
            }
        }
    }
}

/// Words joined by blanks, wrapped into lines that are indented deeper than their first one.
private struct WrappedWriter {
    let columnCount: Int
    private(set) var text = ""
    private var column = 0
    private var indent = 0
    private var isAtStart = true

    init(columnCount: Int) {
        self.columnCount = columnCount
    }

    /// Starts a line of its own.
    mutating func begin(indent: Int) {
        if !text.isEmpty { text += "\n" }
        self.indent = indent
        text += String(repeating: " ", count: indent)
        column = indent
        isAtStart = true
    }

    /// Continues on a new line, four deeper.
    mutating func newLine() {
        text += "\n" + String(repeating: " ", count: indent + 4)
        column = indent + 4
        isAtStart = true
    }

    mutating func word(_ word: String) {
        if !isAtStart && column + 1 + word.count > columnCount { newLine() }
        if !isAtStart {
            text += " "
            column += 1
        }
        text += word
        column += word.count
        isAtStart = false
    }
}
