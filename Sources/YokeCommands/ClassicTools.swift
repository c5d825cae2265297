internal import Administration
internal import Configuration
internal import Dispatch
internal import Glibc
internal import MetadataTools
internal import VolumeTools
internal import YokeControl

/// The tools of DRBD, OCFS2 and O2CB as this program runs them.
package enum ClassicTools {
    package static func run(_ invocation: Invocation) async -> Int32 {
        let call = DaemonCall(paths: invocation.paths, node: invocation.nodeOverride)
        switch invocation.tool {
        case "drbdadm": return await administer(invocation.arguments, call)
        case "drbdmeta": return metadataTool(call).run(invocation.arguments)
        case "mount.ocfs2": return MountHelper.mount(invocation.arguments, call)
        case "umount.ocfs2", "umount.fuse.ocfs2": return MountHelper.unmount(invocation.arguments, call)
        case "o2cb": return ClusterTool.run(invocation.arguments, call)
        case "drbdsetup": return call.run(["drbdsetup"] + invocation.arguments)
        case "mkfs.ocfs2": return VolumeCommands.format(call, invocation.arguments)
        case "mounted.ocfs2": return VolumeCommands.mounted(call, invocation.arguments)
        default: return call.run([invocation.tool] + invocation.arguments)
        }
    }

    /// drbdadm: plans here, from the configuration below the root; its steps go to the daemon and to the devices.
    package static func administer(_ arguments: [String], _ call: DaemonCall) async -> Int32 {
        let (paths, node) = (call.paths, call.node)
        let context = AdministrationContext(
            program: ProgramIdentity(version: CommandVersion.text), source: FileConfigurationSource(),
            identity: { option, root in
                HostIdentity.current(
                    nodeOverride: option ?? node, environment: environment, source: FileConfigurationSource(),
                    root: root)
            }, facts: ClientFacts(call: call), runner: ClientToolRunner(call: call), output: ClientOutput(),
            root: paths.root)
        return await AdministrationProgram.run(arguments, context)
    }

    /// drbdmeta on the devices of this root; asks the daemon whether one is in use.
    static func metadataTool(_ call: DaemonCall, console: any Console = StandardConsole()) -> MetadataTool {
        MetadataTool(
            console: console,
            environment: MetadataTool.Environment(
                isMinorConfigured: { minor in call.capture(["minor", "\(minor)"])?.output == "attached\n" },
                resolvePath: { call.paths.resolveDevice($0) }, random: randomNumber, dateText: dateText,
                hostName: { call.node ?? hostName() },
                readFile: { try? FileConfigurationSource().read($0) }))
    }

    static func randomNumber() -> UInt64 {
        var generator = SystemRandomNumberGenerator()
        return generator.next()
    }

    /// `2026-11-21 09:26:18 +0000 [1795253178]`, the head of a dump.
    private static func dateText() -> String {
        var now = time(nil)
        var parts = tm()
        localtime_r(&now, &parts)
        var buffer = [CChar](repeating: 0, count: 64)
        let count = strftime(&buffer, buffer.count, "%Y-%m-%d %H:%M:%S %z", &parts)
        let text = String(decoding: buffer[..<count].map { UInt8(bitPattern: $0) }, as: UTF8.self)
        return "\(text) [\(now)]"
    }

    static func hostName() -> String {
        var buffer = [CChar](repeating: 0, count: 256)
        guard gethostname(&buffer, buffer.count - 1) == 0 else { return "localhost" }
        return String(decoding: buffer.prefix { $0 != 0 }.map { UInt8(bitPattern: $0) }, as: UTF8.self)
    }

    /// The variables that decide who this host is.
    private static var environment: [String: String] {
        var result: [String: String] = [:]
        for name in ["YOKE_NODE", "__DRBD_NODE__"] {
            if let value = getenv(name) { result[name] = String(cString: value) }
        }
        return result
    }
}

package enum CommandVersion {
    package static let text = "0.1"
}

struct ClientOutput: AdministrationOutput {
    func standardOutput(_ text: String) { StandardStreams.output(text) }
    func standardError(_ text: String) { StandardStreams.error(text) }
}

private struct ClientFacts: AdministrationFacts {
    let call: DaemonCall

    func runningConfiguration(of resource: String) async -> String? {
        guard let (status, output) = call.capture(["drbdsetup", "show", resource]), status == 0 else { return nil }
        return output
    }

    func resolvedPath(_ path: String) -> String { call.paths.resolveDevice(path) }
    func randomDeviceUUID() -> UInt64 { ClassicTools.randomNumber() }
}

/// Carries out the steps of a plan. The calls block: the command has nothing else to do.
private struct ClientToolRunner: ToolRunner, Sendable {
    let call: DaemonCall

    func run(_ step: ToolCall) async -> ToolResult { runBlocking(step) }

    private func runBlocking(_ step: ToolCall) -> ToolResult {
        switch step.tool {
        case .drbdsetup: return setup(step)
        case .drbdmeta:
            let tool = ClassicTools.metadataTool(call)
            return .exited(tool.run(step.arguments))
        case .shell(let environment):
            return ShellCommand.run(step.arguments.last ?? "", environment: environment.map { ($0.name, $0.value) })
        }
    }

    private func setup(_ step: ToolCall) -> ToolResult {
        guard let seconds = step.timeoutSeconds else {
            return .exited(call.run(["drbdsetup"] + step.arguments, hidesErrors: step.hidesErrors))
        }
        var text = ""
        do throws(ControlError) {
            let status = try ControlClient(paths: call.paths, answerTimeoutSeconds: seconds).run(
                ControlRequest(command: ["drbdsetup"] + step.arguments, node: call.node)
            ) { reply in
                switch reply {
                case .standardOutput(let part): StandardStreams.output(part)
                case .standardError(let part): text += part
                case .exit: break
                }
            }
            if !step.hidesErrors { StandardStreams.error(text) }
            return .exited(status)
        } catch {
            if case .noAnswer = error { return .timedOut }
            if !step.hidesErrors { StandardStreams.error(error.description + "\n") }
            return .exited(20)
        }
    }

    /// Each on a thread of its own: they wait for different peers.
    func runAll(_ calls: [ToolCall]) async -> [ToolResult] {
        await withTaskGroup(of: (Int, ToolResult).self) { group in
            for (index, step) in calls.enumerated() {
                group.addTask {
                    let result = await withCheckedContinuation { continuation in
                        DispatchQueue.global().async { continuation.resume(returning: self.runBlocking(step)) }
                    }
                    return (index, result)
                }
            }
            var results = [ToolResult](repeating: .timedOut, count: calls.count)
            for await (index, result) in group { results[index] = result }
            return results
        }
    }

    func pause() async {
        sleep(1)
    }
}
