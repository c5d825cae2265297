import EngineKit

@testable import Replication

/// What both kinds of hosts do with two sockets that passed their check: send features and wait 2 s for the peer's.
struct FeatureExchange {
    var sockets: SimulatedConnection
    let deadline: Instant
    var hasPeerFeatures: Bool

    init(_ sockets: SimulatedConnection, early: Bool, _ network: SimulatedNetwork) {
        self.sockets = sockets
        hasPeerFeatures = early
        deadline = network.now + .seconds(2)
        network.send(.features, on: sockets.data)
    }
}

/// A host with the machine under test.
final class YokeHost: SimulatedHost {
    private var machine = ConnectionEstablishment(timing: .init(options: NetworkOptions()))
    private var ends: [SocketID: SocketEnd] = [:]
    private var lastID: UInt32 = 0
    private var exchange: FeatureExchange?
    private var earlyFeatures: Set<SocketEnd> = []
    private var restart: Instant?
    private(set) var isListening = false

    var connection: SimulatedConnection? { exchange?.hasPeerFeatures == true ? exchange?.sockets : nil }

    var deadline: Instant? {
        let featureDeadline = exchange?.hasPeerFeatures == false ? exchange?.deadline : nil
        return [machine.nextDeadline, featureDeadline, restart].compactMap { $0 }.min()
    }

    private func id(of end: SocketEnd) -> SocketID {
        if let known = ends.first(where: { $0.value == end }) { return known.key }
        lastID += 1
        ends[SocketID(lastID)] = end
        return SocketID(lastID)
    }

    private func feed(_ event: ConnectionEstablishment.Event, _ network: SimulatedNetwork) {
        var effects: [ConnectionEstablishment.Effect] = []
        machine.handle(
            event, now: network.now, random: network.random,
            nextSocketID: {
                self.lastID += 1
                return SocketID(self.lastID)
            }, into: &effects)
        for effect in effects { carryOut(effect, network) }
    }

    private func carryOut(_ effect: ConnectionEstablishment.Effect, _ network: SimulatedNetwork) {
        switch effect {
        case .listen: isListening = true
        case .stopListening: isListening = false
        case .connect(let socket): ends[socket] = network.connect(from: self)
        case .send(let socket, let packet): network.send(.first(packet), on: ends[socket]!)
        case .close(let socket): network.close(ends[socket]!)
        case .established(let data, let meta, let flag):
            let sockets = SimulatedConnection(data: ends[data]!, meta: ends[meta]!, resolveConflicts: flag)
            network.trace("established \(sockets)")
            exchange = FeatureExchange(sockets, early: earlyFeatures.contains(sockets.data), network)
        case .failed: fatalError("no address fails here")
        case .log(let record): network.trace(record.text)
        }
    }

    func start(_ network: SimulatedNetwork) { feed(.start, network) }
    func connected(_ end: SocketEnd, _ network: SimulatedNetwork) { feed(.connected(id(of: end)), network) }

    func connectFailed(_ end: SocketEnd, _ network: SimulatedNetwork) {
        feed(.connectFailed(id(of: end), errno: 111), network)
    }

    func arrived(_ end: SocketEnd, _ network: SimulatedNetwork) { feed(.accepted(id(of: end)), network) }

    func received(_ packet: SimulatedPacket, on end: SocketEnd, _ network: SimulatedNetwork) {
        switch packet {
        case .first(let first): feed(.firstPacket(id(of: end), first), network)
        case .features:
            if exchange?.sockets.data == end { exchange?.hasPeerFeatures = true } else { earlyFeatures.insert(end) }
        }
    }

    func ended(_ end: SocketEnd, _ network: SimulatedNetwork) {
        if let sockets = exchange?.sockets, sockets.data == end || sockets.meta == end {
            lose(network)
        } else {
            feed(.socketEnded(id(of: end)), network)
        }
    }

    private func lose(_ network: SimulatedNetwork) {
        guard let sockets = exchange?.sockets else { return }
        network.trace("connection lost")
        network.close(sockets.data)
        network.close(sockets.meta)
        exchange = nil
        restart = network.now + .seconds(1)
    }

    func tick(_ network: SimulatedNetwork) {
        if let exchange, !exchange.hasPeerFeatures, exchange.deadline <= network.now { lose(network) }
        if let at = restart, at <= network.now {
            restart = nil
            feed(.start, network)
        }
        if let at = machine.nextDeadline, at <= network.now { feed(.tick, network) }
    }
}

/// A host that follows the algorithm of drbd-wire 2.3 step by step, as kernels do: one thing at a time, dead sockets
/// are noticed only where the text says so.
final class KernelHost: SimulatedHost {
    private enum State {
        case idle
        case connecting(SocketEnd)
        /// Step 3 (`accepting` next) or step 6.
        case checking(until: Instant, isStep3: Bool)
        case accepting(until: Instant)
        case reading(SocketEnd, until: Instant)
        case features(FeatureExchange)
        case pausing(until: Instant)
    }

    private var state = State.idle
    private var data: SocketEnd?
    private var meta: SocketEnd?
    private var flag = false
    private var backlog: [SocketEnd] = []
    private var dead: Set<SocketEnd> = []
    private var buffered: [SocketEnd: [SimulatedPacket]] = [:]
    private(set) var isListening = false

