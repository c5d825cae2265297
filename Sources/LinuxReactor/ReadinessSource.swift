/// A descriptor that the reactor watches for readiness.
///
/// The kernel reports edges of input; the source remembers them as a level (`isReadable`) until a call on the descriptor
/// says that it would block. So pausing costs no system call, and what a handler left unread is offered again in the
/// next round. Room to write is asked for only when it is wanted: a Unix socket reports it each time the peer reads, and
/// an eventfd each time it is read, which would cost a round each.
package class ReadinessSource {
    /// -1 after ``ReadinessTable/remove(_:)``.
    final var descriptor: Int32
    /// Bytes (or a connection) may wait.
    final var isReadable = false
    /// There is room to write, as the kernel answered ``Reactor/awaitOutput(_:)``.
    final var isWritable = false
    /// The kernel was asked to report room to write, and has not yet.
    final var isAwaitingOutput = false
    /// The peer ended its direction, or the descriptor failed. From then on `isReadable` is only cleared by a call that
    /// returned nothing, because no further edge will come.
    final var hasHungUp = false
    /// Waits in the reactor's list of sources to be delivered.
    final var isQueued = false
    /// Index in the table; -1 outside.
    final var slot = -1

    init(descriptor: Int32) {
        self.descriptor = descriptor
    }

    /// Whether ``deliver()`` has something to tell.
    var wantsDelivery: Bool { false }

    /// Tells the handler. It may close any source, this one included.
    func deliver() {}
}
