internal import EngineKit
internal import Glibc
internal import LinuxReactor

/// Collects what a socket received and sends what it is given.
final class SocketProbe: StreamSocketHandler {
    private(set) var received: [UInt8] = []
    private(set) var hasEnded = false
    private(set) var failure: Int32?
    var output = OutputQueue()
    /// Bytes read in one call.
    var windowByteCount = 64 << 10
    /// Sends back what comes.
    var isEcho = false
    /// Called after each event.
    var onChange: (SocketProbe, StreamSocket) -> Void = { _, _ in }
    var onConnected: (StreamSocket) -> Void = { _ in }
    var onConnectFailed: (Int32) -> Void = { _ in }

    func socketConnected(_ socket: StreamSocket) {
        onConnected(socket)
    }

    func socketConnectFailed(_ socket: StreamSocket, errno: Int32) {
        onConnectFailed(errno)
    }

    func socketReadable(_ socket: StreamSocket) {
        withUnsafeTemporaryAllocation(byteCount: windowByteCount, alignment: 8) { window in
            switch socket.receive(into: window) {
            case .bytes(let count):
                let bytes = UnsafeRawBufferPointer(rebasing: UnsafeRawBufferPointer(window)[..<count])
                if isEcho {
                    output.append(bytes)
                    flush(socket)
                } else {
                    received.append(contentsOf: bytes)
                }
            case .wouldBlock: break
            case .end:
                hasEnded = true
                if isEcho { socket.shutdownSending() }
            case .failed(let errno): failure = errno
            }
        }
        onChange(self, socket)
    }

    func socketWritable(_ socket: StreamSocket) {
        flush(socket)
        onChange(self, socket)
    }

    func flush(_ socket: StreamSocket) {
        if case .failed(let errno) = socket.transmit(&output) { failure = errno }
    }
}

/// Gives each accepted connection a handler.
final class Acceptor: ListeningSocketHandler {
    private let onAccept: (StreamSocket) -> Void
    private(set) var failures: [Int32] = []

    init(_ onAccept: @escaping (StreamSocket) -> Void) {
        self.onAccept = onAccept
    }

    func listener(_ listener: ListeningSocket, accepted socket: StreamSocket) {
        onAccept(socket)
    }

    func listener(_ listener: ListeningSocket, acceptFailed errno: Int32) {
        failures.append(errno)
    }
}

extension SocketAddress {
    static func loopback(port: UInt16 = 0) -> SocketAddress { .ipv4(address: 0x7f00_0001, port: port) }

    static func loopback6(port: UInt16 = 0) -> SocketAddress {
        .ipv6(address: [UInt8](repeating: 0, count: 15) + [1], scope: 0, port: port)
    }
}

extension Reactor {
    /// Connects to a listener of its own and gives both ends.
    func makePair(
        on address: SocketAddress = .loopback(), near: SocketProbe, far: SocketProbe,
        options: SocketOptions = SocketOptions(),
        _ body: @escaping (_ near: StreamSocket, _ far: StreamSocket) -> Void
    ) throws {
        var nearSocket: StreamSocket?
        var farSocket: StreamSocket?
        var listener: ListeningSocket?
        let proceed = {
            guard let nearSocket, let farSocket else { return }
            listener?.close()
            listener = nil
            body(nearSocket, farSocket)
        }
        let acceptor = Acceptor { socket in
            socket.handler = far
            farSocket = socket
            proceed()
        }
        near.onConnected = { socket in
            nearSocket = socket
            proceed()
        }
        listener = try listen(on: address, options: options, handler: acceptor)
        let target = listener?.address ?? address
        _ = connect(to: target, options: options, timeout: .seconds(10), handler: near)
    }
}
