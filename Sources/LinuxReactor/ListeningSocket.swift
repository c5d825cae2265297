internal import CYoke
internal import EngineKit
internal import Glibc

/// Told what happens on a ``ListeningSocket``.
package protocol ListeningSocketHandler: AnyObject {
    /// A connection was accepted. Set the socket's handler now, or close it; without a handler it is closed.
    func listener(_ listener: ListeningSocket, accepted socket: StreamSocket)
    /// accept(2) failed (EMFILE, ENOMEM); accepting pauses for a second, so that the log is not flooded.
    func listener(_ listener: ListeningSocket, acceptFailed errno: Int32)
}

/// A TCP or Unix socket that accepts connections, confined to its reactor's thread.
package final class ListeningSocket: ReadinessSource {
    /// Held until ``close()``.
    package var handler: (any ListeningSocketHandler)?
    /// For the owner.
    package var tag: UInt64 = 0
    /// The address it is bound to, with the port that the kernel chose if 0 was asked for.
    package let address: SocketAddress

    private let options: SocketOptions
    private var retryTimer: ReactorTimer?
    private unowned let reactor: Reactor
    /// Connections taken in one round, so that a flood of them does not starve the rest.
    private static let acceptsMaxPerRound = 16

    init(
        descriptor: Int32, address: SocketAddress, options: SocketOptions, handler: any ListeningSocketHandler,
        reactor: Reactor
    ) {
        self.address = address
        self.options = options
        self.handler = handler
        self.reactor = reactor
        super.init(descriptor: descriptor)
    }

    /// Stops listening; connections that nobody accepted are reset. No event follows.
    package func close() {
        guard descriptor >= 0 else { return }
        handler = nil
        if let retryTimer { reactor.cancel(retryTimer) }
        reactor.closeSocket(self)
        if case .unix(let path) = address { unlink(path) }
    }

    override var wantsDelivery: Bool { isReadable && retryTimer == nil }

    override func deliver() {
        for _ in 0..<Self.acceptsMaxPerRound {
            guard descriptor >= 0, acceptOne() else { return }
        }
    }

    /// False when nothing waits or accepting must pause.
    private func acceptOne() -> Bool {
        let accepted = retryingInterrupted { Int(yoke_accept(descriptor)) }
        guard accepted >= 0 else {
            switch Int32(-accepted) {
            case EAGAIN:
                isReadable = false
                return false
            case EMFILE, ENFILE, ENOBUFS, ENOMEM:
                pause(after: Int32(-accepted))
                return false
            default:
                // The connection died before it was accepted (ECONNABORTED and the network errors of accept(2)).
                return true
            }
        }
        options.apply(to: Int32(accepted), family: address.family)
        let socket = StreamSocket(accepted: Int32(accepted), reactor: reactor)
        do throws(SystemError) {
            try reactor.watch(socket)
        } catch {
            socket.close()
            pause(after: error.code)
            return false
        }
        handler?.listener(self, accepted: socket)
        if socket.handler == nil { socket.close() }
        return true
    }

    private func pause(after code: Int32) {
        retryTimer = reactor.addTimer(at: SystemClock.now + .seconds(1)) { [weak self] in
            guard let self else { return }
            retryTimer = nil
            reactor.queueIfReady(self)
        }
        handler?.listener(self, acceptFailed: code)
    }
}
