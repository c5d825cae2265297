/// Names of nodes out of the text of cluster.conf. Spec: o2cb 2.
package enum ClusterNodeNames {
    /// The name of the node with this number in a cluster; without a cluster's name, in the only cluster of the file.
    package static func name(of number: UInt32, cluster: String, in text: String) -> String? {
        var stanzas: [(kind: String, values: [String: String])] = []
        for line in text.split(separator: "\n", omittingEmptySubsequences: false) {
            guard let first = line.first, first != "#" else { continue }
            if first == " " || first == "\t" {
                let parts = line.split(separator: "=", maxSplits: 1).map { trimmed($0) }
                if parts.count == 2, !stanzas.isEmpty { stanzas[stanzas.count - 1].values[parts[0]] = parts[1] }
            } else if let colon = line.firstIndex(of: ":") {
                stanzas.append((String(line[..<colon]), [:]))
            }
        }
        let clusters = stanzas.filter { $0.kind == "cluster" }.compactMap { $0.values["name"] }
        let wanted = cluster.isEmpty && clusters.count == 1 ? clusters[0] : cluster
        return stanzas.first {
            $0.kind == "node" && $0.values["cluster"] == wanted && $0.values["number"].flatMap(UInt32.init) == number
        }?.values["name"]
    }

    private static func trimmed(_ text: Substring) -> String {
        let isBlank: (Character) -> Bool = { $0 == " " || $0 == "\t" }
        var rest = text.drop(while: isBlank)
        while let last = rest.last, isBlank(last) { rest.removeLast() }
        return String(rest)
    }
}
