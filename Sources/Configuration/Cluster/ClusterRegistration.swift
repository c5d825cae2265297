/// A cluster of the file as this host takes part in it: checked, with its own node and the timers.
///
/// What the daemon keeps of `yoke o2cb register-cluster`, and what heartbeat, connections and quorum are started from.
package struct ClusterRegistration: Equatable, Sendable {
    package var cluster: Cluster
    /// Nil if no node is this host: the cluster stays offline then. Spec: o2cb 5.3.
    package var ownNode: ClusterNode?
    package var timers: ClusterTimers
    /// What is worth saying besides.
    package var warnings: [Diagnostic]

    package init(cluster: Cluster, ownNode: ClusterNode?, timers: ClusterTimers, warnings: [Diagnostic] = []) {
        self.cluster = cluster
        self.ownNode = ownNode
        self.timers = timers
        self.warnings = warnings
    }

    /// Local mode, and this host is a node.
    package var isOnline: Bool { ownNode != nil }
    package var peers: [ClusterNode] { cluster.nodes.filter { $0.number != ownNode?.number } }

    /// Why a cluster cannot be registered.
    package struct Refusal: Error, Equatable, Sendable {
        package var diagnostics: [Diagnostic]

        /// One line and a hint each, as the command prints them.
        package var text: String { diagnostics.map { $0.shortText + "\n" }.joined() }
    }

    /// Reads both files below `root` and checks the cluster. Nothing is changed anywhere.
    package static func load(
        _ name: String, hostName: String, root: String, source: any ConfigurationSource, file: String? = nil
    ) throws(Refusal) -> ClusterRegistration {
        let path = file ?? pathBelowRoot(ClusterFile.path, root: root)
        let result = ClusterFileReader.load(path: path, source: source)
        guard let file = result.file else { throw Refusal(diagnostics: result.errors) }
        guard let cluster = file.cluster(named: name) else {
            let known = file.clusters.map(\.name).joined(separator: ", ")
            throw Refusal(diagnostics: [
                ClusterFault.diagnostic(
                    .missingKeyword, at: nil, found: "Unknown cluster '\(name)'", expected: "a cluster of \(path)",
                    fix: known.isEmpty ? "yoke o2cb add-cluster \(name)" : "the file has: \(known)")
            ])
        }
        let settings = ServiceSettings.load(root: root, source: source)
        return try make(
            cluster, hostName: hostName, timers: settings.timers, timerProblems: settings.problems,
            warnings: result.warnings)
    }

    /// The checks for a cluster that is in memory.
    package static func make(
        _ cluster: Cluster, hostName: String, timers: ClusterTimers, timerProblems: [Diagnostic]? = nil,
        warnings: [Diagnostic] = []
    ) throws(Refusal) -> ClusterRegistration {
        let own = cluster.nodes.filter { $0.isHost(hostName) }
        var problems = cluster.registrationProblems() + (timerProblems ?? timers.problems())
        if own.count > 1 {
            problems.append(
                ClusterFault.diagnostic(
                    .conflict, at: own[1].location,
                    found: "nodes \(own.map { "'\($0.name)'" }.joined(separator: " and ")) both are host '\(hostName)'",
                    expected: "one node for each host", fix: "remove one: yoke o2cb remove-node \(cluster.name) NODE"))
        }
        let errors = problems.filter { $0.severity == .error }
        guard errors.isEmpty else { throw Refusal(diagnostics: errors) }
        var all = warnings + problems
        if own.isEmpty {
            let names = cluster.nodes.map(\.name).joined(separator: ", ")
            all.append(
                ClusterFault.diagnostic(
                    .noOwnHost, .warning, at: cluster.location,
                    found: "no node of cluster '\(cluster.name)' is this host, '\(hostName)'",
                    expected: names.isEmpty ? "a node of that name" : "one of: \(names)",
                    fix: "yoke o2cb add-node \(cluster.name) \(hostName), or start with --node NAME"))
        }
        return ClusterRegistration(cluster: cluster, ownNode: own.first, timers: timers, warnings: all)
    }
}

