package import LayoutKit

/// Attributes of a node. Spec: fuse 3.
///
/// | offset | size | meaning |
/// |---|---|---|
/// | 0 | 8 | inode number |
/// | 8 | 8 | size in bytes |
/// | 16 | 8 | blocks of 512 bytes |
/// | 24, 32, 40 | 8 | atime, mtime, ctime, seconds |
/// | 48, 52, 56 | 4 | their nanoseconds |
/// | 60 | 4 | mode with the type |
/// | 64 | 4 | links |
/// | 68, 72 | 4 | user, group |
/// | 76 | 4 | device |
/// | 80 | 4 | block size |
/// | 84 | 4 | flags |
package struct FUSEAttributes: FixedLayout, Equatable, Sendable {
    package static let byteCount = 88

    private enum Field {
        static let inode = LE64(offset: 0)
        static let size = LE64(offset: 8)
        static let blocks = LE64(offset: 16)
        static let atime = LE64(offset: 24)
        static let mtime = LE64(offset: 32)
        static let ctime = LE64(offset: 40)
        static let atimeNanoseconds = LE32(offset: 48)
        static let mtimeNanoseconds = LE32(offset: 52)
        static let ctimeNanoseconds = LE32(offset: 56)
        static let mode = LE32(offset: 60)
        static let links = LE32(offset: 64)
        static let user = LE32(offset: 68)
        static let group = LE32(offset: 72)
        static let device = LE32(offset: 76)
        static let blockSize = LE32(offset: 80)
        static let flags = LE32(offset: 84)
    }

    /// Seconds and nanoseconds since 1970; negative seconds are years before.
    package struct Time: Equatable, Sendable {
        package var seconds: Int64
        package var nanoseconds: UInt32

        package init(seconds: Int64 = 0, nanoseconds: UInt32 = 0) {
            self.seconds = seconds
            self.nanoseconds = nanoseconds
        }
    }

    /// The type bits of ``mode``.
    package enum FileType {
        package static let directory: UInt32 = 0o040000
        package static let regular: UInt32 = 0o100000
    }

    package var inode: UInt64
    package var sizeBytes: UInt64
    /// Units of 512 bytes.
    package var blocks: UInt64
    package var atime = Time()
    package var mtime = Time()
    package var ctime = Time()
    package var mode: UInt32
    package var links: UInt32 = 1
    package var user: UInt32 = 0
    package var group: UInt32 = 0
    package var device: UInt32 = 0
    package var blockSize: UInt32 = 4096
    package var flags: UInt32 = 0

    package init(inode: UInt64, sizeBytes: UInt64, blocks: UInt64, mode: UInt32) {
        self.inode = inode
        self.sizeBytes = sizeBytes
        self.blocks = blocks
        self.mode = mode
    }

    package init(decoding bytes: UnsafeRawBufferPointer) throws(LayoutError) {
        try Self.require(bytes)
        inode = bytes[Field.inode]
        sizeBytes = bytes[Field.size]
        blocks = bytes[Field.blocks]
        atime = Time(
            seconds: Int64(bitPattern: bytes[Field.atime]), nanoseconds: bytes[Field.atimeNanoseconds])
        mtime = Time(
            seconds: Int64(bitPattern: bytes[Field.mtime]), nanoseconds: bytes[Field.mtimeNanoseconds])
        ctime = Time(
            seconds: Int64(bitPattern: bytes[Field.ctime]), nanoseconds: bytes[Field.ctimeNanoseconds])
        mode = bytes[Field.mode]
        links = bytes[Field.links]
        user = bytes[Field.user]
        group = bytes[Field.group]
        device = bytes[Field.device]
        blockSize = bytes[Field.blockSize]
        flags = bytes[Field.flags]
    }

    package func encode(into out: UnsafeMutableRawBufferPointer) {
        out[Field.inode] = inode
        out[Field.size] = sizeBytes
        out[Field.blocks] = blocks
        out[Field.atime] = UInt64(bitPattern: atime.seconds)
        out[Field.mtime] = UInt64(bitPattern: mtime.seconds)
        out[Field.ctime] = UInt64(bitPattern: ctime.seconds)
        out[Field.atimeNanoseconds] = atime.nanoseconds
        out[Field.mtimeNanoseconds] = mtime.nanoseconds
        out[Field.ctimeNanoseconds] = ctime.nanoseconds
        out[Field.mode] = mode
        out[Field.links] = links
        out[Field.user] = user
        out[Field.group] = group
        out[Field.device] = device
        out[Field.blockSize] = blockSize
        out[Field.flags] = flags
    }
}

