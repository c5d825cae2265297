/// What a decoder finds wrong with the bytes of a disk or of a peer. Never a bug of ours: those trap.
@usableFromInline
package enum LayoutError: Error, Hashable, Sendable {
    /// Fewer bytes than the structure needs.
    case truncated(need: Int, have: Int)
    /// A length that the structure cannot have; `expected` names the lengths it can have.
    case badLength(of: String, found: Int, expected: String)
    /// Other magic bytes than those of the structure.
    case badMagic(found: UInt64, expected: UInt64)
    /// A field holds a value that it must not hold. `expected` says in words what it may hold.
    case badValue(field: String, found: UInt64, expected: String)
    /// A stored checksum differs from the one computed over the bytes (`expected`).
    case badChecksum(of: String, found: UInt64, expected: UInt64)
    /// A text field without its end, or with bytes that are no text.
    case badText(field: String, reason: String)
}

extension LayoutError: CustomStringConvertible {
    @usableFromInline
    package var description: String {
        switch self {
        case .truncated(let need, let have):
            "truncated: \(have) bytes found, \(need) expected"
        case .badLength(let of, let found, let expected):
            "bad length of \(of): found \(found), expected \(expected)"
        case .badMagic(let found, let expected):
            "bad magic: found \(hexadecimal(found)), expected \(hexadecimal(expected))"
        case .badValue(let field, let found, let expected):
            "bad value of \(field): found \(found) (\(hexadecimal(found))), expected \(expected)"
        case .badChecksum(let of, let found, let expected):
            "bad checksum of \(of): found \(hexadecimal(found)), expected \(hexadecimal(expected))"
        case .badText(let field, let reason):
            "bad text in \(field): \(reason)"
        }
    }
}

/// `value` as `0x...` in lower case.
package func hexadecimal(_ value: UInt64) -> String {
    "0x" + String(value, radix: 16)
}

extension LayoutError {
    /// Throws ``truncated(need:have:)`` when `have` is below `need`. Decoders call it once, then read fields.
    @inlinable @inline(__always)
    package static func require(_ need: Int, of bytes: UnsafeRawBufferPointer) throws(LayoutError) {
        guard bytes.count >= need else { throw .truncated(need: need, have: bytes.count) }
    }
}
