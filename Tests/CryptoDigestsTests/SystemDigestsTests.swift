internal import CryptoDigests
internal import EngineKit
internal import Testing

@Suite("Digests")
struct SystemDigestsTests {
    private let digests = SystemDigests()

    /// RFC 1321 A.5, FIPS 180 examples, RFC 3720 B.4.
    @Test(
        "digests of known messages",
        arguments: [
            (DigestAlgorithm.md5, "abc", "900150983cd24fb0d6963f7d28e17f72"),
            (.md5, "", "d41d8cd98f00b204e9800998ecf8427e"),
            (.sha1, "abc", "a9993e364706816aba3e25717850c26c9cd0d89d"),
            (.sha256, "abc", "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"),
            // 0xe3069283 in little-endian order.
            (.crc32c, "123456789", "839206e3"),
        ])
    func known(algorithm: DigestAlgorithm, message: String, expected: String) {
        let digest = Array(message.utf8).withUnsafeBytes { digests.digest(algorithm, of: $0) }
        #expect(hexadecimal(digest) == expected)
        #expect(digest.count == algorithm.byteCount)
    }

    /// RFC 2202 and RFC 4231, test case 2.
    @Test(
        "authentication codes of known messages",
        arguments: [
            (DigestAlgorithm.md5, "750c783e6ab0b503eaa86e310a5db738"),
            (.sha1, "effcdf6ae5eb2fa2d27416d5f184df9c259a7c79"),
            (.sha256, "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843"),
        ])
    func authentication(algorithm: DigestAlgorithm, expected: String) throws {
        let code = digests.authenticationCode(
            algorithm, key: Array("Jefe".utf8), message: Array("what do ya want for nothing?".utf8))
        #expect(hexadecimal(try #require(code)) == expected)
    }

    @Test("a checksum is no authentication code")
    func noKeyedChecksum() {
        #expect(digests.authenticationCode(.crc32c, key: [1], message: [2]) == nil)
    }

    /// RFC 3720 B.4.
    @Test("the instruction and the tables agree, at every length and alignment")
    func tablesAgree() {
        #expect([UInt8](repeating: 0, count: 32).withUnsafeBytes { CRC32C.checksum(of: $0) } == 0x8a91_36aa)
        #expect([UInt8](repeating: 0xff, count: 32).withUnsafeBytes { CRC32C.checksum(of: $0) } == 0x62a8_ab43)
        let bytes = (0..<300).map { UInt8(truncatingIfNeeded: $0 &* 7 &+ $0 >> 3) }
        bytes.withUnsafeBytes { all in
            for start in 0..<9 {
                for end in start..<all.count {
                    let part = UnsafeRawBufferPointer(rebasing: all[start..<end])
                    #expect(CRC32C.checksum(of: part) == CRC32C.checksumByTable(of: part))
                }
            }
        }
    }

    private func hexadecimal(_ bytes: [UInt8]) -> String {
        bytes.map { ($0 < 16 ? "0" : "") + String($0, radix: 16) }.joined()
    }
}
