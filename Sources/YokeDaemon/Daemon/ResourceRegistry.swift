package import LinuxReactor
package import Replication
internal import Synchronization

/// The resources of this daemon, by name and by minor. Usable from any thread.
package final class ResourceRegistry: Sendable {
    package struct Device: Sendable {
        package var runner: ResourceRunner
        package var volume: VolumeNumber
    }

    private struct State {
        /// Where all resources and clustered mounts live; made by the first.
        var reactor: VolumeReactor?
        var resources: [String: ResourceRunner] = [:]
        var minors: [Int: Device] = [:]
        /// Own and peer's address of each resource that has a connection.
        var endpoints: [String: (local: SocketAddress, remote: SocketAddress)] = [:]
        var listeners: [any EventListener] = []
        /// Minors with a disk.
        var attached: Set<Int> = []
    }

    private let state = Mutex(State())

    package init() {}

    package func resource(_ name: String) -> ResourceRunner? { state.withLock { $0.resources[name] } }
    package func device(_ minor: Int) -> Device? { state.withLock { $0.minors[minor] } }

    /// Sorted by name.
    package var resources: [ResourceRunner] {
        state.withLock { state in state.resources.values.sorted { $0.name < $1.name } }
    }

    /// The minors of a resource, sorted by volume.
    package func minors(of runner: ResourceRunner) -> [(minor: Int, volume: VolumeNumber)] {
        state.withLock { state in
            state.minors.filter { $0.value.runner === runner }.map { (minor: $0.key, volume: $0.value.volume) }
                .sorted { $0.volume < $1.volume }
        }
    }

    /// False when the name is taken.
    func add(_ runner: ResourceRunner) -> Bool {
        state.withLock { state in
            guard state.resources[runner.name] == nil else { return false }
            state.resources[runner.name] = runner
            return true
        }
    }

    func remove(_ runner: ResourceRunner) {
        state.withLock { state in
            state.resources[runner.name] = nil
            state.endpoints[runner.name] = nil
            for (minor, device) in state.minors where device.runner === runner {
                state.minors[minor] = nil
                state.attached.remove(minor)
            }
        }
    }

    enum Reservation { case new, same, taken }

    /// Takes a minor for a volume. ``Reservation/taken`` when the minor or the volume exists with another meaning.
    func reserve(minor: Int, _ runner: ResourceRunner, _ volume: VolumeNumber) -> Reservation {
        state.withLock { state in
            if let device = state.minors[minor] {
                return device.runner === runner && device.volume == volume ? .same : .taken
            }
            if state.minors.values.contains(where: { $0.runner === runner && $0.volume == volume }) { return .taken }
            state.minors[minor] = Device(runner: runner, volume: volume)
            return .new
        }
    }

    func release(minor: Int) { state.withLock { $0.minors[minor] = nil } }

    enum EndpointClaim { case granted, localTaken, remoteTaken }

    /// Takes the addresses of a connection; no two connections share one. Spec: drbd-disk-and-state 14.3.
    func claimEndpoints(_ name: String, local: SocketAddress, remote: SocketAddress) -> EndpointClaim {
        state.withLock { state in
            if state.endpoints.values.contains(where: { $0.local == local }) { return .localTaken }
            if state.endpoints.values.contains(where: { $0.remote == remote }) { return .remoteTaken }
            state.endpoints[name] = (local, remote)
            return .granted
        }
    }

    func releaseEndpoints(_ name: String) { state.withLock { $0.endpoints[name] = nil } }

    /// The resource whose connection has these addresses.
    func resource(local: SocketAddress, remote: SocketAddress) -> ResourceRunner? {
        state.withLock { state in
            let found = state.endpoints.first { $0.value.local == local && $0.value.remote == remote }
            return found.flatMap { state.resources[$0.key] }
        }
    }

    /// Whether a disk is attached: offline tools keep their hands off it.
    package func isAttached(_ minor: Int) -> Bool { state.withLock { $0.attached.contains(minor) } }

    func noteDisks(_ volumes: [VolumeReport]) {
        state.withLock { state in
            for volume in volumes {
                if volume.backing == nil {
                    state.attached.remove(volume.minor)
                } else {
                    state.attached.insert(volume.minor)
                }
            }
        }
    }

    // MARK: The reactor

    /// The reactor of all resources and clustered mounts.
    package func reactor(_ backend: Reactor.Backend) throws(SystemError) -> VolumeReactor {
        try state.withLock { state throws(SystemError) in
            if let reactor = state.reactor { return reactor }
            let made = try VolumeReactor(backend: backend)
            state.reactor = made
            return made
        }
    }

    /// Nil before the first resource or clustered mount.
    package var reactor: VolumeReactor? { state.withLock { $0.reactor } }

    /// Ends the reactor; nothing lives on it any more.
    func stopReactor() {
        let reactor = state.withLock { state in
            defer { state.reactor = nil }
            return state.reactor
        }
        reactor?.stop()
    }

    // MARK: Listeners of events

    var listeners: [any EventListener] { state.withLock { $0.listeners } }

    func addListener(_ listener: any EventListener) { state.withLock { $0.listeners.append(listener) } }

    func removeListener(_ listener: any EventListener) {
        state.withLock { $0.listeners.removeAll { $0 === listener } }
    }
}
