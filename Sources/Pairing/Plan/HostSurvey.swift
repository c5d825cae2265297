package import Configuration

/// The disk that a host gives: a file that is made for the purpose, or a device that is there.
package struct PairDisk: Codable, Equatable, Sendable {
    /// As the configuration names it.
    package var path: String
    /// Made by this set-up: it reads as zeroes from end to end.
    package var isNewFile: Bool
    /// Bytes of a device; for a file what fits on its filesystem.
    package var byteCount: UInt64
    /// A new file gets its blocks when they are written.
    package var isSparse: Bool

    package init(path: String, isNewFile: Bool, byteCount: UInt64, isSparse: Bool = false) {
        self.path = path
        self.isNewFile = isNewFile
        self.byteCount = byteCount
        self.isSparse = isSparse
    }
}

/// The timers of /etc/default/o2cb. They must be the same on both hosts.
package struct PairTimers: Codable, Equatable, Sendable {
    package var threshold: Int
    package var idle: Int
    package var keepalive: Int
    package var reconnect: Int

    package init(_ timers: ClusterTimers) {
        threshold = timers.threshold
        idle = timers.idleTimeoutMilliseconds
        keepalive = timers.keepaliveDelayMilliseconds
        reconnect = timers.reconnectDelayMilliseconds
    }

    package var timers: ClusterTimers {
        ClusterTimers(
            threshold: threshold, idleTimeoutMilliseconds: idle, keepaliveDelayMilliseconds: keepalive,
            reconnectDelayMilliseconds: reconnect)
    }
}

/// What the choice of names, numbers and ports needs to know of a host. Sent by the guest, and made of the host itself.
package struct HostSurvey: Codable, Equatable, Sendable {
    /// Version of the daemon: both write the same files only if they are of one release.
    package var release: String
    /// The resource that this host believes to be set up.
    package var resource: String
    package var node: String
    /// For replication, cluster and this link.
    package var address: String
    package var disk: PairDisk
    /// Names of resources that exist here, in the configuration or up.
    package var resources: [String]
    /// Minor numbers that are configured or up, the kernel's included.
    package var minors: [Int]
    /// TCP ports from ``PairPlan/ports`` that are configured for something or in use.
    package var ports: [Int]
    /// The text of cluster.conf; nil if it names no cluster.
    package var clusterText: String?
    /// The cluster that the daemon is registered in.
    package var registeredCluster: String?
    /// What /etc/default/o2cb says; nil if nothing.
    package var timers: PairTimers?

    package init(release: String, resource: String, node: String, address: String, disk: PairDisk) {
        self.release = release
        self.resource = resource
        self.node = node
        self.address = address
        self.disk = disk
        resources = []
        minors = []
        ports = []
    }

    /// What is not acceptable in a survey that came over the network; nil if nothing.
    package var problem: String? {
        if let problem = PlainText.problem(ofResource: resource) { return problem }
        if let problem = PlainText.problem(ofNode: node) { return problem }
        if let problem = PlainText.problem(ofAddress: address) { return problem }
        if let problem = PlainText.problem(ofDisk: disk.path) { return problem }
        guard resources.count <= 4096, minors.count <= 4096, ports.count <= 4096 else {
            return "its lists are too long"
        }
        return nil
    }
}
