internal import Configuration
internal import Replication

// Commands that make and remove resources, volumes and connections.
extension SetupService {
    func newResource(_ call: SetupInvocation, _ output: any CommandOutput) async -> Int32 {
        let name = call.arguments[0]
        guard !name.isEmpty, name.utf8.count <= 127, !name.utf8.contains(where: { $0 < 0x20 || $0 == 0x2f }) else {
            return output.failure("\(name)", .invalidRequest, info: "invalid resource name")
        }
        // As in the kernel: a resource that exists already is no error.
        if registry.resource(name) != nil { return 0 }
        let runner: ResourceRunner
        do {
            let reactor = try registry.reactor(backend)
            runner = ResourceRunner(
                name: name, options: ResourceOptions(call.entries), host: host, on: reactor)
        } catch {
            return output.failure(name, .outOfMemory, info: "\(error)")
        }
        guard registry.add(runner) else {
            await runner.stop()
            return 0
        }
        let entries = call.entries
        let listeners = registry.listeners
        _ = await runner.ask { runner in
            runner.settings.resource = entries
            for listener in listeners { _ = runner.addListener(listener) }
            runner.publishObject(.create, nil)
        }
        return 0
    }

    func resourceOptions(_ call: SetupInvocation, _ output: any CommandOutput) async -> Int32 {
        let name = call.arguments[0]
        guard let runner = registry.resource(name) else {
            return output.failure(name, .unknownResource, info: "unknown resource")
        }
        let old = await runner.ask { $0.settings.resource } ?? []
        let entries = merge(old, call)
        let result = await runner.execute(.resourceOptions(ResourceOptions(entries)))
        if result == .success { _ = await runner.ask { $0.settings.resource = entries } }
        return output.answer(name, result)
    }

    /// With `--set-defaults` what is not named goes back to its default; else it stays.
    func merge(_ old: [OptionEntry], _ call: SetupInvocation) -> [OptionEntry] {
        guard !call.has("set-defaults") else { return call.entries }
        return old.filter { entry in
            !call.entries.contains { $0.section == entry.section && $0.name == entry.name }
        } + call.entries
    }

    func newMinor(_ call: SetupInvocation, _ output: any CommandOutput) async -> Int32 {
        let name = call.arguments[0]
        guard let minor = minor(call.arguments[1]), let number = UInt16(call.arguments[2]) else {
            return output.usage("new-minor: '\(call.arguments[1])', '\(call.arguments[2])': not a minor and a volume\n")
        }
        guard let runner = registry.resource(name) else {
            return output.failure(name, .unknownResource, info: "unknown resource")
        }
        let volume = VolumeNumber(number)
        switch registry.reserve(minor: minor, runner, volume) {
        case .same: return 0
        case .taken: return output.failure(name, .minorOrVolumeExists, info: "minor or volume exists already")
        case .new: break
        }
        let result = await runner.execute(.addVolume(volume)) { runner in
            runner.volumes.append(VolumeRecord(number: volume, minor: minor))
            runner.volumes.sort { $0.number < $1.number }
            return nil
        }
        guard result == .success else {
            registry.release(minor: minor)
            _ = await runner.ask { $0.volumes.removeAll { $0.number == volume } }
            return output.answer(name, result)
        }
        _ = await runner.ask { runner in runner.publishObject(.create, runner.record(of: volume)) }
        await host.volumeAdded(ResourceRegistry.Device(runner: runner, volume: volume), minor: minor)
        return 0
    }

    func deleteMinor(
        _ minor: Int, _ device: ResourceRegistry.Device, _ output: any CommandOutput
    ) async -> Int32 {
        let volume = device.volume
        let result = await device.runner.execute(.removeVolume(volume))
        guard result == .success else { return output.answer("\(minor)", result) }
        registry.release(minor: minor)
        _ = await device.runner.ask { runner in
            runner.publishObject(.destroy, runner.record(of: volume))
            runner.closeDoor(of: volume)
            runner.volumes.removeAll { $0.number == volume }
        }
        return 0
    }

    func deleteResource(_ call: SetupInvocation, _ output: any CommandOutput) async -> Int32 {
        let name = call.arguments[0]
        guard let runner = registry.resource(name) else {
            return output.failure(name, .unknownResource, info: "unknown resource")
        }
        guard registry.minors(of: runner).isEmpty else { return output.failure(name, .resourceInUse) }
        await drop(runner)
        return 0
    }

