package import EngineKit

/// What both sides derive from the token and the two nonces of a connection: HMAC-SHA256 throughout.
///
/// | key | made of | for |
/// |---|---|---|
/// | proof | `proof`, host nonce, guest nonce | the guest shows that it has the token |
/// | welcome | `welcome`, host nonce, guest nonce | the host shows it |
/// | guest, host | `guest` or `host`, host nonce, guest nonce | the tags of all frames that this side sends |
/// | shared secret | `shared-secret`, name of the resource | `cram-hmac-alg` of the resource; not of a connection |
///
/// *Host* is who listens (`yoke init`), *guest* who joins.
package struct PairingKeys {
    package enum Side: Sendable { case host, guest }

    private let token: PairingToken
    private let digests: any DigestProvider

    package init(token: PairingToken, digests: any DigestProvider) {
        self.token = token
        self.digests = digests
    }

    package func proof(hostNonce: [UInt8], guestNonce: [UInt8]) -> [UInt8] {
        code("proof", hostNonce + guestNonce)
    }

    package func welcome(hostNonce: [UInt8], guestNonce: [UInt8]) -> [UInt8] {
        code("welcome", hostNonce + guestNonce)
    }

    package func linkKey(from side: Side, hostNonce: [UInt8], guestNonce: [UInt8]) -> [UInt8] {
        code(side == .host ? "host" : "guest", hostNonce + guestNonce)
    }

    /// 160 bits as 32 characters that need no quoting.
    package func sharedSecret(resource: String) -> String {
        let bytes = code("shared-secret", Array(resource.utf8))
        return String(decoding: PairingToken.digits(of: Array(bytes.prefix(PairingToken.byteCount))), as: UTF8.self)
    }

    /// The purpose ends with a zero byte, so that no two purposes can make one message.
    private func code(_ purpose: String, _ message: [UInt8]) -> [UInt8] {
        Self.code(key: token.bytes, Array("yoke pairing 1 \(purpose)".utf8) + [0] + message, digests)
    }

    static func code(key: [UInt8], _ message: [UInt8], _ digests: any DigestProvider) -> [UInt8] {
        guard let code = digests.authenticationCode(.sha256, key: key, message: message) else {
            preconditionFailure("the provider of digests has no HMAC-SHA256")
        }
        return code
    }

    /// Takes the same time wherever the two differ.
    static func areEqual(_ left: some Collection<UInt8>, _ right: [UInt8]) -> Bool {
        guard left.count == right.count else { return false }
        return zip(left, right).reduce(UInt8(0)) { $0 | ($1.0 ^ $1.1) } == 0
    }
}
