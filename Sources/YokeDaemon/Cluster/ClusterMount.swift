internal import Configuration
internal import EngineKit
internal import FileSystem
internal import LayoutKit
internal import LinuxReactor
internal import OCFS2Layout

/// What a mount wants of the cluster, with `-o heartbeat=`.
enum HeartbeatOption: Equatable, Sendable {
    /// As the volume and the host are.
    case unspecified
    case local
    case none
}

/// How a volume is to be mounted with regard to the cluster: who decides whether this host is a member.
struct ClusterChoice: Sendable {
    var option: HeartbeatOption
    /// Lists the heartbeats that run.
    var service: ClusterMembership
    /// The registered cluster in which this host is a node; given the name of the cluster that the volume wants, registers
    /// if the configuration says so. Nil if this host is in none.
    var registration: @Sendable (_ wanted: String?) async -> ClusterRegistration?

    /// The cluster to be a member of for this volume; nil: the host has the volume to itself. Spec: o2cb 15.2,
    /// ocfs2-cluster 17.
    func registration(for volume: ClusteredVolume) async throws(ClusterFailure) -> ClusterRegistration? {
        guard !volume.isLocal else {
            if option == .local {
                throw ClusterFailure(
                    text: "the volume is for one host (mkfs.ocfs2 -M local) and has no heartbeat: mount it without "
                        + "heartbeat=local")
            }
            return nil
        }
        if volume.hasGlobalHeartbeat {
            throw ClusterFailure(
                text: "the volume wants the global heartbeat, which Yoke does not serve: tunefs.ocfs2 "
                    + "--update-cluster-stack, with heartbeat_mode = local in cluster.conf")
        }
        if let stack = volume.stack, stack != "o2cb" {
            throw ClusterFailure(
                text: "the volume is made for the cluster stack '\(stack)', Yoke serves o2cb: tunefs.ocfs2 "
                    + "--update-cluster-stack")
        }
        guard let registration = await registration(volume.clusterName) else {
            guard option == .local else { return nil }
            throw ClusterFailure(
                text: "heartbeat=local: this host is in no cluster: make it a node in /etc/ocfs2/cluster.conf (yoke "
                    + "o2cb add-node), then yoke o2cb register-cluster")
        }
        if let wanted = volume.clusterName, wanted != registration.cluster.name {
            throw ClusterFailure(
                text: "the volume belongs to cluster '\(wanted)', and this host is registered in "
                    + "'\(registration.cluster.name)': yoke o2cb unregister-cluster \(registration.cluster.name), then "
                    + "yoke o2cb register-cluster \(wanted)")
        }
        if option == .none {
            throw ClusterFailure(
                text: "Heartbeat has to be started to mount a read-write clustered device: mount it without "
                    + "heartbeat=none")
        }
        return registration
    }
}

/// What the superblock says of the cluster. Spec: o2cb 15.1.
struct ClusteredVolume: Equatable, Sendable {
    /// Made for one host.
    var isLocal: Bool
    /// Nil: the classic stack.
    var stack: String?
    /// Nil: any.
    var clusterName: String?
    var hasGlobalHeartbeat: Bool
    /// 32 digits in upper case: the name of the lock domain.
    var uuid: String

    /// Nil when the disk holds no volume. Waits for the disk.
    init?(on disk: DiskFile) {
        // Enough for the third block at every block size. Spec: ocfs2-disk 2.1.
        let byteCount = 12288
        guard disk.capacity >= byteCount else { return nil }
        let slice = IOSlice(buffer: IOBuffer(byteCount: byteCount), offset: 0, count: byteCount)
        guard (try? disk.read(at: 0, into: slice.bytes)) != nil,
            let superblock = try? Superblock.probe(UnsafeRawBufferPointer(slice.bytes))
        else { return nil }
        self.init(superblock)
    }

    init(_ superblock: Superblock) {
        isLocal = superblock.parameters.features.isLocal
        stack = superblock.clusterInfo?.stack
        clusterName = superblock.clusterInfo.flatMap { $0.clusterName.isEmpty ? nil : $0.clusterName }
        hasGlobalHeartbeat = superblock.clusterInfo?.hasGlobalHeartbeat ?? false
        var text = ""
        for index in 0..<16 {
            let digits = String(superblock.uuid[index], radix: 16, uppercase: true)
            text += digits.count == 1 ? "0" + digits : digits
        }
        uuid = text
    }
}
