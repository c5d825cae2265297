import DRBDLayout
import EngineKit
import Testing

@testable import Replication

/// A stand-in for a keyed digest: depends on algorithm, key and message, and is no digest at all.
private final class FakeDigests: DigestProvider {
    func digest(_ algorithm: DigestAlgorithm, of bytes: UnsafeRawBufferPointer) -> [UInt8] { [] }

    func authenticationCode(_ algorithm: DigestAlgorithm, key: [UInt8], message: [UInt8]) -> [UInt8]? {
        var sum: UInt64 = UInt64(algorithm.byteCount)
        for byte in key + [0xff] + message { sum = (sum &* 0x100_0000_01b3) ^ UInt64(byte) }
        return (0..<algorithm.byteCount).map { UInt8(truncatingIfNeeded: sum &>> UInt64($0 % 8 * 8)) }
    }
}

/// Spec: drbd-wire 5.
struct ChallengeResponseTests {
    private let digests = FakeDigests()

    private func side(_ seed: UInt64, secret: String = "sEcReT", _ algorithm: DigestAlgorithm = .sha1)
        -> ChallengeResponse
    {
        ChallengeResponse(algorithm: algorithm, secret: Array(secret.utf8), random: SeededRandom(seed: seed))
    }

    private func response(of side: inout ChallengeResponse, to challenge: [UInt8]) -> [UInt8]? {
        guard side.judge(.authChallenge, byteCount: challenge.count) == .proceed,
            case .respond(let bytes) = side.receive(challenge, digests: digests)
        else { return nil }
        return bytes
    }

    @Test("two nodes with one secret convince each other", arguments: [DigestAlgorithm.sha1, .sha256, .md5])
    func success(algorithm: DigestAlgorithm) throws {
        var a = side(1, algorithm)
        var b = side(2, algorithm)
        #expect(a.challenge.count == 64)
        #expect(a.challenge != b.challenge)
        let fromB = try #require(response(of: &b, to: a.challenge))
        let fromA = try #require(response(of: &a, to: b.challenge))
        #expect(fromA.count == algorithm.byteCount)
        #expect(a.judge(.authResponse, byteCount: fromB.count) == .proceed)
        let (verdictA, verdictB) = (a.receive(fromB, digests: digests), b.receive(fromA, digests: digests))
        #expect(verdictA == .authenticated)
        #expect(verdictB == .authenticated)
        #expect(a.step == .authenticated)
    }

    @Test("another secret is noticed by both")
    func wrongSecret() throws {
        var a = side(1)
        var b = side(2, secret: "SeCrEt")
        let fromB = try #require(response(of: &b, to: a.challenge))
        _ = response(of: &a, to: b.challenge)
        let verdict = a.receive(fromB, digests: digests)
        #expect(verdict == .giveUp("Authentication of peer failed"))
    }

    @Test("a challenge of 64 to 128 bytes is answered over all its bytes", arguments: [63, 64, 100, 128, 129])
    func challengeLength(count: Int) {
        var a = side(1)
        let challenge = (0..<count).map { UInt8($0) }
        let answer = response(of: &a, to: challenge)
        #expect((answer != nil) == (64...128).contains(count))
        guard let answer else {
            #expect(
                a.judge(.authChallenge, byteCount: count)
                    == .giveUp("P_AUTH_CHALLENGE of \(count) bytes, expected 64 to 128"))
            return
        }
        #expect(answer == digests.authenticationCode(.sha1, key: Array("sEcReT".utf8), message: challenge))
    }

    @Test("the own challenge reflected is refused, also with a tail")
    func reflection() {
        for tail in [[], [1, 2, 3]] as [[UInt8]] {
            var a = side(1)
            let verdict = a.receive(a.challenge + tail, digests: digests)
            #expect(verdict == .giveUp("Peer presented the same challenge!"))
        }
    }

    @Test("a wrong packet instead of the challenge is final, instead of the response it is tried again")
    func wrongPackets() {
        var a = side(1)
        #expect(
            a.judge(.protocolSettings, byteCount: 25)
                == .giveUp("expected P_AUTH_CHALLENGE packet, received: P_PROTOCOL"))
        #expect(
            a.judge(.authResponse, byteCount: 20)
                == .giveUp("expected P_AUTH_CHALLENGE packet, received: P_AUTH_RESPONSE"))
        _ = a.receive(side(2).challenge, digests: digests)
        #expect(
            a.judge(.authChallenge, byteCount: 64)
                == .retry("expected P_AUTH_RESPONSE packet, received: P_AUTH_CHALLENGE"))
        #expect(a.judge(.authResponse, byteCount: 16) == .retry("P_AUTH_RESPONSE of 16 bytes, expected 20"))
        #expect(a.judge(.authResponse, byteCount: 20) == .proceed)
    }

    @Test("a response cut short is none, whatever its bytes")
    func shortResponse() {
        var a = side(1)
        _ = a.receive(side(2).challenge, digests: digests)
        let verdict = a.receive([], digests: digests)
        #expect(verdict == .giveUp("Authentication of peer failed"))
    }
}
