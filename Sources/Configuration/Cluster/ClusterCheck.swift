/// What `yoke check` says of the cluster's two files; nothing where there is no cluster.conf.
package enum ClusterCheck {
    /// The faults of the text, and those of the cluster that would be started: the one of `O2CB_BOOTCLUSTER`, or the
    /// only one.
    package static func diagnostics(
        root: String, hostName: String, source: any ConfigurationSource
    ) -> [Diagnostic] {
        let path = pathBelowRoot(ClusterFile.path, root: root)
        let result = ClusterFileReader.load(path: path, source: source)
        guard let file = result.file, !file.clusters.isEmpty else { return result.diagnostics }
        let settings = ServiceSettings.load(root: root, source: source)
        let named = settings.bootCluster.flatMap { file.cluster(named: $0) }
        guard let cluster = named ?? (file.clusters.count == 1 ? file.clusters.first : nil) else {
            return result.diagnostics + settings.problems
        }
        do throws(ClusterRegistration.Refusal) {
            return try ClusterRegistration.make(
                cluster, hostName: hostName, timers: settings.timers, timerProblems: settings.problems,
                warnings: result.diagnostics
            ).warnings
        } catch {
            return result.diagnostics + error.diagnostics
        }
    }
}
