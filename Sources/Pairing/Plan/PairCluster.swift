internal import Configuration

/// Which cluster the volume belongs to: the one that both hosts are in, or a new one of just the two.
enum PairCluster {
    struct Choice {
        var name: String
        var isNew: Bool
        var timers: ClusterTimers
    }

    static func choose(resource: String, own: HostSurvey, peer: HostSurvey) throws(PairingRefusal) -> Choice {
        switch (try file(of: own), try file(of: peer)) {
        case (nil, nil):
            for host in [own, peer] {
                if let name = host.registeredCluster {
                    throw PairingRefusal(
                        "\(host.node) runs in a cluster \(name) that its cluster.conf does not have: yoke o2cb "
                            + "unregister-cluster \(name)")
                }
            }
            return Choice(name: name(for: resource), isNew: true, timers: try newTimers(own, peer))
        case (let first?, let second?):
            let both = first.clusters.first { cluster in isIn(cluster, own) && isIn(cluster, peer) }
            guard let cluster = both, let other = second.cluster(named: cluster.name), isSame(cluster, other) else {
                throw PairingRefusal(
                    "the hosts are in clusters that do not fit: \(ClusterFile.path) must name both, "
                        + "\(own.node) \(own.address) and \(peer.node) \(peer.address), in one cluster, the same on both"
                )
            }
            try checkRunning(cluster.name, own, peer)
            return Choice(name: cluster.name, isNew: false, timers: try sameTimers(own, peer))
        case (_?, nil): throw onlyOne(own, peer)
        case (nil, _?): throw onlyOne(peer, own)
        }
    }

    /// The letters and digits of the resource's name. Spec: o2cb 1.
    static func name(for resource: String) -> String {
        let word = String(
            resource.unicodeScalars.filter { $0.isASCII && $0.properties.isAlphabetic || ("0"..."9").contains($0) }
                .prefix(Cluster.nameByteCountMax).map(Character.init))
        return word.isEmpty ? "yoke" : word
    }

    private static func file(of host: HostSurvey) throws(PairingRefusal) -> ClusterFile? {
        guard let text = host.clusterText else { return nil }
        let result = ClusterFileReader.read(Array(text.utf8), fileName: ClusterFile.path)
        guard let file = result.file else {
            throw PairingRefusal("\(ClusterFile.path) of \(host.node) has errors: yoke check names them")
        }
        return file.clusters.isEmpty ? nil : file
    }

    private static func onlyOne(_ host: HostSurvey, _ other: HostSurvey) -> PairingRefusal {
        PairingRefusal(
            "\(host.node) has a cluster in \(ClusterFile.path), \(other.node) has none: add \(other.node) to it "
                + "(yoke o2cb add-node --ip \(other.address) CLUSTER \(other.node)) and copy the file to \(other.node); or "
                + "move it away if it is not used any more")
    }

    private static func isIn(_ cluster: Cluster, _ host: HostSurvey) -> Bool {
        cluster.nodes.contains { $0.isHost(host.node) }
    }

    private static func isSame(_ left: Cluster, _ right: Cluster) -> Bool {
        func facts(_ cluster: Cluster) -> [String] {
            cluster.nodes.map { "\($0.number) \($0.name.lowercased()) \($0.endpoint)" }.sorted()
        }
        return facts(left) == facts(right)
    }

    private static func checkRunning(_ name: String, _ own: HostSurvey, _ peer: HostSurvey) throws(PairingRefusal) {
        for host in [own, peer] {
            guard let running = host.registeredCluster, running != name else { continue }
            throw PairingRefusal(
                "\(host.node) runs in the cluster \(running), not in \(name) as the other one, and a host is a member of "
                    + "one only: yoke o2cb unregister-cluster \(running)")
        }
    }

    /// What both say, the kernel's where they say nothing.
    private static func sameTimers(_ own: HostSurvey, _ peer: HostSurvey) throws(PairingRefusal) -> ClusterTimers {
        let timers = own.timers?.timers ?? .kernel
        guard timers == peer.timers?.timers ?? .kernel else {
            throw PairingRefusal(
                "the timers of the cluster in /etc/default/o2cb differ between \(own.node) and \(peer.node), and must not: "
                    + "yoke o2cb timers fast on both")
        }
        return timers
    }

    /// The fast ones, unless somebody has chosen others.
    private static func newTimers(_ own: HostSurvey, _ peer: HostSurvey) throws(PairingRefusal) -> ClusterTimers {
        own.timers == nil && peer.timers == nil ? .yokePair : try sameTimers(own, peer)
    }
}
