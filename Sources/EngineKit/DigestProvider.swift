/// Hash functions that DRBD peers name on the wire and in configurations.
package enum DigestAlgorithm: String, Sendable, CaseIterable {
    case md5
    case sha1
    case sha256
    case crc32c

    /// Length of the digest in bytes.
    package var byteCount: Int {
        switch self {
        case .md5: 16
        case .sha1: 20
        case .sha256: 32
        case .crc32c: 4
        }
    }
}

/// Computes digests for engines, which link no cryptography themselves. Deterministic.
package protocol DigestProvider: AnyObject {
    /// The plain digest of `bytes`. crc32c: reflected, initial value and final inversion all ones, little-endian bytes.
    func digest(_ algorithm: DigestAlgorithm, of bytes: UnsafeRawBufferPointer) -> [UInt8]
    /// HMAC with `key` over `message`; nil for an algorithm that is no keyed digest (crc32c).
    func authenticationCode(_ algorithm: DigestAlgorithm, key: [UInt8], message: [UInt8]) -> [UInt8]?
}
