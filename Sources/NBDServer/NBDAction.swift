package import EngineKit

/// Names one request of one session between its action and its completion.
package struct NBDRequestID: Hashable, Sendable {
    let slot: UInt32
    /// Counts the uses of the slot, so that a completion that comes twice is found out.
    let generation: UInt32
}

/// What the owner of a session must do, in the order of the list.
///
/// Every action that carries an id is answered by exactly one call of a `completed` method of the same session, in
/// any order, also after the session was closed. Ranges lie within the export and are aligned to its minimum block;
/// lengths are not 0. Slices start at a page boundary of a buffer that belongs to the request until it is completed.
package enum NBDAction {
    /// A client uses this export from now until the session's ``close``.
    case opened(exportName: String)
    /// Fill the slice from the volume.
    case read(NBDRequestID, offset: UInt64, IOSlice)
    /// Write the slice; with `fua` complete it when it is on stable storage on all sides.
    case write(NBDRequestID, offset: UInt64, IOSlice, fua: Bool)
    /// Complete it when every write, trim and zeroing that was completed before this action was handed out is on
    /// stable storage: those of this session, and if the export says `canMultiConn`, those of all its sessions.
    case flush(NBDRequestID)
    /// The content of the range is no longer needed.
    case trim(NBDRequestID, offset: UInt64, count: UInt64, fua: Bool)
    /// The range shall read as zeroes; with `mayUnmap` its space may be given back.
    case writeZeroes(NBDRequestID, offset: UInt64, count: UInt64, mayUnmap: Bool, fua: Bool)
    /// Say what is allocated, through ``NBDSession/completed(_:extents:into:)``. Only for exports that report it.
    case blockStatus(NBDRequestID, offset: UInt64, count: UInt64)
    /// Reading was stopped by an empty window; ask for the window again.
    case resumeReading
    /// Close the connection. The session sends nothing more; running requests are still to be completed.
    case close(NBDCloseReason)
    case log(LogRecord)
}

/// Why a session ended.
package enum NBDCloseReason: Equatable, Sendable {
    /// The client took leave, all its requests are answered.
    case clientDisconnected
    /// The client ended the handshake without choosing an export.
    case clientAborted
    /// The connection ended without a word.
    case connectionLost
    /// The client asked for an export that it may not have, in the old way that knows no error reply.
    case exportRefused
    /// The client did not follow the protocol.
    case protocolViolation
    /// The handshake took too long.
    case handshakeTimeout
    /// The server ends.
    case shutdown
}

/// Limits of one session. Every one has a stated answer when it is reached.
package struct NBDSessionLimits: Sendable {
    /// Requests at the backend; more wait unread in the socket.
    package var requestsInFlightMax = 128
    /// Payload at the backend and on its way to the client; more waits unread in the socket. A single request is
    /// let through always.
    package var bytesInFlightMax = 64 << 20
    /// Replies to options on their way to the client; more options wait unread in the socket.
    package var handshakeOutputMax = 256 << 10
    /// Options before transmission; a client that sends more is dropped.
    package var optionCountMax = 512
    /// From the start to transmission; then the client is dropped.
    package var handshakeTimeout: Duration = .seconds(60)

    package init() {}
}
