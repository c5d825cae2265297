import EngineKit

@testable import Replication

/// One end of a simulated TCP connection.
struct SocketEnd: Hashable {
    let link: Int
    let isClient: Bool

    var other: SocketEnd { SocketEnd(link: link, isClient: !isClient) }
}

/// What one host of the simulation does with its sockets.
protocol SimulatedHost: AnyObject {
    /// Begins an attempt.
    func start(_ network: SimulatedNetwork)
    func connected(_ end: SocketEnd, _ network: SimulatedNetwork)
    func connectFailed(_ end: SocketEnd, _ network: SimulatedNetwork)
    /// A connection arrived at the listening port.
    func arrived(_ end: SocketEnd, _ network: SimulatedNetwork)
    func received(_ packet: SimulatedPacket, on end: SocketEnd, _ network: SimulatedNetwork)
    func ended(_ end: SocketEnd, _ network: SimulatedNetwork)
    /// The time of ``deadline`` has come.
    func tick(_ network: SimulatedNetwork)

    var deadline: Instant? { get }
    var isListening: Bool { get }
    /// The connection after features were exchanged.
    var connection: SimulatedConnection? { get }
}

enum SimulatedPacket: Equatable {
    case first(ConnectionEstablishment.FirstPacket)
    case features
}

struct SimulatedConnection: Equatable {
    var data: SocketEnd
    var meta: SocketEnd
    var resolveConflicts: Bool
}

/// Two hosts and the network between them, in virtual time: packets of one direction stay in order, SYNs may be lost
/// and repeated after a second or three, connections may be cut.
final class SimulatedNetwork {
    private enum Event {
        case start(host: Int)
        case syn(Int)
        case synAnswer(Int, isRefused: Bool)
        case packet(SimulatedPacket, to: SocketEnd)
        case end(SocketEnd)
    }

    private struct Scheduled {
        let time: Instant
        let order: Int
        let event: Event
    }

    private struct Link {
        /// Host that connects.
        let client: Int
        var closed: Set<Bool> = []
        /// Earliest arrival of the next packet, by direction (true: from the client).
        var nextArrival: [Bool: Instant] = [:]
    }

    let random: SeededRandom
    private(set) var now = Instant(nanoseconds: 1_000_000_000)
    private let hosts: [any SimulatedHost]
    private let latency: Duration
    private let synLoss: UInt64
    /// Connections of a hundred that are cut within their first two seconds.
    private let cuts: UInt64
    private var links: [Link] = []
    private var events: [Scheduled] = []
    private var order = 0
    private(set) var trace: [String] = []

    init(seed: UInt64, _ hosts: [any SimulatedHost]) {
        random = SeededRandom(seed: seed)
        self.hosts = hosts
        latency =
            [.microseconds(100), .milliseconds(1), .milliseconds(20), .milliseconds(150)][
                Int(random.next(below: 4))]
        synLoss = [0, 0, 10, 40][Int(random.next(below: 4))]
        cuts = [0, 0, 20, 50][Int(random.next(below: 4))]
        // Often both start together, so that their first packets cross.
        let apart: Duration = random.next(below: 2) == 0 ? latency * 3 : .seconds(3)
        for host in hosts.indices { schedule(now + delay(upTo: apart), .start(host: host)) }
    }

    /// Runs until both hosts are connected by the same two sockets; nil after `limit`.
    func run(limit: Duration) -> (connections: [SimulatedConnection], time: Duration)? {
        let start = now
        while now - start < limit {
            step()
            guard let a = hosts[0].connection, let b = hosts[1].connection else { continue }
            guard a.data == b.data.other, a.meta == b.meta.other,
                links[a.data.link].closed.isEmpty, links[a.meta.link].closed.isEmpty
            else { continue }
            return ([a, b], now - start)
        }
        return nil
    }

    private func delay(upTo limit: Duration) -> Duration {
        .nanoseconds(Int64(random.next(below: max(1, limit.nanosecondsClamped))))
    }

