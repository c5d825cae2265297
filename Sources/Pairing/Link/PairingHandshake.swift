/// The head of each message of the handshake.
///
///     0         8         10        12
///     | YOKEPAIR | version | status |
///
/// Numbers are big-endian. The status is 0 except in the welcome.
package enum PairingHello {
    package static let version = 1
    package static let nonceByteCount = 32
    static let byteCount = 12
    private static let magic = Array("YOKEPAIR".utf8)

    static func head(status: UInt16 = 0) -> [UInt8] {
        magic + [UInt8(version >> 8), UInt8(version & 0xff), UInt8(status >> 8), UInt8(status & 0xff)]
    }

    /// The status. Errors: ``PairingLinkError/foreign``, ``PairingLinkError/otherVersion(_:)``, a wrong length.
    static func check(_ bytes: [UInt8], _ what: String, byteCount: Int) throws(PairingLinkError) -> UInt16 {
        guard bytes.count >= Self.byteCount, Array(bytes[..<8]) == magic else { throw .foreign }
        let version = Int(bytes[8]) << 8 | Int(bytes[9])
        guard version == Self.version else { throw .otherVersion(version) }
        guard bytes.count == byteCount else { throw .wrongLength(what: what, byteCount: bytes.count) }
        return UInt16(bytes[10]) << 8 | UInt16(bytes[11])
    }
}

/// Host to guest, the first message: the head and 32 random bytes.
package struct PairingGreeting: Equatable, Sendable {
    package static let byteCount = PairingHello.byteCount + PairingHello.nonceByteCount

    package var nonce: [UInt8]

    package init(nonce: [UInt8]) {
        precondition(nonce.count == PairingHello.nonceByteCount, "a nonce of \(nonce.count) bytes")
        self.nonce = nonce
    }

    package init(decoding bytes: [UInt8]) throws(PairingLinkError) {
        _ = try PairingHello.check(bytes, "a greeting", byteCount: Self.byteCount)
        nonce = Array(bytes[PairingHello.byteCount...])
    }

    package var bytes: [UInt8] { PairingHello.head() + nonce }
}

/// Guest to host: the head, 32 random bytes of its own, and the proof that it has the token.
package struct PairingProof: Equatable, Sendable {
    package static let byteCount = PairingHello.byteCount + 2 * PairingHello.nonceByteCount

    package var nonce: [UInt8]
    package var code: [UInt8]

    package init(nonce: [UInt8], code: [UInt8]) {
        precondition(nonce.count == PairingHello.nonceByteCount && code.count == 32, "a proof of other lengths")
        self.nonce = nonce
        self.code = code
    }

    package init(decoding bytes: [UInt8]) throws(PairingLinkError) {
        _ = try PairingHello.check(bytes, "a proof", byteCount: Self.byteCount)
        let middle = PairingHello.byteCount + PairingHello.nonceByteCount
        nonce = Array(bytes[PairingHello.byteCount..<middle])
        code = Array(bytes[middle...])
    }

    package var bytes: [UInt8] { PairingHello.head() + nonce + code }
}

/// Host to guest: whether it may go on, and the host's own proof. Without a right token nothing is proved to a guest.
package struct PairingWelcome: Equatable, Sendable {
    package enum Status: UInt16, Sendable {
        case welcome = 0
        case wrongToken = 1
        /// Another guest is being served.
        case busy = 2
    }

    package static let byteCount = PairingHello.byteCount + 32

    package var status: Status
    /// Zeroes unless the status is ``Status/welcome``.
    package var code: [UInt8]

    package init(status: Status, code: [UInt8] = [UInt8](repeating: 0, count: 32)) {
        self.status = status
        self.code = code
    }

    package init(decoding bytes: [UInt8]) throws(PairingLinkError) {
        let number = try PairingHello.check(bytes, "a welcome", byteCount: Self.byteCount)
        guard let status = Status(rawValue: number) else { throw .notUnderstood("status \(number)") }
        self.status = status
        code = Array(bytes[PairingHello.byteCount...])
    }

    package var bytes: [UInt8] { PairingHello.head(status: status.rawValue) + code }
}
