package import LayoutKit

/// The data of OPEN and OPENDIR: flags of open(2), then flags of the protocol. Spec: fuse 4.
package struct FUSEOpenRequest: FixedLayout, Equatable, Sendable {
    package static let byteCount = 8

    private enum Field {
        static let flags = LE32(offset: 0)
        static let openFlags = LE32(offset: 4)
    }

    /// The access mode among the flags of open(2) on Linux.
    package static let accessModeMask: UInt32 = 3
    /// O_RDONLY of Linux.
    package static let accessModeReadOnly: UInt32 = 0

    /// Flags of open(2) on Linux that decide how a file is served.
    package enum Flag {
        package static let exclusive: UInt32 = 0o200
        package static let truncate: UInt32 = 0o1000
        package static let append: UInt32 = 0o2000
        package static let direct: UInt32 = 0o40000
    }

    /// Bit of ``openFlags``: the opener lacks the right to keep set-ID bits.
    package static let killSetIDs: UInt32 = 1

    package var flags: UInt32
    package var openFlags: UInt32

    package init(flags: UInt32, openFlags: UInt32 = 0) {
        self.flags = flags
        self.openFlags = openFlags
    }

    package init(decoding bytes: UnsafeRawBufferPointer) throws(LayoutError) {
        try Self.require(bytes)
        flags = bytes[Field.flags]
        openFlags = bytes[Field.openFlags]
    }

    package func encode(into out: UnsafeMutableRawBufferPointer) {
        out[Field.flags] = flags
        out[Field.openFlags] = openFlags
    }
}

/// The reply to OPEN and OPENDIR. Spec: fuse 4.
package struct FUSEOpenReply: FixedLayout, Equatable, Sendable {
    package static let byteCount = 16

    /// What the kernel may do with the open file.
    package struct Flags: OptionSet, Sendable {
        package var rawValue: UInt32

        package init(rawValue: UInt32) {
            self.rawValue = rawValue
        }

        package static let directIO = Flags(rawValue: 1 << 0)
        package static let keepCache = Flags(rawValue: 1 << 1)
        package static let nonSeekable = Flags(rawValue: 1 << 2)
        package static let cacheDirectory = Flags(rawValue: 1 << 3)
        package static let stream = Flags(rawValue: 1 << 4)
        package static let noFlush = Flags(rawValue: 1 << 5)
        package static let parallelDirectWrites = Flags(rawValue: 1 << 6)
    }

    private enum Field {
        static let handle = LE64(offset: 0)
        static let flags = LE32(offset: 8)
        static let backing = LE32(offset: 12)
    }

    package var handle: UInt64
    package var flags: Flags

    package init(handle: UInt64, flags: Flags) {
        self.handle = handle
        self.flags = flags
    }

    package init(decoding bytes: UnsafeRawBufferPointer) throws(LayoutError) {
        try Self.require(bytes)
        handle = bytes[Field.handle]
        flags = Flags(rawValue: bytes[Field.flags])
    }

    package func encode(into out: UnsafeMutableRawBufferPointer) {
        out[Field.handle] = handle
        out[Field.flags] = flags.rawValue
        out[Field.backing] = 0
    }
}

