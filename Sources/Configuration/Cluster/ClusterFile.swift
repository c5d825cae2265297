/// What `/etc/ocfs2/cluster.conf` says: clusters with their nodes and, in global mode, their heartbeat regions.
///
/// A host is a member of one cluster at a time; the file may name several. Spec: o2cb 2.
package struct ClusterFile: Equatable, Sendable {
    /// Where it is, below the root of a host.
    package static let path = "/etc/ocfs2/cluster.conf"

    /// In the order of the text. Names are unique.
    package var clusters: [Cluster]

    package init(clusters: [Cluster] = []) {
        self.clusters = clusters
    }

    package func cluster(named name: String) -> Cluster? { clusters.first { $0.name == name } }
}

/// How members tell that they are alive. Spec: o2cb 2.2, 8.
package enum HeartbeatMode: String, Equatable, Sendable {
    /// Each mounted volume is a heartbeat region of its own.
    case local
    /// Regions of their own for all volumes. Read and written, never used: see ``Cluster/registrationProblems()``.
    case global
}

/// One cluster. Spec: o2cb 2.2.
package struct Cluster: Equatable, Sendable {
    package static let nameByteCountMax = 16
    /// Node numbers are 0 to 254; 255 means none. Spec: o2cb 1.
    package static let nodeCountMax = 255

    package var name: String
    package var heartbeatMode: HeartbeatMode
    /// As the file has it; nobody compares it with the number of nodes. Spec: o2cb 2.2.
    package var nodeCount: Int
    /// UUIDs of the volumes that carry the global heartbeat.
    package var regions: [String]
    /// In the order of the text. Names are unique; numbers and addresses need not be, until the cluster is registered.
    package var nodes: [ClusterNode]
    /// Nil where it was not read from a file.
    package var location: SourceLocation?

    package init(
        name: String, heartbeatMode: HeartbeatMode = .local, nodeCount: Int = 0, regions: [String] = [],
        nodes: [ClusterNode] = [], location: SourceLocation? = nil
    ) {
        self.name = name
        self.heartbeatMode = heartbeatMode
        self.nodeCount = nodeCount
        self.regions = regions
        self.nodes = nodes
        self.location = location
    }

    package func node(named name: String) -> ClusterNode? { nodes.first { $0.name == name } }
    package func node(numbered number: Int) -> ClusterNode? { nodes.first { $0.number == number } }

    /// The lowest number that no node has; nil if the cluster is full.
    package var lowestUnusedNumber: Int? {
        (0..<Self.nodeCountMax).first { number in !nodes.contains { $0.number == number } }
    }

    package mutating func add(_ node: ClusterNode) {
        nodes.append(node)
        nodeCount += 1
    }

    /// Numbers of the others stay as they are. Spec: o2cb 4.
    package mutating func removeNode(named name: String) {
        nodes.removeAll { $0.name == name }
        nodeCount = max(0, nodeCount - 1)
    }

    /// Why `name` is none for a cluster, in the words of the classic tool; nil if it is good. Spec: o2cb 1, 4.
    package static func problem(ofName name: String) -> String? {
        let trimmed = name.utf8.drop { $0 == 0x20 }
        if trimmed.isEmpty { return "zero length" }
        if name.utf8.count > nameByteCountMax { return "max \(nameByteCountMax) characters" }
        let isGood = name.utf8.allSatisfy { byte in
            switch byte {
            case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "A")...UInt8(ascii: "Z"),
                UInt8(ascii: "0")...UInt8(ascii: "9"):
                true
            default: false
            }
        }
        return isGood ? nil : "only alpha-numeric characters allowed"
    }
}

/// One member. Spec: o2cb 2.2, 5.1.
package struct ClusterNode: Equatable, Sendable {
    package static let defaultPort = 7777
    package static let nameByteCountMax = 64

    /// As the host calls itself, with or without its domain.
    package var name: String
    package var number: Int
    /// IPv4, four numbers with dots.
    package var address: String
    package var port: Int
    package var location: SourceLocation?

    package init(
        name: String, number: Int, address: String, port: Int = defaultPort, location: SourceLocation? = nil
    ) {
        self.name = name
        self.number = number
        self.address = address
        self.port = port
        self.location = location
    }

    package var endpoint: String { "\(address):\(port)" }

    /// Whether the text is an address as inet_pton(AF_INET) takes it: no leading zeros, no name, no IPv6.
    package static func isAddress(_ text: String) -> Bool {
        guard let address = IPAddress(text), address.isIPv4 else { return false }
        return address.bytes.map(String.init).joined(separator: ".") == text
    }

    /// Equal to the host name, or to its part before the first dot, in any case. Spec: o2cb 5.3.
    package func isHost(_ hostName: String) -> Bool {
        let own = name.lowercased()
        let host = hostName.lowercased()
        return own == host || own == String(host.prefix { $0 != "." })
    }
}
