internal import Administration
package import Configuration
internal import Synchronization

/// The cluster that this host is registered in: at most one at a time. Spec: o2cb 1, 4.
///
/// Usable from any thread. What serves mounts takes the registration from here when it starts a heartbeat.
package final class ClusterMembership: Sendable {
    private let current = Mutex<ClusterRegistration?>(nil)
    /// Heartbeats that run, one for each volume that is mounted as a member.
    private let regions = Mutex<[ClusterServiceState.Region]>([])

    package init() {}

    package var registration: ClusterRegistration? { current.withLock { $0 } }

    /// Registers, or reads the nodes of the registered cluster anew. Nil, or why not.
    ///
    /// The timers stay those of the first time: peers have agreed to them. They change with `unregister`.
    func register(_ new: ClusterRegistration) -> String? {
        current.withLock { current in
            guard let running = current else {
                current = new
                return nil
            }
            guard running.cluster.name == new.cluster.name else {
                return "cluster '\(running.cluster.name)' is registered, and a host is a member of one only: "
                    + "o2cb unregister-cluster \(running.cluster.name)"
            }
            if let own = running.ownNode, own.number != new.ownNode?.number {
                return "this host is node \(own.number) of the running cluster: o2cb unregister-cluster "
                    + "\(new.cluster.name) before it gets another number"
            }
            current = ClusterRegistration(
                cluster: new.cluster, ownNode: new.ownNode, timers: running.timers, warnings: new.warnings)
            return nil
        }
    }

    /// Why not, in the words of the classic tool; nil when it is done.
    func unregister(_ name: String) -> String? {
        current.withLock { current in
            guard current?.cluster.name == name else { return "Cluster '\(name)' is not active" }
            guard regions.withLock({ $0.isEmpty }) else { return "Atleast one heartbeat region is still active" }
            current = nil
            return nil
        }
    }

    /// - Parameter source: the device as mounts show it.
    func regionStarted(uuid: String, source: String) {
        let device = source.split(separator: "/").last.map(String.init) ?? source
        regions.withLock { $0.append(ClusterServiceState.Region(uuid: uuid, device: device)) }
    }

    func regionEnded(uuid: String) {
        regions.withLock { $0.removeAll { $0.uuid == uuid } }
    }

    /// For `o2cb status` and `cluster-status`. A heartbeat runs only for a mounted volume.
    var state: ClusterServiceState {
        guard let registration else { return ClusterServiceState() }
        return ClusterServiceState(
            cluster: registration.cluster.name, ownNode: registration.ownNode?.number,
            mode: registration.cluster.heartbeatMode, timers: registration.timers, regions: regions.withLock { $0 })
    }
}