    /// `down` of a resource (or of the resource of a minor): what is not there is down already.
    func down(_ call: SetupInvocation, _ output: any CommandOutput) async -> Int32 {
        let name = call.arguments[0]
        let byMinor = minor(name).flatMap { registry.device($0)?.runner }
        guard let runner = registry.resource(name) ?? byMinor else { return 0 }
        for entry in registry.minors(of: runner) {
            let device = ResourceRegistry.Device(runner: runner, volume: entry.volume)
            if let status = await host.releaseDeviceNode(of: device, output) { return status }
        }
        let result = await runner.execute(.down)
        switch result {
        case .success, .refused(.nothingToDo), .refused(.success):
            await drop(runner)
            return 0
        case .refused, .failed:
            for entry in registry.minors(of: runner) {
                await host.roleMayHaveChanged(ResourceRegistry.Device(runner: runner, volume: entry.volume))
            }
            return output.answer(name, result)
        }
    }

    private func drop(_ runner: ResourceRunner) async {
        _ = await runner.ask { runner in
            for record in runner.volumes { runner.publishObject(.destroy, record) }
            runner.publishObject(.destroy, nil)
        }
        registry.remove(runner)
        await host.resourceGone(runner)
        await runner.stop()
    }

    // MARK: Connections

    func connect(_ call: SetupInvocation, _ output: any CommandOutput) async -> Int32 {
        let name = call.arguments[0]
        guard let runner = registry.resource(name) else {
            return output.failure(name, .unknownResource, info: "unknown resource")
        }
        return await connect(
            runner, local: call.arguments[1], remote: call.arguments[2], call: call, entries: call.entries, output)
    }

    /// 8.3: `N net LOCAL REMOTE PROTOCOL`.
    func classicNet(
        _ call: SetupInvocation, _ device: ResourceRegistry.Device, _ output: any CommandOutput
    ) async -> Int32 {
        let location = SourceLocation(file: "command line", line: 0, column: 0)
        let letter = OptionEntry(section: .net, name: "protocol", value: call.arguments[3], location: location)
        return await connect(
            device.runner, local: call.arguments[1], remote: call.arguments[2], call: call,
            entries: call.entries + [letter], output)
    }

    private func connect(
        _ runner: ResourceRunner, local: String, remote: String, call: SetupInvocation, entries: [OptionEntry],
        _ output: any CommandOutput
    ) async -> Int32 {
        let name = runner.name
        guard let own = EndpointText(local), let peer = EndpointText(remote) else {
            let bad = EndpointText(local) == nil ? local : remote
            return output.usage(
                "connect: '\(bad)' is not an address: [ipv4:|ipv6:]ADDRESS[:PORT] is expected (sdp, ssocks: not served)\n"
            )
        }
        let options: NetworkOptions
        do throws(OptionFailure) {
            options = try NetworkOptions(entries)
        } catch {
            return output.failure(name, error.number, info: error.info)
        }
        switch registry.claimEndpoints(name, local: own.address, remote: peer.address) {
        case .localTaken: return output.failure(name, .localAddressInUse)
        case .remoteTaken: return output.failure(name, .remoteAddressInUse)
        case .granted: break
        }
        var once = ConnectOnce()
        once.discardMyData = call.has("discard-my-data")
        once.tentative = call.has("tentative")
        let result = await runner.execute(.connect(options, once)) { runner in
            runner.setEndpoints(own, peer, options, entries)
            return nil
        }
        let isGood = result == .success || Self.isGood(result)
        if !isGood { registry.releaseEndpoints(name) }
        return output.answer(name, result)
    }

    static func isGood(_ result: CommandResult) -> Bool {
        if case .refused(let code) = result { return code.isSuccess }
        return result == .success
    }

    func networkOptions(_ call: SetupInvocation, _ output: any CommandOutput) async -> Int32 {
        guard let runner = connection(call) else {
            return output.failure("??", .invalidRequest, info: "unknown connection")
        }
        let old = await runner.ask { $0.settings.net } ?? []
        let entries = merge(old, call)
        let options: NetworkOptions
        do throws(OptionFailure) {
            options = try NetworkOptions(entries)
        } catch {
            return output.failure(runner.name, error.number, info: error.info)
        }
        let result = await runner.execute(.networkOptions(options))
        if Self.isGood(result) { _ = await runner.ask { $0.settings.net = entries } }
        return output.answer(runner.name, result)
    }

    func disconnect(_ call: SetupInvocation, _ output: any CommandOutput) async -> Int32 {
        guard let runner = connection(call) else {
            return output.failure("??", .invalidRequest, info: "unknown connection")
        }
        let result = await runner.execute(.disconnect(force: call.has("force")))
        if Self.isGood(result) || result == .refused(.alreadyStandAlone) {
            registry.releaseEndpoints(runner.name)
            return 0
        }
        return output.answer(runner.name, result)
    }

    /// The resource that LOCAL and REMOTE belong to; in the old order, the one of the minor.
    private func connection(_ call: SetupInvocation) -> ResourceRunner? {
        guard let own = EndpointText(call.arguments[0]), let peer = EndpointText(call.arguments[1]) else { return nil }
        return registry.resource(local: own.address, remote: peer.address)
    }
}
