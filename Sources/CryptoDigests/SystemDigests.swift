internal import Crypto
package import EngineKit

/// The digests of engines, by swift-crypto and, for CRC-32C, the processor's instruction.
///
/// MD5 and SHA-1 are broken as hashes; they are here because DRBD peers name them for their challenge-response and for
/// online verify. Stateless, so that workers and reactors may share one.
package final class SystemDigests: DigestProvider, Sendable {
    package init() {}

    package func digest(_ algorithm: DigestAlgorithm, of bytes: UnsafeRawBufferPointer) -> [UInt8] {
        switch algorithm {
        case .md5: Self.hash(Insecure.MD5.self, bytes)
        case .sha1: Self.hash(Insecure.SHA1.self, bytes)
        case .sha256: Self.hash(SHA256.self, bytes)
        case .crc32c:
            withUnsafeBytes(of: CRC32C.checksum(of: bytes).littleEndian) { Array($0) }
        }
    }

    package func authenticationCode(_ algorithm: DigestAlgorithm, key: [UInt8], message: [UInt8]) -> [UInt8]? {
        switch algorithm {
        case .md5: Self.authenticate(Insecure.MD5.self, key, message)
        case .sha1: Self.authenticate(Insecure.SHA1.self, key, message)
        case .sha256: Self.authenticate(SHA256.self, key, message)
        case .crc32c: nil
        }
    }

    private static func hash<Function: HashFunction>(_: Function.Type, _ bytes: UnsafeRawBufferPointer) -> [UInt8] {
        var function = Function()
        function.update(bufferPointer: bytes)
        return Array(function.finalize())
    }

    private static func authenticate<Function: HashFunction>(
        _: Function.Type, _ key: [UInt8], _ message: [UInt8]
    ) -> [UInt8] {
        Array(HMAC<Function>.authenticationCode(for: message, using: SymmetricKey(data: key)))
    }
}
