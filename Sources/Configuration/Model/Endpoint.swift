/// The kinds of addresses of the language. Spec: drbd-config-and-tools 3.
package enum AddressFamily: String, Equatable, Sendable {
    case ipv4, ipv6, ssocks, sdp
}

/// Where a host listens and connects from: family, address and port.
package struct Endpoint: Equatable, Sendable {
    package var family: AddressFamily
    /// As written.
    package var address: String
    package var port: Int

    package init(family: AddressFamily, address: String, port: Int) {
        self.family = family
        self.address = address
        self.port = port
    }

    /// `10.0.0.1:7789` or `[fd00::1]:7790`.
    package var addressAndPort: String {
        family == .ipv6 ? "[\(address)]:\(port)" : "\(address):\(port)"
    }

    /// `ipv4:10.0.0.1:7789`, an argument of drbdsetup.
    package var setupArgument: String { "\(family.rawValue):\(addressAndPort)" }
    /// `ipv4 10.0.0.1:7789`, as `dump` and `show` print it.
    package var dumpText: String { "\(family.rawValue) \(addressAndPort)" }
    /// The name of a `floating` host: `ADDR:PORT` or `ipv6 [ADDR]:PORT`. Spec: drbd-config-and-tools 4.10.
    package var floatingName: String { family == .ipv6 ? "ipv6 \(addressAndPort)" : addressAndPort }
    /// The address in a form that compares; nil for what is none.
    package var ipAddress: IPAddress? { IPAddress(address) }
}
