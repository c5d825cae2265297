package import EngineKit

/// Gets the two sockets of a connection, whichever side opens them. Spec: drbd-wire 2.3.
///
/// Both nodes listen and connect. The first packet on a socket, sent by who connected it, tells what the socket is for:
///
///                        connected, no data socket: send P_INITIAL_DATA
///                        connected, data socket:    send P_INITIAL_META, clear RESOLVE_CONFLICTS
///     searching ------>  accepted P_INITIAL_DATA:   the data socket
///         ^              accepted P_INITIAL_META:   the meta socket, set RESOLVE_CONFLICTS
///         |                        |
///         | a socket died          | both are there
///         +------------------- checking -----------------> established
///                               0.5 s
///
/// While searching, a connect is under way or will be after a wait; the wait has a random part, so that two nodes that
/// do the same do not do it for ever. A first packet for a socket that is there already ("crossed") replaces it by
/// the newer one: the other node then drops ours likewise, and whoever's random delay is over first connects again.
///
/// **Invariant.** RESOLVE_CONFLICTS is set if and only if the meta socket was accepted.
///
/// Deviation: kernels look at accepted sockets only between two connects, notice dead sockets only when they have both,
/// and after a crossing flip a coin between connecting at once and waiting for `connect-int`. Here first packets count
/// at any time, the end of a socket is noticed at once, and the wait after it is at most a second.
package struct ConnectionEstablishment {
    package enum FirstPacket: Equatable, Sendable {
        case initialData
        case initialMeta
        /// Neither of the two.
        case other
    }

    package enum Event: Equatable, Sendable {
        case start
        case connected(SocketID)
        case connectFailed(SocketID, errno: Int32)
        case listenFailed(errno: Int32)
        case accepted(SocketID)
        /// An accepted socket's first packet is complete.
        case firstPacket(SocketID, FirstPacket)
        /// End of stream or error; the owner has closed the socket.
        case socketEnded(SocketID)
        case tick
        /// Give up and close everything.
        case stop
    }

    package enum Effect: Equatable, Sendable {
        case listen
        case stopListening
        case connect(SocketID)
        /// Send the packet as the socket's first.
        case send(SocketID, FirstPacket)
        case close(SocketID)
        /// Both sockets are up; nothing is owned any more.
        case established(data: SocketID, meta: SocketID, resolveConflicts: Bool)
        /// An address of this host cannot be used: StandAlone. Everything is closed.
        case failed(errno: Int32)
        case log(LogRecord)
    }

    package struct Timing: Equatable, Sendable {
        /// Between two connects, and limit of one.
        package var connectInterval: Duration
        /// A quarter of the limit for first packets.
        package var pingTimeout: Duration
        /// How long both sockets must live to count.
        package var socketCheck: Duration

        package init(options: NetworkOptions) {
            connectInterval = .seconds(options.connectInterval)
            pingTimeout = .deciseconds(options.pingTimeout)
            socketCheck = .deciseconds(
                options.socketCheckTimeout == 0 ? options.pingTimeout : options.socketCheckTimeout)
        }
    }

    /// An accepted socket without its first packet.
    private struct Incoming {
        let socket: SocketID
        let deadline: Instant
    }

    private enum Phase: Equatable {
        case idle
        /// Connect again at this time; nil while a connect is under way.
        case searching(Instant?)
        case checking(Instant)
    }

    /// Longest queue of accepted sockets; the oldest silent one makes room.
    private static let incomingMax = 5
    /// Connects in quick succession after sockets that died, before the usual wait.
    private static let quickRetriesMax = 8
    private static let quickRetryDelayMax = Duration.seconds(1)

    private let timing: Timing
    private var phase = Phase.idle
    private var data: SocketID?
    private var meta: SocketID?
    private var resolveConflicts = false
    private var connecting: SocketID?
    private var incoming: [Incoming] = []
    private var quickRetries = 0

    package init(timing: Timing) {
        self.timing = timing
    }

    package var isRunning: Bool { phase != .idle }

    /// Whether the socket belongs to this attempt.
    package func owns(_ socket: SocketID) -> Bool {
        socket == data || socket == meta || socket == connecting || awaitsFirstPacket(socket)
    }

    /// Whether the first packet of this accepted socket is awaited. Of other sockets nothing is to be read yet.
    package func awaitsFirstPacket(_ socket: SocketID) -> Bool {
        incoming.contains { $0.socket == socket }
    }

    package var nextDeadline: Instant? {
        var deadline = incoming.first?.deadline
        let next: Instant? =
            switch phase {
            case .idle: nil
            case .searching(let instant): instant
            case .checking(let instant): instant
            }
        if let next { deadline = min(deadline ?? next, next) }
        return deadline
    }

    /// Takes an event and appends what must be done, in this order.
    ///
    /// - Parameter nextSocketID: a fresh identifier for a socket to connect.
    package mutating func handle(
        _ event: Event, now: Instant, random: any RandomSource, nextSocketID: @escaping () -> SocketID,
        into effects: inout [Effect]
    ) {
        var turn = Turn(now: now, random: random, nextSocketID: nextSocketID)
        switch event {
        case .start: start(&turn)
        case .connected(let socket): connected(socket, &turn)
        case .connectFailed(let socket, let errno): connectFailed(socket, errno, &turn)
        case .listenFailed(let errno): fail(errno, &turn)
        case .accepted(let socket): accepted(socket, &turn)
        case .firstPacket(let socket, let packet): received(packet, on: socket, &turn)
        case .socketEnded(let socket): ended(socket, &turn)
        case .tick: tick(&turn)
        case .stop: closeAll(&turn)
        }
        effects += turn.effects
    }
}

