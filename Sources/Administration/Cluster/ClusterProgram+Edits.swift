import Configuration

// The commands that change cluster.conf. Order of their checks as observed on ocfs2-tools 1.8.7.
extension ClusterProgram {
    func addCluster(_ words: [String], _ file: ClusterFile) throws(ClusterCommand.Failure) {
        guard let name = words.first else { throw .usage }
        if let reason = Cluster.problem(ofName: name) { throw .message("Cluster name is invalid ; \(reason)") }
        guard file.cluster(named: name) == nil else {
            // An exit status of 0, as the classic tool has it: scripts add without asking.
            complain("Cluster '\(name)' already exists")
            return
        }
        var file = file
        file.clusters.append(Cluster(name: name))
        try store(file)
        note("Added cluster '\(name)'")
    }

    func removeCluster(_ words: [String], _ file: ClusterFile) throws(ClusterCommand.Failure) {
        guard let name = words.first else { throw .usage }
        var file = file
        file.clusters.remove(at: try index(of: name, in: file))
        try store(file)
        note("Removed cluster '\(name)'")
    }

    func addNode(_ words: [String], _ file: ClusterFile) throws(ClusterCommand.Failure) {
        let request = try nodeRequest(words)
        var file = file
        let index = try index(of: request.cluster, in: file)
        let cluster = file.clusters[index]
        let address = try address(request)
        let number = try number(request, in: cluster)
        guard cluster.node(named: request.name) == nil else {
            throw .message("Node '\(request.name)' already exists")
        }
        // Deviation: the classic tool writes what no host can register. Spec: o2cb 5.1.
        if let reason = ClusterNode.problem(ofName: request.name) {
            throw .message("Node name is invalid ; \(reason)")
        }
        guard (1...65534).contains(request.port) else {
            throw .message("Port should be >0 and < 65535 but is \(request.port)")
        }
        if let other = cluster.nodes.first(where: { $0.address == address }) {
            throw .message("Choose another IP address as '\(address)' is that of node '\(other.name)'")
        }
        file.clusters[index].add(
            ClusterNode(name: request.name, number: number, address: address, port: request.port))
        try store(file)
        note(
            "Added node '\(request.name)' in cluster '\(request.cluster)' having ip '\(address)', "
                + "port '\(request.port)' and number '\(number)'")
    }

    func removeNode(_ words: [String], _ file: ClusterFile) throws(ClusterCommand.Failure) {
        guard words.count >= 2 else { throw .usage }
        var file = file
        let index = try index(of: words[0], in: file)
        guard file.clusters[index].node(named: words[1]) != nil else { throw .message("Unknown node '\(words[1])'") }
        file.clusters[index].removeNode(named: words[1])
        try store(file)
        note("Removed node '\(words[1])' from cluster '\(words[0])'")
    }

    func addHeartbeat(_ words: [String], _ file: ClusterFile) throws(ClusterCommand.Failure) {
        guard words.count >= 2 else { throw .usage }
        var file = file
        let index = try index(of: words[0], in: file)
        let region = words[1]
        guard !region.isEmpty, !context.isBlockDevice(region) else {
            throw .message("Give the UUID of the volume instead of '\(region)': mounted.ocfs2 -d shows it")
        }
        guard !file.clusters[index].regions.contains(region) else {
            throw .message("Heartbeat region '\(region)' already exists")
        }
        file.clusters[index].regions.append(region)
        try store(file)
        note("Added heartbeat region '\(region)' to cluster '\(words[0])'")
    }

    func removeHeartbeat(_ words: [String], _ file: ClusterFile) throws(ClusterCommand.Failure) {
        guard words.count >= 2 else { throw .usage }
        var file = file
        let index = try index(of: words[0], in: file)
        guard let place = file.clusters[index].regions.firstIndex(of: words[1]) else {
            throw .message("Unknown heartbeat region '\(words[1])'")
        }
        file.clusters[index].regions.remove(at: place)
        try store(file)
        note("Removed heartbeat region '\(words[1])' from cluster '\(words[0])'")
    }

