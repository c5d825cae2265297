package import EngineKit

/// Digests for a simulation: deterministic, different for different bytes, and of no cryptographic worth. Both hosts
/// use the same, which is all that their protocol needs.
package final class SimulatedDigests: DigestProvider {
    package init() {}

    package func digest(_ algorithm: DigestAlgorithm, of bytes: UnsafeRawBufferPointer) -> [UInt8] {
        var hash: UInt64 = 0xcbf2_9ce4_8422_2325 ^ UInt64(algorithm.byteCount)
        var position = 0
        while position + 8 <= bytes.count {
            hash = (hash ^ bytes.loadUnaligned(fromByteOffset: position, as: UInt64.self)) &* 0x9e37_79b9_7f4a_7c15
            hash ^= hash >> 29
            position += 8
        }
        while position < bytes.count {
            hash = (hash ^ UInt64(bytes[position])) &* 0x0000_0100_0000_01b3
            position += 1
        }
        return Self.spread(hash, count: algorithm.byteCount)
    }

    package func authenticationCode(_ algorithm: DigestAlgorithm, key: [UInt8], message: [UInt8]) -> [UInt8]? {
        guard algorithm != .crc32c else { return nil }
        return (key + [0] + message).withUnsafeBytes { digest(algorithm, of: $0) }
    }

    private static func spread(_ hash: UInt64, count: Int) -> [UInt8] {
        var state = hash
        return (0..<count).map { _ in
            state = (state ^ (state >> 31)) &* 0xbf58_476d_1ce4_e5b9 &+ 1
            return UInt8(state >> 56)
        }
    }
}
