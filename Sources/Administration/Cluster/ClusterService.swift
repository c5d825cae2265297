package import Configuration

/// The running cluster as the `o2cb` command sees it: the daemon, through its control socket.
package protocol ClusterService {
    /// - Parameter file: the cluster.conf to take it from, absolute.
    func register(_ cluster: String, file: String) -> ClusterServiceAnswer
    func unregister(_ cluster: String) -> ClusterServiceAnswer
    /// Nil if no daemon answers.
    func state() -> ClusterServiceState?
}

package enum ClusterServiceAnswer: Equatable, Sendable {
    case done
    /// With what is to be printed.
    case refused(String)
    /// No daemon answers, with what is known about it.
    case unreachable(String)
}

/// What runs. On the control socket it is text, one fact a line:
///
///     cluster web            only if one is registered
///     node 0                 only if this host is a member
///     mode local
///     timers 31 30000 2000 2000
///     region 19A43D24552B4D16B63ABFD4A2DAEE59 drbd0
///
/// Lines with another first word are for newer commands.
package struct ClusterServiceState: Equatable, Sendable {
    package struct Region: Equatable, Sendable {
        package var uuid: String
        package var device: String

        package init(uuid: String, device: String) {
            self.uuid = uuid
            self.device = device
        }
    }

    package var cluster: String?
    package var ownNode: Int?
    package var mode: HeartbeatMode
    package var timers: ClusterTimers
    /// Heartbeats that run: one for each mounted volume.
    package var regions: [Region]

    package init(
        cluster: String? = nil, ownNode: Int? = nil, mode: HeartbeatMode = .local, timers: ClusterTimers = .kernel,
        regions: [Region] = []
    ) {
        self.cluster = cluster
        self.ownNode = ownNode
        self.mode = mode
        self.timers = timers
        self.regions = regions
    }

    /// Spec: o2cb 4, `cluster-status`.
    package func isOnline(_ name: String) -> Bool { cluster == name && ownNode != nil }

    package var text: String {
        var lines: [String] = []
        if let cluster { lines.append("cluster \(cluster)") }
        if let ownNode { lines.append("node \(ownNode)") }
        lines.append("mode \(mode.rawValue)")
        lines.append("timers " + ServiceSettings.Timer.allCases.map { "\(timers[$0])" }.joined(separator: " "))
        lines += regions.map { "region \($0.uuid) \($0.device)" }
        return lines.map { $0 + "\n" }.joined()
    }

    package init(text: String) {
        self.init()
        for line in text.split(separator: "\n") {
            let words = line.split(separator: " ").map(String.init)
            switch words.first {
            case "cluster" where words.count == 2: cluster = words[1]
            case "node" where words.count == 2: ownNode = Int(words[1])
            case "mode" where words.count == 2: mode = HeartbeatMode(rawValue: words[1]) ?? .local
            case "timers" where words.count == 5:
                for (timer, word) in zip(ServiceSettings.Timer.allCases, words.dropFirst()) {
                    if let value = Int(word) { timers[timer] = value }
                }
            case "region" where words.count == 3: regions.append(Region(uuid: words[1], device: words[2]))
            case _: break
            }
        }
    }
}

/// What a name server or the hosts file says.
package enum AddressLookup: Equatable, Sendable {
    case address(String)
    /// In the words of the resolver.
    case failed(String)
}