    private func schedule(_ time: Instant, _ event: Event) {
        order += 1
        events.append(Scheduled(time: time, order: order, event: event))
    }

    private func host(of end: SocketEnd) -> Int {
        let client = links[end.link].client
        return end.isClient ? client : 1 - client
    }

    private func step() {
        let next = events.indices.min { (events[$0].time, events[$0].order) < (events[$1].time, events[$1].order) }
        let timer = hosts.indices.filter { hosts[$0].deadline != nil }.min {
            hosts[$0].deadline! < hosts[$1].deadline!
        }
        if let timer, let deadline = hosts[timer].deadline, next.map({ deadline < events[$0].time }) ?? true {
            now = max(now, deadline)
            hosts[timer].tick(self)
            return
        }
        guard let next else {
            now = now + .seconds(3600)
            return
        }
        let scheduled = events.remove(at: next)
        now = max(now, scheduled.time)
        carryOut(scheduled.event)
    }

    private func carryOut(_ event: Event) {
        switch event {
        case .start(let index):
            trace("host \(index) starts")
            hosts[index].start(self)
        case .syn(let index):
            let client = links[index].client
            let isRefused = !hosts[1 - client].isListening
            let answer = now + delay(upTo: latency * 2)
            schedule(answer, .synAnswer(index, isRefused: isRefused))
            guard !isRefused else { return }
            links[index].nextArrival[false] = answer
            trace("link \(index) arrives")
            if random.next(below: 100) < cuts {
                schedule(now + latency * 2 + delay(upTo: .seconds(2)), .end(SocketEnd(link: index, isClient: true)))
                schedule(now + delay(upTo: .seconds(2)), .end(SocketEnd(link: index, isClient: false)))
            }
            hosts[1 - client].arrived(SocketEnd(link: index, isClient: false), self)
        case .synAnswer(let index, let isRefused):
            let end = SocketEnd(link: index, isClient: true)
            guard !links[index].closed.contains(true) else { return }
            if isRefused {
                hosts[links[index].client].connectFailed(end, self)
            } else {
                hosts[links[index].client].connected(end, self)
            }
        case .packet(let packet, let end):
            guard !links[end.link].closed.contains(end.isClient) else { return }
            trace("\(packet) on \(end)")
            hosts[host(of: end)].received(packet, on: end, self)
        case .end(let end):
            guard !links[end.link].closed.contains(end.isClient) else { return }
            trace("end of \(end)")
            links[end.link].closed.insert(end.isClient)
            hosts[host(of: end)].ended(end, self)
        }
    }

    // MARK: What hosts do

    func trace(_ text: String) {
        trace.append("\(now.nanoseconds / 1_000_000) \(text)")
    }

    func connect(from client: any SimulatedHost) -> SocketEnd {
        let index = hosts.firstIndex { $0 === client }!
        links.append(Link(client: index))
        var time = now + delay(upTo: latency * 2)
        if random.next(below: 100) < synLoss { time = time + .seconds(random.next(below: 2) == 0 ? 1 : 3) }
        schedule(time, .syn(links.count - 1))
        trace("host \(index) connects link \(links.count - 1)")
        return SocketEnd(link: links.count - 1, isClient: true)
    }

    private func arrival(from end: SocketEnd) -> Instant {
        let earliest = links[end.link].nextArrival[end.isClient] ?? now
        let time = max(earliest, now + delay(upTo: latency * 2))
        links[end.link].nextArrival[end.isClient] = time
        return time
    }

    func send(_ packet: SimulatedPacket, on end: SocketEnd) {
        schedule(arrival(from: end), .packet(packet, to: end.other))
    }

    func close(_ end: SocketEnd) {
        guard links[end.link].closed.insert(end.isClient).inserted else { return }
        trace("close \(end)")
        // A connect under way that is closed: the peer finds a connection that ends at once.
        schedule(arrival(from: end), .end(end.other))
    }
}
