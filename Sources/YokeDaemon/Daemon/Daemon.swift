internal import Configuration
package import EngineKit
package import LinuxReactor
package import Logging
package import Replication
package import YokeControl

/// How a daemon was started.
package struct DaemonSettings: Sendable {
    package var paths: InstallationPaths
    /// `--node`; nil: the machine's name.
    package var node: String?
    package var backend = Reactor.Backend.automatic
    /// Bring the configured resources up at the start.
    package var startsResources = true
    /// Make and remove `/dev/drbdN` with the promotion and demotion of volumes.
    package var makesDeviceNodes = false

    package init(paths: InstallationPaths, node: String? = nil, avoidsIOUring: Bool = false) {
        self.paths = paths
        self.node = node
        if avoidsIOUring { backend = .epoll }
    }
}

/// The composition: resources, control socket, start and stop. One for each process.
///
/// Thread-safe: what it keeps is behind locks of its parts. Each control request runs in a task of its own; reactors
/// never wait for it.
package final class Daemon: Sendable {
    package let settings: DaemonSettings
    package let logger: Logger
    let registry = ResourceRegistry()
    let resyncOrder = ResyncOrder()
    let nodes = DeviceNodes()
    let front = NBDFront()
    let mounts = MountRegistry()
    let membership = ClusterMembership()
    let pairs = PairRegistry()
    let waitingMounts = WaitingMounts()

    package init(settings: DaemonSettings, logger: Logger) {
        self.settings = settings
        self.logger = logger
    }

    var paths: InstallationPaths { settings.paths }

    package var service: SetupService {
        SetupService(registry: registry, host: self, paths: paths, backend: settings.backend)
    }

    /// Who this machine is, asked anew each time: addresses come and go.
    var identity: HostIdentity {
        HostIdentity.current(
            nodeOverride: settings.node, environment: [:], source: FileConfigurationSource(), root: paths.root)
    }

    func loadConfiguration() -> LoadedConfiguration {
        ConfigurationLoader.load(source: FileConfigurationSource(), identity: identity, root: paths.root)
    }
}

extension Daemon: RunnerHost {
    package func log(_ record: LogRecord) {
        logger.log(level: record.level.loggerLevel, "\(record.text)")
    }

    /// Spec: drbd-disk-and-state 17.
    package func handler(
        _ name: String, resource: String, volume: VolumeNumber?, peer: PeerFacts
    ) -> ChildCommand? {
        let loaded = loadConfiguration()
        guard let model = loaded.configuration?.resource(named: resource), let command = model.handler(name) else {
            return nil
        }
        var environment = HandlerCommand.environment(
            model: model, volume: volume.map { Int($0.rawValue) }, path: loaded.path, peer: peer, paths: paths)
        // So that a handler that calls the command reaches this daemon.
        environment.append("YOKE_ROOT=\(paths.root)")
        if let node = settings.node { environment.append("YOKE_NODE=\(node)") }
        return ChildCommand(
            arguments: ["/bin/sh", "-c", command], environment: environment, workingDirectory: "/")
    }

    package func networkConfigurationGone(of runner: ResourceRunner) {
        registry.releaseEndpoints(runner.name)
    }

    package func stateChanged(of runner: ResourceRunner, volumes: [VolumeReport]) {
        registry.noteDisks(volumes)
        tellDependents(resyncOrder.update(volumes))
        front.publish(resource: runner, volumes: volumes)
    }

    package func connectionGone(of runner: ResourceRunner) {
        registry.releaseEndpoints(runner.name)
    }

    private func tellDependents(_ changes: [(minor: Int, mustWait: Bool)]) {
        for change in changes {
            guard let device = registry.device(change.minor) else { continue }
            device.runner.reactor.post {
                device.runner.handle(.resyncDependency(device.volume, mustWait: change.mustWait))
            }
        }
    }
}

extension Daemon: SetupHost {
    package func releaseDeviceNode(
        of device: ResourceRegistry.Device, _ output: any CommandOutput
    ) async -> Int32? {
        await waitForEnding { $0.runner === device.runner }
        guard let reason = await nodes.remove(device) else { return nil }
        output.standardError(reason)
        return SetupExit.status(of: .deviceInUse)
    }

    package func roleMayHaveChanged(_ device: ResourceRegistry.Device) async {
        guard settings.makesDeviceNodes else { return }
        await nodes.makeIfPrimary(device, daemon: self)
    }

    package func volumeAdded(_ device: ResourceRegistry.Device, minor: Int) async {
        let name = device.runner.name
        let path = paths.nbdSocket(resource: name, volume: Int(device.volume.rawValue))
        let problem = await device.runner.ask { runner -> String? in
            do throws(SystemError) {
                _ = try runner.door(of: device.volume)?.open(.unix(path: path))
                return nil
            } catch {
                return error.description
            }
        }
        if let problem = problem ?? nil {
            logger.warning("drbd \(name)/\(device.volume): no NBD socket at \(path): \(problem)")
        }
    }

    package func resourceGone(_ runner: ResourceRunner) async {
        let minors = await runner.ask { runner in runner.volumes.map(\.minor) } ?? []
        tellDependents(resyncOrder.remove(minors))
        front.withdraw(resource: runner)
        await nodes.forget(runner)
    }
}
