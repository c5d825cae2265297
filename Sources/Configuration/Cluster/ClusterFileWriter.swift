/// The canonical text of cluster.conf: what the classic tools write, byte for byte.
///
/// All clusters, then all heartbeat regions, then all nodes, each in the order of the model; an empty line behind each
/// stanza; attributes behind a tab. Spec: o2cb 2.4; with several clusters observed on ocfs2-tools 1.8.7.
extension ClusterFile {
    package var text: String {
        var text = ""
        for cluster in clusters {
            text += Self.stanza(
                "cluster",
                [
                    ("name", cluster.name), ("heartbeat_mode", cluster.heartbeatMode.rawValue),
                    ("node_count", "\(cluster.nodeCount)"),
                ])
        }
        for cluster in clusters {
            for region in cluster.regions {
                text += Self.stanza("heartbeat", [("cluster", cluster.name), ("region", region)])
            }
        }
        for cluster in clusters {
            for node in cluster.nodes {
                text += Self.stanza(
                    "node",
                    [
                        ("cluster", cluster.name), ("number", "\(node.number)"), ("ip_port", "\(node.port)"),
                        ("ip_address", node.address), ("name", node.name),
                    ])
            }
        }
        return text
    }

    static func stanza(_ name: String, _ attributes: [(String, String)]) -> String {
        "\(name):\n" + attributes.map { "\t\($0.0) = \($0.1)\n" }.joined() + "\n"
    }
}

/// The lists of the `o2cb` command. Spec: o2cb 4.
extension Cluster {
    package func nodeList(isOneLine: Bool) -> String {
        nodes.map { node in
            isOneLine
                ? "node: \(node.number) \(node.name) \(node.endpoint) \(name)\n"
                : ClusterFile.stanza(
                    "node",
                    [
                        ("number", "\(node.number)"), ("name", node.name), ("ip_address", node.address),
                        ("ip_port", "\(node.port)"), ("cluster", name),
                    ])
        }.joined()
    }

    package func regionList(isOneLine: Bool) -> String {
        regions.map { region in
            isOneLine
                ? "heartbeat: \(region) \(name)\n"
                : ClusterFile.stanza("heartbeat", [("region", region), ("cluster", name)])
        }.joined()
    }

    /// Regions, nodes and the cluster itself.
    package func list(isOneLine: Bool) -> String {
        let own =
            isOneLine
            ? "cluster: \(nodeCount) \(heartbeatMode.rawValue) \(name)\n"
            : ClusterFile.stanza(
                "cluster",
                [("node_count", "\(nodeCount)"), ("heartbeat_mode", heartbeatMode.rawValue), ("name", name)])
        return regionList(isOneLine: isOneLine) + nodeList(isOneLine: isOneLine) + own
    }
}
