/// Stanzas to clusters, with the checks that the classic tool makes on reading. Spec: o2cb 2.2.
struct ClusterFileBuilder {
    var diagnostics: [Diagnostic] = []

    /// Order of stanzas is free: a node may come before its cluster.
    mutating func build(_ stanzas: [ClusterStanza]) -> ClusterFile {
        var clusters: [Cluster] = []
        for stanza in stanzas where stanza.name == "cluster" {
            guard let cluster = cluster(stanza) else { continue }
            if let first = clusters.first(where: { $0.name == cluster.name }), let place = first.location {
                conflict("cluster '\(cluster.name)'", at: stanza.location, first: place, fix: "remove one of them")
                continue
            }
            clusters.append(cluster)
        }
        for stanza in stanzas {
            switch stanza.name {
            case "cluster": break
            case "node": add(stanza, to: &clusters) { builder, cluster in builder.addNode(stanza, to: &cluster) }
            case "heartbeat": add(stanza, to: &clusters) { builder, cluster in builder.addRegion(stanza, to: &cluster) }
            default: warnUnknown(stanza)
            }
        }
        for index in clusters.indices where clusters[index].nodeCount < 0 {
            clusters[index].nodeCount = clusters[index].nodes.count
        }
        return ClusterFile(clusters: clusters)
    }

    /// `nodeCount` is -1 where the file says nothing.
    private mutating func cluster(_ stanza: ClusterStanza) -> Cluster? {
        warnRepeated(stanza)
        let count = integer("node_count", of: stanza, isRequired: false)
        let mode = heartbeatMode(of: stanza)
        guard let name = text("name", of: stanza, fix: "name = web"), let mode else { return nil }
        if stanza.attribute("node_count") == nil {
            warn(
                .missingKeyword, at: stanza.location, found: "'cluster:' without 'node_count'",
                expected: "'node_count = NUMBER'", fix: "kernel hosts refuse the file: add the line")
        } else if count == nil {
            return nil
        }
        return Cluster(name: name, heartbeatMode: mode, nodeCount: count ?? -1, location: stanza.location)
    }

    private mutating func heartbeatMode(of stanza: ClusterStanza) -> HeartbeatMode? {
        guard let attribute = stanza.attribute("heartbeat_mode") else { return .local }
        if let mode = HeartbeatMode(rawValue: Self.withoutComment(attribute.value).lowercased()) { return mode }
        fail(
            .invalidValue, at: attribute.location, found: "heartbeat_mode = '\(attribute.value)'",
            expected: "local or global", fix: "heartbeat_mode = local")
        return nil
    }

    /// A stanza that names no cluster of the file is skipped, as the classic tool does.
    private mutating func add(
        _ stanza: ClusterStanza, to clusters: inout [Cluster],
        _ body: (inout ClusterFileBuilder, inout Cluster) -> Void
    ) {
        warnRepeated(stanza)
        let wanted = stanza.attribute("cluster")
        if let index = clusters.firstIndex(where: { $0.name == wanted?.value }) {
            body(&self, &clusters[index])
            return
        }
        // After an error in a cluster this would be its consequence.
        guard !diagnostics.contains(where: { $0.severity == .error }) else { return }
        let names = clusters.map(\.name).joined(separator: ", ")
        let value = wanted.map { "cluster = '\($0.value)'" } ?? "no attribute 'cluster'"
        warn(
            .missingKeyword, at: wanted?.location ?? stanza.location, found: "\(value): the \(stanza.name) is left out",
            expected: names.isEmpty ? "a cluster of this file" : "one of: \(names)",
            fix: "say which cluster the \(stanza.name) belongs to")
    }

    private mutating func addNode(_ stanza: ClusterStanza, to cluster: inout Cluster) {
        let name = text("name", of: stanza, fix: "name = the host's name")
        let number = integer("number", of: stanza)
        let address = address(of: stanza)
        let port = integer("ip_port", of: stanza)
        guard let name, let number, let address, let port else { return }
        if let place = cluster.node(named: name)?.location {
            conflict("node name '\(name)'", at: stanza.location, first: place, fix: "every node has its own name")
            return
        }
        cluster.nodes.append(
            ClusterNode(name: name, number: number, address: address, port: port, location: stanza.location))
    }

    private mutating func addRegion(_ stanza: ClusterStanza, to cluster: inout Cluster) {
        guard let region = text("region", of: stanza, fix: "region = the UUID of the volume") else { return }
        if cluster.regions.contains(region) {
            fail(
                .conflict, at: stanza.location, found: "heartbeat region '\(region)' a second time",
                expected: "each region once", fix: "remove one of them")
            return
        }
        cluster.regions.append(region)
    }

