package import LayoutKit

/// The header of every packet. Spec: drbd-wire 3.
///
///     80   8 bytes   0: u32 magic 83740267   4: u16 command   6: u16 length
///     95   8 bytes   0: u16 magic 835a       2: u16 command   4: u32 length
///     100  16 bytes  0: u32 magic 8620ec20   4: u16 volume    6: u16 command   8: u32 length   12: u32 zero
///
/// The length counts the bytes that follow the header. Which size of header is expected depends only on whether the
/// agreed version is 100 or higher; below, each packet's magic tells 80 from 95.
package struct PacketHeader: Equatable, Sendable {
    package enum Format: Sendable {
        case short80
        case big95
        case volume100

        package var byteCount: Int {
            switch self {
            case .short80, .big95: 8
            case .volume100: 16
            }
        }
    }

    private enum Short {
        static let magic = BE32(offset: 0), command = BE16(offset: 4), length = BE16(offset: 6)
    }
    private enum Big {
        static let magic = BE16(offset: 0), command = BE16(offset: 2), length = BE32(offset: 4)
    }
    private enum Volume {
        static let magic = BE32(offset: 0), volume = BE16(offset: 4), command = BE16(offset: 6)
        static let length = BE32(offset: 8), pad = BE32(offset: 12)
    }

    package static let magic80: UInt32 = 0x8374_0267
    package static let magic95: UInt16 = 0x835a
    package static let magic100: UInt32 = 0x8620_ec20

    /// The number as it came; ``command`` names it.
    package var commandNumber: UInt16
    /// 0 in the older formats and for packets of the whole connection.
    package var volume: UInt16
    /// Bytes of the payload.
    package var length: UInt32

    /// Nil for a number that table 23 does not name.
    package var command: PacketCommand? { PacketCommand(rawValue: commandNumber) }

    package init(_ command: PacketCommand, volume: UInt16 = 0, length: Int) {
        self.commandNumber = command.rawValue
        self.volume = volume
        self.length = UInt32(length)
    }

    /// Size of the headers of a connection of this agreed version (80 before agreement).
    package static func byteCount(version: Int) -> Int {
        version >= 100 ? 16 : 8
    }

    /// The format in which a packet of `length` payload bytes is sent under `version`.
    package static func format(version: Int, length: Int) -> Format {
        if version >= 100 { return .volume100 }
        return version >= 95 && length > 0x8000 ? .big95 : .short80
    }

    /// Reads a header as agreed; throws when its magic or pad is wrong.
    package init(decoding bytes: UnsafeRawBufferPointer, version: Int) throws(LayoutError) {
        if version >= 100 {
            try self.init(decoding100: bytes)
        } else {
            try self.init(decodingOlder: bytes)
        }
    }

    private init(decoding100 bytes: UnsafeRawBufferPointer) throws(LayoutError) {
        try LayoutError.require(Format.volume100.byteCount, of: bytes)
        let magic = bytes[Volume.magic]
        guard magic == Self.magic100 else {
            throw .badMagic(found: UInt64(magic), expected: UInt64(Self.magic100))
        }
        let pad = bytes[Volume.pad]
        guard pad == 0 else {
            throw .badValue(field: "pad of the packet header", found: UInt64(pad), expected: "0")
        }
        commandNumber = bytes[Volume.command]
        volume = bytes[Volume.volume]
        length = bytes[Volume.length]
    }

    private init(decodingOlder bytes: UnsafeRawBufferPointer) throws(LayoutError) {
        try LayoutError.require(Format.short80.byteCount, of: bytes)
        volume = 0
        if bytes[Short.magic] == Self.magic80 {
            commandNumber = bytes[Short.command]
            length = UInt32(bytes[Short.length])
        } else if bytes[Big.magic] == Self.magic95 {
            commandNumber = bytes[Big.command]
            length = bytes[Big.length]
        } else {
            throw .badMagic(found: UInt64(bytes[Short.magic]), expected: UInt64(Self.magic80))
        }
    }

    /// Writes the header in `format`. A length that the format cannot carry is a bug of the caller.
    package func encode(into out: UnsafeMutableRawBufferPointer, format: Format = .volume100) {
        switch format {
        case .volume100:
            out[Volume.magic] = Self.magic100
            out[Volume.volume] = volume
            out[Volume.command] = commandNumber
            out[Volume.length] = length
            out[Volume.pad] = 0
        case .big95:
            out[Big.magic] = Self.magic95
            out[Big.command] = commandNumber
            out[Big.length] = length
        case .short80:
            precondition(length <= 0xffff, "header 80 cannot carry a length of \(length)")
            out[Short.magic] = Self.magic80
            out[Short.command] = commandNumber
            out[Short.length] = UInt16(truncatingIfNeeded: length)
        }
    }
}
