package import Configuration

/// Everything that a run of `o2cb` needs from outside.
package struct ClusterProgramContext {
    package var root: String
    package var source: any ConfigurationSource
    /// The name of this host.
    package var hostName: String
    package var service: any ClusterService
    package var output: any AdministrationOutput
    /// The IPv4 address of a name.
    package var resolve: (String) -> AddressLookup
    package var isBlockDevice: (String) -> Bool
    /// The next line of standard input without its end; nil at the end.
    package var readLine: () -> String?

    package init(
        root: String, source: any ConfigurationSource, hostName: String, service: any ClusterService,
        output: any AdministrationOutput, resolve: @escaping (String) -> AddressLookup,
        isBlockDevice: @escaping (String) -> Bool, readLine: @escaping () -> String?
    ) {
        self.root = root
        self.source = source
        self.hostName = hostName
        self.service = service
        self.output = output
        self.resolve = resolve
        self.isBlockDevice = isBlockDevice
        self.readLine = readLine
    }
}

/// `o2cb` of ocfs2-tools 1.8.7: its sub-commands, texts and exit statuses, on the files below the root and the daemon.
///
/// Beside them the verbs of the service of the same name (``ServiceVerb``) and `timers`. Spec: o2cb 3.2, 3.3, 4.
package struct ClusterProgram {
    let context: ClusterProgramContext
    let path: String
    let isVerbose: Bool

    package static func run(_ arguments: [String], _ context: ClusterProgramContext) -> Int32 {
        var path = pathBelowRoot(ClusterFile.path, root: context.root)
        var isVerbose = false
        var (showsHelp, showsVersion) = (false, false)
        var scanner = OptionScanner(
            program: "o2cb",
            options: [
                .init(name: "config-file", takesValue: true), .init(name: "help", letter: "h"),
                .init(name: "verbose", letter: "v"), .init(name: "version", letter: "V"),
            ], stopsAtOperand: true)
        do throws(OptionScanner.Fault) {
            try scanner.scan(arguments) { name, value in
                switch name {
                case "config-file": path = value
                case "verbose": isVerbose = true
                case "version": showsVersion = true
                default: showsHelp = true
                }
            }
        } catch {
            context.output.standardError(error.text + "\n" + ClusterCommand.usage)
            return 1
        }
        if showsVersion {
            context.output.standardError("o2cb 1.8.7\n")
            return 1
        }
        guard !showsHelp, let word = scanner.operands.first else {
            context.output.standardError(ClusterCommand.usage)
            return 1
        }
        let program = ClusterProgram(context: context, path: path, isVerbose: isVerbose)
        let words = Array(scanner.operands.dropFirst())
        if let verb = ServiceVerb(rawValue: word) { return program.serve(verb, words) }
        guard let command = ClusterCommand(rawValue: word) else {
            context.output.standardError("o2cb: Unknown command '\(word)'\n" + ClusterCommand.usage)
            return 1
        }
        return program.run(command, words)
    }

    /// The file is read first, also for commands that do not use it.
    private func run(_ command: ClusterCommand, _ words: [String]) -> Int32 {
        note("Using config file '\(path)'")
        guard let file = loadFile() else { return 1 }
        do throws(ClusterCommand.Failure) {
            return try perform(command, words, file)
        } catch {
            switch error {
            case .usage: complain("usage: \(command.synopsis)")
            case .message(let text): complain(text)
            }
            return 1
        }
    }

    private func perform(
        _ command: ClusterCommand, _ words: [String], _ file: ClusterFile
    ) throws(ClusterCommand.Failure) -> Int32 {
        switch command {
        case .addCluster: try addCluster(words, file)
        case .removeCluster: try removeCluster(words, file)
        case .addNode: try addNode(words, file)
        case .removeNode: try removeNode(words, file)
        case .addHeartbeat: try addHeartbeat(words, file)
        case .removeHeartbeat: try removeHeartbeat(words, file)
        case .heartbeatMode: try changeHeartbeatMode(words, file)
        case .listClusters: print(file.clusters.map { $0.name + "\n" }.joined())
        case .listCluster, .listNodes, .listHeartbeats: try list(command, words, file)
        case .registerCluster: try registerCluster(words, file)
        case .unregisterCluster: try unregisterCluster(words)
        case .startHeartbeat: try startHeartbeat(words, file)
        case .stopHeartbeat: try stopHeartbeat(words)
        case .clusterStatus: return clusterStatus(words)
        }
        return 0
    }

    // MARK: texts

    func print(_ text: String) { context.output.standardOutput(text) }
    func complain(_ text: String) { context.output.standardError("o2cb: \(text)\n") }
    /// What `-v` shows.
    func note(_ text: String) { if isVerbose { context.output.standardError(text + "\n") } }

    // MARK: the file

    /// Nil after saying what is wrong with it. Warnings are of no interest to an edit; `-v` shows them.
    func loadFile() -> ClusterFile? {
        let result = ClusterFileReader.load(path: path, source: context.source)
        for diagnostic in result.diagnostics where diagnostic.severity == .error || isVerbose {
            complain(diagnostic.shortText)
        }
        return result.file
    }

    func store(_ file: ClusterFile) throws(ClusterCommand.Failure) {
        do throws(AtomicFile.Failure) {
            try AtomicFile.replace(path, with: file.text)
        } catch {
            throw .message("\(error.reason) while storing the cluster configuration in file '\(path)'")
        }
    }
}