/// The data of READ, READDIR and WRITE; those of a WRITE are followed by the bytes. Spec: fuse 4.
///
/// | offset | size | meaning |
/// |---|---|---|
/// | 0 | 8 | handle |
/// | 8 | 8 | offset in bytes, or a cookie |
/// | 16 | 4 | size in bytes |
/// | 20 | 4 | READ: 2 = lock owner valid; WRITE: see ``WriteFlags`` |
/// | 24 | 8 | lock owner |
/// | 32 | 4 | flags of open(2) |
package struct FUSETransferRequest: FixedLayout, Equatable, Sendable {
    package static let byteCount = 40

    package struct WriteFlags: OptionSet, Sendable {
        package var rawValue: UInt32

        package init(rawValue: UInt32) {
            self.rawValue = rawValue
        }

        /// Write-back of the page cache: ids and handle mean nothing.
        package static let cache = WriteFlags(rawValue: 1 << 0)
        package static let lockOwner = WriteFlags(rawValue: 1 << 1)
        package static let killSetIDs = WriteFlags(rawValue: 1 << 2)
    }

    private enum Field {
        static let handle = LE64(offset: 0)
        static let offset = LE64(offset: 8)
        static let size = LE32(offset: 16)
        static let transferFlags = LE32(offset: 20)
        static let lockOwner = LE64(offset: 24)
        static let flags = LE32(offset: 32)
        static let padding = LE32(offset: 36)
    }

    package var handle: UInt64
    package var offset: UInt64
    package var size: UInt32
    package var writeFlags: WriteFlags
    package var lockOwner: UInt64
    package var flags: UInt32

    package init(
        handle: UInt64, offset: UInt64, size: UInt32, writeFlags: WriteFlags = [], lockOwner: UInt64 = 0,
        flags: UInt32 = 0
    ) {
        self.handle = handle
        self.offset = offset
        self.size = size
        self.writeFlags = writeFlags
        self.lockOwner = lockOwner
        self.flags = flags
    }

    package init(decoding bytes: UnsafeRawBufferPointer) throws(LayoutError) {
        try Self.require(bytes)
        handle = bytes[Field.handle]
        offset = bytes[Field.offset]
        size = bytes[Field.size]
        writeFlags = WriteFlags(rawValue: bytes[Field.transferFlags])
        lockOwner = bytes[Field.lockOwner]
        flags = bytes[Field.flags]
    }

    package func encode(into out: UnsafeMutableRawBufferPointer) {
        out[Field.handle] = handle
        out[Field.offset] = offset
        out[Field.size] = size
        out[Field.transferFlags] = writeFlags.rawValue
        out[Field.lockOwner] = lockOwner
        out[Field.flags] = flags
        out[Field.padding] = 0
    }
}

/// The reply to WRITE: how many bytes were written. Spec: fuse 4.
package struct FUSEWriteReply: FixedLayout, Equatable, Sendable {
    package static let byteCount = 8

    private enum Field {
        static let size = LE32(offset: 0)
        static let padding = LE32(offset: 4)
    }

    package var size: UInt32

    package init(size: UInt32) {
        self.size = size
    }

    package init(decoding bytes: UnsafeRawBufferPointer) throws(LayoutError) {
        try Self.require(bytes)
        size = bytes[Field.size]
    }

    package func encode(into out: UnsafeMutableRawBufferPointer) {
        out[Field.size] = size
        out[Field.padding] = 0
    }
}

/// The data of FALLOCATE. Spec: fuse 4.
package struct FUSEFallocateRequest: FixedLayout, Equatable, Sendable {
    package static let byteCount = 32

    /// Modes of fallocate(2).
    package struct Mode: OptionSet, Sendable {
        package var rawValue: UInt32

        package init(rawValue: UInt32) {
            self.rawValue = rawValue
        }

        package static let keepSize = Mode(rawValue: 0x01)
        package static let punchHole = Mode(rawValue: 0x02)
        package static let noHideStale = Mode(rawValue: 0x04)
        package static let collapseRange = Mode(rawValue: 0x08)
        package static let zeroRange = Mode(rawValue: 0x10)
        package static let insertRange = Mode(rawValue: 0x20)
        package static let unshareRange = Mode(rawValue: 0x40)
    }

    private enum Field {
        static let handle = LE64(offset: 0)
        static let offset = LE64(offset: 8)
        static let length = LE64(offset: 16)
        static let mode = LE32(offset: 24)
        static let padding = LE32(offset: 28)
    }

    package var handle: UInt64
    package var offset: UInt64
    package var length: UInt64
    package var mode: Mode

    package init(handle: UInt64, offset: UInt64, length: UInt64, mode: Mode) {
        self.handle = handle
        self.offset = offset
        self.length = length
        self.mode = mode
    }

    package init(decoding bytes: UnsafeRawBufferPointer) throws(LayoutError) {
        try Self.require(bytes)
        handle = bytes[Field.handle]
        offset = bytes[Field.offset]
        length = bytes[Field.length]
        mode = Mode(rawValue: bytes[Field.mode])
    }

    package func encode(into out: UnsafeMutableRawBufferPointer) {
        out[Field.handle] = handle
        out[Field.offset] = offset
        out[Field.length] = length
        out[Field.mode] = mode.rawValue
        out[Field.padding] = 0
    }
}

