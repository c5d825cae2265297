internal import EngineKit
internal import EngineSimulation
internal import LockManager
internal import O2Layout

/// Users of locks on every host, and what they see: the judge of a ``SimulatedCluster``.
///
/// Each name has a counter that only an EX holder may raise; it travels in the value block. A grant that finds another
/// value than the last one written, or zero (not known), is a stale value; two holders that exclude each other are a
/// broken promise; a user that is never served is one that is stuck.
package final class LockWorkload {
    package struct Violation: Equatable, Sendable {
        package var what: String
    }

    private struct Holder {
        var node: NodeNumber
        var mode: LockMode
    }

    private let cluster: SimulatedCluster
    private let names: [ResourceName]
    private var holders: [ResourceName: [Int: Holder]] = [:]
    private var counters: [ResourceName: UInt64] = [:]
    private var lastHolder = 0
    package private(set) var violations: [Violation] = []
    package private(set) var grantCount = 0
    private var users: [ObjectIdentifier: (host: SimulatedHost, count: Int)] = [:]
    /// Users on hosts that run.
    package var runningUsers: Int { users.values.reduce(0) { $0 + ($1.host.isDead ? 0 : $1.count) } }
    package var isEnding = false

    package init(cluster: SimulatedCluster, nameCount: Int) {
        self.cluster = cluster
        names = (0..<nameCount).map { ResourceName([UInt8(ascii: "n")] + Array("\($0)".utf8))! }
        // The filesystem stops using what a dead host held when it learns of the death; so does the judge.
        cluster.onDeathKnown = { [unowned self] dead, _ in
            for name in self.names { self.holders[name] = self.holders[name]?.filter { $0.value.node != dead } }
        }
    }

    private func chance(_ part: UInt64, in whole: UInt64) -> Bool {
        cluster.environment.random.next(below: whole) < part
    }

    private func pause(_ milliseconds: UInt64) async {
        let length = cluster.environment.random.next(below: milliseconds * 1000 + 1)
        await cluster.environment.sleep(until: cluster.environment.now + .microseconds(Int64(length)))
    }

    /// Starts a user on `host` that locks, works and unlocks until the end.
    package func startUser(on host: SimulatedHost) {
        users[ObjectIdentifier(host), default: (host, 0)].count += 1
        cluster.environment.spawn { [self] in
            while !isEnding, !host.isDead {
                let name = names[Int(cluster.environment.random.next(below: UInt64(names.count)))]
                await use(name, host)
                await pause(5)
            }
            users[ObjectIdentifier(host)]?.count -= 1
        }
    }

    private func use(_ name: ResourceName, _ host: SimulatedHost) async {
        var isWanted = false
        let lock = DomainLock(name: name, usesValue: true) { _ in isWanted = true }
        var rounds = cluster.environment.random.next(below: 6) + 1
        while rounds > 0, !host.isDead {
            rounds -= 1
            let mode: LockMode = chance(1, in: 2) ? .exclusive : .protectedRead
            // Two readers that both want to write would wait for each other: give up first, as the filesystem does.
            if lock.mode == .protectedRead, mode == .exclusive {
                guard await get(lock, .null, host) else { break }
            }
            guard await get(lock, mode, host) else { break }
            isWanted = false
            await work(lock, mode, host)
            // Keep it cached until somebody wants it, sometimes.
            var patience = 40
            while patience > 0, !isWanted, chance(1, in: 2) {
                patience -= 1
                await pause(2)
            }
            let lower: LockMode = lock.mode == .exclusive && chance(1, in: 2) ? .protectedRead : .null
            guard await get(lock, lower, host) else { break }
            if lower == .protectedRead { guard await get(lock, .null, host) else { break } }
        }
        if lock.mode != nil, !host.isDead { await host.domain.unlock(lock) }
    }

    private func get(_ lock: DomainLock, _ mode: LockMode, _ host: SimulatedHost) async -> Bool {
        do throws(LockRequestError) {
            try await host.domain.lock(lock, mode, mayWait: mode == .null || chance(9, in: 10))
            return !host.isDead
        } catch {
            return false
        }
    }

    private func work(_ lock: DomainLock, _ mode: LockMode, _ host: SimulatedHost) async {
        grantCount += 1
        lastHolder += 1
        let id = lastHolder
        for (_, other) in holders[lock.name] ?? [:] where !other.mode.isCompatible(with: mode) {
            violations.append(
                Violation(
                    what:
                        "node \(host.node) has \(lock.name) at \(mode) while node \(other.node) has it at \(other.mode)"
                ))
        }
        holders[lock.name, default: [:]][id] = Holder(node: host.node, mode: mode)
        let counter = counters[lock.name] ?? 0
        let seen = Self.counter(lock.value)
        if seen != 0, seen != counter {
            cluster.note("node \(host.node) sees \(seen) instead of \(counter) in \(lock.name)")
            violations.append(
                Violation(what: "node \(host.node) sees \(seen) in \(lock.name), written was \(counter)"))
        }
        await pause(3)
        guard !host.isDead else { return }
        if mode == .exclusive {
            counters[lock.name] = counter + 1
            lock.value = Self.value(counter + 1)
        }
        holders[lock.name]?[id] = nil
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
