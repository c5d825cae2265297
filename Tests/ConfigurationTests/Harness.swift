import Configuration

/// Loads a configuration from memory, as node `alpha` unless told otherwise.
func load(
    _ text: String, node: String = "alpha", files: [String: String] = [:], addresses: [String] = ["127.0.0.1", "::1"],
    otherNames: [String] = [], path: String = "/tmp/t.conf"
) -> LoadedConfiguration {
    var all = files
    all[path] = text
    return ConfigurationLoader.load(
        path: path, source: MemoryConfigurationSource(files: all),
        identity: HostIdentity(nodeName: node, otherNames: otherNames, addressTexts: addresses))
}

extension LoadedConfiguration {
    /// The whole dump, or the errors.
    var dump: String {
        guard let configuration else { return "ERRORS:\n" + errors.map(\.text).joined(separator: "\n") }
        return ConfigurationDump.all(configuration)
    }

    var errorLines: [String] { errors.flatMap(\.lines) }
    var warningKinds: [Diagnostic.Kind] { warnings.map(\.kind) }
}

/// Two good host sections for resources whose hosts do not matter.
let twoHosts = """
    on alpha { device /dev/drbd1; disk /dev/sda7; address 10.0.0.1:7789; meta-disk internal; }
    on beta { device /dev/drbd1; disk /dev/sda7; address 10.0.0.2:7789; meta-disk internal; }
    """

/// A resource `a` with these items and good hosts.
func resource(_ items: String) -> String { "resource a { \(twoHosts) \(items) }" }
