internal import Configuration
internal import LinuxReactor
internal import Replication
internal import YokeControl

/// Carries out the commands of drbdsetup. Spec: drbd-config-and-tools 11.
///
/// Usable from any task; each command runs in one of its own. Two commands at the same resource meet in its reactor,
/// which takes them one after the other.
package struct SetupService: Sendable {
    let registry: ResourceRegistry
    let host: any SetupHost
    let paths: InstallationPaths
    /// How new reactors ask the kernel.
    let backend: Reactor.Backend

    /// Runs `words` (without the program's name) and returns the exit status.
    package func run(_ words: [String], columns: Int? = nil, output: any CommandOutput) async -> Int32 {
        do throws(SetupInvocation.Refusal) {
            return await run(try SetupInvocation(parsing: words), columns: columns, output)
        } catch {
            return output.usage(error.text)
        }
    }

    private func run(_ call: SetupInvocation, columns: Int?, _ output: any CommandOutput) async -> Int32 {
        switch call.command {
        case "new-resource": return await newResource(call, output)
        case "del-resource": return await deleteResource(call, output)
        case "new-minor": return await newMinor(call, output)
        case "resource-options": return await resourceOptions(call, output)
        case "connect": return await connect(call, output)
        case "net-options": return await networkOptions(call, output)
        case "disconnect": return await disconnect(call, output)
        case "down": return await down(call, output)
        case "status": return await status(call, columns: columns, output)
        case "show": return await show(call, output)
        case "sh-status": return await shellStatus(call, output)
        case "events2": return await events(call, isClassic: false, output)
        case "events": return await events(call, isClassic: true, output)
        case "wait-connect", "wait-sync": return await wait(call, output)
        default: return await runOnMinor(call, output)
        }
    }

    /// The commands whose first argument is a minor.
    private func runOnMinor(_ call: SetupInvocation, _ output: any CommandOutput) async -> Int32 {
        guard let minor = minor(call.arguments[0]) else {
            return output.usage("Cannot determine minor device number of device '\(call.arguments[0])'\n")
        }
        if call.command == "check-resize" { return 0 }
        guard let device = registry.device(minor) else {
            if ["disk", "syncer", "net"].contains(call.command), call.has("create-device") {
                return output.failure(
                    "\(minor)", .minorNotAllocated, info: "create the resource first: new-resource, new-minor")
            }
            return output.failure("\(minor)", .minorNotAllocated, info: "unknown minor")
        }
        switch call.command {
        case "attach", "disk": return await attach(call, minor, device, output)
        case "disk-options", "syncer": return await diskOptions(call, minor, device, output)
        case "net": return await classicNet(call, device, output)
        case "del-minor": return await deleteMinor(minor, device, output)
        case "role", "state", "cstate", "dstate", "get-gi", "show-gi":
            return await query(call.command, minor, device, output)
        default: return await stateCommand(call, minor, device, output)
        }
    }

    /// Commands that change a state and take only options.
    private func stateCommand(
        _ call: SetupInvocation, _ minor: Int, _ device: ResourceRegistry.Device, _ output: any CommandOutput
    ) async -> Int32 {
        let volume = device.volume
        let command: Command
        switch call.command {
        case "primary": command = .primary(volume, force: call.has("force"))
        case "secondary":
            if let status = await host.releaseDeviceNode(of: device, output) { return status }
            command = .secondary(volume)
        case "detach": command = .detach(volume, force: call.has("force"))
        case "invalidate": command = .invalidate(volume)
        case "invalidate-remote": command = .invalidateRemote(volume)
        case "pause-sync": command = .pauseSync(volume)
        case "resume-sync": command = .resumeSync(volume)
        case "suspend-io": command = .suspendIO(volume)
        case "resume-io": command = .resumeIO(volume)
        case "outdate": command = .outdate(volume)
        case "new-current-uuid": command = .newCurrentUUID(volume, clearBitmap: call.has("clear-bitmap"))
        case "verify":
            guard let start = sectors(call, "start", output), let stop = sectors(call, "stop", output) else {
                return SetupExit.usage
            }
            command = .verify(volume, start: start.value, stop: stop.value)
        case "resize":
            return output.failure(
                "\(minor)", .invalidRequest, info: "resize is not served by this release of yoke")
        default:
            return output.usage("drbdsetup: command '\(call.command)' is not served\n")
        }
        let result = await device.runner.execute(command)
        let status = output.answer("\(minor)", result)
        await host.roleMayHaveChanged(device)
        return status
    }

    private struct Sectors { var value: UInt64? }

    /// The option as sectors; nil when it is no number.
    private func sectors(_ call: SetupInvocation, _ name: String, _ output: any CommandOutput) -> Sectors? {
        guard let text = call.extras[name] else { return Sectors(value: nil) }
        guard let number = Quantity.parse(text, in: .sectors), number >= 0 else {
            output.standardError("\(text) is not a valid number\n")
            return nil
        }
        return Sectors(value: UInt64(number))
    }

    /// `0`, `minor-0`, `drbd0`, `/dev/drbd0`, also below the root.
    func minor(_ text: String) -> Int? {
        var rest = text[...]
        let device = paths.path("/dev/")
        if rest.hasPrefix(device) {
            rest = rest.dropFirst(device.count)
        } else if rest.hasPrefix("/dev/") {
            rest = rest.dropFirst(5)
        }
        for prefix in ["minor-", "drbd"] where rest.hasPrefix(prefix) { rest = rest.dropFirst(prefix.count) }
        guard let number = Int(rest), (0...1_048_575).contains(number), rest.allSatisfy(\.isNumber) else { return nil }
        return number
    }
}

/// What the commands need of the daemon around them.
package protocol SetupHost: RunnerHost {
    /// Takes the device node away before a demotion; an exit status when it is in use.
    func releaseDeviceNode(of device: ResourceRegistry.Device, _ output: any CommandOutput) async -> Int32?
    /// A promotion or demotion may have happened: device nodes come and go with it.
    func roleMayHaveChanged(_ device: ResourceRegistry.Device) async
    /// A volume was made: its NBD socket is opened.
    func volumeAdded(_ device: ResourceRegistry.Device, minor: Int) async
    /// A resource is about to go.
    func resourceGone(_ runner: ResourceRunner) async
}
