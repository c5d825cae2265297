internal import CYoke
internal import Glibc

/// Where a stream socket connects to or listens.
package enum SocketAddress: Hashable, Sendable, CustomStringConvertible {
    /// Four bytes in network order in one number (`10.0.0.1` is 0x0a000001).
    case ipv4(address: UInt32, port: UInt16)
    /// Sixteen bytes in network order; `scope` is the interface index of a link-local address, else 0.
    case ipv6(address: [UInt8], scope: UInt32, port: UInt16)
    /// A path in the filesystem, at most 107 bytes.
    case unix(path: String)

    /// Reads a numeric address, IPv4 or IPv6, without brackets, with an optional `%interface` behind IPv6. Nil for
    /// anything else; names are not looked up.
    package init?(numeric text: String, port: UInt16) {
        var ipv4 = in_addr()
        if inet_pton(AF_INET, text, &ipv4) == 1 {
            self = .ipv4(address: UInt32(bigEndian: ipv4.s_addr), port: port)
            return
        }
        let parts = text.split(separator: "%", maxSplits: 1, omittingEmptySubsequences: false)
        var scope: UInt32 = 0
        if parts.count == 2 {
            let interface = String(parts[1])
            scope = UInt32(interface) ?? if_nametoindex(interface)
            if scope == 0 { return nil }
        }
        var bytes = [UInt8](repeating: 0, count: 16)
        guard inet_pton(AF_INET6, String(parts[0]), &bytes) == 1 else { return nil }
        self = .ipv6(address: bytes, scope: scope, port: port)
    }

    /// The address without the port, as ``init(numeric:port:)`` reads it; the path of a Unix socket.
    package var host: String {
        switch self {
        case .ipv4(let address, _):
            var value = in_addr(s_addr: address.bigEndian)
            return Self.text(family: AF_INET, &value)
        case .ipv6(var address, let scope, _):
            let text = Self.text(family: AF_INET6, &address)
            return scope == 0 ? text : "\(text)%\(Self.interfaceName(scope))"
        case .unix(let path):
            return path
        }
    }

    /// The port; 0 for a Unix socket.
    package var port: UInt16 {
        switch self {
        case .ipv4(_, let port), .ipv6(_, _, let port): port
        case .unix: 0
        }
    }

    package var description: String {
        switch self {
        case .ipv4(_, let port): "\(host):\(port)"
        case .ipv6(_, _, let port): "[\(host)]:\(port)"
        case .unix(let path): "unix:\(path)"
        }
    }

    /// The same address with another port.
    package func withPort(_ port: UInt16) -> SocketAddress {
        switch self {
        case .ipv4(let address, _): .ipv4(address: address, port: port)
        case .ipv6(let address, let scope, _): .ipv6(address: address, scope: scope, port: port)
        case .unix: self
        }
    }

    private static func text(family: Int32, _ address: UnsafeRawPointer) -> String {
        withUnsafeTemporaryAllocation(of: CChar.self, capacity: 64) { buffer in
            guard let base = buffer.baseAddress, inet_ntop(family, address, base, 64) != nil else { return "?" }
            return String(cString: base)
        }
    }

    private static func interfaceName(_ index: UInt32) -> String {
        withUnsafeTemporaryAllocation(of: CChar.self, capacity: Int(IF_NAMESIZE)) { buffer in
            guard let base = buffer.baseAddress, if_indextoname(index, base) != nil else { return String(index) }
            return String(cString: base)
        }
    }
}

// MARK: The system's structures

extension SocketAddress {
    var family: Int32 {
        switch self {
        case .ipv4: AF_INET
        case .ipv6: AF_INET6
        case .unix: AF_UNIX
        }
    }

    /// Calls `body` with the address as the kernel wants it. Nil when it cannot be expressed (path too long).
    func withSystemAddress<Result>(_ body: (UnsafePointer<sockaddr>, socklen_t) -> Result) -> Result? {
        switch self {
        case .ipv4(let address, let port):
            var value = sockaddr_in()
            value.sin_family = sa_family_t(AF_INET)
            value.sin_port = port.bigEndian
            value.sin_addr.s_addr = address.bigEndian
            return Self.withPointer(to: &value, length: MemoryLayout<sockaddr_in>.size, body)
        case .ipv6(let address, let scope, let port):
            guard address.count == 16 else { return nil }
            var value = sockaddr_in6()
            value.sin6_family = sa_family_t(AF_INET6)
            value.sin6_port = port.bigEndian
            value.sin6_scope_id = scope
            withUnsafeMutableBytes(of: &value.sin6_addr) { $0.copyBytes(from: address) }
            return Self.withPointer(to: &value, length: MemoryLayout<sockaddr_in6>.size, body)
        case .unix(let path):
            var value = sockaddr_un()
            value.sun_family = sa_family_t(AF_UNIX)
            let fits = withUnsafeMutableBytes(of: &value.sun_path) { bytes -> Bool in
                guard path.utf8.count < bytes.count, !path.utf8.contains(0) else { return false }
                bytes.copyBytes(from: path.utf8)
                return true
            }
            guard fits else { return nil }
            return Self.withPointer(to: &value, length: MemoryLayout<sockaddr_un>.size, body)
        }
    }

    private static func withPointer<Value, Result>(
        to value: inout Value, length: Int, _ body: (UnsafePointer<sockaddr>, socklen_t) -> Result
    ) -> Result {
        withUnsafePointer(to: &value) { pointer in
            pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) { body($0, socklen_t(length)) }
        }
    }

    /// Reads what the kernel wrote. Nil for a family that is not served.
    init?(_ storage: sockaddr_storage) {
        let family = Int32(storage.ss_family)
        let parsed = withUnsafeBytes(of: storage) { bytes -> SocketAddress? in
            switch family {
            case AF_INET:
                let value = bytes.loadUnaligned(as: sockaddr_in.self)
                return .ipv4(
                    address: UInt32(bigEndian: value.sin_addr.s_addr), port: UInt16(bigEndian: value.sin_port))
            case AF_INET6:
                let value = bytes.loadUnaligned(as: sockaddr_in6.self)
                return .ipv6(
                    address: withUnsafeBytes(of: value.sin6_addr) { Array($0) }, scope: value.sin6_scope_id,
                    port: UInt16(bigEndian: value.sin6_port))
            case AF_UNIX:
                let path = bytes.dropFirst(MemoryLayout<sa_family_t>.size).prefix { $0 != 0 }
                return .unix(path: String(decoding: path, as: UTF8.self))
            default:
                return nil
            }
        }
        guard let parsed else { return nil }
        self = parsed
    }

    /// Asks getsockname(2) or getpeername(2).
    static func query(
        _ call: (Int32, UnsafeMutablePointer<sockaddr>?, UnsafeMutablePointer<socklen_t>?) -> Int32, of socket: Int32
    ) -> SocketAddress? {
        var storage = sockaddr_storage()
        var length = socklen_t(MemoryLayout<sockaddr_storage>.size)
        let status = withUnsafeMutablePointer(to: &storage) { pointer in
            pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) { call(socket, $0, &length) }
        }
        return status == 0 ? SocketAddress(storage) : nil
    }
}