/// How long the kernel may believe something, from the arrival of the reply on.
package struct FUSETimeout: Equatable, Sendable {
    package var seconds: UInt64
    package var nanoseconds: UInt32

    /// Ask again each time.
    package static let zero = FUSETimeout(seconds: 0)

    package init(seconds: UInt64, nanoseconds: UInt32 = 0) {
        self.seconds = seconds
        self.nanoseconds = nanoseconds
    }
}

/// The reply to GETATTR and SETATTR: timeout, then the attributes at 16. Spec: fuse 3.
package struct FUSEAttributesReply: FixedLayout, Equatable, Sendable {
    package static let byteCount = 104

    private enum Field {
        static let seconds = LE64(offset: 0)
        static let nanoseconds = LE32(offset: 8)
        static let padding = LE32(offset: 12)
        static let attributes = 16
    }

    package var timeout: FUSETimeout
    package var attributes: FUSEAttributes

    package init(timeout: FUSETimeout, attributes: FUSEAttributes) {
        self.timeout = timeout
        self.attributes = attributes
    }

    package init(decoding bytes: UnsafeRawBufferPointer) throws(LayoutError) {
        try Self.require(bytes)
        timeout = FUSETimeout(seconds: bytes[Field.seconds], nanoseconds: bytes[Field.nanoseconds])
        attributes = try FUSEAttributes(decoding: bytes.dropped(Field.attributes))
    }

    package func encode(into out: UnsafeMutableRawBufferPointer) {
        out[Field.seconds] = timeout.seconds
        out[Field.nanoseconds] = timeout.nanoseconds
        out[Field.padding] = 0
        attributes.encode(into: out.dropped(Field.attributes))
    }
}

/// The reply that names a node: LOOKUP, and everything that creates one. Spec: fuse 3.
///
/// | offset | size | meaning |
/// |---|---|---|
/// | 0 | 8 | node, 0: there is none |
/// | 8 | 8 | generation |
/// | 16, 24 | 8 | seconds the name and the attributes are valid |
/// | 32, 36 | 4 | their nanoseconds |
/// | 40 | 88 | attributes |
package struct FUSEEntryReply: FixedLayout, Equatable, Sendable {
    package static let byteCount = 128

    private enum Field {
        static let node = LE64(offset: 0)
        static let generation = LE64(offset: 8)
        static let entrySeconds = LE64(offset: 16)
        static let attributeSeconds = LE64(offset: 24)
        static let entryNanoseconds = LE32(offset: 32)
        static let attributeNanoseconds = LE32(offset: 36)
        static let attributes = 40
    }

    package var node: UInt64
    package var generation: UInt64
    package var nameTimeout: FUSETimeout
    package var attributesTimeout: FUSETimeout
    package var attributes: FUSEAttributes

    package init(
        node: UInt64, generation: UInt64, nameTimeout: FUSETimeout, attributesTimeout: FUSETimeout,
        attributes: FUSEAttributes
    ) {
        self.node = node
        self.generation = generation
        self.nameTimeout = nameTimeout
        self.attributesTimeout = attributesTimeout
        self.attributes = attributes
    }

    package init(decoding bytes: UnsafeRawBufferPointer) throws(LayoutError) {
        try Self.require(bytes)
        node = bytes[Field.node]
        generation = bytes[Field.generation]
        nameTimeout = FUSETimeout(seconds: bytes[Field.entrySeconds], nanoseconds: bytes[Field.entryNanoseconds])
        attributesTimeout = FUSETimeout(
            seconds: bytes[Field.attributeSeconds], nanoseconds: bytes[Field.attributeNanoseconds])
        attributes = try FUSEAttributes(decoding: bytes.dropped(Field.attributes))
    }

    package func encode(into out: UnsafeMutableRawBufferPointer) {
        out[Field.node] = node
        out[Field.generation] = generation
        out[Field.entrySeconds] = nameTimeout.seconds
        out[Field.attributeSeconds] = attributesTimeout.seconds
        out[Field.entryNanoseconds] = nameTimeout.nanoseconds
        out[Field.attributeNanoseconds] = attributesTimeout.nanoseconds
        attributes.encode(into: out.dropped(Field.attributes))
    }
}

