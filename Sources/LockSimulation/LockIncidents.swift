internal import EngineKit
internal import EngineSimulation
internal import LockManager
internal import O2Layout

/// Carries out what a ``LockScenario`` has in store for a ``SimulatedCluster``.
///
/// **Promise.** At least one host lives on at any time.
final class LockIncidents {
    private let cluster: SimulatedCluster
    private let workload: LockWorkload
    private let scenario: LockScenario
    private let plantedFaults: PlantedFaults
    private var environment: VirtualEnvironment { cluster.environment }
    private var ambushes: [LockScenario.Ambush]
    /// Calls that are still to come.
    private var planned = 0
    private var coming: [SimulatedHost] = []
    private var going: [SimulatedHost] = []
    private(set) var deathCount = 0
    /// How many may still come back.
    private var returnsLeft = 6

    init(
        _ cluster: SimulatedCluster, _ workload: LockWorkload, _ scenario: LockScenario, _ plantedFaults: PlantedFaults
    ) {
        self.cluster = cluster
        self.workload = workload
        self.scenario = scenario
        self.plantedFaults = plantedFaults
        ambushes = scenario.ambushes
    }

    /// Nothing that was planned is still to come, except ambushes.
    var areOver: Bool {
        planned == 0 && !coming.contains { !$0.isDead && $0.domain.phase == .new } && !going.contains { !$0.isDead }
    }

    var runningHosts: [SimulatedHost] {
        cluster.hosts.values.filter { !$0.isDead }.sorted { $0.node < $1.node }
    }

    var members: [SimulatedHost] { runningHosts.filter { $0.domain.phase == .joined } }

    func begin() {
        cluster.onRequest = { [unowned self] in ambush($0, $1, $2, $3) }
        for address in cluster.configuration {
            plan(at: environment.now + cluster.chance(scenario.bootSpread)) { [self] in start(address.node) }
        }
        for (at, what) in scenario.incidents {
            plan(at: environment.now + at) { [self] in carryOut(what) }
        }
    }

    private func plan(at instant: Instant, _ body: @escaping () -> Void) {
        planned += 1
        environment.call(at: instant) { [self] in
            body()
            planned -= 1
        }
    }

    // MARK: Coming and going

    private func start(_ node: NodeNumber) {
        guard cluster.hosts[node]?.isDead ?? true else { return }
        let host = cluster.boot(node)
        workload.judge.watch(host)
        host.domain.plantedFaults = plantedFaults
        host.domain.purging.age = scenario.purgeAge
        host.domain.purging.period = scenario.purgeAge * 2
        coming.append(host)
        environment.spawn { [self] in
            // It mounts when it has connections to all.
            await environment.sleep(until: environment.now + scenario.appearanceMax + .milliseconds(1))
            do throws(JoinError) {
                guard !host.isDead else { return }
                try await host.domain.join()
                if !host.isDead { workload.startUsers(on: host) }
            } catch {
                if !host.isDead { workload.judge.complain("node \(node) cannot join: \(error)") }
            }
        }
    }

    func leave(_ host: SimulatedHost) async {
        workload.endUsers(of: host)
        while workload.hasUsers(on: host), !host.isDead {
            await environment.sleep(until: environment.now + .milliseconds(1))
        }
        guard !host.isDead else { return }
        await host.domain.leave()
        if host.domain.phase == .left, !host.isDead { cluster.shutDown(host.node) }
    }

    private func mayReturn(_ node: NodeNumber) {
        guard let longest = scenario.returnMax, returnsLeft > 0, !workload.isClosing else { return }
        returnsLeft -= 1
        plan(at: environment.now + cluster.chance(longest)) { [self] in
            if !workload.isClosing { start(node) }
        }
    }

    // MARK: Incidents

    private func victim(_ pick: UInt64) -> SimulatedHost? {
        let running = runningHosts
        return running.count > 1 ? running[Int(pick) % running.count] : nil
    }

    private func carryOut(_ what: LockScenario.What) {
        switch what {
        case .kill(let pick): victim(pick).map(kill)
        case .killHolder(let pick): killHolder(pick, triesLeft: 40)
        case .killTwo(let pick):
            victim(pick).map(kill)
            victim(pick / 7).map(kill)
        case .fence(let pick):
            guard let host = victim(pick) else { return }
            deathCount += 1
            cluster.fence(host.node)
            workload.judge.noteFence(host)
            workload.endUsers(of: host)
            mayReturn(host.node)
        case .leave(let pick):
            guard let host = victim(pick), host.domain.phase == .joined, !going.contains(where: { $0 === host }) else {
                return
            }
            going.append(host)
            environment.spawn { [self] in
                await leave(host)
                if !host.isDead { workload.judge.complain("node \(host.node) has not left") }
                mayReturn(host.node)
            }
        case .cut(let pick, let length):
            guard let first = victim(pick), let second = victim(pick / 7), first !== second else { return }
            cluster.cut(first.node, second.node, for: length)
        case .isolate(let pick, let length):
            guard let host = victim(pick) else { return }
            for other in runningHosts where other !== host { cluster.cut(host.node, other.node, for: length) }
        }
    }

    private func killHolder(_ pick: UInt64, triesLeft: Int) {
        let holders = workload.judge.exclusiveHolders
        guard runningHosts.count > 1, triesLeft > 0 else { return }
        if !holders.isEmpty, let host = cluster.hosts[holders[Int(pick) % holders.count].node], !host.isDead {
            return kill(host)
        }
        plan(at: environment.now + .microseconds(300)) { [self] in killHolder(pick, triesLeft: triesLeft - 1) }
    }

    private func kill(_ host: SimulatedHost) {
        deathCount += 1
        cluster.kill(host.node)
        mayReturn(host.node)
    }

    private func ambush(_ type: LockMessageType, _ from: NodeNumber, _ to: NodeNumber, _ isHandled: Bool) {
        guard !ambushes.isEmpty, let place = ambushes.firstIndex(where: { $0.type == type && $0.isAfter == isHandled })
        else { return }
        ambushes[place].count -= 1
        guard ambushes[place].count == 0 else { return }
        let killsSender = ambushes.remove(at: place).killsSender
        guard runningHosts.count > 1, let host = cluster.hosts[killsSender ? from : to], !host.isDead else { return }
        kill(host)
    }
}
