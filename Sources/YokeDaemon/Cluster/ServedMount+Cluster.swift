internal import Configuration
internal import ClusterVolume
internal import EngineKit
internal import FileSystem
internal import LinuxReactor
internal import O2Layout
internal import OCFS2Layout

/// A volume that this host is to mount as a member of a cluster.
struct ClusteredMount {
    var superblock: Superblock
    var volume: ClusteredVolume
    var registration: ClusterRegistration
    var reactor: VolumeReactor
}

// Mounts of volumes that other hosts mount as well. On the reactor's thread. Spec: ocfs2-cluster 14, 15.
extension ServedMount {
    /// Nil where no cluster is needed, or none can be had.
    private var volumeReactor: VolumeReactor? {
        switch place {
        case .disk: nil
        case .sharedDisk(_, let volumes): volumes
        case .replicated(let runner, _): runner.shared
        }
    }

    /// Nil: the host has the volume to itself.
    func clusteredVolume(
        on device: any BlockDevice, _ cluster: ClusterChoice
    ) async throws(Failure) -> ClusteredMount? {
        // A device that cannot be written has no cluster at all. Spec: ocfs2-cluster 17.
        guard let reactor = volumeReactor, !device.isReadOnly else { return nil }
        let superblock = try await Self.mounting { () async throws(MountError) in
            try await VolumeProbe.superblock(of: device)
        }
        let volume = ClusteredVolume(superblock)
        do throws(ClusterFailure) {
            guard let registration = try await cluster.registration(for: volume) else { return nil }
            return ClusteredMount(
                superblock: superblock, volume: volume, registration: registration, reactor: reactor)
        } catch {
            throw .cluster(error)
        }
    }

    func mountAsMember(
        _ wanted: ClusteredMount, of cluster: ClusterChoice, _ device: any BlockDevice, _ options: MountOptions,
        _ environment: ReactorEnvironment
    ) async throws(Failure) {
        let offset = try await Self.mounting { () async throws(MountError) in
            try VolumeProbe.requireMountable(wanted.superblock, on: device, options)
            return try await VolumeProbe.heartbeatOffset(
                of: wanted.superblock, on: device, environment: environment)
        }
        let (membership, locks) = try await join(wanted, of: cluster, device, offset)
        let node = UInt32(membership.host.node.value)
        let volume = try await Self.mounting { () async throws(MountError) in
            try await MountedVolume.mount(
                device: MemberDevice(device, of: membership), environment: environment, locks: locks, options: options,
                nodeNumber: node)
        }
        self.volume = volume
        membership.serve(volume)
    }

    private func join(
        _ wanted: ClusteredMount, of cluster: ClusterChoice, _ device: any BlockDevice, _ offset: UInt64
    ) async throws(Failure) -> (VolumeMembership, ClusterLockService) {
        do throws(ClusterFailure) {
            let host = try ClusterHost.take(wanted.registration, on: wanted.reactor, log: writeLog)
            clusterHost = host
            let membership = VolumeMembership(
                uuid: wanted.volume.uuid, device: device, heartbeatOffset: offset, host: host)
            self.membership = membership
            clusterService = cluster.service
            cluster.service.regionStarted(uuid: wanted.volume.uuid, source: source)
            return (membership, try await membership.join())
        } catch {
            throw .cluster(error)
        }
    }

    /// Leaves the cluster; the volume is unmounted, or its mount failed.
    func endMembership() async {
        if let membership {
            await membership.leave()
            clusterService?.regionEnded(uuid: membership.uuid)
        }
        membership = nil
        clusterHost?.release()
        clusterHost = nil
    }

    private static func mounting<Result>(
        _ body: () async throws(MountError) -> Result
    ) async throws(Failure) -> Result {
        do throws(MountError) {
            return try await body()
        } catch {
            throw .mount(error)
        }
    }
}
