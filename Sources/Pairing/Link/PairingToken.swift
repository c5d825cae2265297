/// The secret that the admin carries from the first host to the second: 160 random bits, good for one pair.
///
/// **Text:** 32 characters, five bits each, out of digits and small letters without `i l o u`; dashes and capital letters
/// do not matter. It never travels over the network: both sides prove that they have it, and derive the keys of the link
/// and the shared secret of the resource from it (``PairingKeys``).
package struct PairingToken: Equatable, Sendable {
    package static let byteCount = 20
    private static let alphabet = Array("0123456789abcdefghjkmnpqrstvwxyz".utf8)

    package let bytes: [UInt8]

    /// - Parameter bytes: from a generator fit for keys.
    package init(bytes: [UInt8]) {
        precondition(bytes.count == Self.byteCount, "a token of \(bytes.count) bytes")
        self.bytes = bytes
    }

    /// What ``text`` made; nil for anything else.
    package init?(_ text: String) {
        let digits = text.utf8.filter { $0 != UInt8(ascii: "-") }
        guard digits.count == Self.byteCount * 8 / 5 else { return nil }
        var bytes: [UInt8] = []
        var bits: UInt32 = 0
        var count = 0
        for digit in digits {
            let small = (UInt8(ascii: "A")...UInt8(ascii: "Z")).contains(digit) ? digit | 0x20 : digit
            guard let value = Self.alphabet.firstIndex(of: small) else { return nil }
            bits = (bits << 5 | UInt32(value)) & 0xfff
            count += 5
            guard count >= 8 else { continue }
            count -= 8
            bytes.append(UInt8(truncatingIfNeeded: bits >> UInt32(count)))
        }
        self.bytes = bytes
    }

    /// As it is printed: eight groups of four, with dashes between.
    package var text: String {
        let digits = Self.digits(of: bytes)
        return stride(from: 0, to: digits.count, by: 4).map { start in
            String(decoding: digits[start..<min(start + 4, digits.count)], as: UTF8.self)
        }.joined(separator: "-")
    }

    /// Five bits a character; a last incomplete group is left out.
    static func digits(of bytes: [UInt8]) -> [UInt8] {
        var digits: [UInt8] = []
        var bits: UInt32 = 0
        var count = 0
        for byte in bytes {
            bits = (bits << 8 | UInt32(byte)) & 0xffff
            count += 8
            while count >= 5 {
                count -= 5
                digits.append(alphabet[Int(bits >> UInt32(count) & 31)])
            }
        }
        return digits
    }
}
