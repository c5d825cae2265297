internal import Configuration

/// One of the two hosts of a plan. Its place in the list is its node number.
package struct PairHost: Codable, Equatable, Sendable {
    package var node: String
    package var address: String
    package var disk: PairDisk

    package init(node: String, address: String, disk: PairDisk) {
        self.node = node
        self.address = address
        self.disk = disk
    }
}

/// Everything about a pair that both hosts must agree on. Made by the host from both surveys, checked by the guest; each
/// side makes its files from it (``PairFiles``), so that they are equal without being sent.
package struct PairPlan: Codable, Equatable, Sendable {
    /// Where a port for replication is looked for.
    package static let ports = 7789...7888
    /// Where `yoke init` waits for the other host if that is free, else up to so many ports above.
    package static let rendezvousPort = 8789
    package static let rendezvousPortCount = 20
    /// Below this the journals and the metadata leave no room.
    package static let byteCountMin: UInt64 = 64 << 20
    package static let mountOptions = "noauto,x-yoke.auto,noatime"

    package var resource: String
    /// Of each disk, the replication's metadata included.
    package var byteCount: UInt64
    package var mountPoint: String
    package var minor: Int
    package var port: Int
    /// First the one where `yoke init` was run.
    package var hosts: [PairHost]
    package var cluster: String
    /// The cluster is new: both write cluster.conf and /etc/default/o2cb.
    package var makesCluster: Bool
    package var timers: PairTimers

    /// Both disks are new files: equal without a sync.
    package var areDisksEqual: Bool { hosts.allSatisfy(\.disk.isNewFile) }
    package var device: String { "/dev/drbd\(minor)" }

    /// - Parameters:
    ///   - own: the host where `yoke init` runs; its disk has the size that was asked for.
    ///   - port: for replication; nil: the first that both have free.
    package init(
        resource: String, byteCount: UInt64, mountPoint: String, port: Int?, own: HostSurvey, peer: HostSurvey
    ) throws(PairingRefusal) {
        guard own.resource == resource, peer.resource == resource else {
            throw PairingRefusal(
                "\(peer.node) wants to join '\(PlainText.shown(peer.resource))', this is '\(resource)'")
        }
        guard own.release == peer.release else {
            throw PairingRefusal(
                "\(own.node) runs yoked \(own.release), \(peer.node) \(PlainText.shown(peer.release)): use one release")
        }
        try Self.checkNames(resource, own, peer)
        try Self.checkSizes(byteCount, own, peer)
        self.resource = resource
        self.byteCount = byteCount
        self.mountPoint = mountPoint
        let minors = own.minors + peer.minors
        guard let minor = (0..<256).first(where: { !minors.contains($0) }) else {
            throw PairingRefusal("no device number below 256 is free on both hosts")
        }
        self.minor = minor
        let taken = own.ports + peer.ports
        if let port {
            guard !taken.contains(port) else {
                throw PairingRefusal("port \(port) is in use on \(own.ports.contains(port) ? own.node : peer.node)")
            }
            self.port = port
        } else {
            guard let port = Self.ports.first(where: { !taken.contains($0) }) else {
                throw PairingRefusal(
                    "no port of \(Self.ports.lowerBound) to \(Self.ports.upperBound) is free on both hosts")
            }
            self.port = port
        }
        hosts = [own, peer].map { PairHost(node: $0.node, address: $0.address, disk: $0.disk) }
        let choice = try PairCluster.choose(resource: resource, own: own, peer: peer)
        cluster = choice.name
        makesCluster = choice.isNew
        timers = PairTimers(choice.timers)
    }

    private static func checkNames(
        _ resource: String, _ own: HostSurvey, _ peer: HostSurvey
    ) throws(PairingRefusal) {
        guard own.node.lowercased() != peer.node.lowercased() else {
            throw PairingRefusal(
                "both hosts are called \(own.node): give one of them another name (hostnamectl, or --node for yoked)")
        }
        guard own.address != peer.address else {
            throw PairingRefusal("both hosts have the address \(own.address): each needs one of its own")
        }
        for host in [own, peer] where host.resources.contains(resource) {
            throw PairingRefusal("\(host.node) has a resource \(resource) already: choose another name")
        }
    }

    private static func checkSizes(
        _ byteCount: UInt64, _ own: HostSurvey, _ peer: HostSurvey
    ) throws(PairingRefusal) {
        guard byteCount >= byteCountMin else {
            throw PairingRefusal(
                "\(ByteSize.text(byteCount)) is too small for a volume: at least \(ByteSize.text(byteCountMin))")
        }
        for host in [own, peer] where host.disk.byteCount < byteCount && !(host.disk.isNewFile && host.disk.isSparse) {
            let what = host.disk.isNewFile ? "has room for" : "is \(host.disk.path),"
            throw PairingRefusal(
                "the disk of \(host.node) is too small: it \(what) \(ByteSize.text(host.disk.byteCount)), wanted are "
                    + ByteSize.text(byteCount))
        }
    }

    /// What is not acceptable in a plan that came over the network; nil if nothing.
    package var problem: String? {
        if let problem = PlainText.problem(ofResource: resource) { return problem }
        if let problem = PlainText.problem(ofMountPoint: mountPoint) { return problem }
        guard hosts.count == 2, hosts[0].node != hosts[1].node, hosts[0].address != hosts[1].address else {
            return "it is not for two hosts"
        }
        for host in hosts {
            if let problem = PlainText.problem(ofNode: host.node) { return problem }
            if let problem = PlainText.problem(ofAddress: host.address) { return problem }
            if let problem = PlainText.problem(ofDisk: host.disk.path) { return problem }
        }
        guard byteCount >= Self.byteCountMin, byteCount <= 1 << 50 else { return "its size is \(byteCount) bytes" }
        guard (0..<256).contains(minor), (1...65535).contains(port) else { return "its numbers are out of range" }
        if let problem = Cluster.problem(ofName: cluster) {
            return "its cluster '\(PlainText.shown(cluster))': \(problem)"
        }
        let numbers = [timers.threshold, timers.idle, timers.keepalive, timers.reconnect]
        guard numbers.allSatisfy({ (1...3_600_000).contains($0) }),
            timers.timers.problems().allSatisfy({ $0.severity != .error })
        else { return "its timers are out of range" }
        return nil
    }
}
