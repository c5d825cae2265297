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
            guard membership.unregister(words[1]) else {
                output.standardError("Cluster '\(words[1])' is not active\n")
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
