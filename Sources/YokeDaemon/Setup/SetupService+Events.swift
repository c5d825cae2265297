internal import DRBDLayout
internal import Glibc
internal import Replication
internal import Synchronization

// events2 and events. Spec: drbd-config-and-tools 13.
extension SetupService {
    func events(_ call: SetupInvocation, isClassic: Bool, _ output: any CommandOutput) async -> Int32 {
        var runners = registry.resources
        var filter: String?
        if let name = call.arguments.first {
            let byMinor = minor(name).flatMap { registry.device($0)?.runner }
            guard let runner = registry.resource(name) ?? byMinor else {
                output.standardError("\(name): No such resource\n")
                return 10
            }
            runners = [runner]
            filter = runner.name
        }
        let session = EventSession(
            output: output, hasStatistics: call.has("statistics"), hasTimestamps: call.has("timestamps"),
            isClassic: isClassic)
        if filter == nil { registry.addListener(session) }
        for runner in runners { session.addInitial(await runner.ask { $0.addListener(session) } ?? []) }
        session.endInitial()
        if !call.has("now") {
            // Until the client goes away.
            for await _ in AsyncStream<Never>.makeStream().stream {}
        }
        registry.removeListener(session)
        for runner in registry.resources { _ = await runner.ask { $0.removeListener(session) } }
        return 0
    }
}

/// One client that listens to events: the lines of the first dump, then of each change, in the order in which the
/// runners tell them.
private final class EventSession: EventListener {
    private struct State {
        /// Changes wait until the dump is complete; nil afterwards.
        var held: [String]? = []
        var skipped = 0
    }

    let hasStatistics: Bool
    private let hasTimestamps: Bool
    private let isClassic: Bool
    private let output: any CommandOutput
    private let state = Mutex(State())

    init(output: any CommandOutput, hasStatistics: Bool, hasTimestamps: Bool, isClassic: Bool) {
        self.output = output
        self.hasStatistics = hasStatistics
        self.hasTimestamps = hasTimestamps
        self.isClassic = isClassic
    }

    func addInitial(_ lines: [String]) {
        if !isClassic { output.standardOutput(text(lines)) }
    }

    func endInitial() {
        let end = isClassic ? "" : text(["exists -"])
        state.withLock { state in
            output.standardOutput(end + (state.held ?? []).joined())
            state.held = nil
        }
    }

    func receive(_ lines: [String]) {
        if !isClassic { write(text(lines), count: lines.count) }
    }

    func receive(_ volume: VolumeReport, of report: ResourceReport) {
        guard isClassic else { return }
        let state = volume.snapshot.state
        let flags = ProcText.flags(of: volume.snapshot).prefix(4)
        write(
            "\(Timestamp.seconds) ST \(volume.minor),\(report.name)[\(volume.snapshot.volume)] { cs:\(state.conn.name)"
                + " ro:\(state.role.name)/\(state.peer.name) ds:\(state.disk.name)/\(state.pdsk.name) \(flags) }\n",
            count: 1)
    }

    private func write(_ text: String, count: Int) {
        state.withLock { state in
            if state.held != nil {
                state.held?.append(text)
            } else if output.isBackedUp {
                state.skipped += count
            } else {
                if state.skipped > 0 { output.standardOutput("- skipped \(state.skipped)\n") }
                state.skipped = 0
                output.standardOutput(text)
            }
        }
    }

    /// Lines that belong together carry one time.
    private func text(_ lines: [String]) -> String {
        let stamp = hasTimestamps ? Timestamp.now + " " : ""
        return lines.map { stamp + $0 + "\n" }.joined()
    }
}

/// The time as `events2` and the log print it: `2026-11-21T09:53:33.239596+00:00`.
package enum Timestamp {
    package static var seconds: Int { Int(time(nil)) }

    package static var now: String {
        var moment = timespec()
        clock_gettime(CLOCK_REALTIME, &moment)
        var parts = tm()
        gmtime_r(&moment.tv_sec, &parts)
        func two(_ number: Int32) -> String { TextColumns.zeroes(UInt64(number), 2) }
        let date = "\(parts.tm_year + 1900)-\(two(parts.tm_mon + 1))-\(two(parts.tm_mday))"
        let clock = "\(two(parts.tm_hour)):\(two(parts.tm_min)):\(two(parts.tm_sec))"
        return "\(date)T\(clock).\(TextColumns.zeroes(UInt64(moment.tv_nsec / 1000), 6))+00:00"
    }
}
