package import ClusterVolume
internal import EngineKit
internal import EngineSimulation
internal import FileSystem
internal import FileSystemSimulation
internal import LockManager
internal import LockSimulation
internal import O2Layout

/// One simulated life of a volume that several hosts have mounted, drawn from a seed.
///
/// **Shared** work is done by all hosts in turn: each operation finds what those before it did elsewhere, and answers as
/// the model does: one tree, no stale read. Beside it each host works in a directory of **its own** at the same time.
/// In some histories a host dies in the middle: the others go on, what the dead one had synced is there, and nothing is
/// there that never was.
package final class ClusterHistory {
    package struct Options: Sendable {
        package var stepCount = 150
        package var withDeath = true
        /// Afterwards fsck.ocfs2 looks at the volume.
        package var withFsck = true
        /// Rules broken on purpose.
        package var plantedFaults: ClusterVolume.PlantedFaults = []

        package init() {}
    }

    package struct Outcome: Sendable {
        package var seed: UInt64
        package var steps = 0
        package var messages = 0
        package var hasDeath = false
        package var failure: String?
    }

    private let seed: UInt64
    private let options: Options
    private let trace: ((String) -> Void)?
    private let random: SeededRandom
    private let cluster: SimulatedCluster
    /// By their places among the hosts.
    private var deadHosts: Set<Int> = []
    private var environment: VirtualEnvironment { cluster.environment }

    package static func run(
        seed: UInt64, _ options: Options = Options(), trace: ((String) -> Void)? = nil
    ) -> Outcome {
        let history = ClusterHistory(seed, options, trace)
        var outcome = Outcome(seed: seed)
        do throws(ClusterFailure) {
            try history.run(&outcome)
        } catch {
            outcome.failure = error.description
            trace?("FAILED: \(error)")
            for record in history.environment.records.suffix(30) { trace?("  log: \(record.text)") }
            for node in history.cluster.live {
                history.cluster.hosts[node]?.domain.listing().forEach { trace?("  node \(node): \($0)") }
            }
        }
        outcome.messages = history.cluster.messageCount
        return outcome
    }

    private init(_ seed: UInt64, _ options: Options, _ trace: ((String) -> Void)?) {
        self.seed = seed
        self.options = options
        self.trace = trace
        random = SeededRandom(seed: seed &* 0x9e37_79b9_7f4a_7c15 &+ 1)
        let hostCount = UInt8(2 + random.next(below: 2))
        cluster = SimulatedCluster(seed: seed, nodeCount: hostCount)
        cluster.latencyMax = .microseconds(Int64(50 + random.next(below: 400)))
        cluster.detectionMax = .milliseconds(Int64(50 + random.next(below: 1500)))
        cluster.trace = trace
    }

    private func run(_ outcome: inout Outcome) throws(ClusterFailure) {
        let disk = try makeVolume()
        let hosts = try mountAll(disk)
        let dies = options.withDeath && random.next(below: 2) == 0
        outcome.hasDeath = dies
        // A dead host's unsynced part of shared work is lost, which no single model can follow.
        let shared = dies ? nil : try workload(hosts, top: "shared", index: 0)
        var own: [Workload] = []
        for (index, host) in hosts.enumerated() {
            own.append(try workload([host], top: "host\(index)", index: index + 1))
        }
        let death = dies ? 10 + Int(random.next(below: UInt64(options.stepCount - 20))) : Int.max
        let victim = Int(random.next(below: UInt64(hosts.count)))
        for step in 0..<options.stepCount {
            outcome.steps = step
            try oneStep(own, shared, step == death ? (victim, hosts[victim]) : nil)
        }
        try finish(hosts, own, shared, victim: dies ? victim : nil)
        guard options.withFsck else { return }
        let faults = SimulatedVolume.faults(on: disk)
        guard faults.isEmpty else { throw ClusterFailure("fsck.ocfs2: \(faults.prefix(5))") }
    }

    // MARK: Beginning

    private func makeVolume() throws(ClusterFailure) -> MemoryDevice {
        var recipe = SimulatedVolume.Recipe()
        recipe.slotsOfCluster = 4
        recipe.mebibytes = 64
        let sizes = [(1024, 4096), (4096, 4096), (512, 4096), (2048, 16384)]
        (recipe.blockSize, recipe.clusterSize) = sizes[Int(random.next(below: UInt64(sizes.count)))]
        do throws(SimulatedVolume.ToolFailure) {
            return try SimulatedVolume.make(recipe, environment: environment)
        } catch {
            throw ClusterFailure(error.description)
        }
    }

    private func mountAll(_ disk: MemoryDevice) throws(ClusterFailure) -> [MountedHost] {
        var hosts: [MountedHost] = []
        let options = options
        for address in cluster.configuration {
            hosts.append(
                try wait("mounting") { [cluster] () async throws(ClusterFailure) in
                    try await MountedHost(
                        address.node, in: cluster, disk, plantedFaults: options.plantedFaults)
                })
        }
        return hosts
    }

    private func workload(_ hosts: [MountedHost], top: String, index: Int) throws(ClusterFailure) -> Workload {
        let top = Array(top.utf8)
        let volumes = hosts.map { $0.volume! }
        let workload = try wait("making \(top)") { [seed, environment] () async throws(ClusterFailure) -> Workload in
            do throws(FileSystemError) {
                let root = try await volumes[0].rootDirectory()
                defer { root.release() }
                let new = NewNode(mode: 0o755, caller: .system)
                try await volumes[0].makeDirectory(FileName(top), in: root, new).release()
                try await volumes[0].commit()
                let model = try await TreeModel(reading: volumes[0], below: top)
                return Workload(
                    volumes: volumes, environment: environment, model: model, top: top,
                    seed: seed &+ UInt64(index) &* 31)
            } catch {
                throw ClusterFailure("the directory cannot be made: \(error)")
            }
        }
        workload.byteCountMax = 2 << 20
        if let trace { workload.trace = { trace("\(String(decoding: top, as: UTF8.self)) \($0)") } }
        return workload
    }

    // MARK: Steps

    private func oneStep(
        _ own: [Workload], _ shared: Workload?, _ death: (index: Int, host: MountedHost)?
    ) throws(ClusterFailure) {
        var running = 0
        var failure: String?
        var settled: [Workload] = []
        func start(_ workload: Workload, _ name: String) {
            running += 1
            environment.spawn {
                do throws(SimulationFailure) {
                    try await workload.step()
                    settled.append(workload)
                } catch {
                    failure = failure ?? "\(name): \(error)"
                }
                running -= 1
            }
        }
        for (index, workload) in own.enumerated() where !deadHosts.contains(index) {
            if index == death?.index {
                // Its step never ends: it is under way at the end of the world.
                environment.spawn { try? await workload.step() }
            } else {
                start(workload, "host \(index)")
            }
        }
        if let shared { start(shared, "shared") }
        if let death {
            let delay = random.next(below: 3000)
            environment.call(at: environment.now + .microseconds(Int64(delay))) { [cluster] in
                death.host.die(in: cluster)
            }
            deadHosts.insert(death.index)
        }
        let isDone = environment.run(limit: .seconds(120)) { running == 0 || failure != nil }
        if let failure { throw ClusterFailure(failure) }
        guard isDone else { throw ClusterFailure("\(running) operations never end") }
        for workload in settled { workload.settle() }
    }

    // MARK: The end

    private func finish(
        _ hosts: [MountedHost], _ own: [Workload], _ shared: Workload?, victim: Int?
    ) throws(ClusterFailure) {
        let survivors = hosts.indices.filter { $0 != victim }
        let judge = hosts[survivors[Int(random.next(below: UInt64(survivors.count)))]]
        for (index, workload) in own.enumerated() {
            let found = try tree(of: workload, seenBy: judge)
            if index == victim {
                do throws(SimulationFailure) {
                    try CrashCheck.compare(found, workload)
                } catch {
                    throw ClusterFailure("what the dead host left: \(error)")
                }
            } else {
                try require(found, workload, "host \(index)")
            }
        }
        if let shared {
            for host in hosts { try require(try tree(of: shared, seenBy: host), shared, "seen by \(host.node)") }
        }
        let leaving = survivors.map { hosts[$0] }
        let workloads = survivors.map { own[$0] } + (shared.map { [$0] } ?? [])
        try wait("unmounting") { () async throws(ClusterFailure) in
            for workload in workloads { await workload.finish() }
            for host in leaving { await host.leave() }
        }
        let complaints = environment.records.filter { $0.level >= .error }.map(\.text)
        guard complaints.isEmpty else { throw ClusterFailure("the log says: \(complaints.prefix(5))") }
    }

    private func tree(of workload: Workload, seenBy host: MountedHost) throws(ClusterFailure) -> TreeModel {
        let volume = host.volume!, top = workload.top
        return try wait("reading") { () async throws(ClusterFailure) -> TreeModel in
            do throws(FileSystemError) {
                return try await TreeModel(reading: volume, below: top)
            } catch {
                throw ClusterFailure("node \(host.node) cannot read the tree: \(error)")
            }
        }
    }

    private func require(_ found: TreeModel, _ workload: Workload, _ who: String) throws(ClusterFailure) {
        let lines = Set(found.listing), expected = Set(workload.model.listing)
        guard lines == expected else {
            throw ClusterFailure(
                "\(who): found, but not there: \(lines.subtracting(expected).sorted().prefix(4)); there, but not found: "
                    + "\(expected.subtracting(lines).sorted().prefix(4))")
        }
    }

    private func wait<Result>(
        _ what: String, _ body: @escaping () async throws(ClusterFailure) -> Result
    ) throws(ClusterFailure) -> Result {
        var outcome: Swift.Result<Result, ClusterFailure>?
        environment.spawn {
            do throws(ClusterFailure) {
                outcome = .success(try await body())
            } catch {
                outcome = .failure(error)
            }
        }
        environment.run(limit: .seconds(300)) { outcome != nil }
        guard let outcome else { throw ClusterFailure("\(what) never ends") }
        return try outcome.get()
    }
}
