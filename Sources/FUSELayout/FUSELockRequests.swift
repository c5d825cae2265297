package import LayoutKit

/// The data of GETLK, SETLK and SETLKW. Spec: fuse 4.
///
/// | offset | size | meaning |
/// |---|---|---|
/// | 0 | 8 | handle |
/// | 8 | 8 | owner |
/// | 16, 24 | 8 | first and last byte |
/// | 32 | 4 | type |
/// | 36 | 4 | process |
/// | 40 | 4 | 1: flock(2), the whole file |
package struct FUSELockRequest: FixedLayout, Equatable, Sendable {
    package static let byteCount = 48

    /// F_RDLCK, F_WRLCK and F_UNLCK of Linux.
    package enum LockType: UInt32, Sendable {
        case read = 0
        case write = 1
        case unlock = 2
    }

    private enum Field {
        static let handle = LE64(offset: 0)
        static let owner = LE64(offset: 8)
        static let start = LE64(offset: 16)
        static let end = LE64(offset: 24)
        static let type = LE32(offset: 32)
        static let process = LE32(offset: 36)
        static let flags = LE32(offset: 40)
        static let padding = LE32(offset: 44)
    }

    package var handle: UInt64
    package var owner: UInt64
    package var start: UInt64
    package var end: UInt64
    package var type: LockType
    package var process: UInt32
    package var isFlock: Bool

    package init(
        handle: UInt64, owner: UInt64, start: UInt64 = 0, end: UInt64 = UInt64(Int64.max), type: LockType,
        process: UInt32 = 0, isFlock: Bool
    ) {
        self.handle = handle
        self.owner = owner
        self.start = start
        self.end = end
        self.type = type
        self.process = process
        self.isFlock = isFlock
    }

    package init(decoding bytes: UnsafeRawBufferPointer) throws(LayoutError) {
        try Self.require(bytes)
        handle = bytes[Field.handle]
        owner = bytes[Field.owner]
        start = bytes[Field.start]
        end = bytes[Field.end]
        guard let type = LockType(rawValue: bytes[Field.type]) else {
            throw .badValue(field: "type of lock", found: UInt64(bytes[Field.type]), expected: "0, 1 or 2")
        }
        self.type = type
        process = bytes[Field.process]
        isFlock = bytes[Field.flags] & 1 != 0
    }

    package func encode(into out: UnsafeMutableRawBufferPointer) {
        out[Field.handle] = handle
        out[Field.owner] = owner
        out[Field.start] = start
        out[Field.end] = end
        out[Field.type] = type.rawValue
        out[Field.process] = process
        out[Field.flags] = isFlock ? 1 : 0
        out[Field.padding] = 0
    }
}

/// The reply to GETLK: the lock that is in the way, or type unlock. Spec: fuse 4.
package struct FUSELockReply: FixedLayout, Equatable, Sendable {
    package static let byteCount = 24

    private enum Field {
        static let start = LE64(offset: 0)
        static let end = LE64(offset: 8)
        static let type = LE32(offset: 16)
        static let process = LE32(offset: 20)
    }

    package var start: UInt64
    package var end: UInt64
    package var type: FUSELockRequest.LockType
    package var process: UInt32

    package init(start: UInt64 = 0, end: UInt64 = 0, type: FUSELockRequest.LockType, process: UInt32 = 0) {
        self.start = start
        self.end = end
        self.type = type
        self.process = process
    }

    package init(decoding bytes: UnsafeRawBufferPointer) throws(LayoutError) {
        try Self.require(bytes)
        start = bytes[Field.start]
        end = bytes[Field.end]
        guard let type = FUSELockRequest.LockType(rawValue: bytes[Field.type]) else {
            throw .badValue(field: "type of lock", found: UInt64(bytes[Field.type]), expected: "0, 1 or 2")
        }
        self.type = type
        process = bytes[Field.process]
    }

    package func encode(into out: UnsafeMutableRawBufferPointer) {
        out[Field.start] = start
        out[Field.end] = end
        out[Field.type] = type.rawValue
        out[Field.process] = process
    }
}
