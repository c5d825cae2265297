package import LayoutKit

/// The fixed part of SETXATTR; name and value follow. 8 bytes, 16 with SETXATTR_EXT. Spec: fuse 4.
package struct FUSESetXattrRequest: Equatable, Sendable {
    package static let byteCount = 16
    package static let byteCountPlain = 8

    /// Flags of setxattr(2).
    package struct Flags: OptionSet, Sendable {
        package var rawValue: UInt32

        package init(rawValue: UInt32) {
            self.rawValue = rawValue
        }

        package static let create = Flags(rawValue: 1 << 0)
        package static let replace = Flags(rawValue: 1 << 1)
    }

    private enum Field {
        static let size = LE32(offset: 0)
        static let flags = LE32(offset: 4)
        static let extraFlags = LE32(offset: 8)
        static let padding = LE32(offset: 12)
        static let killSetGroup: UInt32 = 1
    }

    /// Bytes of the value.
    package var size: UInt32
    package var flags: Flags
    /// An access list is set by somebody outside of the file's group: the set-group-ID bit goes.
    package var clearsSetGroup: Bool

    package init(size: UInt32, flags: Flags = [], clearsSetGroup: Bool = false) {
        self.size = size
        self.flags = flags
        self.clearsSetGroup = clearsSetGroup
    }

    package init(decoding bytes: UnsafeRawBufferPointer, isExtended: Bool) throws(LayoutError) {
        try LayoutError.require(isExtended ? Self.byteCount : Self.byteCountPlain, of: bytes)
        size = bytes[Field.size]
        flags = Flags(rawValue: bytes[Field.flags])
        clearsSetGroup = isExtended && bytes[Field.extraFlags] & Field.killSetGroup != 0
    }

    /// Writes the 16 bytes of SETXATTR_EXT.
    package func encode(into out: UnsafeMutableRawBufferPointer) {
        out[Field.size] = size
        out[Field.flags] = flags.rawValue
        out[Field.extraFlags] = clearsSetGroup ? Field.killSetGroup : 0
        out[Field.padding] = 0
    }
}

/// The fixed part of GETXATTR and LISTXATTR; with GETXATTR the name follows. Spec: fuse 4.
package struct FUSEGetXattrRequest: FixedLayout, Equatable, Sendable {
    package static let byteCount = 8

    private enum Field {
        static let size = LE32(offset: 0)
        static let padding = LE32(offset: 4)
    }

    /// Room for the answer in bytes; 0 asks only how much there is.
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

/// The reply to GETXATTR and LISTXATTR of size 0. Spec: fuse 4.
package typealias FUSEGetXattrReply = FUSEGetXattrRequest

/// The data of ACCESS. Spec: fuse 4.
package struct FUSEAccessRequest: FixedLayout, Equatable, Sendable {
    package static let byteCount = 8

    private enum Field {
        static let mask = LE32(offset: 0)
        static let padding = LE32(offset: 4)
    }

    /// 4 read, 2 write, 1 execute.
    package var mask: UInt32

    package init(mask: UInt32) {
        self.mask = mask
    }

    package init(decoding bytes: UnsafeRawBufferPointer) throws(LayoutError) {
        try Self.require(bytes)
        mask = bytes[Field.mask]
    }

    package func encode(into out: UnsafeMutableRawBufferPointer) {
        out[Field.mask] = mask
        out[Field.padding] = 0
    }
}

/// The data of FLUSH, sent at each close(2). Spec: fuse 4.
package struct FUSEFlushRequest: FixedLayout, Equatable, Sendable {
    package static let byteCount = 24

    private enum Field {
        static let handle = LE64(offset: 0)
        static let unused = LE64(offset: 8)
        static let lockOwner = LE64(offset: 16)
    }

    package var handle: UInt64
    package var lockOwner: UInt64

    package init(handle: UInt64, lockOwner: UInt64) {
        self.handle = handle
        self.lockOwner = lockOwner
    }

    package init(decoding bytes: UnsafeRawBufferPointer) throws(LayoutError) {
        try Self.require(bytes)
        handle = bytes[Field.handle]
        lockOwner = bytes[Field.lockOwner]
    }

    package func encode(into out: UnsafeMutableRawBufferPointer) {
        out[Field.handle] = handle
        out[Field.unused] = 0
        out[Field.lockOwner] = lockOwner
    }
}
