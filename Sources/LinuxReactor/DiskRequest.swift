package import EngineKit

/// One operation on a ``DiskFile``.
package struct DiskRequest {
    package enum Kind: Equatable, Sendable {
        case read
        /// With `flushBefore` everything that completed earlier on the disk is durable first; with `forceUnitAccess`
        /// the written bytes are durable when the operation completes.
        case write(flushBefore: Bool, forceUnitAccess: Bool)
        /// Everything that completed earlier is durable afterwards.
        case flush
        /// The range may be deallocated; what it reads as afterwards is open (see ``DiskFile/discardZeroes``).
        case discard
        /// The range reads as zeroes afterwards; its blocks may be deallocated if `mayUnmap`.
        case writeZeroes(mayUnmap: Bool)
    }

    /// Comes back with the completion; chosen by the owner.
    package var token: UInt64
    package var kind: Kind
    /// Byte offset, a multiple of 512.
    package var offset: UInt64
    /// Length in bytes, a multiple of 512; 0 for a flush.
    package var byteCount: Int
    /// Source or destination, `byteCount` long; nil for the kinds without data. Held until the completion.
    package var data: IOSlice?

    package init(token: UInt64, kind: Kind, offset: UInt64 = 0, byteCount: Int = 0, data: IOSlice? = nil) {
        self.token = token
        self.kind = kind
        self.offset = offset
        self.byteCount = byteCount
        self.data = data
    }
}

/// Told of the operations of a ``DiskFile``.
package protocol DiskHandler: AnyObject {
    /// The operation with this token ended; `errno` 0 is success. Called on the reactor's thread, never from inside
    /// ``Reactor/submit(_:to:)``.
    func diskCompleted(_ disk: DiskFile, token: UInt64, errno: Int32)
}