/// What belongs to the handling of one event.
private struct Turn {
    let now: Instant
    let random: any RandomSource
    let nextSocketID: () -> SocketID
    var effects: [ConnectionEstablishment.Effect] = []

    init(now: Instant, random: any RandomSource, nextSocketID: @escaping () -> SocketID) {
        self.now = now
        self.random = random
        self.nextSocketID = nextSocketID
    }

    mutating func log(_ level: LogLevel, _ text: String) {
        effects.append(.log(LogRecord(level, text)))
    }

    /// A time between nothing and `duration` from now.
    func within(_ duration: Duration) -> Instant {
        now + .nanoseconds(Int64(random.next(below: max(1, duration.nanosecondsClamped))))
    }
}

// MARK: Connecting

extension ConnectionEstablishment {
    private mutating func start(_ turn: inout Turn) {
        guard phase == .idle else { preconditionFailure("establishment is started twice") }
        quickRetries = 0
        turn.effects.append(.listen)
        connect(&turn)
    }

    private mutating func connect(_ turn: inout Turn) {
        guard connecting == nil else { return }
        let socket = turn.nextSocketID()
        connecting = socket
        phase = .searching(nil)
        turn.effects.append(.connect(socket))
    }

    private mutating func connected(_ socket: SocketID, _ turn: inout Turn) {
        guard socket == connecting else { return }
        connecting = nil
        if data == nil {
            data = socket
            turn.effects.append(.send(socket, .initialData))
        } else if meta == nil {
            meta = socket
            resolveConflicts = false
            turn.effects.append(.send(socket, .initialMeta))
        } else {
            turn.effects.append(.close(socket))
            return
        }
        if !checkIfComplete(turn) { waitToConnect(turn) }
    }

    private mutating func connectFailed(_ socket: SocketID, _ errno: Int32, _ turn: inout Turn) {
        guard socket == connecting else { return }
        connecting = nil
        switch ConnectFailure(errno) {
        case .ownAddress:
            fail(errno, &turn)
            return
        case .usual:
            break
        case .unusual:
            turn.log(.warning, "connect failed, err = -\(errno)")
        }
        if case .searching = phase { waitToConnect(turn) }
    }

    /// The usual wait, lengthened or shortened by up to a seventh.
    private mutating func waitToConnect(_ turn: Turn) {
        let seventh = timing.connectInterval / 7
        phase = .searching(turn.within(seventh * 2) + (timing.connectInterval - seventh))
    }

    /// A socket died or was replaced by one that will probably die: connect soon, unless that happened often.
    private mutating func waitShortly(_ turn: Turn) {
        guard connecting == nil else {
            phase = .searching(nil)
            return
        }
        guard quickRetries < Self.quickRetriesMax else {
            waitToConnect(turn)
            return
        }
        quickRetries += 1
        phase = .searching(turn.within(Self.quickRetryDelayMax))
    }

