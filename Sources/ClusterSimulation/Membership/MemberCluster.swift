internal import EngineKit
internal import EngineSimulation
internal import Heartbeat
internal import LockManager
internal import LockSimulation
internal import O2Layout

/// The hosts of a ``MemberHistory``, and what goes wrong with them.
///
/// **Promise.** Nobody boots while another one's signs of life are held up, by its disk or because it stands still: who
/// boots looks at the others for three intervals only, and takes who is silent for that long for absent. Spec: o2cb 7.2.
final class MemberCluster {
    private let environment: VirtualEnvironment
    private let scenario: MemberScenario
    private let workload: LockWorkload
    private let trace: ((String) -> Void)?
    private let network: MemberNetwork
    private let disk: MemoryDevice
    private let configuration: [NodeAddress]
    private var hosts: [NodeNumber: MemberHost] = [:]
    private var planned = 0
    private var coming: [MemberHost] = []
    private(set) var deathCount = 0
    private(set) var fenceCount = 0
    private(set) var lastDisturbance = Instant.zero
    private var returnsLeft = 4

    init(
        _ environment: VirtualEnvironment, _ scenario: MemberScenario, _ workload: LockWorkload,
        _ trace: ((String) -> Void)?
    ) {
        self.environment = environment
        self.scenario = scenario
        self.workload = workload
        self.trace = trace
        network = MemberNetwork(environment)
        network.latencyMax = scenario.latencyMax
        disk = MemoryDevice(byteCount: 1 << 20, environment: environment)
        configuration = (0..<scenario.nodeCount).map {
            NodeAddress(node: NodeNumber(integerLiteral: $0), port: 7777, address: 0x0a63_0000 + UInt32($0))
        }
    }

    /// Hosts that run as members, or want to become such.
    var running: [MemberHost] { hosts.values.filter { !$0.isDead }.sorted { $0.node < $1.node } }
    var members: [MemberHost] { running.filter { $0.domain.phase == .joined } }
    /// Nothing is to come, and who is coming has come.
    var isAtRest: Bool {
        planned == 0 && (environment.now > lastDisturbance || running.isEmpty) && !isBooting
    }

    private var isBooting: Bool {
        coming.contains { !$0.isDead && !$0.hasJoined }
    }

    func note(_ text: @autoclosure () -> String) {
        guard let trace else { return }
        let microseconds = environment.now.nanoseconds / 1000
        trace("\(microseconds / 1_000_000).\(String(1_000_000 + microseconds % 1_000_000).dropFirst()) \(text())")
    }

    func begin() {
        for address in configuration { plan(after: chance(.seconds(3))) { [self] in start(address.node) } }
        for (at, what) in scenario.incidents { plan(after: at) { [self] in carryOut(what) } }
    }

    private func chance(_ longest: Duration) -> Duration {
        .nanoseconds(Int64(environment.random.next(below: longest.nanosecondsClamped + 1)))
    }

    private func plan(after delay: Duration, _ body: @escaping () -> Void) {
        planned += 1
        environment.call(at: environment.now + delay) { [self] in
            body()
            planned -= 1
        }
    }

    private func disturb(for length: Duration = .zero) {
        lastDisturbance = max(lastDisturbance, environment.now + length)
    }

    // MARK: Coming and going

    private func start(_ node: NodeNumber) {
        if let former = hosts[node] {
            guard former.isDead else { return }
            if running.contains(where: \.isHeldUp) {
                return plan(after: .seconds(1)) { [self] in
                    if !workload.isClosing { start(node) }
                }
            }
            former.kill(isQuiet: false)
            network.deny(former)
        }
        note("node \(node) boots")
        disturb()
        let host = MemberHost(node, configuration, scenario, disk, network, environment) { [weak self] text in
            self?.note(text)
        }
        workload.judge.watch(host)
        host.onFence = { [weak self] in self?.fenced($0) }
        hosts[node] = host
        coming.append(host)
        host.environment.spawn { [self] in
            if await host.join() { return workload.startUsers(on: host) }
            // As an administrator: the mount failed, it is tried again later.
            guard !host.isDead else { return }
            host.kill(isQuiet: false)
            comeBack(node)
        }
    }

    func leave(_ host: MemberHost) async {
        workload.endUsers(of: host)
        while workload.hasUsers(on: host), !host.isDead {
            await host.environment.sleep(until: environment.now + .milliseconds(10))
        }
        if !host.isDead { await host.leave() }
    }

    private func comeBack(_ node: NodeNumber) {
        guard let longest = scenario.returnMax, returnsLeft > 0, !workload.isClosing else { return }
        returnsLeft -= 1
        plan(after: chance(longest)) { [self] in
            if !workload.isClosing { start(node) }
        }
    }

    private func fenced(_ host: MemberHost) {
        fenceCount += 1
        disturb()
        workload.judge.noteFence(host)
        workload.endUsers(of: host)
        comeBack(host.node)
    }

    // MARK: Incidents

    private func victim(_ pick: UInt64) -> MemberHost? {
        let all = running
        return all.count > 1 ? all[Int(pick) % all.count] : nil
    }

    private func carryOut(_ what: MemberScenario.What) {
        switch what {
        case .kill(let pick, let isQuiet):
            guard let host = victim(pick) else { return }
            deathCount += 1
            disturb(for: scenario.heartbeatOptions.deadTime)
            host.kill(isQuiet: isQuiet)
            comeBack(host.node)
        case .leave(let pick):
            guard let host = victim(pick), host.hasJoined else { return }
            disturb()
            host.environment.spawn { [self] in
                await leave(host)
                comeBack(host.node)
            }
        case .split(let pick): split(pick)
        case .cut(let pick, let length):
            guard let first = victim(pick), let second = victim(pick / 7), first !== second else { return }
            note("nothing passes between \(first.node) and \(second.node) for \(length)")
            disturb(for: length + .seconds(2))
            network.cut(first.node, second.node, for: length)
        case .diskHangs(let pick, let length):
            guard let host = victim(pick) else { return }
            guard !isBooting else { return }
            note("the disk of node \(host.node) hangs for \(length)")
            disturb(for: length + scenario.heartbeatOptions.deadTime)
            host.disk.hangsUntil = environment.now + length
        case .diskFails(let pick, let length):
            guard let host = victim(pick) else { return }
            guard !isBooting else { return }
            note("the disk of node \(host.node) fails for \(length)")
            disturb(for: length + scenario.heartbeatOptions.deadTime)
            host.disk.failsUntil = environment.now + length
        case .sleep(let pick, let length):
            guard let host = victim(pick) else { return }
            guard !isBooting else { return }
            note("node \(host.node) stands still for \(length)")
            disturb(for: length + scenario.heartbeatOptions.deadTime)
            host.home.sleep(for: length)
        }
    }

    private func split(_ pick: UInt64) {
        let all = running
        let part = all.indices.filter { pick >> UInt64($0) & 1 == 1 }.map { all[$0] }
        guard !part.isEmpty, part.count < all.count else { return }
        note("nothing passes between \(part.map(\.node)) and the others")
        disturb(for: scenario.splitLength)
        for one in part {
            for other in all where !part.contains(where: { $0 === other }) {
                network.cut(one.node, other.node, for: scenario.splitLength)
                if pick & 256 != 0 { network.reset(one, other) }
            }
        }
    }
}
