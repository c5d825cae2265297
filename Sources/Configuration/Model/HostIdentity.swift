/// Who this machine is, for finding its own host sections.
///
/// The classic program knows the node name only. Deviation: a section also matches by the short name, the fully
/// qualified name and the aliases of `/etc/hosts`, if no section matches the node name itself.
package struct HostIdentity: Equatable, Sendable {
    /// Where the node name comes from.
    package enum Origin: Equatable, Sendable {
        /// `uname -n`.
        case system
        /// `--node` or `YOKE_NODE`.
        case override
        /// `__DRBD_NODE__` in the environment, about which the classic program speaks up.
        case classicOverride
    }

    package var nodeName: String
    package var origin: Origin
    /// Fully qualified names and aliases.
    package var otherNames: [String]
    /// Addresses of all local interfaces, in any state.
    package var addresses: [IPAddress]
    /// The same as text, for messages.
    package var addressTexts: [String]

    package init(
        nodeName: String, origin: Origin = .system, otherNames: [String] = [], addressTexts: [String] = []
    ) {
        self.nodeName = nodeName
        self.origin = origin
        self.otherNames = otherNames
        self.addressTexts = addressTexts
        addresses = addressTexts.compactMap { IPAddress($0) }
    }

    /// The node name up to its first dot.
    package var shortName: String { Self.short(nodeName) }

    /// What the classic program writes to standard error about `__DRBD_NODE__`; nil if it does not.
    ///
    /// Spec: drbd-config-and-tools 1.
    package var notice: String? {
        guard origin == .classicOverride else { return nil }
        return "\n   found __DRBD_NODE__ in environment\n   PRETENDING that I am >>\(nodeName)<<\n\n"
    }

    /// How well a host section fits this machine.
    package enum Match: Equatable, Sendable { case none, alias, exact }

    /// `name` of an `on` section.
    package func match(name: String) -> Match {
        if name == nodeName { return .exact }
        let wanted = name.lowercased()
        let own = [nodeName] + otherNames
        if own.contains(where: { $0.lowercased() == wanted }) { return .alias }
        // A short name stands for the qualified one, and the other way round; two qualified names must be equal.
        if own.contains(where: { Self.short($0).lowercased() == wanted }) { return .alias }
        if Self.short(wanted) == shortName.lowercased(), !nodeName.contains(".") { return .alias }
        return .none
    }

    /// A `floating` section: by its name if that was given as node name, else by its address.
    package func match(floating endpoint: Endpoint) -> Match {
        if nodeName == endpoint.floatingName || nodeName == endpoint.addressAndPort || nodeName == endpoint.address {
            return .exact
        }
        return owns(endpoint) ? .alias : .none
    }

    /// Whether the address is one of this machine's. All of 127.0.0.0/8 is, where 127.0.0.1 is.
    package func owns(_ endpoint: Endpoint) -> Bool {
        guard let address = endpoint.ipAddress else { return false }
        if addresses.contains(where: { $0.bytes == address.bytes }) { return true }
        return address.isIPv4 && address.isLoopback && addresses.contains { $0.isIPv4 && $0.isLoopback }
    }

    /// Everything that was tried, for a message.
    package var triedText: String {
        var parts = ["node name '\(nodeName)'"]
        if shortName != nodeName { parts.append("short name '\(shortName)'") }
        if !otherNames.isEmpty {
            parts.append("other names " + otherNames.map { "'\($0)'" }.joined(separator: ", "))
        }
        parts.append(
            addressTexts.isEmpty ? "no local addresses" : "local addresses " + addressTexts.joined(separator: ", "))
        return parts.joined(separator: "; ")
    }

    private static func short(_ name: String) -> String {
        String(name.prefix { $0 != "." })
    }
}
