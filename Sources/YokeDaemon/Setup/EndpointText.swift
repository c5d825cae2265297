package import LinuxReactor

/// An address as drbdsetup takes it: `[{af}:]{address}[:{port}]`. Spec: drbd-config-and-tools 11.
package struct EndpointText: Equatable, Sendable {
    package var family: String
    package var address: SocketAddress

    /// Nil for what is no address, and for families that are not served (`sdp`, `ssocks`).
    package init?(_ text: String) {
        var rest = text[...]
        family = "ipv4"
        for name in ["ipv4", "ipv6"] where rest.hasPrefix(name + ":") {
            family = name
            rest = rest.dropFirst(name.count + 1)
        }
        if text.hasPrefix("[") { family = "ipv6" }
        var host = rest
        var port: Substring = "7788"
        if family == "ipv6" {
            guard rest.hasPrefix("["), let end = rest.firstIndex(of: "]") else { return nil }
            host = rest[rest.index(after: rest.startIndex)..<end]
            let tail = rest[rest.index(after: end)...]
            if !tail.isEmpty {
                guard tail.hasPrefix(":") else { return nil }
                port = tail.dropFirst()
            }
        } else if let colon = rest.lastIndex(of: ":") {
            host = rest[..<colon]
            port = rest[rest.index(after: colon)...]
        }
        guard let number = UInt16(port), number > 0,
            let address = SocketAddress(numeric: String(host), port: number)
        else { return nil }
        switch (family, address) {
        case ("ipv4", .ipv4), ("ipv6", .ipv6): self.address = address
        default: return nil
        }
    }

    /// `ipv4 10.0.0.1:7788`, as `show` prints it.
    package var shown: String { "\(family) \(address)" }
}
