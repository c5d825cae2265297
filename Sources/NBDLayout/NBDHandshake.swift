package import LayoutKit

/// What both sides send first in newstyle negotiation.
///
/// ```
/// S: "NBDMAGIC"  u64
/// S: "IHAVEOPT"  u64
/// S: handshake flags  u16
/// C: client flags     u32
/// ```
/// Spec: NBD protocol, "Newstyle negotiation".
package struct NBDGreeting: FixedLayout, Equatable, Sendable {
    package static let byteCount = 18
    /// ASCII "NBDMAGIC".
    package static let magic: UInt64 = 0x4e42_444d_4147_4943

    private enum Field {
        static let magic = BE64(offset: 0)
        static let optionMagic = BE64(offset: 8)
        static let flags = BE16(offset: 16)
    }

    package var flags: NBDHandshakeFlags

    package init(flags: NBDHandshakeFlags) {
        self.flags = flags
    }

    package init(decoding bytes: UnsafeRawBufferPointer) throws(LayoutError) {
        try LayoutError.require(Self.byteCount, of: bytes)
        guard bytes[Field.magic] == Self.magic else {
            throw .badMagic(found: bytes[Field.magic], expected: Self.magic)
        }
        guard bytes[Field.optionMagic] == NBDOptionHeader.magic else {
            throw .badMagic(found: bytes[Field.optionMagic], expected: NBDOptionHeader.magic)
        }
        flags = NBDHandshakeFlags(rawValue: bytes[Field.flags])
    }

    package func encode(into out: UnsafeMutableRawBufferPointer) {
        out[Field.magic] = Self.magic
        out[Field.optionMagic] = NBDOptionHeader.magic
        out[Field.flags] = flags.rawValue
    }
}

/// Abilities that the server states in its greeting. Spec: NBD protocol, "Handshake flags".
package struct NBDHandshakeFlags: OptionSet, Sendable {
    package var rawValue: UInt16

    package init(rawValue: UInt16) {
        self.rawValue = rawValue
    }

    /// Options are answered one by one (`NBD_FLAG_FIXED_NEWSTYLE`).
    package static let fixedNewstyle = NBDHandshakeFlags(rawValue: 1 << 0)
    /// The 124 zero bytes after `NBD_OPT_EXPORT_NAME` can be left out (`NBD_FLAG_NO_ZEROES`).
    package static let noZeroes = NBDHandshakeFlags(rawValue: 1 << 1)
}

/// The client's answer to the greeting, four bytes. Spec: NBD protocol, "Client flags".
package struct NBDClientFlags: OptionSet, Sendable {
    package static let byteCount = 4

    package var rawValue: UInt32

    package init(rawValue: UInt32) {
        self.rawValue = rawValue
    }

    package init(decoding bytes: UnsafeRawBufferPointer) throws(LayoutError) {
        try LayoutError.require(Self.byteCount, of: bytes)
        rawValue = bytes[BE32(offset: 0)]
    }

    package func encode(into out: UnsafeMutableRawBufferPointer) {
        out[BE32(offset: 0)] = rawValue
    }

    package static let fixedNewstyle = NBDClientFlags(rawValue: 1 << 0)
    package static let noZeroes = NBDClientFlags(rawValue: 1 << 1)
    /// All flags that have a meaning; a server must drop a client that sets another.
    package static let known: NBDClientFlags = [.fixedNewstyle, .noZeroes]
}

/// What an export can do, told to the client before transmission. Spec: NBD protocol, "Transmission flags".
package struct NBDTransmissionFlags: OptionSet, Sendable {
    package var rawValue: UInt16

    package init(rawValue: UInt16) {
        self.rawValue = rawValue
    }

    /// Always set.
    package static let hasFlags = NBDTransmissionFlags(rawValue: 1 << 0)
    package static let readOnly = NBDTransmissionFlags(rawValue: 1 << 1)
    package static let sendFlush = NBDTransmissionFlags(rawValue: 1 << 2)
    package static let sendFUA = NBDTransmissionFlags(rawValue: 1 << 3)
    package static let rotational = NBDTransmissionFlags(rawValue: 1 << 4)
    package static let sendTrim = NBDTransmissionFlags(rawValue: 1 << 5)
    package static let sendWriteZeroes = NBDTransmissionFlags(rawValue: 1 << 6)
    /// Only with structured replies.
    package static let sendDontFragment = NBDTransmissionFlags(rawValue: 1 << 7)
    /// Flush and FUA on one connection cover the completed writes of all connections.
    package static let canMultiConn = NBDTransmissionFlags(rawValue: 1 << 8)
    package static let sendResize = NBDTransmissionFlags(rawValue: 1 << 9)
    package static let sendCache = NBDTransmissionFlags(rawValue: 1 << 10)
    package static let sendFastZero = NBDTransmissionFlags(rawValue: 1 << 11)
}

/// The server's reply to `NBD_OPT_EXPORT_NAME`; ends the handshake. Spec: NBD protocol, "Newstyle negotiation".
///
/// | offset | size | meaning |
/// |---|---|---|
/// | 0 | 8 | size of the export in bytes |
/// | 8 | 2 | transmission flags |
/// | 10 | 124 | zero, left out when both sides agreed on `noZeroes` |
package struct NBDExportNameReply: Equatable, Sendable {
    /// With the zeroes.
    package static let byteCount = 134
    package static let byteCountWithoutZeroes = 10

    private enum Field {
        static let size = BE64(offset: 0)
        static let flags = BE16(offset: 8)
    }

    package var sizeBytes: UInt64
    package var flags: NBDTransmissionFlags

    package init(sizeBytes: UInt64, flags: NBDTransmissionFlags) {
        self.sizeBytes = sizeBytes
        self.flags = flags
    }

    package init(decoding bytes: UnsafeRawBufferPointer) throws(LayoutError) {
        try LayoutError.require(Self.byteCountWithoutZeroes, of: bytes)
        sizeBytes = bytes[Field.size]
        flags = NBDTransmissionFlags(rawValue: bytes[Field.flags])
    }

    /// Writes the first ten bytes; the rest of `out` must be zero already.
    package func encode(into out: UnsafeMutableRawBufferPointer) {
        out[Field.size] = sizeBytes
        out[Field.flags] = flags.rawValue
    }
}
