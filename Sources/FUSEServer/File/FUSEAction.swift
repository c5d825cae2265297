package import EngineKit

/// Names one request of one mount between its action and its completion.
package struct FUSERequestID: Hashable, Sendable {
    let slot: UInt32
    /// Counts the uses of the slot, so that a completion that comes twice is found out.
    let generation: UInt32
}

/// What the owner of a ``SingleFileServer`` must do, in the order of the list.
///
/// Every action that carries an id is answered by exactly one call of `completed`, in any order. Ranges lie within the
/// file and are aligned to its block; lengths are not 0. Slices start at a page boundary and belong to the request
/// until it is completed.
package enum FUSEAction {
    /// Fill the slice from the volume.
    case read(FUSERequestID, offset: UInt64, IOSlice)
    case write(FUSERequestID, offset: UInt64, IOSlice)
    /// Complete it when every write and zeroing that was completed before is on stable storage.
    case flush(FUSERequestID)
    /// The range shall read as zeroes; with `mayUnmap` its space may be given back.
    ///
    /// Also what a discard becomes: a loop device turns both discard and "write zeroes, unmap if you like" into
    /// punching a hole, so that every hole must read as zeroes.
    case writeZeroes(FUSERequestID, offset: UInt64, count: UInt64, mayUnmap: Bool)
    /// Reading was stopped by an empty window; ask for the window again.
    case resumeReading
    /// The kernel knows the filesystem now: system calls below the mount point no longer wait for it.
    case ready
    case log(LogRecord)
}
