internal import CYoke
package import EngineKit
internal import Glibc

/// Told what happens on a ``StreamSocket``. Called on the reactor's thread, never from inside a call to the socket.
package protocol StreamSocketHandler: AnyObject {
    /// The connect that ``Reactor/connect(to:from:options:timeout:handler:)`` began succeeded.
    func socketConnected(_ socket: StreamSocket)
    /// It failed; the socket is closed already. ETIMEDOUT when the time was over.
    func socketConnectFailed(_ socket: StreamSocket, errno: Int32)
    /// Bytes wait, or the end of the stream, or an error: call ``StreamSocket/receive(into:)``. Comes again in the next
    /// round while bytes may wait and reading is not paused; so a handler may stop after a fair share. Not again after
    /// the end or an error was read.
    func socketReadable(_ socket: StreamSocket)
    /// The socket was full when ``StreamSocket/transmit(_:)`` was last called, and has room again.
    func socketWritable(_ socket: StreamSocket)
}

extension StreamSocketHandler {
    package func socketConnected(_ socket: StreamSocket) {}
    package func socketConnectFailed(_ socket: StreamSocket, errno: Int32) {}
}

/// What ``StreamSocket/receive(into:)`` found.
package enum ReceiveResult: Equatable, Sendable {
    /// So many bytes (at least one) were read.
    case bytes(Int)
    /// Nothing waits now.
    case wouldBlock
    /// The peer ended its direction; what it sent before was read.
    case end
    case failed(errno: Int32)
}

/// What ``StreamSocket/transmit(_:)`` achieved.
package enum TransmitResult: Equatable, Sendable {
    /// The queue is empty.
    case drained
    /// The socket is full; ``StreamSocketHandler/socketWritable(_:)`` follows.
    case full
    /// The connection is dead.
    case failed(errno: Int32)
}

/// A connected (or connecting) TCP or Unix stream socket, confined to its reactor's thread.
package final class StreamSocket: ReadinessSource {
    private enum State {
        case connecting(ReactorTimer?)
        /// The connect failed at once; told in the next round.
        case failing(Int32)
        case connected
        case closed
    }

    /// Held until ``close()``.
    package var handler: (any StreamSocketHandler)?
    /// For the owner: what the socket is to it.
    package var tag: UInt64 = 0
    /// Bytes that were received and sent.
    package private(set) var receivedByteCount: UInt64 = 0
    package private(set) var sentByteCount: UInt64 = 0

    private var state: State
    private var isReadingPaused = false
    /// The end of the stream or an error was read; nothing more can come.
    private var hasInputEnded = false
    private var isFull = false
    private unowned let reactor: Reactor

    /// An accepted socket.
    init(accepted descriptor: Int32, reactor: Reactor) {
        state = .connected
        self.reactor = reactor
        super.init(descriptor: descriptor)
    }

    /// A socket whose connect failed at once.
    init(failing code: Int32, handler: any StreamSocketHandler, reactor: Reactor) {
        state = .failing(code)
        self.handler = handler
        self.reactor = reactor
        super.init(descriptor: -1)
    }

    /// A socket whose connect is under way.
    init(connecting descriptor: Int32, handler: any StreamSocketHandler, reactor: Reactor) {
        state = .connecting(nil)
        self.handler = handler
        self.reactor = reactor
        super.init(descriptor: descriptor)
    }

    override var wantsDelivery: Bool {
        switch state {
        case .connecting: isWritable || hasHungUp
        case .failing: true
        case .connected: wantsRead || (isFull && isWritable)
        case .closed: false
        }
    }

    private var wantsRead: Bool { isReadable && !isReadingPaused && !hasInputEnded }

    override func deliver() {
        switch state {
        case .connecting: connectEnded(code: yoke_socket_error(descriptor))
        case .failing(let code): connectEnded(code: code)
        case .connected: deliverConnected()
        case .closed: break
        }
    }

    /// True from the connect (or accept) to ``close()``, whatever the peer does.
    package var isConnected: Bool {
        if case .connected = state { true } else { false }
    }

    package var localAddress: SocketAddress? { SocketAddress.query(getsockname, of: descriptor) }
    package var remoteAddress: SocketAddress? { SocketAddress.query(getpeername, of: descriptor) }

    /// Closes the socket; what the kernel has not sent yet is still sent. No event follows. Closing twice is harmless.
    package func close() {
        switch state {
        case .closed: return
        case .connecting(let timer):
            if let timer { reactor.cancel(timer) }
        case .failing, .connected: break
        }
        state = .closed
        handler = nil
        reactor.closeSocket(self)
    }
}

// MARK: Receiving