/// A sub-command of the classic tool.
enum ClusterCommand: String, CaseIterable {
    case addCluster = "add-cluster"
    case removeCluster = "remove-cluster"
    case addNode = "add-node"
    case removeNode = "remove-node"
    case addHeartbeat = "add-heartbeat"
    case removeHeartbeat = "remove-heartbeat"
    case heartbeatMode = "heartbeat-mode"
    case listClusters = "list-clusters"
    case listCluster = "list-cluster"
    case listNodes = "list-nodes"
    case listHeartbeats = "list-heartbeats"
    case registerCluster = "register-cluster"
    case unregisterCluster = "unregister-cluster"
    case startHeartbeat = "start-heartbeat"
    case stopHeartbeat = "stop-heartbeat"
    case clusterStatus = "cluster-status"

    /// Why it did nothing.
    enum Failure: Error, Equatable {
        case usage
        case message(String)
    }

    var synopsis: String {
        switch self {
        case .addCluster, .removeCluster, .registerCluster, .unregisterCluster, .startHeartbeat, .stopHeartbeat:
            "\(rawValue) <clustername>"
        case .addNode: "\(rawValue) [--ip <ip>] [--port <port>] [--number <num>] <clustername> <nodename>"
        case .removeNode: "\(rawValue) <clustername> <nodename>"
        case .addHeartbeat, .removeHeartbeat: "\(rawValue) <clustername> [<uuid>|<device>]"
        case .heartbeatMode: "\(rawValue) <clustername> {global|local}"
        case .listCluster, .listNodes, .listHeartbeats: "\(rawValue) [--oneline] <clustername>"
        case .listClusters: rawValue
        case .clusterStatus: "\(rawValue) [<clustername>]"
        }
    }

    var summary: String {
        switch self {
        case .addCluster: "Add cluster to the config file."
        case .removeCluster: "Removes cluster from the config file."
        case .addNode: "Adds a node to the cluster in the config file."
        case .removeNode: "Removes a node from the cluster in the config file."
        case .addHeartbeat: "Adds a heartbeat region to the cluster in the config file."
        case .removeHeartbeat: "Removes a heartbeat region from the cluster in the config file."
        case .heartbeatMode: "Toggles the heartbeat mode between global and local."
        case .listClusters: "Lists all the cluster names in the config file."
        case .listCluster:
            "Lists all the nodes and heartbeat regions associated with the cluster in the config file."
        // The blank at the end is the classic tool's.
        case .listNodes: "Lists all the nodes associated with the cluster in the config file. "
        case .listHeartbeats: "Lists all the heartbeat regions associated with the cluster in the config file."
        case .registerCluster: "Registers the cluster with configfs."
        case .unregisterCluster: "Unregisters the cluster from configfs."
        case .startHeartbeat: "Starts global heartbeat."
        case .stopHeartbeat: "Stops global heartbeat."
        case .clusterStatus: "Returns 0 if cluster online, 1 otherwise."
        }
    }

    /// The classic text, and Yoke's own verbs behind it.
    static let usage =
        """
        usage: o2cb [--config-file=path] [-h|--help] [-v|--verbose] [-V|--version] COMMAND [ARGS]

        The commands are:

        """
        + allCases.map { line($0.rawValue, $0.summary) }.joined() + "\nCommands of the service, in Yoke:\n"
        + ServiceVerb.allCases.map { line($0.rawValue, $0.summary) }.joined() + "\n"

    private static func line(_ name: String, _ summary: String) -> String {
        "  \(name)\(String(repeating: " ", count: max(1, 20 - name.utf8.count)))\(summary)\n"
    }
}
