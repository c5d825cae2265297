package import EngineKit

/// One replicated resource on this host: its volumes, their disks, and the connection to the peer.
///
/// A pure state machine: inputs with the time in, actions out; no clock, socket, file, task or randomness of its own.
/// The daemon's reactor and the simulator drive the same code.
///
/// **Use.** Call ``handle(_:now:into:)`` for each input, carry out the actions in order, then look at
/// ``nextDeadline``. The engine never calls out and is never re-entered. It is confined to one thread.
package final class ReplicationEngine {
    package let name: String

    private let random: any RandomSource
    private let digests: any DigestProvider
    private let buffers: IOBufferPool
    private var lastSocketID: UInt32 = 0

    /// - Parameters:
    ///   - name: name of the resource.
    ///   - random: for UUIDs, challenges and the coin flips of connection establishment.
    ///   - buffers: pool for payload that the engine receives or reads.
    package init(
        name: String, options: ResourceOptions, random: any RandomSource, digests: any DigestProvider,
        buffers: IOBufferPool
    ) {
        self.name = name
        self.random = random
        self.digests = digests
        self.buffers = buffers
    }

    /// A fresh identifier for a socket that the owner accepted.
    package func nextSocketID() -> SocketID {
        lastSocketID += 1
        return SocketID(lastSocketID)
    }

    /// Takes one input and appends what must be done to `actions`.
    package func handle(_ input: Input, now: Instant, into actions: inout [Action]) {}

    /// When ``Input/tick`` is wanted at the latest; nil: not at all.
    package var nextDeadline: Instant? { nil }

    /// Where the next bytes of this socket go. Empty: stop reading until ``Action/resumeReceiving(_:)``.
    ///
    /// The window changes with every input; ask again before each read. Big payloads get a window inside their
    /// page-aligned buffer, so that they reach the disk without another copy.
    package func receiveWindow(for socket: SocketID) -> UnsafeMutableRawBufferPointer {
        UnsafeMutableRawBufferPointer(start: nil, count: 0)
    }

    /// Access to what waits to be sent on a socket; nil for a socket that the engine does not know (any more).
    package func withOutputQueue<Result>(
        of socket: SocketID, _ body: (inout OutputQueue) -> Result
    ) -> Result? {
        nil
    }
}
