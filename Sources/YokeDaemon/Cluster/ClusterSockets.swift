internal import ClusterNet
internal import EngineKit
internal import Glibc
internal import LinuxReactor
internal import O2Layout

/// The TCP connections under a ``ClusterNet``. Spec: o2cb 10.1.
///
/// Confined to the reactor's thread. What is sent in a round leaves at its end, in one call for each connection.
final class ClusterSockets {
    private final class Stream {
        let id: NetStreamID
        let socket: StreamSocket
        var output = OutputQueue()
        var mustTransmit = false

        init(id: NetStreamID, socket: StreamSocket) {
            self.id = id
            self.socket = socket
        }
    }

    /// Connections that may wait to be accepted. Spec: o2cb 10.1.
    private static let backlog: Int32 = 64
    /// One attempt to connect; then the next one is made.
    private static let connectTimeout = Duration.seconds(10)
    private static let receiveByteCount = 64 << 10
    /// Bytes taken from one connection in a round, so that nobody else waits long.
    private static let bytesPerRoundMax = 1 << 20

    private let reactor: Reactor
    private let log: (LogRecord) -> Void
    /// Told what happens; set before anything can.
    weak var net: ClusterNet?
    private var streams: [NetStreamID: Stream] = [:]
    /// With something to send, in the order of the first of it.
    private var marked: [Stream] = []
    private var listener: ListeningSocket?
    private let buffer = IOBuffer(byteCount: ClusterSockets.receiveByteCount)

    init(reactor: Reactor, log: @escaping (LogRecord) -> Void) {
        self.reactor = reactor
        self.log = log
    }

    private static var options: SocketOptions {
        var options = SocketOptions()
        // TCP never gives up by itself: silence is judged by who knows more.
        options.userTimeoutMilliseconds = Int(Int32.max)
        return options
    }

    /// Accepts connections at the node's own address.
    func listen(on own: NodeAddress) throws(SystemError) {
        listener = try reactor.listen(
            on: .ipv4(address: own.address, port: own.port), options: Self.options, backlog: Self.backlog,
            handler: self)
    }

    func closeAll() {
        listener?.close()
        listener = nil
        for stream in streams.values { stream.socket.close() }
        streams = [:]
        marked = []
    }

    /// Offers what waits to the sockets.
    func transmitAll() {
        while !marked.isEmpty {
            let sending = marked
            marked = []
            for stream in sending { transmit(stream) }
        }
    }

    private func transmit(_ stream: Stream) {
        stream.mustTransmit = false
        guard streams[stream.id] === stream, stream.socket.isConnected else { return }
        if case .failed = stream.socket.transmit(&stream.output) { end(stream, isReset: true) }
    }

    private func mark(_ stream: Stream) {
        guard !stream.mustTransmit else { return }
        stream.mustTransmit = true
        marked.append(stream)
    }

    private func end(_ stream: Stream, isReset: Bool) {
        guard streams.removeValue(forKey: stream.id) != nil else { return }
        stream.socket.close()
        net?.streamEnded(stream.id, isReset: isReset)
    }

    private func stream(_ socket: StreamSocket) -> Stream? { streams[NetStreamID(value: socket.tag)] }

    private func add(_ id: NetStreamID, _ socket: StreamSocket) {
        socket.tag = id.value
        streams[id] = Stream(id: id, socket: socket)
    }
}

extension ClusterSockets: NetTransport {
    func connect(to peer: NodeAddress, from own: NodeAddress, id: NetStreamID) {
        // From the own configured address: by it the peer knows who comes. Spec: o2cb 10.1.
        let socket = reactor.connect(
            to: .ipv4(address: peer.address, port: peer.port), from: .ipv4(address: own.address, port: 0),
            options: Self.options, timeout: Self.connectTimeout, handler: self)
        add(id, socket)
    }

    func send(_ bytes: [UInt8], on id: NetStreamID) {
        guard let stream = streams[id] else { return }
        bytes.withUnsafeBytes { stream.output.append($0) }
        mark(stream)
    }

    /// What was sent before in this round still leaves.
    func close(_ id: NetStreamID) {
        guard let stream = streams.removeValue(forKey: id) else { return }
        if stream.mustTransmit, stream.socket.isConnected { _ = stream.socket.transmit(&stream.output) }
        stream.socket.close()
    }
}

extension ClusterSockets: StreamSocketHandler {
    func socketConnected(_ socket: StreamSocket) {
        guard let stream = stream(socket) else { return }
        net?.streamConnected(stream.id)
    }

    func socketConnectFailed(_ socket: StreamSocket, errno: Int32) {
        guard let stream = stream(socket) else { return }
        end(stream, isReset: errno != ETIMEDOUT)
    }

    func socketReadable(_ socket: StreamSocket) {
        guard let stream = stream(socket) else { return }
        var left = Self.bytesPerRoundMax
        let window = UnsafeMutableRawBufferPointer(start: buffer.base, count: Self.receiveByteCount)
        while left > 0, socket.isConnected {
            switch socket.receive(into: window) {
            case .bytes(let count):
                left -= count
                net?.streamReceived(stream.id, UnsafeRawBufferPointer(rebasing: window[..<count]))
                guard count == window.count else { return }
            case .wouldBlock: return
            case .end: return end(stream, isReset: false)
            case .failed: return end(stream, isReset: true)
            }
        }
    }

    func socketWritable(_ socket: StreamSocket) {
        guard let stream = stream(socket) else { return }
        mark(stream)
    }
}

extension ClusterSockets: ListeningSocketHandler {
    func listener(_ listener: ListeningSocket, accepted socket: StreamSocket) {
        guard let net, case .ipv4(let address, _)? = socket.remoteAddress else { return }
        socket.handler = self
        let id = net.nextStreamID()
        add(id, socket)
        guard !net.streamAccepted(id, from: address) else { return }
        streams[id] = nil
        socket.close()
    }

    func listener(_ listener: ListeningSocket, acceptFailed errno: Int32) {
        log(LogRecord(.error, "o2net: accept failed: \(SystemError.text(of: errno)), trying again"))
    }
}
