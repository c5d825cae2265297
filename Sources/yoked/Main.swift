import ArgumentParser
import Glibc
import Logging
import YokeControl
import YokeDaemon

/// The daemon, in the foreground.
@main
struct Main: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "yoked", abstract: "Replicates volumes between two hosts. Runs in the foreground until SIGTERM.",
        version: YokeVersion.text)

    @Option(help: "Directory below which all files of this host lie (or YOKE_ROOT).")
    var root: String?
    @Option(help: "Name of this host instead of the machine's (or YOKE_NODE).")
    var node: String?
    @Option(help: "trace, debug, info, notice, warning, error or critical.")
    var logLevel = "info"
    @Flag(help: "Do not bring the configured resources up.")
    var noStart = false
    @Flag(inversion: .prefixedNo, help: "Make /dev/drbdN when a volume becomes Primary (default: under the root /).")
    var deviceNodes: Bool?
    @Flag(help: "Use epoll and threads even where io_uring can be had.")
    var noIOUring = false

    func validate() throws {
        guard Logger.Level(rawValue: logLevel) != nil else {
            throw ValidationError("'\(logLevel)' is no log level")
        }
    }

    /// The main thread waits for signals; everything else runs in tasks and on threads of its own.
    func run() throws {
        let signals = StopSignals()
        let paths = InstallationPaths(option: root)
        let writer = LogWriter()
        let level = Logger.Level(rawValue: logLevel) ?? .info
        let logger = Logger(label: "yoke") { _ in LogOutput(writer: writer, level: level) }
        var settings = DaemonSettings(
            paths: paths, node: node ?? environment("YOKE_NODE"), avoidsIOUring: noIOUring)
        settings.startsResources = !noStart
        settings.makesDeviceNodes = deviceNodes ?? (paths.root == "/")
        let daemon = Daemon(settings: settings, logger: logger)
        let (stop, stopper) = AsyncStream<Never>.makeStream()
        Task {
            var status: Int32 = 0
            do {
                try await daemon.run { for await _ in stop {} }
            } catch {
                logger.error("yoked: \(error)")
                status = 1
            }
            writer.stop()
            Glibc.exit(status)
        }
        signals.waitForStop(logger: logger)
        stopper.finish()
        signals.release()
        // The task ends the process.
        while true { pause() }
    }

    private func environment(_ name: String) -> String? {
        guard let value = getenv(name) else { return nil }
        let text = String(cString: value)
        return text.isEmpty ? nil : text
    }
}
