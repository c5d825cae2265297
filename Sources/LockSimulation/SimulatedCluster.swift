internal import EngineKit
package import EngineSimulation
package import LockManager
package import O2Layout

/// Several hosts that share one lock domain, on a network that delays, on one virtual time line.
///
/// **Promises of the injector.** A connection loses nothing and reorders nothing until an end of it dies. A host that is
/// killed does nothing more; the others learn of it after a while, in any order, each at its own time.
package final class SimulatedCluster {
    package let environment: VirtualEnvironment
    package let domainName = "7E012AE3BF62458B8A58C073CF6E1C36"
    package private(set) var hosts: [NodeNumber: SimulatedHost] = [:]
    package let configuration: [NodeAddress]
    /// Longest delay of a message.
    package var latencyMax = Duration.milliseconds(2)
    /// Longest time until a death is known.
    package var detectionMax = Duration.seconds(4)
    package private(set) var messageCount = 0
    /// Gets one line for each message and incident.
    package var trace: ((String) -> Void)?

    private var lastArrival: [Link: Instant] = [:]

    struct Link: Hashable {
        let from: NodeNumber
        let to: NodeNumber
    }

    package init(seed: UInt64, nodeCount: UInt8) {
        environment = VirtualEnvironment(seed: seed)
        configuration = (0..<nodeCount).map {
            NodeAddress(node: NodeNumber(integerLiteral: $0), port: 7777, address: 0x0a63_0000 + UInt32($0))
        }
    }

    /// The hosts that run.
    package var live: NodeSet { NodeSet(hosts.values.filter { !$0.isDead }.map(\.node)) }

    /// Starts a host: alive for all, not a member yet.
    package func boot(_ node: NodeNumber) -> SimulatedHost {
        let host = SimulatedHost(node: node, cluster: self)
        hosts[node] = host
        for other in hosts.values where other !== host && !other.isDead { other.domain.nodeUp(node) }
        return host
    }

    /// Cuts the power of a host.
    package func kill(_ node: NodeNumber) {
        guard let victim = hosts[node], !victim.isDead else { return }
        victim.isDead = true
        note("node \(node) dies")
        for other in hosts.values.sorted(by: { $0.node < $1.node }) where !other.isDead {
            let delay = environment.random.next(below: detectionMax.nanosecondsClamped)
            environment.call(at: environment.now + .nanoseconds(Int64(delay))) { [self] in
                guard !other.isDead else { return }
                note("node \(other.node) learns that \(node) is dead")
                other.failRequests(to: node)
                other.domain.nodeDown(node)
                onDeathKnown(node, other.node)
            }
        }
    }

    /// Called when a host has learnt of a death.
    package var onDeathKnown: (_ dead: NodeNumber, _ by: NodeNumber) -> Void = { _, _ in }

    package func note(_ text: @autoclosure () -> String) {
        guard let trace else { return }
        let microseconds = environment.now.nanoseconds / 1000
        trace("\(microseconds / 1_000_000).\(String(1_000_000 + microseconds % 1_000_000).dropFirst()) \(text())")
    }

    /// Delivers after a delay, behind everything that went the same way before.
    func deliver(from: NodeNumber, to: NodeNumber, _ body: @escaping () -> Void) {
        messageCount += 1
        let link = Link(from: from, to: to)
        let delay = environment.random.next(below: latencyMax.nanosecondsClamped)
        let arrival = max(
            environment.now + .nanoseconds(Int64(delay)), (lastArrival[link] ?? .zero) + .nanoseconds(1))
        lastArrival[link] = arrival
        environment.call(at: arrival, body)
    }
}

/// One host of a ``SimulatedCluster``.
package final class SimulatedHost: ClusterMessenger {
    package let node: NodeNumber
    package private(set) var domain: LockDomain!
    package fileprivate(set) var isDead = false
    private unowned let cluster: SimulatedCluster
    private var pending: [UInt64: (to: NodeNumber, completion: (MessengerAnswer) -> Void)] = [:]
    private var lastRequest: UInt64 = 0

    fileprivate init(node: NodeNumber, cluster: SimulatedCluster) {
        self.node = node
        self.cluster = cluster
        domain = LockDomain(
            name: cluster.domainName, node: node, configuration: cluster.configuration,
            liveNodes: cluster.live, cookies: CookieCounter(), messenger: self, environment: cluster.environment)
    }

    package func send(
        _ type: LockMessageType, key: UInt32, _ payload: [UInt8], to peer: NodeNumber,
        _ completion: @escaping (MessengerAnswer) -> Void
    ) {
        guard !isDead else { return }
        guard domain.liveNodes.contains(peer) else {
            cluster.environment.call(at: cluster.environment.now) { completion(.hostDown) }
            return
        }
        lastRequest += 1
        let request = lastRequest
        pending[request] = (peer, completion)
        cluster.deliver(from: node, to: peer) { [self] in
            guard let target = cluster.hosts[peer], !target.isDead,
                !isDead || cluster.environment.random.next(below: 2) == 0
            else { return }
            let status = payload.withUnsafeBytes { target.domain.handle(type, from: node, payload: $0) }
            cluster.note(
                "\(node)>\(peer) \(type) \(Self.name(type, payload)) -> \(status.map { "\($0)" } ?? "no handler")")
            cluster.deliver(from: peer, to: node) { [self] in
                guard !isDead, let waiting = pending.removeValue(forKey: request) else { return }
                waiting.completion(status.map { .status($0) } ?? .noHandler)
            }
        }
    }

    /// The resource that a message is about.
    private static func name(_ type: LockMessageType, _ payload: [UInt8]) -> String {
        let offset: Int
        switch type {
        case .masterRequest, .assertMaster, .dereference, .dereferenceDone, .migrateRequest, .masterRequery: offset = 8
        case .createLock, .convertLock, .proxyAST, .unlockLock, .migrateResource: offset = 16
        default: return payload.prefix(4).map { "\($0)" }.joined(separator: ".")
        }
        let head = payload.prefix(16).map { String($0, radix: 16) }.joined(separator: ".")
        return String(decoding: payload[offset..<offset + 32].prefix { $0 != 0 }, as: UTF8.self) + " " + head
    }

    /// The connection to a dead host is over.
    func failRequests(to peer: NodeNumber) {
        let failed = pending.filter { $0.value.to == peer }.keys.sorted()
        for request in failed {
            guard let waiting = pending.removeValue(forKey: request) else { continue }
            waiting.completion(.hostDown)
        }
    }
}
