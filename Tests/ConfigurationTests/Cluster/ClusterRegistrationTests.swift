import Configuration
import Testing

/// Spec: o2cb 5.
@Suite struct ClusterRegistrationTests {
    static func cluster(_ change: (inout Cluster) -> Void = { _ in }) -> Cluster {
        var cluster = Cluster(
            name: "web", nodeCount: 2,
            nodes: [
                ClusterNode(name: "hbA", number: 0, address: "10.99.0.40"),
                ClusterNode(name: "hbB.example.org", number: 1, address: "10.99.0.41"),
            ])
        change(&cluster)
        return cluster
    }

    @Test(
        "a node is this host by its whole name or up to the first dot, in any case",
        arguments: [
            ("hba", 0), ("HBA.example.org", 0), ("hbB.example.org", 1), ("hbB", nil), ("hbA2", nil), ("", nil),
        ] as [(String, Int?)])
    func ownNode(host: String, number: Int?) throws {
        let registration = try ClusterRegistration.make(Self.cluster(), hostName: host, timers: .kernel)
        #expect(registration.ownNode?.number == number)
        #expect(registration.isOnline == (number != nil))
        #expect(registration.warnings.map(\.kind) == (number == nil ? [.noOwnHost] : []))
    }

    struct Fault: Sendable, CustomTestStringConvertible {
        var found: String
        var change: @Sendable (inout Cluster) -> Void
        var testDescription: String { found }
    }

    static let faults: [Fault] = [
        Fault(found: "number = 255 of node 'hbA'") { $0.nodes[0].number = 255 },
        Fault(found: "ip_port = 65535 of node 'hbA'") { $0.nodes[0].port = 65535 },
        Fault(found: "ip_port = 0 of node 'hbA'") { $0.nodes[0].port = 0 },
        Fault(found: "ip_address = '10.1' of node 'hbA'") { $0.nodes[0].address = "10.1" },
        Fault(found: "number 0 of node 'hbB.example.org'") { $0.nodes[1].number = 0 },
        Fault(found: "address 10.99.0.40 of node 'hbB.example.org'") { $0.nodes[1].address = "10.99.0.40" },
        Fault(found: "the name of node 'HBA'") { $0.nodes[1].name = "HBA" },
        Fault(found: "node name 'a b' (no blanks, slashes or control characters)") { $0.nodes[1].name = "a b" },
        Fault(found: "cluster name 'web # x' (only alpha-numeric characters allowed)") { $0.name = "web # x" },
        Fault(found: "heartbeat_mode = global: Yoke does not serve the global heartbeat") {
            $0.heartbeatMode = .global
        },
    ]

    @Test("what a kernel host would refuse is refused by name", arguments: faults)
    func refusals(_ fault: Fault) {
        let errors = Self.cluster(fault.change).registrationProblems().filter { $0.severity == .error }
        #expect(errors.map(\.found) == [fault.found])
        #expect(throws: ClusterRegistration.Refusal.self) {
            try ClusterRegistration.make(Self.cluster(fault.change), hostName: "hbA", timers: .kernel)
        }
    }

    @Test("two nodes that both are this host are refused")
    func twoOwnNodes() {
        let cluster = Self.cluster { $0.nodes[1].name = "hbA.example.org" }
        let refusal = #expect(throws: ClusterRegistration.Refusal.self) {
            try ClusterRegistration.make(cluster, hostName: "hbA.example.org", timers: .kernel)
        }
        #expect(refusal?.text.contains("nodes 'hbA' and 'hbA.example.org' both are host") == true)
    }

    @Test("the check of both files names what is wrong with the cluster that would be started")
    func check() {
        func kinds(_ file: String?, _ settings: String = "") -> [Diagnostic.Kind] {
            var files = ["/etc/default/o2cb": settings]
            files["/etc/ocfs2/cluster.conf"] = file
            return ClusterCheck.diagnostics(
                root: "/", hostName: "hbA", source: MemoryConfigurationSource(files: files)
            ).map(\.kind)
        }
        let global = ClusterFileTests.canonical.replacing("local", with: "global")
        #expect(kinds(nil, "O2CB_HEARTBEAT_THRESHOLD=2").isEmpty)
        #expect(kinds(ClusterFileTests.canonical).isEmpty)
        #expect(kinds(ClusterFileTests.canonical, "O2CB_HEARTBEAT_THRESHOLD=2") == [.outOfRange])
        #expect(kinds(global) == [.notServed])
        // Another cluster of the file may be for others.
        let two = global + "cluster:\n\tname = mail\n\tnode_count = 0\n"
        #expect(kinds(two, "O2CB_BOOTCLUSTER=mail") == [.noOwnHost])
        #expect(kinds(two).isEmpty)
        #expect(kinds("cluster\n") == [.unexpectedToken])
    }

    @Test("both files of a root make the registration")
    func load() throws {
        let source = MemoryConfigurationSource(files: [
            "/r/etc/ocfs2/cluster.conf": ClusterFileTests.canonical,
            "/r/etc/default/o2cb": "O2CB_HEARTBEAT_THRESHOLD=10\n",
        ])
        let registration = try ClusterRegistration.load("web", hostName: "hbB", root: "/r", source: source)
        #expect(registration.ownNode?.number == 1)
        #expect(registration.peers.map(\.name) == ["hbA"])
        #expect(registration.timers == ClusterTimers(threshold: 10))
        #expect(registration.warnings.isEmpty)
        let refusal = #expect(throws: ClusterRegistration.Refusal.self) {
            try ClusterRegistration.load("mail", hostName: "hbB", root: "/r", source: source)
        }
        #expect(
            refusal?.text == "Unknown cluster 'mail', expected a cluster of /r/etc/ocfs2/cluster.conf\n"
                + "\thint: the file has: web\n")
    }
}