/// The data of LSEEK; only SEEK_DATA and SEEK_HOLE are asked. Spec: fuse 4.
package struct FUSESeekRequest: FixedLayout, Equatable, Sendable {
    package static let byteCount = 24

    package enum Whence: UInt32, Sendable {
        case data = 3
        case hole = 4
    }

    private enum Field {
        static let handle = LE64(offset: 0)
        static let offset = LE64(offset: 8)
        static let whence = LE32(offset: 16)
        static let padding = LE32(offset: 20)
    }

    package var handle: UInt64
    package var offset: UInt64
    package var whence: Whence

    package init(handle: UInt64, offset: UInt64, whence: Whence) {
        self.handle = handle
        self.offset = offset
        self.whence = whence
    }

    package init(decoding bytes: UnsafeRawBufferPointer) throws(LayoutError) {
        try Self.require(bytes)
        handle = bytes[Field.handle]
        offset = bytes[Field.offset]
        guard let whence = Whence(rawValue: bytes[Field.whence]) else {
            throw .badValue(field: "whence", found: UInt64(bytes[Field.whence]), expected: "3 or 4")
        }
        self.whence = whence
    }

    package func encode(into out: UnsafeMutableRawBufferPointer) {
        out[Field.handle] = handle
        out[Field.offset] = offset
        out[Field.whence] = whence.rawValue
        out[Field.padding] = 0
    }
}

/// The reply to LSEEK. Spec: fuse 4.
package struct FUSESeekReply: FixedLayout, Equatable, Sendable {
    package static let byteCount = 8

    private static let offsetField = LE64(offset: 0)

    package var offset: UInt64

    package init(offset: UInt64) {
        self.offset = offset
    }

    package init(decoding bytes: UnsafeRawBufferPointer) throws(LayoutError) {
        try Self.require(bytes)
        offset = bytes[Self.offsetField]
    }

    package func encode(into out: UnsafeMutableRawBufferPointer) {
        out[Self.offsetField] = offset
    }
}

/// The data of FSYNC and FSYNCDIR. Spec: fuse 4.
package struct FUSEFsyncRequest: FixedLayout, Equatable, Sendable {
    package static let byteCount = 16

    private enum Field {
        static let handle = LE64(offset: 0)
        static let flags = LE32(offset: 8)
        static let padding = LE32(offset: 12)
    }

    package var handle: UInt64
    /// fdatasync(2).
    package var isDataOnly: Bool

    package init(handle: UInt64, isDataOnly: Bool) {
        self.handle = handle
        self.isDataOnly = isDataOnly
    }

    package init(decoding bytes: UnsafeRawBufferPointer) throws(LayoutError) {
        try Self.require(bytes)
        handle = bytes[Field.handle]
        isDataOnly = bytes[Field.flags] & 1 != 0
    }

    package func encode(into out: UnsafeMutableRawBufferPointer) {
        out[Field.handle] = handle
        out[Field.flags] = isDataOnly ? 1 : 0
        out[Field.padding] = 0
    }
}

/// The data of RELEASE and RELEASEDIR. Spec: fuse 4.
package struct FUSEReleaseRequest: FixedLayout, Equatable, Sendable {
    package static let byteCount = 24

    private enum Field {
        static let handle = LE64(offset: 0)
        static let flags = LE32(offset: 8)
        static let releaseFlags = LE32(offset: 12)
        static let lockOwner = LE64(offset: 16)
    }

    /// Bit of ``releaseFlags``: the owner's flock(2) ends.
    package static let flockUnlock: UInt32 = 2

    package var handle: UInt64
    package var flags: UInt32
    package var releaseFlags: UInt32
    package var lockOwner: UInt64

    package init(handle: UInt64, flags: UInt32, releaseFlags: UInt32 = 0, lockOwner: UInt64 = 0) {
        self.handle = handle
        self.flags = flags
        self.releaseFlags = releaseFlags
        self.lockOwner = lockOwner
    }

    package init(decoding bytes: UnsafeRawBufferPointer) throws(LayoutError) {
        try Self.require(bytes)
        handle = bytes[Field.handle]
        flags = bytes[Field.flags]
        releaseFlags = bytes[Field.releaseFlags]
        lockOwner = bytes[Field.lockOwner]
    }

    package func encode(into out: UnsafeMutableRawBufferPointer) {
        out[Field.handle] = handle
        out[Field.flags] = flags
        out[Field.releaseFlags] = releaseFlags
        out[Field.lockOwner] = lockOwner
    }
}