    // MARK: values

    private mutating func text(_ name: String, of stanza: ClusterStanza, fix: String) -> String? {
        if let attribute = stanza.attribute(name), !attribute.value.isEmpty { return attribute.value }
        missing(name, of: stanza, fix: fix)
        return nil
    }

    private mutating func address(of stanza: ClusterStanza) -> String? {
        guard let attribute = stanza.attribute("ip_address") else {
            missing("ip_address", of: stanza, fix: "ip_address = 192.0.2.1, the address that the others reach")
            return nil
        }
        let value = Self.withoutComment(attribute.value)
        if ClusterNode.isAddress(value) { return value }
        let isV6 = IPAddress(value).map { !$0.isIPv4 } ?? false
        fail(
            .invalidValue, at: attribute.location, found: "ip_address = '\(attribute.value)'",
            expected: "an IPv4 address, four numbers from 0 to 255 with dots",
            fix: isV6
                ? "members talk over IPv4 only: give the host's IPv4 address"
                : "write the address itself, not a host name: getent ahostsv4 NAME shows it")
        return nil
    }

    /// Decimal, and not below zero. The range of each is checked when the cluster is registered.
    private mutating func integer(_ name: String, of stanza: ClusterStanza, isRequired: Bool = true) -> Int? {
        guard let attribute = stanza.attribute(name) else {
            if isRequired { missing(name, of: stanza, fix: "\(name) = \(name == "ip_port" ? "7777" : "0")") }
            return nil
        }
        let value = Self.withoutComment(attribute.value)
        let digits = value.hasPrefix("+") ? value.dropFirst() : Substring(value)
        if !digits.isEmpty, digits.utf8.allSatisfy({ (0x30...0x39).contains($0) }), let number = UInt32(digits) {
            return Int(number)
        }
        fail(
            .notANumber, at: attribute.location, found: "\(name) = '\(attribute.value)'",
            expected: "a decimal number", fix: "write digits only, for example \(name) = 1")
        return nil
    }

    /// In a value that cannot hold a `#`, what follows one is a comment.
    private static func withoutComment(_ value: String) -> String {
        var text = value.prefix { $0 != "#" }
        while let last = text.last, last.isWhitespace { text = text.dropLast() }
        return String(text)
    }

    // MARK: faults

    private mutating func missing(_ name: String, of stanza: ClusterStanza, fix: String) {
        let attribute = stanza.attribute(name)
        fail(
            .missingKeyword, at: attribute?.location ?? stanza.location,
            found: attribute == nil ? "'\(stanza.name):' without '\(name)'" : "'\(name)' without a value",
            expected: "'\(name) = VALUE'", fix: "add the line: <TAB>\(fix)")
    }

    private mutating func conflict(_ what: String, at location: SourceLocation, first: SourceLocation, fix: String) {
        fail(
            .conflict, at: location, found: "\(what) a second time", expected: "only the one of line \(first.line)",
            fix: fix)
    }

    private mutating func warnUnknown(_ stanza: ClusterStanza) {
        let known = ["cluster", "node", "heartbeat"]
        let meant = known.first { $0 == stanza.name.lowercased() }
        warn(
            .unknownOption, at: stanza.location, found: "stanza '\(stanza.name)' is not known and left out",
            expected: "cluster, node or heartbeat",
            fix: meant.map { "write '\($0):', in small letters" } ?? "remove it, or correct its name")
    }

    private mutating func warnRepeated(_ stanza: ClusterStanza) {
        for (index, attribute) in stanza.attributes.enumerated()
        where stanza.attributes[..<index].contains(where: { $0.name == attribute.name }) {
            warn(
                .duplicateOption, at: attribute.location, found: "'\(attribute.name)' a second time in one stanza",
                expected: "each attribute once", fix: "the last one holds; remove the others")
        }
    }

    private mutating func fail(
        _ kind: Diagnostic.Kind, at location: SourceLocation, found: String, expected: String, fix: String
    ) {
        diagnostics.append(
            ClusterFault.diagnostic(kind, at: location, found: found, expected: expected, fix: fix))
    }

    private mutating func warn(
        _ kind: Diagnostic.Kind, at location: SourceLocation, found: String, expected: String, fix: String
    ) {
        diagnostics.append(
            ClusterFault.diagnostic(kind, .warning, at: location, found: found, expected: expected, fix: fix))
    }
}
