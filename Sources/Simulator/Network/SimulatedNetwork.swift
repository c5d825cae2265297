internal import EngineKit
package import Replication

/// The network between two hosts: TCP streams over links that are slow, cut in one or both directions, or forget
/// connections.
///
/// Promise that covers every fault here: a stream delivers what was sent, in order and complete, or ends; two streams
/// have no order among them; and a peer that is silent is noticed by pings and timeouts (drbd-wire 1, 2, 20). Nothing
/// is ever lost or changed inside a stream that lives.
///
/// The network has its own queue of events; whoever drives it calls ``advance()`` at ``nextTime`` and carries the
/// notices to the hosts.
package final class SimulatedNetwork {
    /// What the network is like for its whole life.
    package struct Character: Sendable {
        /// One way, nanoseconds.
        package var latency = 100_000
        /// Up to so many nanoseconds more for each piece.
        package var jitter = 50_000
        /// Nanoseconds that a byte takes.
        package var nanosecondsPerKiB = 8_000
        /// Bytes that the buffers of both hosts hold for one direction of one connection.
        package var bufferSize = 1 << 18

        package init() {}
    }

    /// Something that a host must be told.
    package enum Notice {
        case connected(host: Int, SocketID)
        case connectFailed(host: Int, SocketID, errno: Int32)
        /// A connection waits to be accepted; answer with ``accept(_:as:)`` or ``refuse(_:)``.
        case incoming(host: Int, connection: Int)
        /// Bytes or the end of the stream are there.
        case readable(host: Int, SocketID)
        /// There is room again after ``send(host:_:from:)`` could not take all.
        case writable(host: Int, SocketID)
    }

    enum Event {
        case requestArrives(connection: Int, attempt: Int)
        case answerArrives(connection: Int, errno: Int32)
        case acceptable(connection: Int)
        case attemptEnds(connection: Int)
        case arrival(connection: Int, pipe: Int)
        case sendingTimesOut(connection: Int, end: Int)
    }

    static let connectionRefused: Int32 = 111
    static let timedOut: Int32 = 110
    static let connectionReset: Int32 = 104

    package let character: Character
    /// Whether packets are collected in ``packets``.
    package var observesPackets = false
    /// What was seen since the driver last emptied it.
    package var packets: [ObservedPacket] = []

    var random: SimulationRandom
    var events = EventQueue<Event>()
    var now: UInt64 = 0
    var connections: [SimulatedConnection] = []
    var notices: [Notice] = []
    /// From this host to the other one.
    var isLinkUp = [true, true]
    var isHostUp = [true, true]
    var isListening = [false, false]

    package init(character: Character, random: SimulationRandom) {
        self.character = character
        self.random = random
    }

    /// When ``advance()`` must be called next.
    package var nextTime: UInt64? { events.nextTime }

    /// Lets the next event happen and returns what hosts must be told, in order.
    package func advance() -> [Notice] {
        guard let (time, event) = events.popNext() else { return [] }
        now = time
        switch event {
        case .requestArrives(let connection, let attempt): requestArrives(connection, attempt: attempt)
        case .answerArrives(let connection, let errno): answerArrives(connection, errno: errno)
        case .acceptable(let connection): offer(connection)
        case .attemptEnds(let connection): fail(connection, errno: Self.timedOut)
        case .arrival(let connection, let pipe): arrive(connection, pipe: pipe)
        case .sendingTimesOut(let connection, let end): giveUpSending(connection, end: end)
        }
        return takeNotices()
    }

    package func takeNotices() -> [Notice] {
        let result = notices
        notices.removeAll(keepingCapacity: true)
        return result
    }

    /// The driver's time; never goes back.
    package func setNow(_ time: UInt64) {
        now = max(now, time)
    }

    // MARK: Making connections

    package func setListening(host: Int, _ isListening: Bool) {
        self.isListening[host] = isListening
    }

    /// Begins to connect to the other host; ends with a notice after at most `timeout` nanoseconds.
    package func connect(host: Int, _ socket: SocketID, timeout: UInt64) {
        let number = connections.count
        connections.append(SimulatedConnection(client: host, socket: socket, deadline: now + timeout))
        events.add(.attemptEnds(connection: number), at: now + timeout)
        events.add(.requestArrives(connection: number, attempt: 0), at: now + drawDelay())
    }

    private func requestArrives(_ number: Int, attempt: Int) {
        let connection = connections[number]
        guard connection.ends[0].state == .connecting else { return }
        let client = connection.ends[0].host
        guard isLinkUp[client], isLinkUp[1 - client], isHostUp[1 - client] else {
            // Asked again after 1, 2, 4 ... seconds, as TCP does.
            let wait = UInt64(1_000_000_000) << UInt64(min(attempt, 6))
            if now + wait < connection.deadline {
                events.add(.requestArrives(connection: number, attempt: attempt + 1), at: now + wait)
            }
            return
        }
        let errno = isListening[1 - client] ? 0 : Self.connectionRefused
        events.add(.answerArrives(connection: number, errno: errno), at: now + drawDelay())
    }

    private func answerArrives(_ number: Int, errno: Int32) {
        let connection = connections[number]
        guard connection.ends[0].state == .connecting, let socket = connection.ends[0].socket else { return }
        if errno != 0 { return fail(number, errno: errno) }
        connection.ends[0].state = .open
        events.add(.acceptable(connection: number), at: now + drawDelay())
        notices.append(.connected(host: connection.ends[0].host, socket))
    }

    private func fail(_ number: Int, errno: Int32) {
        let connection = connections[number]
        guard connection.ends[0].state == .connecting, let socket = connection.ends[0].socket else { return }
        connection.ends[0].state = .closed
        connection.ends[1].state = .closed
        notices.append(.connectFailed(host: connection.ends[0].host, socket, errno: errno))
    }

    /// The last step of the handshake reaches the server.
    private func offer(_ number: Int) {
        let connection = connections[number]
        guard connection.ends[1].state == .connecting else { return }
        let host = connection.ends[1].host
        guard isLinkUp[1 - host] else {
            return events.add(.acceptable(connection: number), at: now + 1_000_000_000)
        }
        guard isHostUp[host], isListening[host] else { return refuse(number) }
        notices.append(.incoming(host: host, connection: number))
    }

    /// Takes a waiting connection. Bytes may be there already.
    package func accept(_ number: Int, as socket: SocketID) {
        let connection = connections[number]
        connection.ends[1].socket = socket
        connection.ends[1].state = .open
        if connection.pipes[0].arrived > 0 || connection.pipes[0].hasEndingArrived {
            notices.append(.readable(host: connection.ends[1].host, socket))
        }
    }

    /// Answers a waiting connection with a reset.
    package func refuse(_ number: Int) {
        connections[number].ends[1].state = .closed
        end(connections[number], number, pipe: 1, with: .reset)
    }

    /// No bytes are on their way.
    package var isIdle: Bool {
        connections.allSatisfy { $0.isOver || $0.pipes.allSatisfy { $0.bytes.count == 0 } }
    }

    func drawDelay() -> UInt64 {
        UInt64(character.latency + random.below(character.jitter + 1))
    }

    /// The live connection of a socket, and which end it is.
    func find(host: Int, _ socket: SocketID) -> (number: Int, end: Int)? {
        var number = connections.count - 1
        while number >= 0 {
            for end in 0...1 {
                let candidate = connections[number].ends[end]
                if candidate.host == host, candidate.socket == socket,
                    candidate.state == .open || candidate.state == .connecting
                {
                    return (number, end)
                }
            }
            number -= 1
        }
        return nil
    }
}
