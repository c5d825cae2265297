internal import CYoke
internal import EngineKit
internal import Glibc
internal import LinuxReactor
package import Logging
internal import Synchronization

/// Writes log lines to standard error from a thread of its own, so that a slow terminal or pipe never holds up a
/// reactor. At most ``lineCountMax`` lines wait; then lines are counted and dropped.
package final class LogWriter: Sendable {
    package static let lineCountMax = 16384

    private struct State {
        var lines: [String] = []
        var dropped = 0
        var isStopping = false
        var isIdle = true
    }

    private let state = Mutex(State())
    /// Becomes readable when there is something to write.
    private let wake: Int32
    private let thread = Mutex<SystemThread?>(nil)

    package init() {
        wake = yoke_eventfd_create()
        let started = try? SystemThread.start(name: "yoke log") { [self] in run() }
        thread.withLock { $0 = started }
    }

    package func write(_ line: String) {
        let mustWake = state.withLock { state -> Bool in
            guard state.lines.count < Self.lineCountMax else {
                state.dropped += 1
                return false
            }
            state.lines.append(line)
            defer { state.isIdle = false }
            return state.isIdle
        }
        if mustWake { signal() }
    }

    /// Writes what waits and ends the thread.
    package func stop() {
        state.withLock { $0.isStopping = true }
        signal()
        thread.withLock { thread in
            thread?.join()
            thread = nil
        }
    }

    private func signal() {
        var one: UInt64 = 1
        _ = Glibc.write(wake, &one, 8)
    }

    private func run() {
        while true {
            var ready = pollfd(fd: wake, events: Int16(POLLIN), revents: 0)
            _ = poll(&ready, 1, -1)
            var count: UInt64 = 0
            _ = read(wake, &count, 8)
            let (lines, dropped, isStopping) = state.withLock { state in
                let taken = (state.lines, state.dropped, state.isStopping)
                state.lines = []
                state.dropped = 0
                state.isIdle = true
                return taken
            }
            var text = lines.joined()
            if dropped > 0 { text += "\(Timestamp.now) warning: \(dropped) log lines were dropped\n" }
            Self.writeAll(text)
            if isStopping { return }
        }
    }

    private static func writeAll(_ text: String) {
        var bytes = Array(text.utf8)[...]
        while !bytes.isEmpty {
            let count = bytes.withUnsafeBytes { Glibc.write(STDERR_FILENO, $0.baseAddress, $0.count) }
            if count > 0 {
                bytes = bytes.dropFirst(count)
            } else if errno != EINTR {
                return
            }
        }
    }
}

/// swift-log's face of a ``LogWriter``: `2026-11-21T09:53:33.239596+00:00 info: drbd r0: conn( ... )`.
package struct LogOutput: LogHandler {
    package var logLevel: Logger.Level
    package var metadata: Logger.Metadata = [:]
    private let writer: LogWriter

    package init(writer: LogWriter, level: Logger.Level) {
        self.writer = writer
        logLevel = level
    }

    package subscript(metadataKey key: String) -> Logger.Metadata.Value? {
        get { metadata[key] }
        set { metadata[key] = newValue }
    }

    package func log(event: LogEvent) {
        var line = "\(Timestamp.now) \(event.level): \(event.message)"
        let all = metadata.merging(event.metadata ?? [:]) { $1 }
        for key in all.keys.sorted() { line += " \(key)=\(all[key].map { "\($0)" } ?? "")" }
        writer.write(line + "\n")
    }
}

extension LogLevel {
    package var loggerLevel: Logger.Level {
        switch self {
        case .debug: .debug
        case .info: .info
        case .notice: .notice
        case .warning: .warning
        case .error: .error
        case .critical: .critical
        }
    }
}
