package import EngineKit

/// One authenticated connection: seals what goes out, opens what comes in.
///
///     0     32
///     | tag | message |
///
/// The tag is HMAC-SHA256 with the key of the sending side over the number of the frame (eight bytes, big-endian, from 0)
/// and the message. So nothing can be changed, left out, repeated, turned round or taken from another connection.
/// Messages are not encrypted: nothing secret is in them.
///
/// The three functions of the handshake, in their order:
///
///     host                                    guest
///     greeting (nonce)              ------>
///                                   <------   proof (nonce, code)
///     welcome (code), or a refusal  ------>
package struct PairingSession {
    static let tagByteCount = 32

    private let digests: any DigestProvider
    private let ownKey: [UInt8]
    private let peerKey: [UInt8]
    private var sent: UInt64 = 0
    private var received: UInt64 = 0

    private init(
        _ side: PairingKeys.Side, _ keys: PairingKeys, hostNonce: [UInt8], guestNonce: [UInt8],
        _ digests: any DigestProvider
    ) {
        let other: PairingKeys.Side = side == .host ? .guest : .host
        self.digests = digests
        ownKey = keys.linkKey(from: side, hostNonce: hostNonce, guestNonce: guestNonce)
        peerKey = keys.linkKey(from: other, hostNonce: hostNonce, guestNonce: guestNonce)
    }

    // MARK: Handshake

    /// The host reads the guest's proof. ``PairingLinkError/notAuthentic``: it has another token.
    package static func accept(
        _ proof: PairingProof, greeting: PairingGreeting, token: PairingToken, digests: any DigestProvider
    ) throws(PairingLinkError) -> (session: PairingSession, welcome: PairingWelcome) {
        let keys = PairingKeys(token: token, digests: digests)
        let expected = keys.proof(hostNonce: greeting.nonce, guestNonce: proof.nonce)
        guard PairingKeys.areEqual(proof.code, expected) else { throw .notAuthentic }
        let code = keys.welcome(hostNonce: greeting.nonce, guestNonce: proof.nonce)
        return (
            PairingSession(.host, keys, hostNonce: greeting.nonce, guestNonce: proof.nonce, digests),
            PairingWelcome(status: .welcome, code: code)
        )
    }

    /// The guest answers a greeting.
    package static func proof(
        for greeting: PairingGreeting, nonce: [UInt8], token: PairingToken, digests: any DigestProvider
    ) -> PairingProof {
        let keys = PairingKeys(token: token, digests: digests)
        return PairingProof(nonce: nonce, code: keys.proof(hostNonce: greeting.nonce, guestNonce: nonce))
    }

    /// The guest reads the welcome: only a host that has the token could make it.
    package static func enter(
        _ welcome: PairingWelcome, greeting: PairingGreeting, nonce: [UInt8], token: PairingToken,
        digests: any DigestProvider
    ) throws(PairingLinkError) -> PairingSession {
        guard welcome.status == .welcome else { throw .refused(welcome.status) }
        let keys = PairingKeys(token: token, digests: digests)
        let expected = keys.welcome(hostNonce: greeting.nonce, guestNonce: nonce)
        guard PairingKeys.areEqual(welcome.code, expected) else { throw .notAuthentic }
        return PairingSession(.guest, keys, hostNonce: greeting.nonce, guestNonce: nonce, digests)
    }

    // MARK: Frames

    /// The body of the next frame.
    package mutating func seal(_ message: PairingMessage) throws(PairingLinkError) -> [UInt8] {
        let payload = try message.encoded()
        let count = payload.count + Self.tagByteCount
        guard count <= PairingFrame.byteCountMax else {
            throw .tooLong(byteCount: count, byteCountMax: PairingFrame.byteCountMax)
        }
        let tag = PairingKeys.code(key: ownKey, PairingFrame.bigEndian(sent) + payload, digests)
        sent += 1
        return tag + payload
    }

    /// The message in the body of a frame. After an error the connection is of no use any more.
    package mutating func open(_ body: [UInt8]) throws(PairingLinkError) -> PairingMessage {
        guard body.count >= Self.tagByteCount else { throw .wrongLength(what: "a frame", byteCount: body.count) }
        let payload = Array(body[Self.tagByteCount...])
        let tag = PairingKeys.code(key: peerKey, PairingFrame.bigEndian(received) + payload, digests)
        guard PairingKeys.areEqual(body[..<Self.tagByteCount], tag) else { throw .notAuthentic }
        received += 1
        return try PairingMessage(decoding: payload)
    }
}
