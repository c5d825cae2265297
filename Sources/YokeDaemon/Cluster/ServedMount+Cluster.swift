internal import ClusterNet
internal import ClusterVolume
internal import Configuration
internal import DRBDLayout
internal import EngineKit
internal import FileSystem
internal import LinuxReactor
internal import O2Layout
internal import OCFS2Layout
internal import Replication

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
                device: membership.memberDevice(on: device), environment: environment, locks: locks, options: options,
                nodeNumber: node)
        }
        self.volume = volume
        membership.serve(volume)
        await appointJudge(membership)
    }

    /// Two hosts with one replicated volume judge together; more, or a shared disk, leave it to the heartbeat.
    private func appointJudge(_ membership: VolumeMembership) async {
        let others = membership.host.configuration.filter { $0.node != membership.host.node }
        guard case .replicated(let runner, let number) = place, others.count == 1, let peer = others.first else {
            return
        }
        let reference = await Daemon.blocking { DefaultGateway.find() }
        let isConnected = (runner.snapshot(of: number)?.state.conn ?? .standAlone) >= .connected
        let own = membership.host.net.own
        let judge = MountJudge(
            peer: peer.node, isPreferred: own.node < peer.node, of: membership, on: ReplicatedLink(runner, number),
            witnesses: NetworkWitnesses(peer: peer, own: own, reference: reference, reactor: runner.reactor),
            isConnected: isConnected)
        membership.install(judge)
        runner.watchState(membership) { [weak judge] volume, old, new in
            guard volume == number else { return }
            judge?.dataPathChanged(from: old, to: new)
        }
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

    /// The admin says that the other host is dead. Nil, or why that means nothing now.
    func takeOver() async -> String? {
        let outcome = await Promise<String?>.wait { promise in
            reactor.post { [self] in
                guard let judge = membership?.judge else {
                    return promise.fulfil("no other Yoke host shares it by replication: nothing is to be decided")
                }
                promise.fulfil(judge.takeOver())
            }
        }
        return outcome ?? "it has ended"
    }

    /// Leaves the cluster; the volume is unmounted, or its mount failed.
    func endMembership() async {
        if let membership {
            await membership.leave()
            if case .replicated(let runner, _) = place { runner.endWatch(membership) }
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