extension Cluster {
    /// What keeps the cluster from being used, though its text can be read. Spec: o2cb 5.1.
    package func registrationProblems() -> [Diagnostic] {
        var problems: [Diagnostic] = []
        if let reason = Self.problem(ofName: name) {
            problems.append(
                ClusterFault.diagnostic(
                    .invalidName, at: location, found: "cluster name '\(name)' (\(reason))",
                    expected: "1 to \(Self.nameByteCountMax) letters and digits",
                    fix: name.contains("#") ? "put the comment on a line of its own" : "choose another name"))
        }
        if heartbeatMode == .global {
            problems.append(
                ClusterFault.diagnostic(
                    .notServed, at: location,
                    found: "heartbeat_mode = global: Yoke does not serve the global heartbeat", expected: "local",
                    fix: "yoke o2cb heartbeat-mode \(name) local, on all hosts"))
        }
        for (index, node) in nodes.enumerated() {
            problems += node.registrationProblems()
            problems += Self.conflicts(of: node, with: nodes[..<index])
        }
        if nodeCount != nodes.count {
            problems.append(
                ClusterFault.diagnostic(
                    .volumeMismatch, .warning, at: location,
                    found: "node_count = \(nodeCount) in cluster '\(name)'", expected: "\(nodes.count), its nodes",
                    fix: "correct it; nothing depends on it"))
        }
        return problems
    }

    /// Numbers and addresses are unique among the nodes of a cluster, names in any case.
    private static func conflicts(of node: ClusterNode, with others: ArraySlice<ClusterNode>) -> [Diagnostic] {
        var problems: [Diagnostic] = []
        func conflict(_ what: String, _ other: ClusterNode, _ fix: String) {
            let place = other.location.map { " (line \($0.line))" } ?? ""
            problems.append(
                ClusterFault.diagnostic(
                    .conflict, at: node.location, found: "\(what) of node '\(node.name)'",
                    expected: "one that node '\(other.name)'\(place) does not have", fix: fix))
        }
        if let other = others.first(where: { $0.number == node.number }) {
            conflict("number \(node.number)", other, "give it the next free number, on all hosts alike")
        }
        if let other = others.first(where: { $0.address == node.address }) {
            conflict("address \(node.address)", other, "each node has an address of its own")
        }
        if let other = others.first(where: { $0.name.lowercased() == node.name.lowercased() }) {
            conflict("the name", other, "names that differ only in case are one host")
        }
        return problems
    }
}

extension ClusterNode {
    /// Spec: o2cb 1, 5.1.
    fileprivate func registrationProblems() -> [Diagnostic] {
        var problems: [Diagnostic] = []
        if !(0..<Cluster.nodeCountMax).contains(number) {
            problems.append(
                ClusterFault.diagnostic(
                    .outOfRange, at: location, found: "number = \(number) of node '\(name)'", expected: "0 to 254",
                    fix: "give it a number in this range, on all hosts alike"))
        }
        if !(1...65534).contains(port) {
            problems.append(
                ClusterFault.diagnostic(
                    .outOfRange, at: location, found: "ip_port = \(port) of node '\(name)'", expected: "1 to 65534",
                    fix: "7777 is the usual one"))
        }
        if !ClusterNode.isAddress(address) {
            problems.append(
                ClusterFault.diagnostic(
                    .invalidValue, at: location, found: "ip_address = '\(address)' of node '\(name)'",
                    expected: "an IPv4 address", fix: "write the address that the other hosts reach"))
        }
        if let reason = ClusterNode.problem(ofName: name) {
            problems.append(
                ClusterFault.diagnostic(
                    .invalidName, at: location, found: "node name '\(name)' (\(reason))",
                    expected: "the host's name, at most \(Self.nameByteCountMax) bytes", fix: "uname -n shows it"))
        }
        return problems
    }

    /// Why `name` is none for a node; nil if it is good. A kernel host makes a directory of this name.
    package static func problem(ofName name: String) -> String? {
        if name.isEmpty { return "zero length" }
        if name.utf8.count > nameByteCountMax { return "max \(nameByteCountMax) characters" }
        if name == "." || name == ".." || name.utf8.contains(where: { $0 <= 0x20 || $0 == 0x2f || $0 == 0x7f }) {
            return "no blanks, slashes or control characters"
        }
        return nil
    }
}
