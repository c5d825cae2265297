/// What `yoke check` says of resources that two hosts are to mount at the same time.
package enum SharedVolumeCheck {
    /// A warning for each resource of this host whose hosts are nodes of one cluster, but only one of them at a time can
    /// use it: its filesystem could not be mounted on the second.
    package static func diagnostics(
        _ configuration: ClusterConfiguration, root: String, source: any ConfigurationSource
    ) -> [Diagnostic] {
        let path = pathBelowRoot(ClusterFile.path, root: root)
        let clusters = ClusterFileReader.load(path: path, source: source).file?.clusters ?? []
        return configuration.ownResources.compactMap { resource in
            guard let own = resource.ownHost, let peer = resource.peerHost,
                !OptionValues(.net, resource.effectiveOptions(.net)).flag("allow-two-primaries"),
                let cluster = clusters.first(where: { $0.has(own) && $0.has(peer) })
            else { return nil }
            return Diagnostic(
                .warning, .conflict,
                [
                    "\(resource.location.fileAndLine): resource \(resource.name): both hosts are nodes of cluster "
                        + "'\(cluster.name)', but one at a time can be Primary"
                ], at: resource.location,
                hints: [
                    "add 'allow-two-primaries;' to 'net {' of resource \(resource.name), if both shall have it mounted at "
                        + "the same time"
                ])
        }
    }
}

extension Cluster {
    fileprivate func has(_ host: HostModel) -> Bool {
        nodes.contains { node in host.names.contains { node.isHost($0) } }
    }
}
