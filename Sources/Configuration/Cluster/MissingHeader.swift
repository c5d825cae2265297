/// Which header a block of attributes has lost. Howtos are printed without `cluster:` and `node:`, and pasted so.
///
/// A file in which a block of attributes follows an empty line is refused by the classic parser (Spec: o2cb 2.1), so
/// nothing that means something there is refused here.
enum MissingHeader {
    /// Whether these attributes, which begin the file or follow an empty line, belong to another stanza than the last.
    static func isMissing(before names: [String], in stanza: ClusterStanza?) -> Bool {
        guard let stanza else { return true }
        guard let header = header(of: names) else { return false }
        if header != stanza.name { return ["cluster", "node", "heartbeat"].contains(stanza.name) }
        return names.contains("name") && stanza.attribute("name") != nil
    }

    /// The stanza that has such attributes; nil if they do not tell.
    static func header(of names: [String]) -> String? {
        if names.contains("node_count") || names.contains("heartbeat_mode") { return "cluster" }
        if names.contains("ip_address") || names.contains("ip_port") || names.contains("number") { return "node" }
        return names.contains("region") ? "heartbeat" : nil
    }
}
