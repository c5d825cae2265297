import Configuration

/// The verbs of `service o2cb` that mean something without a kernel module, and `timers`. Spec: o2cb 3.2, 3.3.
enum ServiceVerb: String, CaseIterable {
    case status, configure, timers, enable, disable, start, stop, online, offline
    case onlineStatus = "online-status"

    var summary: String {
        switch self {
        case .status: "Shows the cluster, its timers and whether a heartbeat runs."
        case .configure: "Asks for the cluster to start with the system and for its timers."
        case .timers: "Shows the timers; with 'fast', 'classic' or NAME=VALUE... writes them."
        case .enable: "Starts the cluster, now and with the system."
        case .disable: "Stops the cluster, now and for the next start of the system."
        case .start: "Brings the cluster online if it is enabled."
        case .stop: "Takes the cluster offline."
        case .online: "Brings the cluster online."
        case .offline: "Takes the cluster offline."
        case .onlineStatus: "Prints 'online', 'offline' or 'error'; exit status 0, 1, 2."
        }
    }
}

extension ClusterProgram {
    /// An optional cluster name follows each verb.
    func serve(_ verb: ServiceVerb, _ words: [String]) -> Int32 {
        var settings = ServiceSettings.load(root: context.root, source: context.source)
        for problem in settings.problems where isVerbose || problem.severity == .error { complain(problem.shortText) }
        let cluster = words.first ?? settings.bootCluster ?? onlyCluster
        switch verb {
        case .status: return showStatus(cluster)
        case .configure: return ServiceDialogue(program: self).run(&settings)
        case .timers: return timers(words, &settings)
        case .enable, .disable:
            settings.set("O2CB_ENABLED", to: verb == .enable ? "true" : "false")
            guard write(settings) else { return 1 }
            return verb == .enable ? online(cluster) : offline(cluster)
        case .start: return settings.isEnabled ? online(cluster) : 0
        case .online: return online(cluster)
        case .stop, .offline: return offline(cluster)
        case .onlineStatus: return onlineStatus(cluster)
        }
    }

    /// The one of the file, where it has one.
    private var onlyCluster: String? {
        let clusters = ClusterFileReader.load(path: path, source: context.source).file?.clusters ?? []
        return clusters.count == 1 ? clusters.first?.name : nil
    }

    /// False after saying why.
    func write(_ settings: ServiceSettings) -> Bool {
        do throws(AtomicFile.Failure) {
            try settings.write()
            return true
        } catch {
            context.output.standardError(
                "Unable to write the driver configuration\n\(error.path): \(error.reason)\n")
            return false
        }
    }

    // MARK: status

    /// Without the lines about kernel drivers and their file systems: there are none.
    private func showStatus(_ cluster: String?) -> Int32 {
        let state = context.service.state()
        print("Stack plugin \"o2cb\": \(state == nil ? "Not loaded" : "Loaded")\n")
        guard let name = cluster ?? state?.cluster else { return 0 }
        guard let state, state.isOnline(name) else {
            print("Checking O2CB cluster \"\(name)\": Offline\n")
            return 0
        }
        print(
            """
            Checking O2CB cluster "\(name)": Online
              Heartbeat dead threshold: \(state.timers.threshold)
              Network idle timeout: \(state.timers.idleTimeoutMilliseconds)
              Network keepalive delay: \(state.timers.keepaliveDelayMilliseconds)
              Network reconnect delay: \(state.timers.reconnectDelayMilliseconds)
              Heartbeat mode: \(state.mode == .local ? "Local" : "Global")
            Checking O2CB heartbeat: \(state.regions.isEmpty ? "Not active" : "Active")

            """)
        return 0
    }

    private func onlineStatus(_ cluster: String?) -> Int32 {
        guard let state = context.service.state() else {
            print("offline\n")
            return 1
        }
        let isOnline = cluster.map { state.isOnline($0) } ?? (state.ownNode != nil)
        print(isOnline ? "online\n" : "offline\n")
        return isOnline ? 0 : 1
    }

    // MARK: online and offline

    func online(_ cluster: String?) -> Int32 {
        guard let cluster else {
            complain("no cluster is named, and O2CB_BOOTCLUSTER is empty: o2cb configure, or o2cb online NAME")
            return 1
        }
        if let state = context.service.state(), state.isOnline(cluster) {
            print("Cluster \(cluster) already online\n")
            return 0
        }
        print("Setting cluster stack \"o2cb\": OK\n")
        switch context.service.register(cluster, file: context.source.realPath(path)) {
        case .done:
            print("Registering O2CB cluster \"\(cluster)\": OK\nSetting O2CB cluster timeouts : OK\n")
            return 0
        case .refused(let text), .unreachable(let text):
            print("Registering O2CB cluster \"\(cluster)\": Failed\n")
            complain(Self.withoutNewline(text))
            return 1
        }
    }

    func offline(_ cluster: String?) -> Int32 {
        guard let state = context.service.state(), let running = state.cluster, running == cluster ?? running else {
            return 0
        }
        guard state.regions.isEmpty else {
            print("Stopping O2CB cluster \(running): Failed\n")
            context.output.standardError("Unable to stop cluster as heartbeat region still active\n")
            return 1
        }
        switch context.service.unregister(running) {
        case .done:
            print("Stopping O2CB cluster \(running): Unregistering O2CB cluster \"\(running)\": OK\n")
            return 0
        case .refused(let text), .unreachable(let text):
            print("Stopping O2CB cluster \(running): Failed\n")
            complain(Self.withoutNewline(text))
            return 1
        }
    }

    // MARK: timers

    /// `fast`: for hosts that all run Yoke. `classic`: the kernel's. `idle=8000`: one of them.
    private func timers(_ words: [String], _ settings: inout ServiceSettings) -> Int32 {
        guard !words.isEmpty else {
            showTimers(settings)
            return 0
        }
        var timers = settings.timers
        for word in words {
            switch word {
            case "fast": timers = .yokePair
            case "classic": timers = .kernel
            default:
                let parts = word.split(separator: "=", maxSplits: 1).map(String.init)
                guard parts.count == 2, let timer = Self.timer(parts[0]), let value = Int(parts[1]) else {
                    complain("usage: timers [fast|classic] [threshold=N] [idle=MS] [keepalive=MS] [reconnect=MS]")
                    return 1
                }
                timers[timer] = value
            }
        }
        let problems = timers.problems()
        for problem in problems { complain(problem.shortText) }
        guard !problems.contains(where: { $0.severity == .error }) else { return 1 }
        settings.set(timers)
        guard write(settings) else { return 1 }
        showTimers(settings)
        let state = context.service.state()
        if let state, state.cluster != nil, state.timers != timers {
            complain("the cluster is online with other timers: they change when it is offline on all hosts")
        }
        return 0
    }

    private func showTimers(_ settings: ServiceSettings) {
        let timers = settings.timers
        for timer in ServiceSettings.Timer.allCases {
            let origin = settings.setting(timer) == nil ? "   (not in \(settings.path))" : ""
            print("\(timer.variable)=\(timers[timer])\(origin)\n")
        }
    }

    private static func timer(_ name: String) -> ServiceSettings.Timer? {
        switch name {
        case "threshold": .threshold
        case "idle": .idle
        case "keepalive": .keepalive
        case "reconnect": .reconnect
        default: ServiceSettings.Timer.allCases.first { $0.variable == name }
        }
    }
}
