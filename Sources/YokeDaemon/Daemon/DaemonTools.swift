internal import Administration
internal import Configuration
internal import EngineKit
internal import Glibc
internal import LinuxReactor
internal import Logging
internal import MetadataTools
internal import NIOPosix
internal import Synchronization
internal import YokeControl

/// Carries out drbdadm's steps inside the daemon, for the start: no process is made.
struct DaemonToolRunner: ToolRunner {
    let daemon: Daemon
    /// Gets what failed, besides the log.
    var told: CollectedOutput?

    func run(_ call: ToolCall) async -> ToolResult {
        let output = CollectedOutput()
        let status: Int32
        switch call.tool {
        case .drbdsetup:
            status = await daemon.service.run(call.arguments, output: output)
        case .drbdmeta:
            let (arguments, daemon) = (call.arguments, daemon)
            let result = try? await NIOThreadPool.singleton.runIfActive {
                daemon.metadataTool(output).run(arguments)
            }
            status = result ?? 20
        case .shell:
            return .notRun("handlers are called by events only")
        }
        let level: Logger.Level = status == 0 || call.hidesErrors ? .debug : .error
        for line in output.lines {
            daemon.logger.log(level: level, "\(line)")
            if level == .error { told?.standardError(line + "\n") }
        }
        return .exited(status)
    }

    func pause() async {
        try? await Task.sleep(for: .seconds(1))
    }
}

/// Lines of a command that nobody sits in front of.
final class CollectedOutput: CommandOutput, AdministrationOutput, Console {
    private let text = Mutex("")

    var isBackedUp: Bool { false }
    func standardOutput(_ text: String) { self.text.withLock { $0 += text } }
    func standardError(_ text: String) { self.text.withLock { $0 += text } }

    var lines: [String] {
        text.withLock { $0.split(separator: "\n").map(String.init) }
    }

    // A question is answered with no.
    func writeOutput(_ text: String) { standardOutput(text) }
    func writeError(_ text: String) { standardError(text) }
    var isInteractive: Bool { false }
    func readLine() -> String? { nil }
}

struct DaemonFacts: AdministrationFacts {
    let daemon: Daemon

    func runningConfiguration(of resource: String) async -> String? {
        guard let runner = daemon.registry.resource(resource), let report = await runner.ask({ $0.report() }) else {
            return nil
        }
        return ShowText().text(of: report)
    }

    func resolvedPath(_ path: String) -> String { daemon.paths.resolveDevice(path) }
    func randomDeviceUUID() -> UInt64 { SystemRandom().next() }
}

extension Daemon {
    /// drbdmeta on devices of this daemon's root.
    func metadataTool(_ console: any Console) -> MetadataTool {
        let (paths, registry) = (self.paths, self.registry)
        return MetadataTool(
            console: console,
            environment: MetadataTool.Environment(
                isMinorConfigured: { registry.isAttached($0) },
                resolvePath: { paths.resolveDevice($0) }, random: { SystemRandom().next() },
                dateText: { "\(Timestamp.now) [\(Timestamp.seconds)]" }, hostName: { HostFacts.hostName },
                readFile: { try? FileConfigurationSource().read($0) }))
    }

    /// Runs a command line of drbdadm inside the daemon.
    ///
    /// - Parameter told: gets what the command and its failed steps said, besides the log.
    func administer(_ arguments: [String], told: CollectedOutput? = nil) async -> Int32 {
        let output = CollectedOutput()
        let context = AdministrationContext(
            program: ProgramIdentity(version: YokeVersion.text), source: FileConfigurationSource(),
            identity: { [settings] node, root in
                HostIdentity.current(
                    nodeOverride: node ?? settings.node, environment: [:], source: FileConfigurationSource(),
                    root: root)
            }, facts: DaemonFacts(daemon: self), runner: DaemonToolRunner(daemon: self, told: told), output: output,
            root: paths.root)
        let status = await AdministrationProgram.run(arguments, context)
        for line in output.lines {
            logger.log(level: status == 0 ? .notice : .error, "drbdadm: \(line)")
            told?.standardError(line + "\n")
        }
        return status
    }
}