    /// Begins the established check if both sockets are there.
    private mutating func checkIfComplete(_ turn: Turn) -> Bool {
        guard data != nil, meta != nil else { return false }
        phase = .checking(turn.now + timing.socketCheck)
        return true
    }
}

// MARK: Accepting

extension ConnectionEstablishment {
    private mutating func accepted(_ socket: SocketID, _ turn: inout Turn) {
        guard isRunning else {
            turn.effects.append(.close(socket))
            return
        }
        if incoming.count == Self.incomingMax { turn.effects.append(.close(incoming.removeFirst().socket)) }
        incoming.append(Incoming(socket: socket, deadline: turn.now + timing.pingTimeout * 4))
    }

    private mutating func received(_ packet: FirstPacket, on socket: SocketID, _ turn: inout Turn) {
        guard let index = incoming.firstIndex(where: { $0.socket == socket }) else { return }
        incoming.remove(at: index)
        let replaced: SocketID?
        switch packet {
        case .initialData:
            replaced = data
            data = socket
            if replaced != nil { turn.log(.warning, "initial packet S crossed") }
        case .initialMeta:
            replaced = meta
            meta = socket
            resolveConflicts = true
            if replaced != nil { turn.log(.warning, "initial packet M crossed") }
        case .other:
            refuse(socket, &turn)
            return
        }
        if let replaced { turn.effects.append(.close(replaced)) }
        if checkIfComplete(turn) { return }
        if replaced != nil { waitShortly(turn) } else { connect(&turn) }
    }

    private func refuse(_ socket: SocketID, _ turn: inout Turn) {
        turn.log(.warning, "Error receiving initial packet")
        turn.effects.append(.close(socket))
    }
}

// MARK: Endings

extension ConnectionEstablishment {
    private mutating func ended(_ socket: SocketID, _ turn: inout Turn) {
        if socket == connecting {
            connectFailed(socket, ConnectFailure.refused, &turn)
            return
        }
        incoming.removeAll { $0.socket == socket }
        guard socket == data || socket == meta else { return }
        if socket == data { data = nil } else { meta = nil }
        waitShortly(turn)
    }

    private mutating func tick(_ turn: inout Turn) {
        while let first = incoming.first, first.deadline <= turn.now {
            incoming.removeFirst()
            refuse(first.socket, &turn)
        }
        switch phase {
        case .idle, .searching(nil):
            break
        case .searching(.some(let instant)):
            if instant <= turn.now { connect(&turn) }
        case .checking(let instant):
            if instant <= turn.now { establish(&turn) }
        }
    }

    private mutating func establish(_ turn: inout Turn) {
        guard let data, let meta else { preconditionFailure("a check without two sockets") }
        self.data = nil
        self.meta = nil
        let holdsFlag = resolveConflicts
        closeAll(&turn)
        turn.effects.append(.established(data: data, meta: meta, resolveConflicts: holdsFlag))
    }

    private mutating func fail(_ errno: Int32, _ turn: inout Turn) {
        guard isRunning else { return }
        closeAll(&turn)
        turn.effects.append(.failed(errno: errno))
    }

    private mutating func closeAll(_ turn: inout Turn) {
        guard isRunning else { return }
        phase = .idle
        turn.effects.append(.stopListening)
        for socket in [data, meta, connecting] {
            if let socket { turn.effects.append(.close(socket)) }
        }
        for waiting in incoming { turn.effects.append(.close(waiting.socket)) }
        data = nil
        meta = nil
        connecting = nil
        incoming.removeAll()
        resolveConflicts = false
    }
}

/// What a failed connect means. Spec: drbd-wire 2.3 step 1.
private enum ConnectFailure {
    /// The peer is not there (yet); not worth a line.
    case usual
    case unusual
    /// The own address cannot be bound.
    case ownAddress

    /// ECONNREFUSED.
    static let refused: Int32 = 111

    /// Numbers of Linux.
    init(_ errno: Int32) {
        switch errno {
        // EADDRNOTAVAIL, EAFNOSUPPORT
        case 99, 97: self = .ownAddress
        // EINTR, EAGAIN, ENETUNREACH, ETIMEDOUT, ECONNREFUSED, EHOSTDOWN, EHOSTUNREACH
        case 4, 11, 101, 110, Self.refused, 112, 113: self = .usual
        default: self = .unusual
        }
    }
}
