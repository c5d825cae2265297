internal import Glibc

extension HostIdentity {
    /// The identity of this machine. Asks the kernel and `/etc/hosts` only, so it never waits for a name server.
    ///
    /// The node name is, in this order: `nodeOverride` (the option `--node`), `YOKE_NODE`, `__DRBD_NODE__`, `uname -n`.
    /// An overridden name has no aliases, so that several nodes can live on one machine.
    package static func current(
        nodeOverride: String?, environment: [String: String], source: any ConfigurationSource, root: String
    ) -> HostIdentity {
        let addresses = localAddresses()
        if let name = nodeOverride ?? environment["YOKE_NODE"], !name.isEmpty {
            return HostIdentity(nodeName: name, origin: .override, addressTexts: addresses)
        }
        if let name = environment["__DRBD_NODE__"], !name.isEmpty {
            return HostIdentity(nodeName: name, origin: .classicOverride, addressTexts: addresses)
        }
        let name = systemNodeName()
        let hosts = (try? source.read(resolvedPath("/etc/hosts", root: root, source: source))) ?? []
        return HostIdentity(
            nodeName: name, otherNames: aliases(of: name, addresses: addresses, hostsFile: hosts),
            addressTexts: addresses)
    }

    /// The names that a hosts file gives to this machine: those in lines of its addresses or with its name.
    package static func aliases(of name: String, addresses: [String], hostsFile: [UInt8]) -> [String] {
        let own = Set(addresses.compactMap { IPAddress($0) }.filter { !$0.isLoopback }.map(\.bytes))
        var result: [String] = []
        for line in hostsFile.split(separator: UInt8(ascii: "\n")) {
            let text = String(decoding: line.prefix { $0 != UInt8(ascii: "#") }, as: UTF8.self)
            let fields = text.split { $0 == " " || $0 == "\t" || $0 == "\r" }.map(String.init)
            guard fields.count >= 2, let address = IPAddress(fields[0]) else { continue }
            let names = fields.dropFirst()
            guard own.contains(address.bytes) || names.contains(name) else { continue }
            for alias in names where alias != name && alias != "localhost" && !result.contains(alias) {
                result.append(alias)
            }
        }
        return result
    }

    private static func systemNodeName() -> String {
        var name = utsname()
        guard uname(&name) == 0 else { return "localhost" }
        return withUnsafeBytes(of: &name.nodename) { bytes in
            String(decoding: bytes.prefix { $0 != 0 }, as: UTF8.self)
        }
    }

    private static func localAddresses() -> [String] {
        var list: UnsafeMutablePointer<ifaddrs>?
        guard getifaddrs(&list) == 0 else { return [] }
        defer { freeifaddrs(list) }
        var result: [String] = []
        var cursor = list
        while let entry = cursor {
            if let address = entry.pointee.ifa_addr, let text = addressText(address), !result.contains(text) {
                result.append(text)
            }
            cursor = entry.pointee.ifa_next
        }
        return result
    }

    private static func addressText(_ address: UnsafeMutablePointer<sockaddr>) -> String? {
        let length: Int
        switch CInt(address.pointee.sa_family) {
        case AF_INET: length = MemoryLayout<sockaddr_in>.size
        case AF_INET6: length = MemoryLayout<sockaddr_in6>.size
        default: return nil
        }
        var buffer = [CChar](repeating: 0, count: 128)
        guard
            getnameinfo(
                address, socklen_t(length), &buffer, socklen_t(buffer.count), nil, 0, NI_NUMERICHOST) == 0
        else { return nil }
        return String(decoding: buffer.prefix { $0 != 0 }.map { UInt8(bitPattern: $0) }, as: UTF8.self)
    }
}
