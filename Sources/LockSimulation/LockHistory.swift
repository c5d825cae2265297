internal import EngineKit
internal import EngineSimulation
package import LockManager
internal import O2Layout

/// One simulated life of a cluster, drawn from a seed: joins, work, deaths, leaving, returns.
///
/// 1. Hosts boot, join, and their users lock and unlock; what the ``LockScenario`` has in store goes wrong.
/// 2. All faults end. Every request under way must be served; what every host knows must fit (``DomainAudit``).
/// 3. Users give everything back, and all hosts leave; ambushes still wait for them.
///
/// Each part has a limit of virtual time, and the history one of events.
package struct LockHistory {
    package struct Outcome: Sendable {
        package var seed: UInt64
        package var violations: [String] = []
        package var grants = 0
        package var messages = 0
        package var events: UInt64 = 0
        package var deaths = 0
        package var virtualMilliseconds = 0
    }

    private static let eventCountMax: UInt64 = 3_000_000

    private let cluster: SimulatedCluster
    private let judge: LockJudge
    private let workload: LockWorkload
    private let scenario: LockScenario
    private let incidents: LockIncidents
    private var environment: VirtualEnvironment { cluster.environment }

    /// - Parameter trace: gets one line for each message and incident.
    package static func run(
        seed: UInt64, plantedFaults: PlantedFaults = [], trace: ((String) -> Void)? = nil
    ) -> Outcome {
        let history = LockHistory(seed, plantedFaults, trace)
        history.run()
        var outcome = Outcome(seed: seed)
        outcome.violations = history.judge.violations
        outcome.grants = history.judge.grantCount
        outcome.messages = history.cluster.messageCount
        outcome.events = history.environment.eventCount
        outcome.deaths = history.incidents.deathCount
        outcome.virtualMilliseconds = Int(history.environment.now.nanoseconds / 1_000_000)
        return outcome
    }

    private init(_ seed: UInt64, _ plantedFaults: PlantedFaults, _ trace: ((String) -> Void)?) {
        scenario = LockScenario(seed: seed)
        cluster = SimulatedCluster(seed: seed, nodeCount: scenario.nodeCount)
        cluster.latencyMax = scenario.latencyMax
        cluster.detectionMax = scenario.detectionMax
        cluster.appearanceMax = scenario.appearanceMax
        cluster.trace = trace
        cluster.environment.eventCountMax = Self.eventCountMax
        judge = LockJudge(environment: cluster.environment)
        workload = LockWorkload(
            environment: cluster.environment, judge: judge, nameCount: scenario.nameCount,
            usersPerHost: scenario.usersPerHost)
        incidents = LockIncidents(cluster, workload, scenario, plantedFaults)
        judge.lastDisturbance = { [unowned cluster] in cluster.lastDisturbance }
        judge.note = { [unowned cluster] text in cluster.note(text) }
    }

    private func run() {
        incidents.begin()
        environment.run(limit: scenario.stormLength)
        require("what was planned never ends", within: .seconds(120)) { incidents.areOver }
        workload.close()
        guard
            require("not served: \(workload.waiting.prefix(3))", within: .seconds(30), { workload.waiting.isEmpty }),
            settle()
        else { return explain() }
        workload.end()
        guard require("users are stuck", within: .seconds(30), { workload.runningUsers == 0 }) else { return explain() }
        leave()
        if !judge.violations.isEmpty { explain() }
    }

    /// What happens by itself happens; then everybody knows the same.
    private func settle() -> Bool {
        var complaints: [String] = []
        for _ in 0..<100 {
            let step = scenario.latencyMax * 4 + .milliseconds(100)
            // Time passes also when nothing happens for that long.
            environment.call(at: environment.now + step) {}
            environment.run(limit: step)
            complaints = DomainAudit.complaints(incidents.members, workload)
            if complaints.isEmpty { return true }
        }
        for complaint in complaints { judge.complain(complaint) }
        return false
    }

    /// All at once, or one after the other; what they are masters of goes to the others.
    private func leave() {
        for host in incidents.members {
            environment.spawn { [incidents] in await incidents.leave(host) }
            if !scenario.leavesTogether {
                require("node \(host.node) cannot leave", within: .seconds(60)) { host.isDead }
            }
        }
        require("somebody cannot leave", within: .seconds(60)) { cluster.live.isEmpty }
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
        for host in incidents.runningHosts {
            cluster.note("node \(host.node): \(host.domain.phase) members \(host.domain.members)")
            for line in host.domain.listing() { cluster.note("node \(host.node): \(line)") }
        }
        for record in environment.records.suffix(10) { cluster.note("log: \(record.text)") }
    }
}
