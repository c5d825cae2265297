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

    private func registerCluster(_ name: String, file: String?, _ output: ControlOutput) -> Int32 {
        do throws(ClusterRegistration.Refusal) {
            let registration = try ClusterRegistration.load(
                name, hostName: identity.nodeName, root: paths.root, source: FileConfigurationSource(), file: file)
            if let reason = membership.register(registration) {
                output.standardError(reason + "\n")
                return 1
            }
            for warning in registration.warnings { output.standardError("o2cb: \(warning.shortText)\n") }
            let own = registration.ownNode.map { "node \($0.number) at \($0.endpoint)" } ?? "no node of it"
            logger.notice("o2cb: cluster \(name) registered, this host is \(own)")
            return 0
        } catch {
            output.standardError(error.text)
            return 1
        }
    }
}
