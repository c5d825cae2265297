package import LayoutKit

/// The fixed part of IOCTL; the caller's data follow. Spec: fuse 4.
///
/// Only restricted ones come: the sizes are those in the command's number, and no pointer in them is followed.
package struct FUSEIoctlRequest: FixedLayout, Equatable, Sendable {
    package static let byteCount = 32

    private enum Field {
        static let handle = LE64(offset: 0)
        static let flags = LE32(offset: 8)
        static let command = LE32(offset: 12)
        static let argument = LE64(offset: 16)
        static let inputSize = LE32(offset: 24)
        static let outputSize = LE32(offset: 28)
    }

    package var handle: UInt64
    package var flags: UInt32
    package var command: UInt32
    package var argument: UInt64
    package var inputSize: UInt32
    package var outputSize: UInt32

    package init(handle: UInt64, command: UInt32, inputSize: UInt32, outputSize: UInt32, flags: UInt32 = 0) {
        self.handle = handle
        self.flags = flags
        self.command = command
        argument = 0
        self.inputSize = inputSize
        self.outputSize = outputSize
    }

    package init(decoding bytes: UnsafeRawBufferPointer) throws(LayoutError) {
        try Self.require(bytes)
        handle = bytes[Field.handle]
        flags = bytes[Field.flags]
        command = bytes[Field.command]
        argument = bytes[Field.argument]
        inputSize = bytes[Field.inputSize]
        outputSize = bytes[Field.outputSize]
    }

    package func encode(into out: UnsafeMutableRawBufferPointer) {
        out[Field.handle] = handle
        out[Field.flags] = flags
        out[Field.command] = command
        out[Field.argument] = argument
        out[Field.inputSize] = inputSize
        out[Field.outputSize] = outputSize
    }
}

/// The head of the reply to IOCTL; data for the caller follow. Spec: fuse 4.
package struct FUSEIoctlReply: FixedLayout, Equatable, Sendable {
    package static let byteCount = 16

    private enum Field {
        static let result = LE32(offset: 0)
        static let flags = LE32(offset: 4)
        static let inputVectors = LE32(offset: 8)
        static let outputVectors = LE32(offset: 12)
    }

    package var result: Int32

    package init(result: Int32) {
        self.result = result
    }

    package init(decoding bytes: UnsafeRawBufferPointer) throws(LayoutError) {
        try Self.require(bytes)
        result = Int32(bitPattern: bytes[Field.result])
    }

    package func encode(into out: UnsafeMutableRawBufferPointer) {
        out[Field.result] = UInt32(bitPattern: result)
        out[Field.flags] = 0
        out[Field.inputVectors] = 0
        out[Field.outputVectors] = 0
    }
}

/// Numbers of ioctls that filesystems share: include/uapi/linux/fs.h of Linux, chapter fuse 8.1.
package enum FUSEIoctlCommand: UInt32, Sendable {
    case getFlags = 0x8008_6601
    case setFlags = 0x4008_6602
    case getFlags32 = 0x8004_6601
    case setFlags32 = 0x4004_6602
    case getVersion = 0x8008_7601
    case getVersion32 = 0x8004_7601
    case getExtendedFlags = 0x801c_581f
    case setExtendedFlags = 0x401c_5820
    case getLabel = 0x8100_9431
    case trim = 0xc018_5879
}

/// `struct fsxattr` of Linux, 28 bytes: flags in another numbering, and figures that are 0 here.
package struct FUSEExtendedFlags: FixedLayout, Equatable, Sendable {
    package static let byteCount = 28

    private static let flagsField = LE32(offset: 0)

    /// FS_XFLAG_*
    package var flags: UInt32

    package init(flags: UInt32) {
        self.flags = flags
    }

    package init(decoding bytes: UnsafeRawBufferPointer) throws(LayoutError) {
        try Self.require(bytes)
        flags = bytes[Self.flagsField]
    }

    package func encode(into out: UnsafeMutableRawBufferPointer) {
        out.clear(count: Self.byteCount)
        out[Self.flagsField] = flags
    }
}