    func changeHeartbeatMode(_ words: [String], _ file: ClusterFile) throws(ClusterCommand.Failure) {
        guard words.count >= 2, let mode = HeartbeatMode(rawValue: words[1]) else { throw .usage }
        var file = file
        let index = try index(of: words[0], in: file)
        file.clusters[index].heartbeatMode = mode
        try store(file)
        note("Changed heartbeat mode in cluster '\(words[0])' to '\(mode.rawValue)'")
    }

    func index(of name: String, in file: ClusterFile) throws(ClusterCommand.Failure) -> Int {
        guard let index = file.clusters.firstIndex(where: { $0.name == name }) else {
            throw .message("Unknown cluster '\(name)'")
        }
        return index
    }

    // MARK: add-node's arguments

    private struct NodeRequest {
        var cluster = ""
        var name = ""
        var address: String?
        var port = ClusterNode.defaultPort
        /// Nil, and -1 on the command line: the lowest that is free.
        var number: Int?
    }

    private func nodeRequest(_ words: [String]) throws(ClusterCommand.Failure) -> NodeRequest {
        var request = NodeRequest()
        var scanner = OptionScanner(
            program: ClusterCommand.addNode.rawValue,
            options: [
                .init(name: "ip", takesValue: true), .init(name: "port", takesValue: true),
                .init(name: "number", takesValue: true),
            ])
        do throws(OptionScanner.Fault) {
            try scanner.scan(words) { (name, value) throws(OptionScanner.Fault) in
                switch name {
                case "ip": request.address = value
                case "port":
                    guard let number = Self.number(value) else { throw .init(text: "o2cb: Invalid port number") }
                    request.port = number
                default:
                    guard let number = Self.number(value) else { throw .init(text: "o2cb: Invalid node number") }
                    request.number = number == -1 ? nil : number
                }
            }
        } catch {
            context.output.standardError(error.text + "\n")
            throw .usage
        }
        guard scanner.operands.count >= 2 else { throw .usage }
        request.cluster = scanner.operands[0]
        request.name = scanner.operands[1]
        if request.name.isEmpty {
            complain("Node name cannot be zero length")
            throw .usage
        }
        return request
    }

    private func address(_ request: NodeRequest) throws(ClusterCommand.Failure) -> String {
        if let address = request.address {
            guard ClusterNode.isAddress(address) else { throw .message("Bad IP Address '\(address)'") }
            return address
        }
        switch context.resolve(request.name) {
        case .address(let address): return address
        case .failed(let reason):
            throw .message("\(reason), while looking up the IP address for '\(request.name)'")
        }
    }

    private func number(_ request: NodeRequest, in cluster: Cluster) throws(ClusterCommand.Failure) -> Int {
        guard let number = request.number else {
            guard let free = cluster.lowestUnusedNumber else {
                throw .message("Cluster is full - No more nodes can be added to it")
            }
            return free
        }
        guard (0..<Cluster.nodeCountMax).contains(number) else {
            throw .message("Nodenum should be >=0 and < \(Cluster.nodeCountMax) but is \(number)")
        }
        guard cluster.node(numbered: number) == nil else {
            throw .message("Choose another node number as '\(number)' is in use")
        }
        return number
    }

    /// As strtol with base 0 takes it: blanks, a sign, 0x and 0 in front; nothing behind. An empty text is 0.
    static func number(_ text: String) -> Int? {
        if text.isEmpty { return 0 }
        var digits = text.drop { $0 == " " || $0 == "\t" || $0 == "\n" }
        let isNegative = digits.first == "-"
        if isNegative || digits.first == "+" { digits = digits.dropFirst() }
        var radix = 10
        if digits.lowercased().hasPrefix("0x") {
            radix = 16
            digits = digits.dropFirst(2)
        } else if digits.first == "0", digits.count > 1 {
            radix = 8
        }
        // A second sign is Int's, not strtol's.
        guard let first = digits.first, first != "+", first != "-", let value = Int(digits, radix: radix) else {
            return nil
        }
        return isNegative ? -value : value
    }
}
