package import LayoutKit

// The protocol is in host order; Linux on the machines that are served is little-endian.

/// What the kernel asks for. Spec: fuse 4.
package enum FUSEOpcode: UInt32, Sendable, CaseIterable {
    case lookup = 1
    case forget = 2
    case getAttributes = 3
    case setAttributes = 4
    case readLink = 5
    case symlink = 6
    case makeNode = 8
    case makeDirectory = 9
    case unlink = 10
    case removeDirectory = 11
    case rename = 12
    case link = 13
    case open = 14
    case read = 15
    case write = 16
    case statfs = 17
    case release = 18
    case fsync = 20
    case setExtendedAttribute = 21
    case getExtendedAttribute = 22
    case listExtendedAttributes = 23
    case removeExtendedAttribute = 24
    case flush = 25
    case initialize = 26
    case openDirectory = 27
    case readDirectory = 28
    case releaseDirectory = 29
    case fsyncDirectory = 30
    case getLock = 31
    case setLock = 32
    case setLockWait = 33
    case access = 34
    case create = 35
    case interrupt = 36
    case blockMap = 37
    case destroy = 38
    case ioctl = 39
    case poll = 40
    case notifyReply = 41
    case batchForget = 42
    case fallocate = 43
    case readDirectoryPlus = 44
    case rename2 = 45
    case seek = 46
    case copyFileRange = 47
    case setupMapping = 48
    case removeMapping = 49
    case syncfs = 50
    case temporaryFile = 51
    case statx = 52
    case copyFileRange64 = 53

    /// Whether the kernel waits for a reply. INTERRUPT needs none. Spec: fuse 3.
    package var isAnswered: Bool {
        switch self {
        case .forget, .batchForget, .notifyReply, .interrupt: false
        default: true
        }
    }
}

/// The head of every request. Spec: fuse 3.
///
/// | offset | size | meaning |
/// |---|---|---|
/// | 0 | 4 | length of the whole request |
/// | 4 | 4 | opcode |
/// | 8 | 8 | unique, returned in the reply |
/// | 16 | 8 | node |
/// | 24 | 4 | user, filesystem id |
/// | 28 | 4 | group, filesystem id |
/// | 32 | 4 | process, 0 for write-back |
/// | 36 | 2 | length of the extensions in units of 8 bytes |
package struct FUSERequestHeader: FixedLayout, Equatable, Sendable {
    package static let byteCount = 40

    private enum Field {
        static let length = LE32(offset: 0)
        static let opcode = LE32(offset: 4)
        static let unique = LE64(offset: 8)
        static let node = LE64(offset: 16)
        static let user = LE32(offset: 24)
        static let group = LE32(offset: 28)
        static let process = LE32(offset: 32)
        static let extensionUnits = LE16(offset: 36)
        static let padding = LE16(offset: 38)
    }

    /// Length of the whole request in bytes.
    package var length: Int
    /// The opcode as it was sent; ``FUSEOpcode`` names the known ones.
    package var rawOpcode: UInt32
    package var unique: UInt64
    package var node: UInt64
    package var user: UInt32
    package var group: UInt32
    package var process: UInt32
    package var extensionUnits: UInt16

    package init(
        length: Int, opcode: FUSEOpcode, unique: UInt64, node: UInt64, user: UInt32 = 0, group: UInt32 = 0,
        process: UInt32 = 0
    ) {
        self.length = length
        rawOpcode = opcode.rawValue
        self.unique = unique
        self.node = node
        self.user = user
        self.group = group
        self.process = process
        extensionUnits = 0
    }

    /// Throws also when the length does not fit what was read: the kernel gives one whole request at a time.
    package init(decoding bytes: UnsafeRawBufferPointer) throws(LayoutError) {
        try Self.require(bytes)
        length = Int(bytes[Field.length])
        guard length == bytes.count else {
            throw .badLength(of: "request", found: length, expected: "\(bytes.count)")
        }
        rawOpcode = bytes[Field.opcode]
        unique = bytes[Field.unique]
        node = bytes[Field.node]
        user = bytes[Field.user]
        group = bytes[Field.group]
        process = bytes[Field.process]
        extensionUnits = bytes[Field.extensionUnits]
    }

    package func encode(into out: UnsafeMutableRawBufferPointer) {
        out[Field.length] = UInt32(length)
        out[Field.opcode] = rawOpcode
        out[Field.unique] = unique
        out[Field.node] = node
        out[Field.user] = user
        out[Field.group] = group
        out[Field.process] = process
        out[Field.extensionUnits] = extensionUnits
        out[Field.padding] = 0
    }
}

/// The head of every reply. Spec: fuse 3.
///
/// | offset | size | meaning |
/// |---|---|---|
/// | 0 | 4 | length of the whole reply; must be the number of bytes written |
/// | 4 | 4 | 0 or a negative errno; with an error nothing follows |
/// | 8 | 8 | unique of the request |
package struct FUSEReplyHeader: FixedLayout, Equatable, Sendable {
    package static let byteCount = 16

    private enum Field {
        static let length = LE32(offset: 0)
        static let error = LE32(offset: 4)
        static let unique = LE64(offset: 8)
    }

    /// Length of the whole reply in bytes.
    package var length: Int
    /// 0 or an errno, positive.
    package var errno: Int32
    package var unique: UInt64

    package init(length: Int, errno: Int32, unique: UInt64) {
        precondition(errno >= 0 && errno <= 511, "errno \(errno) cannot be sent")
        self.length = length
        self.errno = errno
        self.unique = unique
    }

    package init(decoding bytes: UnsafeRawBufferPointer) throws(LayoutError) {
        try Self.require(bytes)
        length = Int(bytes[Field.length])
        let error = Int32(bitPattern: bytes[Field.error])
        guard error <= 0 && error >= -511 else {
            throw .badValue(field: "error", found: UInt64(bytes[Field.error]), expected: "0 to -511")
        }
        errno = -error
        unique = bytes[Field.unique]
    }

    package func encode(into out: UnsafeMutableRawBufferPointer) {
        out[Field.length] = UInt32(length)
        out[Field.error] = UInt32(bitPattern: -errno)
        out[Field.unique] = unique
    }
}

/// A name in a request: bytes that end with NUL. Spec: fuse 4.
package enum FUSEName {
    /// The longest name that the kernel sends. Spec: fuse 6.
    package static let byteCountMax = 1024

    /// The name at the start of `bytes`, without its NUL; not copied.
    package static func decode(_ bytes: UnsafeRawBufferPointer) throws(LayoutError) -> UnsafeRawBufferPointer {
        guard let end = bytes.prefix(byteCountMax + 1).firstIndex(of: 0), end > 0 else {
            throw .badText(field: "name", reason: "no NUL within \(bytes.count) bytes, or empty")
        }
        return bytes.part(offset: 0, count: end)
    }
}
