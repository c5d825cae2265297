package import EngineKit
internal import LayoutKit
package import O2Layout

/// The messages between nodes: one TCP connection for each pair, requests with answers. Spec: o2cb 10 to 13.
///
/// The node with the higher number connects. A lost or silent connection never declares a node dead: the heartbeat does,
/// or whoever judges. Handlers are synchronous; their answers leave in the order of the requests.
package final class ClusterNet {
    package struct Options: Equatable, Sendable {
        /// Compared with the peer's: (threshold - 1) heartbeat intervals.
        package var heartbeatTimeout: Duration = .seconds(60)
        package var idleTimeout: Duration = .seconds(30)
        package var keepaliveDelay: Duration = .seconds(2)
        package var reconnectDelay: Duration = .seconds(2)
        /// How long a lost connection may stay lost while the node heartbeats, before quorum decides.
        package var quorumDelay: Duration = .seconds(66)
        /// Rules broken on purpose; empty outside of simulations.
        package var plantedFaults: PlantedFaults = []

        package init() {}
    }

    /// Answers a request; nil: not known any more.
    package typealias Handler = (_ from: NodeNumber, _ payload: UnsafeRawBufferPointer) -> Int32?

    package let node: NodeNumber
    package let own: NodeAddress
    package let options: Options
    package var onFence: (String) -> Void = { _ in }
    /// A valid connection came or went (not: went silent).
    package var onConnection: (_ peer: NodeNumber, _ isUp: Bool) -> Void = { _, _ in }
    /// Nothing was heard from a peer for the idle timeout, or something again.
    package var onSilence: (_ peer: NodeNumber, _ isSilent: Bool) -> Void = { _, _ in }

    let environment: any EngineEnvironment
    let transport: any NetTransport
    var peers: [NodeNumber: PeerConnection] = [:]
    private var handlers: [HandlerKey: (payloadByteCountMax: Int, body: Handler)] = [:]
    private var streams: [NetStreamID: NodeNumber] = [:]
    private var lastStream: UInt64 = 0
    private var quorum: Quorum
    private var isStopped = false

    private struct HandlerKey: Hashable {
        var type: UInt16
        var key: UInt32
    }

    /// - Parameter nodes: the configuration, this node included.
    package init(
        node: NodeNumber, nodes: [NodeAddress], options: Options, environment: any EngineEnvironment,
        transport: any NetTransport
    ) {
        guard let own = nodes.first(where: { $0.node == node }) else {
            preconditionFailure("node \(node) is not in the configuration")
        }
        self.node = node
        self.own = own
        self.options = options
        self.environment = environment
        self.transport = transport
        quorum = Quorum(node: node)
        for address in nodes where address.node != node { peers[address.node] = PeerConnection(address: address) }
        _ = quorum.connectionUp(node)
    }

    package var connectedNodes: NodeSet {
        NodeSet(peers.values.filter { $0.state == .valid || $0.state == .silent }.map(\.address.node))
    }

    /// Whether a node was a Yoke host when it was connected last; nil if it never was connected.
    package func isYoke(_ peer: NodeNumber) -> Bool? { peers[peer]?.isYoke }

    // MARK: Handlers

    /// Errors: the pair must be free. Spec: o2cb 11.7.
    package func register(type: UInt16, key: UInt32, payloadByteCountMax: Int, _ body: @escaping Handler) {
        let pair = HandlerKey(type: type, key: key)
        precondition(type != 0 && handlers[pair] == nil, "a handler for \(type) with that key is there already")
        handlers[pair] = (payloadByteCountMax, body)
    }

    package func unregister(type: UInt16, key: UInt32) {
        handlers[HandlerKey(type: type, key: key)] = nil
    }

    // MARK: Heartbeat's events

    package func heartbeatUp(_ peer: NodeNumber) {
        apply(quorum.heartbeatUp(peer))
        guard let connection = peers[peer], connection.state == .down else { return }
        connection.state = .connecting
        if peer < node { attempt(connection) }
        startExpiry(connection)
    }

    package func heartbeatDown(_ peer: NodeNumber) {
        if let connection = peers[peer] {
            connection.stillUp += 1
            connection.expiry += 1
            connection.attempts += 1
            connection.isExpiryRunning = false
            let wasUp = connection.state == .valid || connection.state == .silent
            dropStream(connection)
            connection.state = .down
            if wasUp {
                log(.notice, "No longer connected to \(describe(connection))")
                quorum.connectionLost(peer)
                onConnection(peer, false)
            }
            if !options.plantedFaults.contains(.keepRequestsToDead) { fail(connection) }
        }
        apply(quorum.heartbeatDown(peer))
    }

    /// Ends all connections: this node leaves, or must stop.
    package func stop() {
        isStopped = true
        for peer in peers.keys.sorted() {
            guard let connection = peers[peer] else { continue }
            dropStream(connection)
            connection.state = .down
            fail(connection)
        }
    }

    // MARK: Sending. Spec: o2cb 11.5.

    /// Requests to one peer leave in the order of the calls. The completion is never called from inside.
    package func send(
        type: UInt16, key: UInt32, _ payload: [UInt8], to peer: NodeNumber, _ completion: @escaping (NetAnswer) -> Void
    ) {
        guard let connection = peers[peer], !isStopped, connection.state != .down, connection.state != .lost else {
            environment.call(at: environment.now) { completion(.hostDown) }
            return
        }
        let header = NetHeader(request: type, key: key, number: 0, payloadByteCount: payload.count)
        let request = PeerConnection.Request(header: header, payload: payload, completion: completion)
        guard connection.state != .connecting else { return connection.waiting.append(request) }
        transmit(request, connection)
    }

    private func transmit(_ request: PeerConnection.Request, _ connection: PeerConnection) {
        guard let stream = connection.stream else { return }
        var header = request.header
        header.number = connection.freeNumber()
        connection.outstanding[header.number] = request.completion
        transport.send(Self.bytes(header) + request.payload, on: stream)
    }

    private static func bytes(_ header: NetHeader) -> [UInt8] {
        var out = [UInt8](repeating: 0, count: NetHeader.byteCount)
        out.withUnsafeMutableBytes { header.encode(into: $0) }
        return out
    }

    private func fail(_ connection: PeerConnection) {
        let completions = connection.outstanding.sorted { $0.key < $1.key }.map(\.value)
        let waiting = connection.waiting.map(\.completion)
        connection.outstanding = [:]
        connection.waiting = []
        for completion in completions + waiting {
            environment.call(at: environment.now) { completion(.hostDown) }
        }
    }

    // MARK: Connecting. Spec: o2cb 10.1, 12.4.

    private func attempt(_ connection: PeerConnection) {
        guard !isStopped, connection.state == .connecting, connection.stream == nil,
            connection.address.node < node
        else { return }
        connection.attempts += 1
        let number = connection.attempts
        let earliest = connection.lastAttempt.map { $0 + options.reconnectDelay } ?? environment.now
        guard earliest > environment.now else { return connect(connection) }
        environment.call(at: earliest) { [self] in
            guard number == connection.attempts, connection.state == .connecting, connection.stream == nil else {
                return
            }
            connect(connection)
        }
    }

    private func connect(_ connection: PeerConnection) {
        connection.lastAttempt = environment.now
        let id = newStream(connection)
        transport.connect(to: connection.address, from: own, id: id)
    }

    private func newStream(_ connection: PeerConnection) -> NetStreamID {
        lastStream += 1
        let id = NetStreamID(value: lastStream)
        adopt(id, connection)
        return id
    }

    private func adopt(_ id: NetStreamID, _ connection: PeerConnection) {
        connection.stream = id
        connection.hasHandshake = false
        connection.input = []
        streams[id] = connection.address.node
    }

    /// For the owner of listening sockets: a name for a connection that came in.
    package func nextStreamID() -> NetStreamID {
        lastStream += 1
        return NetStreamID(value: lastStream)
    }

    /// Gives up while a peer that lives stays unreachable: says so and begins anew. Spec: o2cb 12.4.
    private func startExpiry(_ connection: PeerConnection) {
        guard !connection.isExpiryRunning else { return }
        connection.isExpiryRunning = true
        connection.expiry += 1
        let number = connection.expiry
        environment.call(at: environment.now + options.idleTimeout) { [self] in
            guard number == connection.expiry, connection.isExpiryRunning else { return }
            connection.isExpiryRunning = false
            guard connection.state == .connecting || connection.state == .lost else { return }
            let seconds = Double(options.idleTimeout.nanosecondsClamped) / 1e9
            log(
                .error,
                "No connection established with node \(connection.address.node) after \(seconds) seconds, check "
                    + "network and cluster configuration.")
            dropStream(connection)
            connection.state = .connecting
            startExpiry(connection)
            attempt(connection)
        }
    }

    // MARK: Streams

    /// A connection came in from `address` (IPv4). False: it was refused and is to be closed at once. Spec: o2cb 10.2.
    package func streamAccepted(_ id: NetStreamID, from address: UInt32) -> Bool {
        guard !isStopped, let connection = peers.values.first(where: { $0.address.address == address }) else {
            log(.warning, "Attempt to connect from unknown node at \(Self.text(address))")
            return false
        }
        let peer = connection.address.node
        guard node < peer else {
            log(.warning, "Unexpected connect attempt seen at node \(node) from node \(peer)")
            return false
        }
        // It may see this node before this node sees it: it comes again.
        guard connection.state != .down else { return false }
        guard connection.stream == nil else {
            log(.warning, "Attempt to connect from node \(peer) but it already has an open connection")
            return false
        }
        adopt(id, connection)
        sendHandshake(id)
        return true
    }

    package func streamConnected(_ id: NetStreamID) {
        guard connection(of: id) != nil else { return }
        sendHandshake(id)
    }

    /// The connection could not be made, or has ended.
    package func streamEnded(_ id: NetStreamID, isReset: Bool) {
        guard let connection = connection(of: id) else { return }
        let wasUp = connection.state == .valid || connection.state == .silent
        if wasUp {
            log(.notice, "Connection to \(describe(connection)) shutdown, state \(isReset ? 7 : 8)")
        }
        lose(connection)
        if !wasUp { attempt(connection) }
    }

    package func streamReceived(_ id: NetStreamID, _ bytes: some Sequence<UInt8>) {
        guard let connection = connection(of: id) else { return }
        connection.input.append(contentsOf: bytes)
        while connection.stream == id, takeOne(connection) {}
    }

    private func connection(of id: NetStreamID) -> PeerConnection? {
        guard let peer = streams[id], let connection = peers[peer], connection.stream == id else { return nil }
        return connection
    }

    private func dropStream(_ connection: PeerConnection) {
        guard let stream = connection.stream else { return }
        connection.stream = nil
        streams[stream] = nil
        connection.heard += 1
        transport.close(stream)
    }

    /// A connection is gone; if it was valid, quorum begins to count. Spec: o2cb 12.3.
    private func lose(_ connection: PeerConnection) {
        let peer = connection.address.node
        let (wasUp, wasSilent) = (
            connection.state == .valid || connection.state == .silent, connection.state == .silent
        )
        dropStream(connection)
        guard wasUp else { return }
        log(.notice, "No longer connected to \(describe(connection))")
        connection.state = wasSilent ? .connecting : .lost
        quorum.connectionLost(peer)
        startStillUp(connection)
        fail(connection)
        startExpiry(connection)
        onConnection(peer, false)
        if wasSilent { attempt(connection) }
    }

    private func startStillUp(_ connection: PeerConnection) {
        connection.stillUp += 1
        let number = connection.stillUp
        environment.call(at: environment.now + options.quorumDelay) { [self] in
            guard number == connection.stillUp, !isStopped else { return }
            guard !options.plantedFaults.contains(.ignoreQuorum) else { return }
            apply(quorum.stillUp(connection.address.node))
        }
    }

    private func apply(_ decision: Quorum.Decision?) {
        switch decision {
        case nil: return
        case .goOn(let text): log(.warning, text)
        case .fence(let text):
            log(.critical, text)
            onFence(text)
        }
    }

    // MARK: Receiving

    private func sendHandshake(_ id: NetStreamID) {
        var out = [UInt8](repeating: 0, count: NetHandshake.byteCount)
        out.withUnsafeMutableBytes { ownHandshake.encode(into: $0) }
        transport.send(out, on: id)
    }

    private var ownHandshake: NetHandshake {
        var handshake = NetHandshake(
            heartbeat: options.heartbeatTimeout.milliseconds, idle: options.idleTimeout.milliseconds,
            keepalive: options.keepaliveDelay.milliseconds, reconnect: options.reconnectDelay.milliseconds)
        handshake.connector = NetHandshake.yokeConnector
        return handshake
    }

    /// Takes one handshake or message from the input; false: it is not complete.
    private func takeOne(_ connection: PeerConnection) -> Bool {
        do throws(LayoutError) {
            guard connection.hasHandshake else { return try takeHandshake(connection) }
            guard connection.input.count >= NetHeader.byteCount else { return false }
            let header = try NetHeader(start: connection.input)
            let end = NetHeader.byteCount + Int(header.payloadByteCount)
            guard connection.input.count >= end else { return false }
            let payload = Array(connection.input[NetHeader.byteCount..<end])
            connection.input.removeFirst(end)
            hear(connection)
            take(header, payload, connection)
            return true
        } catch {
            log(.error, "\(describe(connection)) sends what is no message: \(error)")
            lose(connection)
            return false
        }
    }

    private func take(_ header: NetHeader, _ payload: [UInt8], _ connection: PeerConnection) {
        guard let stream = connection.stream else { return }
        switch header.magic {
        case .keepaliveRequest: transport.send(Self.bytes(NetHeader(.keepaliveResponse)), on: stream)
        case .keepaliveResponse: break
        case .status: takeStatus(header, connection)
        case .request:
            let (system, status) = handle(header, payload, connection.address.node)
            guard connection.stream == stream else { return }
            transport.send(Self.bytes(header.answer(system, status)), on: stream)
        }
    }

    private func handle(_ header: NetHeader, _ payload: [UInt8], _ peer: NodeNumber) -> (SystemStatus, Int32) {
        guard let handler = handlers[HandlerKey(type: header.type, key: header.key)] else { return (.noHandler, 0) }
        guard payload.count <= handler.payloadByteCountMax else { return (.overflow, 0) }
        guard let status = payload.withUnsafeBytes({ handler.body(peer, $0) }) else { return (.noHandler, 0) }
        return (.handled, status)
    }

    private func takeStatus(_ header: NetHeader, _ connection: PeerConnection) {
        guard let completion = connection.outstanding.removeValue(forKey: header.number) else { return }
        switch SystemStatus(rawValue: header.systemStatus) {
        case .handled: completion(.status(header.status))
        case .noHandler: completion(.noHandler)
        case .overflow: completion(.overflow)
        case .hostDown, nil: completion(.hostDown)
        }
    }

    private func takeHandshake(_ connection: PeerConnection) throws(LayoutError) -> Bool {
        guard connection.input.count >= NetHandshake.byteCount else { return false }
        let handshake = try NetHandshake(start: connection.input)
        connection.input.removeFirst(NetHandshake.byteCount)
        if let complaint = complaint(about: handshake) {
            log(.error, "\(describe(connection)) \(complaint) Disconnecting.")
            dropStream(connection)
            connection.state = .lost
            fail(connection)
            startExpiry(connection)
            return false
        }
        connection.hasHandshake = true
        connection.isYoke = handshake.connector == NetHandshake.yokeConnector
        becomeValid(connection)
        return true
    }

    /// In the order and words of the field. Spec: o2cb 10.4.
    private func complaint(about peer: NetHandshake) -> String? {
        let own = ownHandshake
        if peer.version != own.version {
            return "Advertised net protocol version \(peer.version) but \(own.version) is required."
        }
        if peer.idleTimeoutMilliseconds != own.idleTimeoutMilliseconds {
            return "uses a network idle timeout of \(peer.idleTimeoutMilliseconds) ms, but we use "
                + "\(own.idleTimeoutMilliseconds) ms locally."
        }
        if peer.keepaliveDelayMilliseconds != own.keepaliveDelayMilliseconds {
            return "uses a keepalive delay of \(peer.keepaliveDelayMilliseconds) ms, but we use "
                + "\(own.keepaliveDelayMilliseconds) ms locally."
        }
        if peer.heartbeatTimeoutMilliseconds != own.heartbeatTimeoutMilliseconds {
            return "uses a heartbeat timeout of \(peer.heartbeatTimeoutMilliseconds) ms, but we use "
                + "\(own.heartbeatTimeoutMilliseconds) ms locally."
        }
        return nil
    }

    private func becomeValid(_ connection: PeerConnection) {
        connection.state = .valid
        connection.expiry += 1
        connection.isExpiryRunning = false
        let peer = connection.address.node
        log(.notice, "\(peer < node ? "Connected to" : "Accepted connection from") \(describe(connection))")
        apply(quorum.connectionUp(peer))
        hear(connection)
        let waiting = connection.waiting
        connection.waiting = []
        for request in waiting { transmit(request, connection) }
        onConnection(peer, true)
    }

    // MARK: Keepalive and silence. Spec: o2cb 12.1, 12.2.

    private func hear(_ connection: PeerConnection) {
        connection.heard += 1
        connection.lastHeard = environment.now
        if connection.state == .silent {
            connection.state = .valid
            connection.stillUp += 1
            apply(quorum.connectionUp(connection.address.node))
            onSilence(connection.address.node, false)
        }
        armSilence(connection)
    }

    private func armSilence(_ connection: PeerConnection) {
        let number = connection.heard
        environment.call(at: environment.now + options.keepaliveDelay) { [self] in
            guard number == connection.heard, let stream = connection.stream else { return }
            transport.send(Self.bytes(NetHeader(.keepaliveRequest)), on: stream)
        }
        environment.call(at: environment.now + options.idleTimeout) { [self] in
            guard number == connection.heard, connection.stream != nil else { return }
            fallSilent(connection)
        }
    }

    private func fallSilent(_ connection: PeerConnection) {
        let since = connection.lastHeard.map { environment.now - $0 } ?? options.idleTimeout
        let milliseconds = since.nanosecondsClamped / 1_000_000
        log(
            .warning,
            "Connection to \(describe(connection)) has been idle for \(milliseconds / 1000).\(milliseconds % 1000) secs."
        )
        if connection.state == .valid {
            connection.state = .silent
            quorum.connectionLost(connection.address.node)
            startStillUp(connection)
            onSilence(connection.address.node, true)
        }
        // The connection is kept: what is on its way arrives when the network is back.
        connection.heard += 1
        armSilence(connection)
    }

    // MARK: Words

    private func describe(_ connection: PeerConnection) -> String {
        let address = connection.address
        return "node \(address.node) (num \(address.node)) at \(Self.text(address.address)):\(address.port)"
    }

    private static func text(_ address: UInt32) -> String {
        [24, 16, 8, 0].map { "\((address >> $0) & 255)" }.joined(separator: ".")
    }

    private func log(_ level: LogLevel, _ text: String) {
        environment.log(LogRecord(level, "o2net: \(text)"))
    }
}

extension FixedLayout {
    /// Decodes the first bytes of `input`.
    fileprivate init(start input: [UInt8]) throws(LayoutError) {
        let result = input.withUnsafeBytes { bytes -> Result<Self, LayoutError> in
            do throws(LayoutError) {
                return .success(try Self(decoding: bytes))
            } catch {
                return .failure(error)
            }
        }
        self = try result.get()
    }
}

extension Duration {
    var milliseconds: UInt32 { UInt32(clamping: nanosecondsClamped / 1_000_000) }
}
