/// Why bytes of the other side are not accepted.
package enum PairingLinkError: Error, Equatable, Sendable {
    /// Longer than anything that is allowed at this point.
    case tooLong(byteCount: Int, byteCountMax: Int)
    /// Shorter or longer than the structure.
    case wrongLength(what: String, byteCount: Int)
    /// Not this protocol.
    case foreign
    case otherVersion(Int)
    /// The tag does not fit: other key, other order, or changed on the way.
    case notAuthentic
    /// The host said no.
    case refused(PairingWelcome.Status)
    /// Authentic, but no message of this release.
    case notUnderstood(String)
}

extension PairingLinkError: CustomStringConvertible {
    package var description: String {
        switch self {
        case .tooLong(let count, let max): "a message of \(count) bytes was announced, at most \(max) are allowed"
        case .wrongLength(let what, let count): "\(what) of \(count) bytes"
        case .foreign: "what answers there is no yoked that waits for a join"
        case .otherVersion(let version):
            "the other yoked speaks version \(version) of the join protocol, this one \(PairingHello.version):"
                + " use one release on both hosts"
        case .notAuthentic: "a message does not carry the right code: other token, or changed on the way"
        case .refused(.wrongToken): "the token is wrong: copy the whole line that yoke init printed"
        case .refused(.busy): "another host is joining right now"
        case .refused(.welcome): "the answer contradicts itself"
        case .notUnderstood(let reason): "a message that this release does not know: \(reason)"
        }
    }
}

/// Framing of the link: a length of four bytes, big-endian, then that many bytes.
package enum PairingFrame {
    package static let headerByteCount = 4
    /// Before a side has proved itself: nothing but the three messages of the handshake.
    package static let strangerByteCountMax = 128
    package static let byteCountMax = 64 << 10

    package static func framed(_ body: [UInt8]) -> [UInt8] {
        precondition(body.count <= byteCountMax, "a message of \(body.count) bytes")
        return bigEndian(UInt32(body.count)) + body
    }

    /// The length that a header announces.
    package static func length(of header: some Sequence<UInt8>, max: Int) throws(PairingLinkError) -> Int {
        let length = header.prefix(headerByteCount).reduce(0) { $0 << 8 | Int($1) }
        guard length <= max else { throw .tooLong(byteCount: length, byteCountMax: max) }
        return length
    }

    static func bigEndian(_ number: UInt32) -> [UInt8] {
        [24, 16, 8, 0].map { UInt8(truncatingIfNeeded: number >> $0) }
    }

    static func bigEndian(_ number: UInt64) -> [UInt8] {
        bigEndian(UInt32(truncatingIfNeeded: number >> 32)) + bigEndian(UInt32(truncatingIfNeeded: number))
    }
}
