internal import ClusterNet
internal import EngineKit
internal import EngineSimulation
internal import O2Layout

/// The streams between the hosts of a ``MemberHistory``.
///
/// **Promises.** A stream delivers in order and whole, or ends. While nothing passes between two hosts it does not end by
/// itself: it goes on when it can. A program that dies ends its streams at once, a machine that dies says nothing until it
/// is back and denies them.
final class MemberNetwork {
    /// One end of a stream.
    struct End: Hashable {
        let host: ObjectIdentifier
        let id: NetStreamID
    }

    private final class Half {
        let host: MemberHost
        let id: NetStreamID
        /// Whom it hears.
        let peer: NodeNumber
        var underWay: [Parcel] = []
        var lastArrival = Instant.zero

        init(_ host: MemberHost, _ id: NetStreamID, hears peer: NodeNumber) {
            self.host = host
            self.id = id
            self.peer = peer
        }

        var end: End { End(host: ObjectIdentifier(host), id: id) }
    }

    private struct Parcel {
        let arrival: Instant
        /// Nil: the end of the stream.
        let bytes: [UInt8]?
        let isReset: Bool
    }

    private struct Pair: Hashable {
        let low: NodeNumber
        let high: NodeNumber

        init(_ first: NodeNumber, _ second: NodeNumber) {
            (low, high) = (min(first, second), max(first, second))
        }
    }

    private let environment: VirtualEnvironment
    var latencyMax = Duration.milliseconds(2)
    private var peers: [End: Half] = [:]
    private var closed: Set<End> = []
    private var cuts: [Pair: Instant] = [:]
    private(set) var listeners: [NodeNumber: MemberHost] = [:]

    init(_ environment: VirtualEnvironment) {
        self.environment = environment
    }

    /// Nothing passes between two hosts for a while.
    func cut(_ first: NodeNumber, _ second: NodeNumber, for length: Duration) {
        let pair = Pair(first, second)
        cuts[pair] = max(cuts[pair] ?? .zero, environment.now + length)
    }

    private func delay() -> Duration {
        .nanoseconds(Int64(environment.random.next(below: latencyMax.nanosecondsClamped + 1)))
    }

    /// When something sent now can arrive; behind a cut what waits is sent again after a while.
    private func arrival(_ first: NodeNumber, _ second: NodeNumber) -> Instant {
        let open = cuts[Pair(first, second)] ?? .zero
        guard open > environment.now else { return environment.now + delay() }
        return open + .milliseconds(Int64(environment.random.next(below: 1000))) + delay()
    }

    // MARK: Hosts

    func listen(_ host: MemberHost) {
        listeners[host.node] = host
    }

    /// The program ends; its system closes what it had, unless that is gone as well.
    func end(_ host: MemberHost, isQuiet: Bool) {
        if listeners[host.node] === host { listeners[host.node] = nil }
        let identity = ObjectIdentifier(host)
        let own = peers.filter { $0.key.host == identity }
            .sorted { ($0.value.host.node, $0.key.id.value) < ($1.value.host.node, $1.key.id.value) }
        for (end, half) in own {
            peers[end] = nil
            guard !isQuiet else { continue }
            finish(half, isReset: true)
        }
    }

    /// The machine is back: streams of its former life are denied.
    func deny(_ former: MemberHost) {
        let identity = ObjectIdentifier(former)
        let left = peers.filter { ObjectIdentifier($0.value.host) == identity }.keys
            .sorted { $0.id.value < $1.id.value }
        for end in left {
            guard let other = owners[end] else { continue }
            finish(other, isReset: true)
        }
    }

    /// Ends the streams between two hosts for both, as a router does that lost its memory.
    func reset(_ first: MemberHost, _ second: MemberHost) {
        let (one, two) = (ObjectIdentifier(first), ObjectIdentifier(second))
        let between = peers.filter { $0.key.host == one && ObjectIdentifier($0.value.host) == two }
            .sorted { $0.key.id.value < $1.key.id.value }
        for (end, half) in between {
            guard let own = owners[end] else { continue }
            finish(half, isReset: true, isLocal: true)
            finish(own, isReset: true, isLocal: true)
        }
    }

    private var owners: [End: Half] = [:]

    private func finish(_ half: Half, isReset: Bool, isLocal: Bool = false) {
        let time = isLocal ? environment.now : arrival(half.peer, half.host.node)
        put(Parcel(arrival: max(time, half.lastArrival + .nanoseconds(1)), bytes: nil, isReset: isReset), half)
    }

    // MARK: Streams

    func connect(_ host: MemberHost, to peer: NodeNumber, _ id: NetStreamID) {
        let time = arrival(host.node, peer)
        environment.call(at: time) { [self] in
            guard let target = listeners[peer], !target.home.isAsleep else {
                host.environment.call(at: environment.now + delay()) { host.net.streamEnded(id, isReset: true) }
                return
            }
            let there = target.net.nextStreamID()
            let (near, far) = (Half(host, id, hears: peer), Half(target, there, hears: host.node))
            guard !closed.contains(near.end) else { return }
            target.environment.call(at: environment.now) { [self] in
                guard target.net.streamAccepted(there, from: host.net.own.address) else {
                    host.environment.call(at: environment.now + delay()) { host.net.streamEnded(id, isReset: false) }
                    return
                }
                (owners[near.end], owners[far.end]) = (near, far)
                (peers[near.end], peers[far.end]) = (far, near)
                host.environment.call(at: environment.now + delay()) { host.net.streamConnected(id) }
                for bytes in early.removeValue(forKey: far.end) ?? [] { send(target, bytes, there) }
            }
        }
    }

    /// What the acceptor sends before the stream is known here.
    private var early: [End: [[UInt8]]] = [:]

    func send(_ host: MemberHost, _ bytes: [UInt8], _ id: NetStreamID) {
        let end = End(host: ObjectIdentifier(host), id: id)
        guard let half = peers[end] else {
            if !closed.contains(end), owners[end] == nil { early[end, default: []].append(bytes) }
            return
        }
        let time = max(arrival(host.node, half.host.node), half.lastArrival + .nanoseconds(1))
        put(Parcel(arrival: time, bytes: bytes, isReset: false), half)
    }

    private func put(_ parcel: Parcel, _ half: Half) {
        half.lastArrival = parcel.arrival
        half.underWay.append(parcel)
        half.host.environment.call(at: parcel.arrival) { [self] in deliver(half) }
    }

    /// Hands over what has arrived by now, in order; a cut holds back what was under way.
    private func deliver(_ half: Half) {
        while let head = half.underWay.first, head.arrival <= environment.now, !closed.contains(half.end) {
            if let open = cuts[Pair(half.peer, half.host.node)], open > environment.now {
                return half.host.environment.call(at: open) { [self] in deliver(half) }
            }
            half.underWay.removeFirst()
            if let bytes = head.bytes {
                half.host.net.streamReceived(half.id, bytes)
            } else {
                closed.insert(half.end)
                peers[half.end] = nil
                half.host.net.streamEnded(half.id, isReset: head.isReset)
            }
        }
    }

    func close(_ host: MemberHost, _ id: NetStreamID) {
        let end = End(host: ObjectIdentifier(host), id: id)
        closed.insert(end)
        guard let half = peers.removeValue(forKey: end) else { return }
        finish(half, isReset: false)
    }
}
