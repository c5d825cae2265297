package import EngineKit

/// Everything that can happen to a ``ReplicationEngine``.
package enum Input {
    // MARK: Network

    /// The socket of ``Action/connect(_:)`` is connected.
    case connected(SocketID)
    /// The socket of ``Action/connect(_:)`` could not be connected; the identifier is dead.
    case connectFailed(SocketID, errno: Int32)
    /// The listening socket accepted a connection; `from` is the peer's address for the log.
    case accepted(SocketID, from: String)
    /// The listening socket could not be made (address not on this host, port taken).
    case listenFailed(errno: Int32)
    /// `count` bytes were written to the start of ``ReplicationEngine/receiveWindow(for:)``.
    case received(SocketID, count: Int)
    /// End of stream (`errno` 0) or a socket error; no more input follows for this socket. The owner has closed it.
    case socketEnded(SocketID, errno: Int32)
    /// The socket took bytes from its output queue.
    case transmitted(SocketID)

    // MARK: Disks

    /// A ``DiskOperation`` ended; `errno` 0 is success.
    case diskCompleted(OperationID, errno: Int32)

    // MARK: Applications

    case request(ApplicationRequest)
    /// An application opened the volume (a mounted filesystem, an NBD client, a device node). While a volume is open
    /// its resource cannot be demoted. Spec: drbd-disk-and-state 11.2.
    case opened(VolumeNumber)
    case closed(VolumeNumber)

    // MARK: Administration

    case command(CommandID, Command)
    /// The handler of ``Action/runHandler(_:)`` ended with this exit status.
    case handlerExited(HandlerRunID, status: Int32)

    /// Another resource must finish its resync first (`resync-after`), or need not any more. Told by the owner, which
    /// sees all resources.
    case resyncDependency(VolumeNumber, mustWait: Bool)

    // MARK: Time

    /// ``ReplicationEngine/nextDeadline`` has been reached (or the owner wishes to be sure).
    case tick
}

/// One block request of an application.
package struct ApplicationRequest {
    package enum Kind: Equatable, Sendable {
        case read
        /// `forceUnitAccess`: the answer means that the data is on stable storage on every copy it went to.
        case write(forceUnitAccess: Bool)
        /// All writes answered before are on stable storage.
        case flush
        case discard
        /// Reads as zeroes afterwards; the blocks may be deallocated if `mayUnmap`.
        case writeZeroes(mayUnmap: Bool)
    }

    package var id: RequestID
    package var volume: VolumeNumber
    package var kind: Kind
    /// First sector (512 bytes).
    package var sector: UInt64
    /// Length in bytes, a multiple of 512; any length: the engine splits what is longer than the peer takes.
    package var byteCount: Int
    /// Data to write, or the place for data read; `byteCount` long. Nil for the other kinds. Must not change until
    /// the request was completed, and for a write until the buffer is released (it may still be on its way to the
    /// peer under protocols A and B).
    package var data: IOSlice?

    package init(
        id: RequestID, volume: VolumeNumber, kind: Kind, sector: UInt64, byteCount: Int, data: IOSlice? = nil
    ) {
        self.id = id
        self.volume = volume
        self.kind = kind
        self.sector = sector
        self.byteCount = byteCount
        self.data = data
    }
}
