package import LayoutKit

// Requests that carry names: a fixed part, then names that end with NUL. Spec: fuse 4.
//
// Names are not copied: they point into the request.

extension FUSEName {
    /// The name at the start of `bytes`, without its NUL, and what follows it.
    package static func split(
        _ bytes: UnsafeRawBufferPointer
    ) throws(LayoutError) -> (name: UnsafeRawBufferPointer, rest: UnsafeRawBufferPointer) {
        let name = try decode(bytes)
        return (name, bytes.dropped(name.count + 1))
    }

    /// A text that may be longer than a name, up to the size of a page: the target of a symbolic link.
    package static func splitTarget(
        _ bytes: UnsafeRawBufferPointer
    ) throws(LayoutError) -> (target: UnsafeRawBufferPointer, rest: UnsafeRawBufferPointer) {
        guard let end = bytes.prefix(targetByteCountMax + 1).firstIndex(of: 0), end > 0 else {
            throw .badText(field: "target", reason: "no NUL within \(bytes.count) bytes, or empty")
        }
        return (bytes.part(offset: 0, count: end), bytes.dropped(end + 1))
    }

    /// PATH_MAX of Linux.
    package static let targetByteCountMax = 4096
}

/// The fixed part of MKNOD; the name follows. Spec: fuse 4.
package struct FUSEMakeNodeRequest: FixedLayout, Equatable, Sendable {
    package static let byteCount = 16

    private enum Field {
        static let mode = LE32(offset: 0)
        static let device = LE32(offset: 4)
        static let umask = LE32(offset: 8)
        static let padding = LE32(offset: 12)
    }

    package var mode: UInt32
    /// As the kernel encodes device numbers for user space: 12 bits major, 20 bits minor.
    package var device: UInt32
    package var umask: UInt32

    package init(mode: UInt32, device: UInt32, umask: UInt32) {
        self.mode = mode
        self.device = device
        self.umask = umask
    }

    package init(decoding bytes: UnsafeRawBufferPointer) throws(LayoutError) {
        try Self.require(bytes)
        mode = bytes[Field.mode]
        device = bytes[Field.device]
        umask = bytes[Field.umask]
    }

    package func encode(into out: UnsafeMutableRawBufferPointer) {
        out[Field.mode] = mode
        out[Field.device] = device
        out[Field.umask] = umask
        out[Field.padding] = 0
    }
}

/// The fixed part of MKDIR; the name follows. Spec: fuse 4.
package struct FUSEMakeDirectoryRequest: FixedLayout, Equatable, Sendable {
    package static let byteCount = 8

    private enum Field {
        static let mode = LE32(offset: 0)
        static let umask = LE32(offset: 4)
    }

    package var mode: UInt32
    package var umask: UInt32

    package init(mode: UInt32, umask: UInt32) {
        self.mode = mode
        self.umask = umask
    }

    package init(decoding bytes: UnsafeRawBufferPointer) throws(LayoutError) {
        try Self.require(bytes)
        mode = bytes[Field.mode]
        umask = bytes[Field.umask]
    }

    package func encode(into out: UnsafeMutableRawBufferPointer) {
        out[Field.mode] = mode
        out[Field.umask] = umask
    }
}

/// The fixed part of CREATE and TMPFILE; the name follows. Spec: fuse 4.
package struct FUSECreateRequest: FixedLayout, Equatable, Sendable {
    package static let byteCount = 16

    private enum Field {
        static let flags = LE32(offset: 0)
        static let mode = LE32(offset: 4)
        static let umask = LE32(offset: 8)
        static let openFlags = LE32(offset: 12)
    }

    /// Flags of open(2).
    package var flags: UInt32
    package var mode: UInt32
    package var umask: UInt32
    package var openFlags: UInt32

    package init(flags: UInt32, mode: UInt32, umask: UInt32, openFlags: UInt32 = 0) {
        self.flags = flags
        self.mode = mode
        self.umask = umask
        self.openFlags = openFlags
    }

    package init(decoding bytes: UnsafeRawBufferPointer) throws(LayoutError) {
        try Self.require(bytes)
        flags = bytes[Field.flags]
        mode = bytes[Field.mode]
        umask = bytes[Field.umask]
        openFlags = bytes[Field.openFlags]
    }

    package func encode(into out: UnsafeMutableRawBufferPointer) {
        out[Field.flags] = flags
        out[Field.mode] = mode
        out[Field.umask] = umask
        out[Field.openFlags] = openFlags
    }
}

