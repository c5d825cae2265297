internal import NIOCore
internal import NIOPosix
internal import Pairing
internal import Synchronization

/// Why a set-up with another host comes to nothing.
enum PairingFailure: Error {
    /// Here; the other side is told.
    case own(PairingRefusal)
    case protocolError(PairingLinkError)
    /// The connection ended.
    case lost
    case silent(seconds: Int)
    /// The other side says why it cannot go on.
    case told(String)
    /// What came is not what belongs here.
    case unexpected
    case cannotConnect(String)

    var text: String {
        switch self {
        case .own(let refusal): refusal.text
        case .protocolError(let error): error.description
        case .lost: "the connection to the other host ended"
        case .silent(let seconds): "the other host said nothing for \(DurationText.text(seconds))"
        case .told(let reason): PlainText.shown(reason, max: 1000)
        case .unexpected: "the other host sent what does not belong here: use one release on both hosts"
        case .cannotConnect(let reason): reason
        }
    }
}

/// One connection between two hosts that become a pair. Bytes are collected on the event loop; one task reads.
final class PairingLink: Sendable {
    /// What may lie here unread: one frame of the largest size, and its head.
    private static let unreadByteCountMax = 2 * PairingFrame.byteCountMax

    private struct State {
        var received: [UInt8] = []
        var isOver = false
        /// Who waits, for how many bytes.
        var waiter: (count: Int, promise: Promise<Bool>)?
    }

    private let channel: any Channel
    private let state = Mutex(State())

    private init(_ channel: any Channel) {
        self.channel = channel
    }

    /// `10.0.0.2`, for the log.
    var peerAddress: String { channel.remoteAddress?.ipAddress ?? "?" }

    func close() { channel.close(promise: nil) }

    /// The connection stands, and nothing has come that waits to be read.
    var isQuiet: Bool { state.withLock { !$0.isOver && $0.received.isEmpty } }

    // MARK: Connections

    /// Connects from the address `local`.
    static func connect(from local: String, to host: String, port: Int) async throws(PairingFailure) -> PairingLink {
        do {
            return try await ClientBootstrap(group: MultiThreadedEventLoopGroup.singleton)
                .connectTimeout(.seconds(10))
                .bind(to: SocketAddress(ipAddress: local, port: 0))
                .connect(to: SocketAddress(ipAddress: host, port: port)) { channel in attached(to: channel) }
        } catch {
            throw .cannotConnect("\(error)")
        }
    }

    /// Listens until the channel is closed; each connection is handed to `serve`.
    static func listen(
        _ address: String, port: Int, serve: @escaping @Sendable (PairingLink) -> Void
    ) async throws -> any Channel {
        try await ServerBootstrap(group: MultiThreadedEventLoopGroup.singleton)
            .serverChannelOption(.socketOption(.so_reuseaddr), value: 1)
            .serverChannelOption(.backlog, value: 8)
            .childChannelInitializer { channel in
                attached(to: channel).map { serve($0) }
            }
            .bind(to: SocketAddress(ipAddress: address, port: port)).get()
    }

    private static func attached(to channel: any Channel) -> EventLoopFuture<PairingLink> {
        channel.eventLoop.makeCompletedFuture {
            let link = PairingLink(channel)
            try channel.pipeline.syncOperations.addHandler(PairingLinkHandler(link: link))
            return link
        }
    }

    // MARK: Reading and writing

    /// One body, at most `max` bytes long.
    func receive(max: Int, seconds: Int) async throws(PairingFailure) -> [UInt8] {
        let header = try await take(PairingFrame.headerByteCount, seconds: seconds)
        let length: Int
        do throws(PairingLinkError) {
            length = try PairingFrame.length(of: header, max: max)
        } catch {
            throw .protocolError(error)
        }
        return try await take(length, seconds: seconds)
    }

    func send(_ body: [UInt8]) {
        channel.writeAndFlush(channel.allocator.buffer(bytes: PairingFrame.framed(body)), promise: nil)
    }

    private func take(_ count: Int, seconds: Int) async throws(PairingFailure) -> [UInt8] {
        let isThere = await withTaskCancellationHandler {
            await Promise<Bool>.wait { promise in
                let answer = state.withLock { state -> Bool? in
                    if state.received.count >= count { return true }
                    if state.isOver { return false }
                    state.waiter = (count, promise)
                    return nil
                }
                if let answer { promise.fulfil(answer) }
                channel.eventLoop.scheduleTask(in: .seconds(Int64(seconds))) { [self] in
                    state.withLock { state in
                        if state.waiter?.promise === promise { state.waiter = nil }
                    }
                    promise.fulfil(false)
                }
            }
        } onCancel: {
            end()
        }
        return try state.withLock { state throws(PairingFailure) in
            guard isThere == true, state.received.count >= count else {
                throw state.isOver ? .lost : .silent(seconds: seconds)
            }
            let bytes = Array(state.received[..<count])
            state.received.removeFirst(count)
            return bytes
        }
    }

    // MARK: From the event loop

    fileprivate func append(_ bytes: [UInt8]) {
        let isTooMuch = state.withLock { state -> Bool in
            state.received += bytes
            if let waiter = state.waiter, state.received.count >= waiter.count {
                state.waiter = nil
                waiter.promise.fulfil(true)
            }
            return state.received.count > Self.unreadByteCountMax
        }
        if isTooMuch { close() }
    }

    fileprivate func end() {
        let waiter = state.withLock { state in
            state.isOver = true
            defer { state.waiter = nil }
            return state.waiter
        }
        waiter?.promise.fulfil(false)
        close()
    }
}

private final class PairingLinkHandler: ChannelInboundHandler {
    typealias InboundIn = ByteBuffer

    private let link: PairingLink

    init(link: PairingLink) {
        self.link = link
    }

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        link.append(Array(unwrapInboundIn(data).readableBytesView))
    }

    func channelInactive(context: ChannelHandlerContext) {
        link.end()
    }

    func errorCaught(context: ChannelHandlerContext, error: any Error) {
        link.end()
    }
}

/// A link on which both sides have shown that they have the token. For one task.
struct PairingTalk {
    let link: PairingLink
    private var session: PairingSession

    init(link: PairingLink, session: PairingSession) {
        self.link = link
        self.session = session
    }

    mutating func send(_ message: PairingMessage) throws(PairingFailure) {
        do throws(PairingLinkError) {
            link.send(try session.seal(message))
        } catch {
            throw .protocolError(error)
        }
    }

    /// Errors: also ``PairingFailure/told(_:)``, when the other side gives up.
    mutating func receive(seconds: Int) async throws(PairingFailure) -> PairingMessage {
        let body = try await link.receive(max: PairingFrame.byteCountMax, seconds: seconds)
        let message: PairingMessage
        do throws(PairingLinkError) {
            message = try session.open(body)
        } catch {
            throw .protocolError(error)
        }
        if case .failed(let reason) = message { throw .told(reason) }
        return message
    }

    /// A failure here, for the other side; it learns of others by the end of the connection.
    mutating func tell(_ failure: PairingFailure, node: String) {
        guard case .own(let refusal) = failure else { return }
        try? send(.failed("\(node): \(refusal.text)"))
    }

    mutating func receiveDone(seconds: Int) async throws(PairingFailure) {
        guard case .done = try await receive(seconds: seconds) else { throw .unexpected }
    }
}
