package import LayoutKit

/// What a client may ask for during transmission. Spec: NBD protocol, "Request types".
package enum NBDCommand: UInt16, Sendable, CaseIterable {
    case read = 0
    case write = 1
    case disconnect = 2
    case flush = 3
    case trim = 4
    case cache = 5
    case writeZeroes = 6
    case blockStatus = 7
}

/// Details of a request. Spec: NBD protocol, "Command flags".
package struct NBDCommandFlags: OptionSet, Sendable {
    package var rawValue: UInt16

    package init(rawValue: UInt16) {
        self.rawValue = rawValue
    }

    /// Answer when the data is on stable storage. Valid with every command.
    package static let forceUnitAccess = NBDCommandFlags(rawValue: 1 << 0)
    /// Write zeroes without giving the space back.
    package static let noHole = NBDCommandFlags(rawValue: 1 << 1)
    /// Answer a read with one chunk of data.
    package static let dontFragment = NBDCommandFlags(rawValue: 1 << 2)
    /// One extent is enough.
    package static let requestOne = NBDCommandFlags(rawValue: 1 << 3)
    /// Fail if zeroing is no faster than writing.
    package static let fastZero = NBDCommandFlags(rawValue: 1 << 4)
}

/// A request; the data of a write follow. Spec: NBD protocol, "Request message".
///
/// | offset | size | meaning |
/// |---|---|---|
/// | 0 | 4 | magic |
/// | 4 | 2 | flags |
/// | 6 | 2 | command |
/// | 8 | 8 | handle, returned in the reply |
/// | 16 | 8 | offset in bytes |
/// | 24 | 4 | length in bytes |
package struct NBDRequest: FixedLayout, Equatable, Sendable {
    package static let byteCount = 28
    package static let magic: UInt32 = 0x2560_9513
    /// The largest payload that a server must not take for an attack; we take no larger one.
    /// Spec: NBD protocol, "Block size constraints".
    package static let payloadByteCountMax = 32 << 20

    private enum Field {
        static let magic = BE32(offset: 0)
        static let flags = BE16(offset: 4)
        static let command = BE16(offset: 6)
        static let handle = BE64(offset: 8)
        static let offset = BE64(offset: 16)
        static let length = BE32(offset: 24)
    }

    package var flags: NBDCommandFlags
    /// The command as it was sent; ``NBDCommand`` names the known ones.
    package var rawCommand: UInt16
    package var handle: UInt64
    package var offset: UInt64
    package var length: UInt32

    package init(command: NBDCommand, flags: NBDCommandFlags = [], handle: UInt64, offset: UInt64, length: UInt32) {
        self.flags = flags
        rawCommand = command.rawValue
        self.handle = handle
        self.offset = offset
        self.length = length
    }

    package init(decoding bytes: UnsafeRawBufferPointer) throws(LayoutError) {
        try LayoutError.require(Self.byteCount, of: bytes)
        guard bytes[Field.magic] == Self.magic else {
            throw .badMagic(found: UInt64(bytes[Field.magic]), expected: UInt64(Self.magic))
        }
        flags = NBDCommandFlags(rawValue: bytes[Field.flags])
        rawCommand = bytes[Field.command]
        handle = bytes[Field.handle]
        offset = bytes[Field.offset]
        length = bytes[Field.length]
    }

    package func encode(into out: UnsafeMutableRawBufferPointer) {
        out[Field.magic] = Self.magic
        out[Field.flags] = flags.rawValue
        out[Field.command] = rawCommand
        out[Field.handle] = handle
        out[Field.offset] = offset
        out[Field.length] = length
    }
}