/// The fixed part of RENAME2, and of RENAME, which lacks the flags; the old and the new name follow. Spec: fuse 4.
package struct FUSERenameRequest: Equatable, Sendable {
    package static let byteCount = 16
    /// RENAME without flags.
    package static let byteCountPlain = 8

    /// Flags of renameat2(2).
    package struct Flags: OptionSet, Sendable {
        package var rawValue: UInt32

        package init(rawValue: UInt32) {
            self.rawValue = rawValue
        }

        package static let noReplace = Flags(rawValue: 1 << 0)
        package static let exchange = Flags(rawValue: 1 << 1)
        package static let whiteout = Flags(rawValue: 1 << 2)
    }

    private enum Field {
        static let newDirectory = LE64(offset: 0)
        static let flags = LE32(offset: 8)
        static let padding = LE32(offset: 12)
    }

    /// Node of the directory that the new name is in.
    package var newDirectory: UInt64
    package var flags: Flags

    package init(newDirectory: UInt64, flags: Flags = []) {
        self.newDirectory = newDirectory
        self.flags = flags
    }

    /// Reads the fixed part; `hasFlags` for RENAME2.
    package init(decoding bytes: UnsafeRawBufferPointer, hasFlags: Bool) throws(LayoutError) {
        try LayoutError.require(hasFlags ? Self.byteCount : Self.byteCountPlain, of: bytes)
        newDirectory = bytes[Field.newDirectory]
        flags = hasFlags ? Flags(rawValue: bytes[Field.flags]) : []
    }

    /// Writes the fixed part of RENAME2.
    package func encode(into out: UnsafeMutableRawBufferPointer) {
        out[Field.newDirectory] = newDirectory
        out[Field.flags] = flags.rawValue
        out[Field.padding] = 0
    }
}

/// The fixed part of LINK; the new name follows, the head names the directory. Spec: fuse 4.
package struct FUSELinkRequest: FixedLayout, Equatable, Sendable {
    package static let byteCount = 8

    private static let nodeField = LE64(offset: 0)

    /// The node that gets another name.
    package var node: UInt64

    package init(node: UInt64) {
        self.node = node
    }

    package init(decoding bytes: UnsafeRawBufferPointer) throws(LayoutError) {
        try Self.require(bytes)
        node = bytes[Self.nodeField]
    }

    package func encode(into out: UnsafeMutableRawBufferPointer) {
        out[Self.nodeField] = node
    }
}

/// The data of GETATTR. Spec: fuse 4.
package struct FUSEGetAttributesRequest: FixedLayout, Equatable, Sendable {
    package static let byteCount = 16

    private enum Field {
        static let flags = LE32(offset: 0)
        static let padding = LE32(offset: 4)
        static let handle = LE64(offset: 8)
    }

    /// The open handle that is asked through; nil for a path.
    package var handle: UInt64?

    package init(handle: UInt64?) {
        self.handle = handle
    }

    package init(decoding bytes: UnsafeRawBufferPointer) throws(LayoutError) {
        try Self.require(bytes)
        handle = bytes[Field.flags] & 1 != 0 ? bytes[Field.handle] : nil
    }

    package func encode(into out: UnsafeMutableRawBufferPointer) {
        out[Field.flags] = handle == nil ? 0 : 1
        out[Field.padding] = 0
        out[Field.handle] = handle ?? 0
    }
}
