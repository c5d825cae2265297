/// Why bytes are not what the NBD protocol says they should be.
package enum NBDLayoutError: Error, Equatable {
    /// Fewer bytes than the structure needs.
    case truncated(need: Int, have: Int)
    /// Another number stands where a magic number belongs.
    case badMagic(found: UInt64, expected: UInt64)
    /// A length field exceeds what the structure around it, or the protocol, allows.
    case tooLong(field: String, length: Int, max: Int)
    /// Bytes remain behind the last field.
    case trailingBytes(Int)
    /// A string is not UTF-8 or contains a NUL byte.
    case malformedString(field: String)
    /// A number has no meaning in this place.
    case unknownValue(field: String, value: UInt64)
}

extension NBDLayoutError: CustomStringConvertible {
    package var description: String {
        switch self {
        case .truncated(let need, let have):
            "\(have) bytes where \(need) are needed"
        case .badMagic(let found, let expected):
            "magic number 0x\(String(found, radix: 16)) instead of 0x\(String(expected, radix: 16))"
        case .tooLong(let field, let length, let max):
            "\(field) of \(length) bytes, at most \(max) are allowed"
        case .trailingBytes(let count):
            "\(count) bytes behind the end of the data"
        case .malformedString(let field):
            "\(field) is not UTF-8 text without NUL"
        case .unknownValue(let field, let value):
            "\(field) has the unknown value \(value)"
        }
    }
}