extension StreamSocket {
    /// Reads what waits, at most the length of `window`, which must not be empty.
    package func receive(into window: UnsafeMutableRawBufferPointer) -> ReceiveResult {
        precondition(!window.isEmpty, "receive into an empty window")
        guard isConnected else { return .failed(errno: ENOTCONN) }
        let count = retryingInterrupted { yoke_receive(descriptor, window.baseAddress, window.count) }
        if count > 0 {
            // A short read emptied the socket; without an end of stream every later byte makes a new edge.
            if count < window.count && !hasHungUp { isReadable = false }
            receivedByteCount += UInt64(count)
            return .bytes(count)
        }
        isReadable = false
        if count == -Int(EAGAIN) { return .wouldBlock }
        hasInputEnded = true
        return count == 0 ? .end : .failed(errno: Int32(-count))
    }

    /// Stops telling the handler that bytes wait; TCP then slows the peer down.
    package func pauseReading() {
        isReadingPaused = true
    }

    /// Tells the handler again, from the next round on.
    package func resumeReading() {
        isReadingPaused = false
        reactor.queueIfReady(self)
    }

    /// Whether the connection looks alive: bytes wait, or nothing waits and there is no end of stream and no error.
    /// Spec: drbd-wire 2.3, the test of the two sockets while a connection is made.
    package var looksAlive: Bool {
        guard isConnected else { return false }
        var bytes: UInt32 = 0
        let count = retryingInterrupted { yoke_peek(descriptor, &bytes, 4) }
        return count > 0 || count == -Int(EAGAIN)
    }
}

// MARK: Sending

extension StreamSocket {
    private static let piecesMax = 64

    /// Sends from the front of `queue` until it is empty or the socket is full.
    ///
    /// One system call for 64 pieces. Call it once in a round for each socket with something new, from
    /// ``ReactorOwner/roundEnded(_:)``, so that the packets of a round leave together.
    package func transmit(_ queue: inout OutputQueue) -> TransmitResult {
        guard isConnected else { return .failed(errno: ENOTCONN) }
        while !queue.isEmpty {
            let count = queue.withSegments(limit: Self.piecesMax) { send($0) }
            guard count >= 0 else {
                if count == -Int(EAGAIN) { return noteFull() }
                return .failed(errno: Int32(-count))
            }
            queue.consume(count)
            sentByteCount += UInt64(count)
        }
        isFull = false
        return .drained
    }

    /// Sends plain bytes; how many the socket took, or why none. For small exchanges outside an engine.
    package func send(bytes: UnsafeRawBufferPointer) -> ReceiveResult {
        guard isConnected else { return .failed(errno: ENOTCONN) }
        guard !bytes.isEmpty else { return .bytes(0) }
        let count = withUnsafePointer(to: bytes) { send(UnsafeBufferPointer(start: $0, count: 1)) }
        if count >= 0 {
            sentByteCount += UInt64(count)
            return .bytes(count)
        }
        if count == -Int(EAGAIN) {
            _ = noteFull()
            return .wouldBlock
        }
        return .failed(errno: Int32(-count))
    }

    /// Ends the own direction; the peer reads the end of the stream behind what was sent.
    package func shutdownSending() {
        guard isConnected else { return }
        _ = shutdown(descriptor, Int32(SHUT_WR))
    }

    private func noteFull() -> TransmitResult {
        isFull = true
        reactor.awaitOutput(self)
        return .full
    }

    private func send(_ pieces: UnsafeBufferPointer<UnsafeRawBufferPointer>) -> Int {
        withUnsafeTemporaryAllocation(of: iovec.self, capacity: Self.piecesMax) { vectors in
            for (index, piece) in pieces.enumerated() {
                vectors[index] = iovec(
                    iov_base: UnsafeMutableRawPointer(mutating: piece.baseAddress), iov_len: piece.count)
            }
            return retryingInterrupted { yoke_send(descriptor, vectors.baseAddress, pieces.count) }
        }
    }
}

// MARK: Events

extension StreamSocket {
    /// Ends the connect after `timeout`.
    func armConnectTimer(_ timeout: Duration) {
        guard case .connecting = state else { return }
        let timer = reactor.addTimer(at: SystemClock.now + timeout) { [weak self] in
            self?.connectEnded(code: ETIMEDOUT)
        }
        state = .connecting(timer)
    }

    private func connectEnded(code: Int32) {
        if case .connecting(let timer?) = state { reactor.cancel(timer) }
        guard code != 0 else {
            state = .connected
            handler?.socketConnected(self)
            return
        }
        let told = handler
        state = .connected
        close()
        told?.socketConnectFailed(self, errno: code)
    }

    private func deliverConnected() {
        if isFull && isWritable {
            isFull = false
            handler?.socketWritable(self)
        }
        // The handler may have closed or paused.
        if isConnected && wantsRead {
            handler?.socketReadable(self)
        }
    }
}
