import LayoutKit

/// The hash of the volume's UUID. Spec: ocfs2-disk 2.5.
package enum UUIDHash {
    /// Over 16 bytes. Bytes count without a sign here, unlike in the hash of xattr names.
    package static func compute(_ uuid: FixedBytes16) -> UInt32 {
        var hash: UInt32 = 0
        for index in 0..<16 {
            hash = (hash << 5) ^ (hash >> 27) ^ UInt32(uuid[index])
        }
        return hash
    }
}

/// 16 bytes: a UUID in the order of its text, or a name filled up with NUL.
package struct FixedBytes16: Hashable, Sendable {
    private var low: UInt64
    private var high: UInt64

    package static let byteCount = 16
    package static let zero = FixedBytes16(low: 0, high: 0)

    private init(low: UInt64, high: UInt64) {
        self.low = low
        self.high = high
    }

    /// The 16 bytes at `offset`.
    package init(_ bytes: UnsafeRawBufferPointer, at offset: Int) {
        low = bytes[LE64(offset: offset)]
        high = bytes[LE64(offset: offset + 8)]
    }

    /// The bytes that `byte(index)` gives.
    package init(_ byte: (Int) -> UInt8) {
        self = .zero
        for index in 0..<16 { self[index] = byte(index) }
    }

    package subscript(index: Int) -> UInt8 {
        get {
            precondition((0..<16).contains(index), "byte \(index) of 16")
            return UInt8(truncatingIfNeeded: (index < 8 ? low : high) >> UInt64((index & 7) * 8))
        }
        set {
            precondition((0..<16).contains(index), "byte \(index) of 16")
            let shift = UInt64((index & 7) * 8)
            if index < 8 {
                low = low & ~(0xff << shift) | UInt64(newValue) << shift
            } else {
                high = high & ~(0xff << shift) | UInt64(newValue) << shift
            }
        }
    }

    package func store(into bytes: UnsafeMutableRawBufferPointer, at offset: Int) {
        bytes[LE64(offset: offset)] = low
        bytes[LE64(offset: offset + 8)] = high
    }

    /// 32 upper-case digits without dashes, as the tools print a volume's UUID.
    package var hexadecimalText: String {
        let digits = Array("0123456789ABCDEF")
        var text = ""
        for index in 0..<16 {
            text.append(digits[Int(self[index] >> 4)])
            text.append(digits[Int(self[index] & 15)])
        }
        return text
    }

    /// From 32 hexadecimal digits, with or without dashes between them; nil for anything else.
    package init?(hexadecimalText text: some StringProtocol) {
        var digits: [UInt8] = []
        for character in text where character != "-" {
            guard let digit = character.hexDigitValue, character.isASCII else { return nil }
            digits.append(UInt8(digit))
        }
        guard digits.count == 32 else { return nil }
        self.init { digits[2 * $0] << 4 | digits[2 * $0 + 1] }
    }
}
