package import DRBDLayout
package import EngineKit

/// The mutual proof that both nodes know the shared secret. Spec: drbd-wire 5.
///
/// Both nodes run it without waiting for each other: each sends a challenge, answers the peer's, checks the answer.
/// There is no packet that says "accepted".
///
///     send P_AUTH_CHALLENGE     waitsForChallenge --> send P_AUTH_RESPONSE --> waitsForResponse --> authenticated
package struct ChallengeResponse {
    package enum Step: Equatable, Sendable {
        case waitsForChallenge
        case waitsForResponse
        case authenticated
    }

    /// What to do about a packet.
    package enum Verdict: Equatable, Sendable {
        /// The header fits: read the payload.
        case proceed
        /// Send P_AUTH_RESPONSE with these bytes.
        case respond([UInt8])
        case authenticated
        /// Drop the connection and try again; the text is for the log.
        case retry(String)
        /// Drop the connection for good: StandAlone.
        case giveUp(String)
    }

    package private(set) var step = Step.waitsForChallenge
    /// The bytes to send as P_AUTH_CHALLENGE, first of all.
    package let challenge: [UInt8]

    private let algorithm: DigestAlgorithm
    private let secret: [UInt8]

    /// - Parameter algorithm: a keyed digest, that is any but crc32c.
    package init(algorithm: DigestAlgorithm, secret: [UInt8], random: any RandomSource) {
        self.algorithm = algorithm
        self.secret = secret
        var bytes: [UInt8] = []
        for _ in 0..<WireConstants.challengeByteCount / 8 {
            withUnsafeBytes(of: random.next()) { bytes += $0 }
        }
        challenge = bytes
    }

    /// Judges a header before its payload is read.
    package func judge(_ command: PacketCommand, byteCount: Int) -> Verdict {
        switch step {
        case .waitsForChallenge:
            guard command == .authChallenge else {
                return .giveUp("expected P_AUTH_CHALLENGE packet, received: \(command.name)")
            }
            let allowed = WireConstants.challengeByteCount...WireConstants.challengeByteCountMax
            guard allowed.contains(byteCount) else {
                return .giveUp("P_AUTH_CHALLENGE of \(byteCount) bytes, expected 64 to 128")
            }
        case .waitsForResponse:
            guard command == .authResponse else {
                return .retry("expected P_AUTH_RESPONSE packet, received: \(command.name)")
            }
            guard byteCount == algorithm.byteCount else {
                return .retry("P_AUTH_RESPONSE of \(byteCount) bytes, expected \(algorithm.byteCount)")
            }
        case .authenticated:
            preconditionFailure("no packet of the authentication is awaited any more")
        }
        return .proceed
    }

    /// Takes the payload of the packet that ``judge(_:byteCount:)`` let pass.
    package mutating func receive(_ payload: [UInt8], digests: any DigestProvider) -> Verdict {
        switch step {
        case .waitsForChallenge:
            // Else an attacker could have his challenge answered by whom he got it from.
            guard !payload.starts(with: challenge) else { return .giveUp("Peer presented the same challenge!") }
            step = .waitsForResponse
            return .respond(code(of: payload, digests))
        case .waitsForResponse:
            guard areEqual(payload, code(of: challenge, digests)) else {
                return .giveUp("Authentication of peer failed")
            }
            step = .authenticated
            return .authenticated
        case .authenticated:
            preconditionFailure("no packet of the authentication is awaited any more")
        }
    }

    private func code(of message: [UInt8], _ digests: any DigestProvider) -> [UInt8] {
        guard let code = digests.authenticationCode(algorithm, key: secret, message: message) else {
            preconditionFailure("\(algorithm) is no keyed digest")
        }
        return code
    }

    /// Compares in a time that does not tell where the difference is.
    private func areEqual(_ left: [UInt8], _ right: [UInt8]) -> Bool {
        guard left.count == right.count else { return false }
        var difference: UInt8 = 0
        for index in left.indices { difference |= left[index] ^ right[index] }
        return difference == 0
    }
}