    var connection: SimulatedConnection? {
        if case .features(let exchange) = state, exchange.hasPeerFeatures { return exchange.sockets }
        return nil
    }

    var deadline: Instant? {
        switch state {
        case .idle, .connecting: nil
        case .checking(let until, _), .accepting(let until), .reading(_, let until), .pausing(let until): until
        case .features(let exchange): exchange.hasPeerFeatures ? nil : exchange.deadline
        }
    }

    func start(_ network: SimulatedNetwork) {
        data = nil
        meta = nil
        isListening = true
        step1(network)
    }

    private func step1(_ network: SimulatedNetwork) { state = .connecting(network.connect(from: self)) }

    func connected(_ end: SocketEnd, _ network: SimulatedNetwork) {
        guard case .connecting = state else { return }
        if data == nil {
            data = end
            network.send(.first(.initialData), on: end)
        } else if meta == nil {
            meta = end
            flag = false
            network.send(.first(.initialMeta), on: end)
        } else {
            network.close(end)
        }
        check(network, isStep3: true)
    }

    func connectFailed(_ end: SocketEnd, _ network: SimulatedNetwork) {
        guard case .connecting = state else { return }
        check(network, isStep3: true)
    }

    private func check(_ network: SimulatedNetwork, isStep3: Bool) {
        if data != nil && meta != nil {
            state = .checking(until: network.now + .milliseconds(500), isStep3: isStep3)
        } else {
            afterFailedCheck(network, isStep3: isStep3)
        }
    }

    private func afterFailedCheck(_ network: SimulatedNetwork, isStep3: Bool) {
        guard isStep3 else {
            step1(network)
            return
        }
        let base = Duration.seconds(10)
        let longer = network.random.next(below: 2) == 0
        state = .accepting(until: network.now + (longer ? base + base / 7 : base - base / 7))
        acceptNext(network)
    }

    private func dropDead(_ network: SimulatedNetwork) {
        if let end = data, dead.contains(end) {
            network.close(end)
            data = nil
        }
        if let end = meta, dead.contains(end) {
            network.close(end)
            meta = nil
        }
    }

    func arrived(_ end: SocketEnd, _ network: SimulatedNetwork) {
        backlog.append(end)
        if case .accepting = state { acceptNext(network) }
    }

    private func acceptNext(_ network: SimulatedNetwork) {
        guard case .accepting = state, !backlog.isEmpty else { return }
        let end = backlog.removeFirst()
        state = .reading(end, until: network.now + .seconds(2))
        if buffered[end]?.isEmpty == false || dead.contains(end) { readFirst(end, network) }
    }

    private func readFirst(_ end: SocketEnd, _ network: SimulatedNetwork) {
        let packet = buffered[end]?.isEmpty == false ? buffered[end]?.removeFirst() : nil
        dropDead(network)
        let heads = network.random.next(below: 2) == 0
        var isCrossed = false
        switch packet {
        case .first(.initialData):
            isCrossed = data != nil
            if let old = data { network.close(old) }
            data = end
        case .first(.initialMeta):
            flag = true
            isCrossed = meta != nil
            if let old = meta { network.close(old) }
            meta = end
        case .first(.other), .features, nil:
            network.close(end)
            isCrossed = true
        }
        if isCrossed && heads { afterFailedCheck(network, isStep3: true) } else { check(network, isStep3: false) }
    }

    func received(_ packet: SimulatedPacket, on end: SocketEnd, _ network: SimulatedNetwork) {
        if packet == .features, case .features(var exchange) = state, exchange.sockets.data == end {
            exchange.hasPeerFeatures = true
            state = .features(exchange)
            return
        }
        buffered[end, default: []].append(packet)
        if case .reading(let reading, _) = state, reading == end { readFirst(end, network) }
    }

    func ended(_ end: SocketEnd, _ network: SimulatedNetwork) {
        dead.insert(end)
        if case .reading(let reading, _) = state, reading == end { readFirst(end, network) }
        if case .features(let exchange) = state, exchange.sockets.data == end || exchange.sockets.meta == end {
            lose(exchange, network)
        }
    }

    private func lose(_ exchange: FeatureExchange, _ network: SimulatedNetwork) {
        network.trace("kernel: connection lost")
        network.close(exchange.sockets.data)
        network.close(exchange.sockets.meta)
        state = .pausing(until: network.now + .seconds(1))
    }

    func tick(_ network: SimulatedNetwork) {
        switch state {
        case .idle, .connecting:
            break
        case .checking(_, let isStep3):
            dropDead(network)
            if data != nil && meta != nil {
                establish(network)
            } else {
                afterFailedCheck(network, isStep3: isStep3)
            }
        case .accepting:
            check(network, isStep3: false)
        case .reading(let end, _):
            readFirst(end, network)
        case .features(let exchange):
            lose(exchange, network)
        case .pausing:
            start(network)
        }
    }

    private func establish(_ network: SimulatedNetwork) {
        isListening = false
        for end in backlog { network.close(end) }
        backlog.removeAll()
        let sockets = SimulatedConnection(data: data!, meta: meta!, resolveConflicts: flag)
        network.trace("kernel: established \(sockets)")
        let early = buffered[sockets.data]?.contains(.features) == true
        state = .features(FeatureExchange(sockets, early: early, network))
    }
}
