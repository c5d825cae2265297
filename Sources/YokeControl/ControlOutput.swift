internal import NIOCore
internal import Synchronization

/// Where a running command writes its answer. Usable from any thread; order is kept for calls of one thread.
package final class ControlOutput: Sendable {
    /// Bytes that may wait for a slow client before ``isBackedUp`` says so.
    package static let pendingByteCountMax = 4 << 20

    private let channel: any Channel
    private let pendingByteCount = Atomic<Int>(0)

    internal init(channel: any Channel) {
        self.channel = channel
    }

    /// The client does not read as fast as the command writes: a listener of events skips what it would add.
    package var isBackedUp: Bool { pendingByteCount.load(ordering: .relaxed) > Self.pendingByteCountMax }

    package func standardOutput(_ text: String) {
        for piece in ControlFrame.pieces(of: text) { write(.standardOutput(piece)) }
    }

    package func standardError(_ text: String) {
        for piece in ControlFrame.pieces(of: text) { write(.standardError(piece)) }
    }

    /// Ends the answer.
    internal func exit(_ status: Int32) {
        // Only when the socket took it: closing drops what still waits.
        write(.exit(status)).whenComplete { [channel] _ in channel.close(promise: nil) }
    }

    @discardableResult
    private func write(_ reply: ControlReply) -> EventLoopFuture<Void> {
        guard let bytes = try? ControlFrame.encode(reply) else {
            preconditionFailure("a reply of limited size always fits in a frame")
        }
        pendingByteCount.add(bytes.count, ordering: .relaxed)
        let buffer = channel.allocator.buffer(bytes: bytes)
        let written = channel.writeAndFlush(buffer)
        written.whenComplete { [self] _ in pendingByteCount.subtract(bytes.count, ordering: .relaxed) }
        return written
    }
}
