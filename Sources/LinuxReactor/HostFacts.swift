internal import CYoke
internal import Glibc

/// An address of one of this machine's interfaces.
package struct InterfaceAddress: Hashable, Sendable {
    /// For example `eth0`.
    package var interface: String
    /// With port 0.
    package var address: SocketAddress
    /// Leading one bits of the network mask.
    package var prefixLength: Int
    package var isLoopback: Bool

    package init(interface: String, address: SocketAddress, prefixLength: Int, isLoopback: Bool) {
        self.interface = interface
        self.address = address
        self.prefixLength = prefixLength
        self.isLoopback = isLoopback
    }
}

/// What the daemon asks about the machine it runs on.
package enum HostFacts {
    /// The host name as the kernel has it (`uname -n`).
    package static var hostName: String {
        withUnsafeTemporaryAllocation(byteCount: 256, alignment: 1) { buffer in
            guard let base = buffer.baseAddress, gethostname(base, buffer.count - 1) == 0 else { return "" }
            return String(decoding: buffer.prefix { $0 != 0 }, as: UTF8.self)
        }
    }

    /// The canonical name that the resolver gives for `name`; nil when it knows none. May take seconds: for a worker.
    package static func canonicalName(of name: String) -> String? {
        var hints = addrinfo()
        hints.ai_flags = AI_CANONNAME
        hints.ai_socktype = Int32(SOCK_STREAM.rawValue)
        var first: UnsafeMutablePointer<addrinfo>?
        guard getaddrinfo(name, nil, &hints, &first) == 0 else { return nil }
        defer { freeaddrinfo(first) }
        return (first?.pointee.ai_canonname).map { String(cString: $0) }
    }

    /// All IPv4 and IPv6 addresses, in the order of the kernel.
    package static func interfaceAddresses() throws(SystemError) -> [InterfaceAddress] {
        var first: UnsafeMutablePointer<ifaddrs>?
        guard getifaddrs(&first) == 0 else { throw SystemError(operation: "getifaddrs", code: errno) }
        defer { freeifaddrs(first) }
        var found: [InterfaceAddress] = []
        var next = first
        while let entry = next?.pointee {
            next = entry.ifa_next
            guard let address = socketAddress(entry.ifa_addr) else { continue }
            found.append(
                InterfaceAddress(
                    interface: String(cString: entry.ifa_name), address: address,
                    prefixLength: socketAddress(entry.ifa_netmask).map(leadingOnes) ?? 0,
                    isLoopback: entry.ifa_flags & UInt32(YOKE_INTERFACE_LOOPBACK) != 0))
        }
        return found
    }

    private static func socketAddress(_ pointer: UnsafeMutablePointer<sockaddr>?) -> SocketAddress? {
        guard let pointer else { return nil }
        let length: Int
        switch Int32(pointer.pointee.sa_family) {
        case AF_INET: length = MemoryLayout<sockaddr_in>.size
        case AF_INET6: length = MemoryLayout<sockaddr_in6>.size
        default: return nil
        }
        var storage = sockaddr_storage()
        withUnsafeMutableBytes(of: &storage) {
            $0.copyMemory(from: UnsafeRawBufferPointer(start: pointer, count: length))
        }
        return SocketAddress(storage)
    }

    private static func leadingOnes(_ mask: SocketAddress) -> Int {
        switch mask {
        case .ipv4(let bits, _): (~bits).leadingZeroBitCount
        case .ipv6(let bytes, _, _): bytes.reduce(0) { $0 + $1.nonzeroBitCount }
        case .unix: 0
        }
    }
}
