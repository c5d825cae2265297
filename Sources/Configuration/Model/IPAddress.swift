/// An IPv4 or IPv6 address, in a form that compares.
package struct IPAddress: Hashable, Sendable {
    /// 4 or 16 bytes, in network order.
    package var bytes: [UInt8]
    /// The interface of a link-local address (`fe80::1%eth0`).
    package var zone: String?

    package var isIPv4: Bool { bytes.count == 4 }

    package var isLoopback: Bool {
        isIPv4 ? bytes[0] == 127 : bytes.dropLast().allSatisfy { $0 == 0 } && bytes.last == 1
    }

    package init(bytes: [UInt8], zone: String? = nil) {
        precondition(bytes.count == 4 || bytes.count == 16, "an address of \(bytes.count) bytes")
        self.bytes = bytes
        self.zone = zone
    }

    /// Reads either form; nil if it is no address.
    package init?(_ text: String) {
        if let bytes = Self.ipv4(Array(text.utf8)[...]) {
            self.init(bytes: bytes)
            return
        }
        let parts = text.split(separator: "%", maxSplits: 1, omittingEmptySubsequences: false)
        guard let first = parts.first, let bytes = Self.ipv6(Array(first.utf8)) else { return nil }
        if parts.count == 2, parts[1].isEmpty { return nil }
        self.init(bytes: bytes, zone: parts.count == 2 ? String(parts[1]) : nil)
    }

    /// Four groups of one to three digits, each at most 255.
    private static func ipv4(_ text: ArraySlice<UInt8>) -> [UInt8]? {
        let groups = text.split(separator: UInt8(ascii: "."), omittingEmptySubsequences: false)
        guard groups.count == 4 else { return nil }
        var bytes: [UInt8] = []
        for group in groups {
            guard (1...3).contains(group.count) else { return nil }
            var value = 0
            for digit in group {
                guard (UInt8(ascii: "0")...UInt8(ascii: "9")).contains(digit) else { return nil }
                value = value * 10 + Int(digit - UInt8(ascii: "0"))
            }
            guard let byte = UInt8(exactly: value) else { return nil }
            bytes.append(byte)
        }
        return bytes
    }

    /// Groups of hexadecimal digits, at most one `::`, the last four bytes perhaps as IPv4.
    private static func ipv6(_ text: [UInt8]) -> [UInt8]? {
        guard text.count >= 2, text.count <= 45 else { return nil }
        let colon = UInt8(ascii: ":")
        var gap: Int?
        for index in text.indices.dropLast() where text[index] == colon && text[index + 1] == colon {
            if gap != nil { return nil }
            gap = index
        }
        guard let gap else {
            let bytes = groups(text[...])
            return bytes?.count == 16 ? bytes : nil
        }
        let head = text[..<gap]
        let tail = text[(gap + 2)...]
        guard let before = head.isEmpty ? [] : groups(head), let after = tail.isEmpty ? [] : groups(tail),
            before.count + after.count <= 14
        else { return nil }
        return before + [UInt8](repeating: 0, count: 16 - before.count - after.count) + after
    }

    private static func groups(_ text: ArraySlice<UInt8>) -> [UInt8]? {
        let parts = text.split(separator: UInt8(ascii: ":"), omittingEmptySubsequences: false)
        guard parts.count <= 8 else { return nil }
        var bytes: [UInt8] = []
        for (index, part) in parts.enumerated() {
            if index == parts.count - 1, part.contains(UInt8(ascii: ".")) {
                guard let tail = ipv4(part) else { return nil }
                bytes += tail
                continue
            }
            guard (1...4).contains(part.count) else { return nil }
            var value: UInt16 = 0
            for byte in part {
                guard let digit = hexDigit(byte) else { return nil }
                value = value << 4 | digit
            }
            bytes += [UInt8(value >> 8), UInt8(value & 0xff)]
        }
        return bytes.count <= 16 ? bytes : nil
    }

    private static func hexDigit(_ byte: UInt8) -> UInt16? {
        switch byte {
        case UInt8(ascii: "0")...UInt8(ascii: "9"): UInt16(byte - UInt8(ascii: "0"))
        case UInt8(ascii: "a")...UInt8(ascii: "f"): UInt16(byte - UInt8(ascii: "a")) + 10
        case UInt8(ascii: "A")...UInt8(ascii: "F"): UInt16(byte - UInt8(ascii: "A")) + 10
        default: nil
        }
    }
}
