internal import Administration
internal import Configuration
internal import Logging
internal import YokeControl

// `cluster ...` of the control socket: what `yoke o2cb` asks. Spec: o2cb 4.
extension Daemon {
    func cluster(_ words: [String], _ output: ControlOutput) -> Int32 {
        switch (words.first, words.count) {
        case ("status", 1):
            output.standardOutput(membership.state.text)
            return 0
        case ("register", 2), ("register", 3):
            return registerCluster(words[1], file: words.count == 3 ? words[2] : nil, output)
        case ("unregister", 2):
            if let reason = membership.unregister(words[1]) {
                output.standardError(reason + "\n")
                return 1
            }
            logger.notice("o2cb: cluster \(words[1]) unregistered")
            return 0
        case _:
            output.standardError("usage: cluster status | register NAME [FILE] | unregister NAME\n")
            return 1
        }
    }

    /// What the service's `start` does: nothing unless the cluster is enabled. Spec: o2cb 3.3.
    func startCluster() {
        let settings = ServiceSettings.load(root: paths.root, source: FileConfigurationSource())
        guard settings.isEnabled, let name = settings.bootCluster else { return }
        switch register(name, file: nil) {
        case .success(let warnings):
            for warning in warnings { logger.warning("o2cb: \(warning)") }
        case .failure(let refusal):
            for line in refusal.text.split(separator: "\n") { logger.error("o2cb: \(line)") }
            logger.error("o2cb: cluster \(name) is offline; correct this, then: yoke o2cb online \(name)")
        }
    }

    // MARK: For mounts

    /// What a mount needs to know of the cluster.
    func clusterChoice(_ option: HeartbeatOption) -> ClusterChoice {
        ClusterChoice(option: option, service: membership) { wanted in
            await Self.blocking { self.registrationForMount(wanted) }
        }
    }

    /// The registered cluster, if this host is a node of it. Registers by itself if cluster.conf has this host: the order
    /// in which a boot starts services and mounts must not matter.
    private func registrationForMount(_ wanted: String?) -> ClusterRegistration? {
        if membership.registration == nil, let name = clusterOfThisHost(wanted) {
            if case .failure(let refusal) = register(name, file: nil) {
                for line in refusal.text.split(separator: "\n") { logger.error("o2cb: \(line)") }
            }
        }
        return membership.registration.flatMap { $0.isOnline ? $0 : nil }
    }

    /// The cluster of cluster.conf to be in: the one that the volume names, the one of the service, else the only one.
    private func clusterOfThisHost(_ wanted: String?) -> String? {
        let source = FileConfigurationSource()
        let path = pathBelowRoot(ClusterFile.path, root: paths.root)
        guard let file = ClusterFileReader.load(path: path, source: source).file else { return nil }
        let host = identity.nodeName
        let names = file.clusters.filter { cluster in cluster.nodes.contains { $0.isHost(host) } }.map(\.name)
        if let wanted, names.contains(wanted) { return wanted }
        if let boot = ServiceSettings.load(root: paths.root, source: source).bootCluster, names.contains(boot) {
            return boot
        }
        return names.count == 1 ? names[0] : nil
    }

    private func registerCluster(_ name: String, file: String?, _ output: ControlOutput) -> Int32 {
        switch register(name, file: file) {
        case .success(let warnings):
            for warning in warnings { output.standardError("o2cb: \(warning)\n") }
            return 0
        case .failure(let refusal):
            output.standardError(refusal.text)
            return 1
        }
    }

    private struct Refused: Error {
        var text: String
    }

    /// Warnings, or why not.
    private func register(_ name: String, file: String?) -> Result<[String], Refused> {
        do throws(ClusterRegistration.Refusal) {
            let registration = try ClusterRegistration.load(
                name, hostName: identity.nodeName, root: paths.root, source: FileConfigurationSource(), file: file)
            if let reason = membership.register(registration) {
                return .failure(Refused(text: reason + "\n"))
            }
            let own = registration.ownNode.map { "node \($0.number) at \($0.endpoint)" } ?? "no node of it"
            logger.notice("o2cb: cluster \(name) registered, this host is \(own)")
            return .success(registration.warnings.map(\.shortText))
        } catch {
            return .failure(Refused(text: error.text))
        }
    }
}
