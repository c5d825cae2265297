package import EngineKit
package import EngineSimulation
internal import LockManager
internal import O2Layout

/// Looks from outside at who has which lock and what is written under it.
///
/// Each name has a counter that only an EX holder raises; it travels in the value block. Broken promises are:
/// - two holders that exclude each other. What a dead host held counts until the host that is granted has been told of
///   the death, since only then does its filesystem keep its hands off what must be recovered.
/// - two nodes that both decide about a name.
/// - a host that relies on a lock after others have been told that it is dead.
/// - a value block that is older than the last one written; or none, although a holder at PR that knows it never let go.
/// - a request that is served only long after everything that could keep it waiting.
package final class LockJudge {
    /// One user's hold on one lock.
    package final class Holding {
        fileprivate var name: ResourceName?
        fileprivate var host: (any LockHost)?
        fileprivate var mode = LockMode.null
        fileprivate var knowsValue = false
        /// Hosts that were told of the holder's death.
        fileprivate var forgottenBy: Set<ObjectIdentifier> = []
        fileprivate let number: Int

        fileprivate init(_ number: Int) {
            self.number = number
        }

        fileprivate var isOfDead: Bool { host?.isInert ?? false }
    }

    package private(set) var violations: [String] = []
    package private(set) var grantCount = 0
    /// Hosts that take part.
    package private(set) var hosts: [any LockHost] = []
    /// When something last happened that may keep requests waiting.
    package var lastDisturbance: () -> Instant = { .zero }
    /// How long after that a request may wait.
    package var patience = Duration.seconds(8)
    package var note: (String) -> Void = { _ in }

    private let environment: VirtualEnvironment
    private var holdings: [ResourceName: [Holding]] = [:]
    private var counters: [ResourceName: UInt64] = [:]
    private var lastNumber = 0
    /// Hosts that somebody has been told to be dead.
    private var buried: Set<ObjectIdentifier> = []
    /// The last of each number that became a member.
    private var joined: [NodeNumber: any LockHost] = [:]

    package init(environment: VirtualEnvironment) {
        self.environment = environment
    }

    package func complain(_ what: String) {
        note("VIOLATION: \(what)")
        violations.append(what)
    }

    func newHolding() -> Holding {
        lastNumber += 1
        return Holding(lastNumber)
    }

    /// Follows what a host that boots learns of deaths; keeps what else listens.
    package func watch(_ host: any LockHost) {
        hosts.removeAll { $0 === host || $0.node == host.node }
        hosts.append(host)
        let former = host.domain.onEviction
        let identity = ObjectIdentifier(host)
        host.domain.onEviction = { [unowned self] dead in
            former(dead)
            if let host = joined[dead] { buried.insert(ObjectIdentifier(host)) }
            for holding in holdings.values.joined() where holding.host?.node == dead && holding.isOfDead {
                holding.forgottenBy.insert(identity)
            }
        }
    }

    /// The host is a member from now on. Who died before is recovered: else nobody would have let it in.
    func noteJoin(of host: any LockHost) {
        joined[host.node] = host
        for holding in holdings.values.joined() where holding.isOfDead {
            holding.forgottenBy.insert(ObjectIdentifier(host))
        }
    }

    /// A host stops using its locks at this moment: it says so itself.
    package func noteFence(_ host: any LockHost) {
        for (name, all) in holdings { holdings[name] = all.filter { $0.host !== host } }
    }

    func begin(_ holding: Holding, _ lock: DomainLock, _ mode: LockMode, _ host: any LockHost) {
        grantCount += 1
        let name = lock.name
        requireAlive(host, name)
        var all = holdings[name] ?? []
        for other in all where other !== holding && !other.mode.isCompatible(with: mode) {
            guard !isForgotten(other, for: host) else { continue }
            let state = other.isOfDead ? "still has, dead and not recovered," : "has"
            complain(
                "node \(host.node) has \(name) at \(mode) while node \(other.host?.node ?? 0) \(state) \(other.mode)")
        }
        let masters = hosts.filter { !$0.isInert && $0.domain.isMaster(of: name) }
        if masters.count > 1 { complain("\(name) has \(masters.count) masters: \(masters.map(\.node))") }
        let (counter, seen) = (counters[name] ?? 0, Self.counter(lock.value))
        if seen != 0, seen != counter {
            complain("node \(host.node) sees \(seen) in \(name), written was \(counter)")
        }
        let knower = all.first { $0 !== holding && $0.knowsValue && !$0.isOfDead && $0.mode > .null }
        if seen == 0, let knower {
            complain(
                "node \(host.node) finds no value in \(name), node \(knower.host?.node ?? 0) holds it and knows it")
        }
        (holding.name, holding.host, holding.mode, holding.knowsValue) = (name, host, mode, seen != 0)
        all.removeAll { $0 === holding }
        all.append(holding)
        holdings[name] = all
    }

    private func isForgotten(_ holding: Holding, for host: any LockHost) -> Bool {
        guard holding.isOfDead else { return false }
        return holding.forgottenBy.contains(ObjectIdentifier(host))
    }

    /// Who relies on a lock is taken for dead by nobody.
    private func requireAlive(_ host: any LockHost, _ name: ResourceName) {
        guard buried.contains(ObjectIdentifier(host)) else { return }
        complain("node \(host.node) uses \(name) though the others have been told that it is dead")
    }

    /// Hosts that run and hold something at EX.
    var exclusiveHolders: [any LockHost] {
        holdings.values.joined().filter { $0.mode == .exclusive && !$0.isOfDead }
            .sorted { $0.number < $1.number }.compactMap(\.host)
    }

    func work(_ holding: Holding, _ lock: DomainLock, _ mode: LockMode) {
        if let host = holding.host { requireAlive(host, lock.name) }
        guard mode == .exclusive else { return }
        let counter = (counters[lock.name] ?? 0) + 1
        counters[lock.name] = counter
        lock.value = Self.value(counter)
        holding.knowsValue = true
    }

    func lower(_ holding: Holding, _ mode: LockMode) {
        holding.mode = mode
        if mode == .null { giveUp(holding) }
    }

    func giveUp(_ holding: Holding) {
        // What a dead host had is gone when the others have been told.
        guard let name = holding.name, holding.host?.isDead == false else { return }
        holdings[name]?.removeAll { $0 === holding }
        holding.name = nil
    }

    func noteWait(_ since: Instant, _ host: any LockHost, _ name: ResourceName, _ mode: LockMode) {
        guard !host.isDead else { return }
        let waited = environment.now - max(since, lastDisturbance())
        if waited > patience { complain("node \(host.node) was kept waiting \(waited) for \(name) at \(mode)") }
    }

    func noteRefusal(_ host: any LockHost, _ name: ResourceName, _ status: LockStatus) {
        if !host.isDead { complain("node \(host.node) is refused \(name): \(status)") }
    }

    private static func value(_ counter: UInt64) -> ValueBlock {
        var bytes = [UInt8](repeating: 0, count: ValueBlock.byteCount)
        for index in 0..<8 { bytes[index] = UInt8(truncatingIfNeeded: counter >> (8 * UInt64(index))) }
        return ValueBlock(bytes: bytes)
    }

    private static func counter(_ value: ValueBlock) -> UInt64 {
        (0..<8).reduce(0) { $0 | UInt64(value.bytes[$1]) << (8 * UInt64($1)) }
    }
}
