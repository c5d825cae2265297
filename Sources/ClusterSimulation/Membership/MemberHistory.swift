internal import ClusterNet
internal import EngineKit
internal import EngineSimulation
internal import LockManager
internal import LockSimulation
internal import O2Layout

/// One simulated life of a cluster with all that decides about membership, drawn from a seed: heartbeats on a common disk,
/// o2net over streams that are cut, the quorum rule, write timeouts, and lock domains above it.
///
/// Nobody tells a host of a death here: it must find out, and who must stop has to stop before the others believe that it
/// has. The judge is the same as that of a ``LockHistory``.
package struct MemberHistory {
    package struct Outcome: Sendable {
        package var violations: [String] = []
        package var grants = 0
        package var events: UInt64 = 0
        package var deaths = 0
        package var fences = 0
        package var virtualMilliseconds = 0
    }

    private static let eventCountMax: UInt64 = 3_000_000

    private let environment: VirtualEnvironment
    private let scenario: MemberScenario
    private let cluster: MemberCluster
    private let judge: LockJudge
    private let workload: LockWorkload

    package static func run(
        seed: UInt64, plantedFaults: MemberFaults = MemberFaults(), trace: ((String) -> Void)? = nil
    ) -> Outcome {
        let history = MemberHistory(seed, plantedFaults, trace)
        history.run()
        var outcome = Outcome()
        outcome.violations = history.judge.violations
        outcome.grants = history.judge.grantCount
        outcome.events = history.environment.eventCount
        outcome.deaths = history.cluster.deathCount
        outcome.fences = history.cluster.fenceCount
        outcome.virtualMilliseconds = Int(history.environment.now.nanoseconds / 1_000_000)
        return outcome
    }

    private init(_ seed: UInt64, _ plantedFaults: MemberFaults, _ trace: ((String) -> Void)?) {
        environment = VirtualEnvironment(seed: seed)
        environment.eventCountMax = Self.eventCountMax
        scenario = MemberScenario(seed: seed, plantedFaults)
        judge = LockJudge(environment: environment)
        workload = LockWorkload(
            environment: environment, judge: judge, nameCount: 2, usersPerHost: 1,
            restMilliseconds: scenario.restMilliseconds)
        cluster = MemberCluster(environment, scenario, workload, trace)
        judge.lastDisturbance = { [unowned cluster] in cluster.lastDisturbance }
        judge.patience = scenario.patience
        judge.note = { [unowned cluster] in cluster.note($0) }
    }

    private func run() {
        cluster.begin()
        environment.run(limit: .seconds(12) + scenario.stormLength)
        require("what was planned never ends", within: .seconds(600)) { cluster.isAtRest }
        workload.close()
        guard
            require(
                "not served: \(workload.waiting.prefix(3))", within: scenario.patience, { workload.waiting.isEmpty }),
            settle()
        else { return explain() }
        workload.end()
        guard require("users are stuck", within: scenario.patience, { workload.runningUsers == 0 }) else {
            return explain()
        }
        for host in cluster.members { host.environment.spawn { [cluster] in await cluster.leave(host) } }
        require("somebody cannot leave", within: scenario.patience) { cluster.running.isEmpty }
        if !judge.violations.isEmpty { explain() }
    }

    private func settle() -> Bool {
        var complaints: [String] = []
        for _ in 0..<30 {
            // Time passes also when nothing happens for that long.
            environment.call(at: environment.now + .seconds(2)) {}
            environment.run(limit: .seconds(2))
            complaints = DomainAudit.complaints(cluster.members, workload)
            if complaints.isEmpty { return true }
        }
        for complaint in complaints { judge.complain(complaint) }
        return false
    }

    @discardableResult
    private func require(
        _ what: @autoclosure () -> String, within limit: Duration, _ isDone: () -> Bool
    ) -> Bool {
        if environment.run(limit: limit, until: isDone) { return true }
        let isLoop = environment.isExhausted ? " (no end of events)" : ""
        judge.complain("\(what()) after \(limit)\(isLoop)")
        return false
    }

    private func explain() {
        for host in cluster.running {
            cluster.note(
                "node \(host.node): \(host.domain.phase) members \(host.domain.members) live \(host.liveNodes) connected "
                    + "\(host.net.connectedNodes)")
            for line in host.domain.listing() { cluster.note("node \(host.node): \(line)") }
        }
        for record in environment.records.suffix(20) { cluster.note("log: \(record.text)") }
    }
}
