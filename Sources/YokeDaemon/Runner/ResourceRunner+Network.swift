internal import Configuration
internal import EngineKit
internal import Glibc
package import LinuxReactor
internal import Replication

/// The sockets of a resource.
struct RunnerNetwork {
    struct Entry {
        var id: SocketID
        var socket: StreamSocket
        /// Bytes wait that were not offered to the socket in this round.
        var mustTransmit = false
    }

    /// Own and peer's address; nil before the first connect.
    var local: SocketAddress?
    var remote: SocketAddress?
    var options = SocketOptions()
    /// `connect-int` as the limit of one attempt.
    var connectTimeout = Duration.seconds(10)
    var listener: ListeningSocket?
    /// When bytes came in last, on either socket.
    var lastReceived: Instant?
    /// At most a handful: two sockets, and those that knock while a connection is made.
    var entries: [Entry] = []
    /// Some entry is marked.
    var hasMarked = false

    func socket(_ id: SocketID) -> StreamSocket? { entries.first { $0.id == id }?.socket }

    mutating func markForTransmit(_ id: SocketID) {
        guard let index = entries.firstIndex(where: { $0.id == id }) else { return }
        entries[index].mustTransmit = true
        hasMarked = true
    }

    mutating func takeMarked() -> Entry? {
        guard hasMarked else { return nil }
        if let index = entries.firstIndex(where: \.mustTransmit) {
            entries[index].mustTransmit = false
            return entries[index]
        }
        hasMarked = false
        return nil
    }

    mutating func remove(_ id: SocketID) -> StreamSocket? {
        guard let index = entries.firstIndex(where: { $0.id == id }) else { return nil }
        return entries.remove(at: index).socket
    }
}

extension ResourceRunner {
    /// Connections that knock at one time; more are closed unread. A port scan cannot use up descriptors.
    private static let socketCountMax = 16
    /// Bytes taken from one socket in a round, so that the other one (acknowledgements) is not starved.
    private static let bytesPerRoundMax = 1 << 20

    func listen() {
        guard network.listener == nil, let local = network.local else { return }
        do throws(SystemError) {
            network.listener = try reactor.listen(on: local, options: network.options, handler: self)
        } catch {
            handle(.listenFailed(errno: error.code))
        }
    }

    /// The addresses and options of the connect command that follows.
    func setEndpoints(
        _ local: EndpointText, _ remote: EndpointText, _ options: NetworkOptions, _ entries: [OptionEntry]
    ) {
        network.local = local.address
        network.remote = remote.address
        network.options.sendBufferByteCount = options.sendBufferSize
        network.options.receiveBufferByteCount = options.receiveBufferSize
        network.connectTimeout = .seconds(options.connectInterval)
        settings.net = entries
        settings.localText = local.shown
        settings.remoteText = remote.shown
        trouble = nil
    }

    func stopListening() {
        network.listener?.close()
        network.listener = nil
    }

    func connect(_ id: SocketID) {
        guard let local = network.local, let remote = network.remote else {
            return handle(.connectFailed(id, errno: EDESTADDRREQ))
        }
        let socket = reactor.connect(
            to: remote, from: local.withPort(0), options: network.options, timeout: network.connectTimeout,
            handler: self)
        add(id, socket)
    }

    private func add(_ id: SocketID, _ socket: StreamSocket) {
        socket.tag = UInt64(id.rawValue)
        network.entries.append(RunnerNetwork.Entry(id: id, socket: socket))
    }

    func close(_ id: SocketID) {
        network.remove(id)?.close()
    }

    func closeNetwork() {
        stopListening()
        for entry in network.entries { entry.socket.close() }
        network.entries = []
    }

    /// How long nothing has come from the peer.
    var silence: Duration { network.lastReceived.map { reactor.now - $0 } ?? .zero }

    /// Ends the connection as if the system had said that the peer does not answer.
    func giveUpConnection() {
        for entry in network.entries { end(entry.id, errno: ETIMEDOUT) }
    }

    private func end(_ id: SocketID, errno: Int32) {
        close(id)
        handle(.socketEnded(id, errno: errno))
    }

    /// Offers what waits to the sockets, once for each.
    func transmitAll() {
        while let entry = network.takeMarked() {
            var before: UInt64 = 0
            let outcome = engine.withOutputQueue(of: entry.id) { queue in
                before = queue.totalConsumed
                let result = entry.socket.transmit(&queue)
                return (result: result, moved: queue.totalConsumed > before)
            }
            guard let outcome else { continue }
            if outcome.moved { handle(.transmitted(entry.id)) }
            if case .failed(let code) = outcome.result { end(entry.id, errno: code) }
        }
    }
}

extension ResourceRunner: StreamSocketHandler {
    package func socketConnected(_ socket: StreamSocket) {
        handle(.connected(SocketID(UInt32(socket.tag))))
    }

    package func socketConnectFailed(_ socket: StreamSocket, errno: Int32) {
        let id = SocketID(UInt32(socket.tag))
        _ = network.remove(id)
        handle(.connectFailed(id, errno: errno))
    }

    package func socketReadable(_ socket: StreamSocket) {
        let id = SocketID(UInt32(socket.tag))
        var left = Self.bytesPerRoundMax
        while left > 0 {
            let window = engine.receiveWindow(for: id)
            guard !window.isEmpty else { return socket.pauseReading() }
            switch socket.receive(into: window) {
            case .bytes(let count):
                left -= count
                network.lastReceived = reactor.now
                handle(.received(id, count: count))
                // The engine may have closed the socket; a short read emptied it.
                guard socket.isConnected, count == window.count else { return }
            case .wouldBlock: return
            case .end: return end(id, errno: 0)
            case .failed(let code): return end(id, errno: code)
            }
        }
    }

    package func socketWritable(_ socket: StreamSocket) {
        network.markForTransmit(SocketID(UInt32(socket.tag)))
    }
}

extension ResourceRunner: ListeningSocketHandler {
    package func listener(_ listener: ListeningSocket, accepted socket: StreamSocket) {
        guard network.entries.count < Self.socketCountMax else {
            log(.init(.warning, "drbd \(name): too many connections wait, closed one from \(remoteText(socket))"))
            return
        }
        let id = engine.nextSocketID()
        socket.handler = self
        add(id, socket)
        handle(.accepted(id, from: remoteText(socket)))
    }

    package func listener(_ listener: ListeningSocket, acceptFailed errno: Int32) {
        log(.init(.error, "drbd \(name): accept failed: \(SystemError.text(of: errno)), trying again"))
    }

    private func remoteText(_ socket: StreamSocket) -> String {
        socket.remoteAddress?.description ?? "unknown"
    }
}
