package import ClusterVolume
internal import EngineKit
package import EngineSimulation
package import FileSystem
internal import FileSystemSimulation
internal import LockManager
package import LockSimulation
package import O2Layout

/// A host of a simulated cluster with the common volume mounted.
package final class MountedHost {
    package let node: NodeNumber
    package let host: SimulatedHost
    package let disk: HostDisk
    package private(set) var volume: MountedVolume!
    private let locks: ClusterLockService

    /// Boots, joins the domain and mounts.
    package init(
        _ node: NodeNumber, in cluster: SimulatedCluster, _ common: MemoryDevice,
        _ options: MountOptions = MountOptions(), plantedFaults: ClusterVolume.PlantedFaults = []
    ) async throws(ClusterFailure) {
        self.node = node
        let environment = cluster.environment
        host = cluster.boot(node)
        disk = HostDisk(common, environment: environment)
        var lockOptions = ClusterLockService.Options()
        lockOptions.plantedFaults = plantedFaults
        locks = ClusterLockService(domain: host.domain, options: lockOptions, environment: environment)
        do throws(JoinError) {
            try await host.domain.join()
        } catch {
            throw ClusterFailure("node \(node) cannot join: \(error)")
        }
        do throws(MountError) {
            volume = try await MountedVolume.mount(
                device: disk, environment: environment, locks: locks, options: options,
                nodeNumber: UInt32(node.value))
        } catch {
            throw ClusterFailure("node \(node) cannot mount: \(error)")
        }
        host.domain.onEviction = { [weak self] dead in self?.volume.memberDied(UInt32(dead.value)) }
    }

    /// Cuts the power.
    package func die(in cluster: SimulatedCluster) {
        disk.isDead = true
        cluster.kill(node)
    }

    /// Unmounts and leaves the domain.
    package func leave() async {
        await volume.unmount()
        await host.domain.leave()
    }
}

/// What went wrong in a simulated cluster.
package struct ClusterFailure: Error, CustomStringConvertible {
    package var description: String

    package init(_ description: String) {
        self.description = description
    }
}