/// The data of SETATTR. Spec: fuse 4.
package struct FUSESetAttributesRequest: FixedLayout, Equatable, Sendable {
    package static let byteCount = 88

    /// Which fields count.
    package struct Valid: OptionSet, Sendable {
        package var rawValue: UInt32

        package init(rawValue: UInt32) {
            self.rawValue = rawValue
        }

        package static let mode = Valid(rawValue: 1 << 0)
        package static let user = Valid(rawValue: 1 << 1)
        package static let group = Valid(rawValue: 1 << 2)
        package static let size = Valid(rawValue: 1 << 3)
        package static let atime = Valid(rawValue: 1 << 4)
        package static let mtime = Valid(rawValue: 1 << 5)
        package static let handle = Valid(rawValue: 1 << 6)
        package static let atimeNow = Valid(rawValue: 1 << 7)
        package static let mtimeNow = Valid(rawValue: 1 << 8)
        package static let lockOwner = Valid(rawValue: 1 << 9)
        package static let ctime = Valid(rawValue: 1 << 10)
        package static let killSetIDs = Valid(rawValue: 1 << 11)
    }

    private enum Field {
        static let valid = LE32(offset: 0)
        static let handle = LE64(offset: 8)
        static let size = LE64(offset: 16)
        static let lockOwner = LE64(offset: 24)
        static let atime = LE64(offset: 32)
        static let mtime = LE64(offset: 40)
        static let ctime = LE64(offset: 48)
        static let atimeNanoseconds = LE32(offset: 56)
        static let mtimeNanoseconds = LE32(offset: 60)
        static let ctimeNanoseconds = LE32(offset: 64)
        static let mode = LE32(offset: 68)
        static let user = LE32(offset: 76)
        static let group = LE32(offset: 80)
    }

    package var valid: Valid
    package var handle: UInt64 = 0
    package var sizeBytes: UInt64 = 0
    package var lockOwner: UInt64 = 0
    package var atime = FUSEAttributes.Time()
    package var mtime = FUSEAttributes.Time()
    package var ctime = FUSEAttributes.Time()
    package var mode: UInt32 = 0
    package var user: UInt32 = 0
    package var group: UInt32 = 0

    package init(valid: Valid) {
        self.valid = valid
    }

    package init(decoding bytes: UnsafeRawBufferPointer) throws(LayoutError) {
        try Self.require(bytes)
        valid = Valid(rawValue: bytes[Field.valid])
        handle = bytes[Field.handle]
        sizeBytes = bytes[Field.size]
        lockOwner = bytes[Field.lockOwner]
        atime = FUSEAttributes.Time(
            seconds: Int64(bitPattern: bytes[Field.atime]), nanoseconds: bytes[Field.atimeNanoseconds])
        mtime = FUSEAttributes.Time(
            seconds: Int64(bitPattern: bytes[Field.mtime]), nanoseconds: bytes[Field.mtimeNanoseconds])
        ctime = FUSEAttributes.Time(
            seconds: Int64(bitPattern: bytes[Field.ctime]), nanoseconds: bytes[Field.ctimeNanoseconds])
        mode = bytes[Field.mode]
        user = bytes[Field.user]
        group = bytes[Field.group]
    }

    package func encode(into out: UnsafeMutableRawBufferPointer) {
        out.clear(count: Self.byteCount)
        out[Field.valid] = valid.rawValue
        out[Field.handle] = handle
        out[Field.size] = sizeBytes
        out[Field.lockOwner] = lockOwner
        out[Field.atime] = UInt64(bitPattern: atime.seconds)
        out[Field.mtime] = UInt64(bitPattern: mtime.seconds)
        out[Field.ctime] = UInt64(bitPattern: ctime.seconds)
        out[Field.atimeNanoseconds] = atime.nanoseconds
        out[Field.mtimeNanoseconds] = mtime.nanoseconds
        out[Field.ctimeNanoseconds] = ctime.nanoseconds
        out[Field.mode] = mode
        out[Field.user] = user
        out[Field.group] = group
    }
}
