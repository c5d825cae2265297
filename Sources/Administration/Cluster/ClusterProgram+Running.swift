import Configuration

// Lists, and the commands that ask the daemon. Spec: o2cb 4.
extension ClusterProgram {
    static let noService = "Unable to access cluster service while initializing the cluster"

    func list(
        _ command: ClusterCommand, _ words: [String], _ file: ClusterFile
    ) throws(ClusterCommand.Failure) {
        var isOneLine = false
        var scanner = OptionScanner(program: command.rawValue, options: [.init(name: "oneline")])
        do throws(OptionScanner.Fault) {
            try scanner.scan(words) { _, _ in isOneLine = true }
        } catch {
            context.output.standardError(error.text + "\n")
            throw .usage
        }
        guard let name = scanner.operands.first else { throw .usage }
        guard let cluster = file.cluster(named: name) else {
            // An exit status of 0, as the classic tool has it.
            complain("Unknown cluster '\(name)'")
            return
        }
        switch command {
        case .listNodes: print(cluster.nodeList(isOneLine: isOneLine))
        case .listHeartbeats: print(cluster.regionList(isOneLine: isOneLine))
        default: print(cluster.list(isOneLine: isOneLine))
        }
    }

    func registerCluster(_ words: [String], _ file: ClusterFile) throws(ClusterCommand.Failure) {
        guard let name = words.first else { throw .usage }
        _ = try index(of: name, in: file)
        try expect(context.service.register(name, file: context.source.realPath(path)))
    }

    func unregisterCluster(_ words: [String]) throws(ClusterCommand.Failure) {
        guard let name = words.first else { throw .usage }
        guard let state = context.service.state() else { throw .message(Self.noService) }
        guard state.cluster == name else { throw .message("Cluster '\(name)' is not active") }
        guard state.regions.isEmpty else { throw .message("Atleast one heartbeat region is still active") }
        try expect(context.service.unregister(name))
    }

    /// In local mode the heartbeat begins with the mount: nothing to do.
    func startHeartbeat(_ words: [String], _ file: ClusterFile) throws(ClusterCommand.Failure) {
        guard let name = words.first else { throw .usage }
        let cluster = file.clusters[try index(of: name, in: file)]
        guard let state = context.service.state() else { throw .message(Self.noService) }
        guard state.cluster == name else { throw .message("Cluster '\(name)' not registered") }
        guard cluster.heartbeatMode == .local else {
            throw .message("heartbeat_mode = global is not served by Yoke: o2cb heartbeat-mode \(name) local")
        }
    }

    func stopHeartbeat(_ words: [String]) throws(ClusterCommand.Failure) {
        guard let name = words.first else { throw .usage }
        guard let state = context.service.state() else { throw .message(Self.noService) }
        guard state.cluster == name else { throw .message("Cluster '\(name)' is not active") }
    }

    /// With no cluster registered at all the word stands alone. Spec: o2cb 4.
    func clusterStatus(_ words: [String]) -> Int32 {
        guard let state = context.service.state() else {
            print("offline\n")
            complain(Self.noService)
            return 1
        }
        guard let running = state.cluster else {
            print("offline\n")
            return 1
        }
        let name = words.first ?? running
        let isOnline = state.isOnline(name)
        print("Cluster '\(name)' is \(isOnline ? "online" : "offline")\n")
        return isOnline ? 0 : 1
    }

    private func expect(_ answer: ClusterServiceAnswer) throws(ClusterCommand.Failure) {
        switch answer {
        case .done: break
        case .refused(let text): throw .message(Self.withoutNewline(text))
        case .unreachable(let text):
            throw .message(Self.noService + (text.isEmpty ? "" : "\n\thint: \(Self.withoutNewline(text))"))
        }
    }

    static func withoutNewline(_ text: String) -> String {
        text.hasSuffix("\n") ? String(text.dropLast()) : text
    }
}
