internal import EngineKit
internal import Glibc
internal import LinuxReactor

/// One knock at a door of the peer's daemon: is it open, does nobody live there any more, or is there no word at all?
///
/// A daemon that lives answers a connection that it does not want by closing it. The system of a daemon that is gone
/// refuses. Only a host that is dead, stopped or cut off says nothing.
///
/// Confined to the reactor's thread. Tells its outcome once, never from inside the initialiser.
final class PeerProbe {
    enum Outcome: Equatable {
        /// The daemon lives.
        case answered
        /// The host lives, the daemon does not.
        case refused
        case silent
    }

    private let reactor: Reactor
    private var completion: ((Outcome) -> Void)?
    private var socket: StreamSocket?
    private var timer: ReactorTimer?

    init(
        _ peer: SocketAddress, from own: SocketAddress?, reactor: Reactor, timeout: Duration,
        completion: @escaping (Outcome) -> Void
    ) {
        self.reactor = reactor
        self.completion = completion
        socket = reactor.connect(to: peer, from: own, handler: self)
        timer = reactor.addTimer(at: reactor.now + timeout) { [self] in end(.silent) }
    }

    func cancel() {
        completion = nil
        end(.silent)
    }

    private func end(_ outcome: Outcome) {
        socket?.close()
        socket = nil
        if let timer { reactor.cancel(timer) }
        timer = nil
        let told = completion
        completion = nil
        told?(outcome)
    }
}

extension PeerProbe: StreamSocketHandler {
    func socketConnectFailed(_ socket: StreamSocket, errno: Int32) {
        end(errno == ECONNREFUSED || errno == ECONNRESET ? .refused : .silent)
    }

    func socketReadable(_ socket: StreamSocket) {
        withUnsafeTemporaryAllocation(byteCount: 64, alignment: 8) { bytes in
            switch socket.receive(into: bytes) {
            case .bytes, .end: end(.answered)
            case .failed: end(.refused)
            case .wouldBlock: break
            }
        }
    }

    func socketWritable(_ socket: StreamSocket) {}
}
