package import EngineKit
package import EngineSimulation
internal import LockManager
package import O2Layout

/// Several hosts that share one lock domain, on a network that delays, on one virtual time line.
///
/// **Promises of the injector.** A connection loses nothing and reorders nothing until an end of it dies; a cut delays
/// until it is healed. Of what a host that dies had sent, some first part arrives on each connection, and nothing any
/// more once the receiver has learnt of the death. The others learn of it after a while, in any order, each at its own
/// time; at the latest when the node is back with a new session.
package final class SimulatedCluster {
    package let environment: VirtualEnvironment
    package let domainName = "7E012AE3BF62458B8A58C073CF6E1C36"
    package private(set) var hosts: [NodeNumber: SimulatedHost] = [:]
    package let configuration: [NodeAddress]
    /// Longest delay of a message.
    package var latencyMax = Duration.milliseconds(2)
    /// Longest time until a death is known.
    package var detectionMax = Duration.seconds(4)
    /// Longest time until a host that boots is seen by another.
    package var appearanceMax = Duration.zero
    package private(set) var messageCount = 0
    /// When something last happened that may keep requests waiting.
    package private(set) var lastDisturbance = Instant.zero
    /// Gets one line for each message and incident.
    package var trace: ((String) -> Void)?
    /// Called before and after a request is handled.
    package var onRequest: (LockMessageType, _ from: NodeNumber, _ to: NodeNumber, _ isHandled: Bool) -> Void = {
        _, _, _, _ in
    }

    private var links: [Link: WireQueue] = [:]

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

    private var runningHosts: [SimulatedHost] {
        hosts.values.filter { !$0.isDead }.sorted { $0.node < $1.node }
    }

    /// A duration up to `longest`.
    package func chance(_ longest: Duration) -> Duration {
        .nanoseconds(Int64(environment.random.next(below: longest.nanosecondsClamped + 1)))
    }

    // MARK: Life and death

    /// Starts a host: alive, not a member yet. The others see it after a while, and whatever died before it had this
    /// number is gone for them then at the latest.
    package func boot(_ node: NodeNumber) -> SimulatedHost {
        precondition(hosts[node]?.isDead ?? true, "node \(node) runs already")
        let former = hosts[node]
        let host = SimulatedHost(node: node, cluster: self)
        hosts[node] = host
        lastDisturbance = environment.now
        note("node \(node) boots")
        for other in runningHosts where other !== host {
            if let former { learn(of: former, other) }
            host.connect(to: other)
            let visible = environment.now + chance(appearanceMax)
            if visible > environment.now { hold(node, other.node, until: visible) }
            environment.call(at: visible) { [self] in
                guard !other.isDead, !host.isDead else { return }
                note("node \(other.node) sees node \(node)")
                other.connect(to: host)
                other.domain.nodeUp(node)
            }
        }
        return host
    }

    /// Cuts the power of a host.
    package func kill(_ node: NodeNumber) {
        guard let victim = hosts[node], !victim.isDead else { return }
        note("node \(node) dies")
        end(victim)
    }

    /// A host stops by itself, since it found out that it must: users get errors, the others see a death.
    package func fence(_ node: NodeNumber) {
        guard let victim = hosts[node], !victim.isDead else { return }
        note("node \(node) ends its membership")
        victim.domain.abandon()
        victim.isFenced = true
        victim.disconnectAll()
        end(victim)
    }

    /// A host that has left its domain ends its heartbeat: that is seen as well, and nothing is recovered.
    package func shutDown(_ node: NodeNumber) {
        guard let victim = hosts[node], !victim.isDead else { return }
        note("node \(node) is shut down")
        end(victim)
    }

    private func end(_ victim: SimulatedHost) {
        victim.isDead = true
        lastDisturbance = environment.now
        for other in runningHosts {
            wire(victim.node, other.node).loseTail(environment.random)
            let knownAt = environment.now + chance(detectionMax)
            environment.call(at: knownAt) { [self] in learn(of: victim, other) }
        }
    }

    private func learn(of victim: SimulatedHost, _ other: SimulatedHost) {
        guard !other.isDead, other.isConnected(to: victim) else { return }
        note("node \(other.node) learns that \(victim.node) is dead")
        lastDisturbance = environment.now
        other.disconnect(from: victim)
        wire(victim.node, other.node).clear()
        wire(other.node, victim.node).clear()
        // Behind the ends of requests, as in the daemon.
        environment.call(at: environment.now) { if !other.isDead { other.domain.nodeDown(victim.node) } }
    }

    // MARK: The network

    /// Nothing passes between two hosts for a while.
    package func cut(_ first: NodeNumber, _ second: NodeNumber, for length: Duration) {
        note("nothing passes between \(first) and \(second) for \(length)")
        hold(first, second, until: environment.now + length)
    }

    private func hold(_ first: NodeNumber, _ second: NodeNumber, until end: Instant) {
        lastDisturbance = max(lastDisturbance, end)
        for queue in [wire(first, second), wire(second, first)] {
            queue.hold(until: end)
            environment.call(at: end) { [self] in queue.deliver(environment.now) }
        }
    }

    private func wire(_ from: NodeNumber, _ to: NodeNumber) -> WireQueue {
        let link = Link(from: from, to: to)
        if let queue = links[link] { return queue }
        let queue = WireQueue()
        links[link] = queue
        return queue
    }

    /// Delivers after a delay, behind everything that went the same way before.
    func deliver(from: SimulatedHost, to: SimulatedHost, _ body: @escaping () -> Void) {
        messageCount += 1
        let queue = wire(from.node, to.node)
        let arrival = queue.append(environment.now + chance(latencyMax)) { if !to.isDead { body() } }
        environment.call(at: arrival) { [self] in queue.deliver(environment.now) }
    }

    package func note(_ text: @autoclosure () -> String) {
        guard let trace else { return }
        let microseconds = environment.now.nanoseconds / 1000
        trace("\(microseconds / 1_000_000).\(String(1_000_000 + microseconds % 1_000_000).dropFirst()) \(text())")
    }
}
