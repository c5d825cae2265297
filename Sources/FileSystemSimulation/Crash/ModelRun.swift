import EngineKit
import EngineSimulation

/// A long workload on one volume through many mounts: some end with an unmount, some with a cut of power, some with a
/// disk that dies. The next begins with what the recovery found.
package final class ModelRun {
    package struct Options: Sendable {
        package var recipe = SimulatedVolume.Recipe()
        package var stepCount = 10_000
        /// Steps of one mount at most.
        package var stepsPerMountMax: UInt64 = 1500
        package var withFaults = true
        /// Bytes in all files above which the workload removes more than it makes.
        package var byteCountMax = 8 << 20
        /// Workloads at the same time.
        package var workers = 1
        /// One of so many mounts is followed by fsck.ocfs2; 0: none.
        package var fsckEvery = 10

        package init() {}
    }

    /// How a mount ends.
    package enum End: CaseIterable, Sendable {
        case unmount, powerCut, deadDisk
    }

    package let seed: UInt64
    private let options: Options
    private let random: SeededRandom
    private var device: MemoryDevice
    /// The disk's host, or the one of the former mount.
    private var environment: VirtualEnvironment
    package private(set) var stepCount = 0
    package private(set) var mountCount = 0
    package private(set) var refusedCount = 0
    package private(set) var noSpaceCount = 0
    package var trace: ((String) -> Void)?

    package init(seed: UInt64, _ options: Options) throws(SimulationFailure) {
        self.seed = seed
        self.options = options
        random = SeededRandom(seed: seed &+ 99)
        environment = VirtualEnvironment(seed: seed)
        do throws(SimulatedVolume.ToolFailure) {
            device = try SimulatedVolume.make(options.recipe, environment: environment)
        } catch {
            throw SimulationFailure(error.description)
        }
    }

    package func run() throws(SimulationFailure) {
        while stepCount < options.stepCount {
            mountCount += 1
            do throws(SimulationFailure) {
                try runMount()
            } catch {
                throw SimulationFailure("seed \(seed), mount \(mountCount): \(error)")
            }
        }
    }

    private func runMount() throws(SimulationFailure) {
        let ends: [End] = options.withFaults ? End.allCases : [.unmount, .powerCut]
        let end = ends[Int(random.next(below: UInt64(ends.count)))]
        let cut = PowerCut(base: device, environment: environment)
        device.isRecording = end != .unmount
        let group = try WorkloadGroup(
            mounting: device, environment: environment, count: options.workers,
            seed: seed &+ UInt64(mountCount) &* 7919)
        for record in device.records { cut.pass(record) }
        device.records = []
        if end == .deadDisk { killDisk(after: random.next(below: 3000)) }
        for workload in group.workloads {
            workload.expectsDeviceErrors = end == .deadDisk
            workload.byteCountMax = options.byteCountMax / options.workers
            if let trace { workload.trace = { trace("  " + $0) } }
        }
        trace?("mount \(mountCount), to end with \(end)")
        var left = 1 + random.next(below: options.stepsPerMountMax)
        while left > 0, !group.isFinished, !isDead {
            left -= 1
            stepCount += group.workloads.count
            try group.step()
            for record in device.records { cut.pass(record) }
            device.records = []
            // The step's own promises hold unless the disk died in it.
            if !isDead { group.settle() }
        }
        noSpaceCount += group.workloads.reduce(0) { $0 + $1.noSpaceCount }
        refusedCount += group.workloads.reduce(0) { $0 + $1.refusedCount }
        try leave(group, end, cut)
    }

    private var isDead = false

    private func killDisk(after count: UInt64) {
        var left = count
        let readsToo = random.next(below: 2) == 0
        device.fault = { [unowned self] transfer in
            if left > 0 {
                left -= 1
                return 0
            }
            isDead = true
            return transfer.kind == .read && !readsToo ? 0 : 5
        }
    }

    private func leave(_ group: WorkloadGroup, _ end: End, _ cut: PowerCut) throws(SimulationFailure) {
        let host = VirtualEnvironment(seed: seed &+ UInt64(mountCount) &* 1000)
        let disk: MemoryDevice
        if end == .unmount {
            group.finish()
            disk = device.copy(environment: host)
            for workload in group.workloads { workload.becameDurableByUnmount() }
        } else {
            let losses = PowerCut.Loss.allCases
            disk = cut.disk(losses[Int(random.next(below: UInt64(losses.count)))], random: random, environment: host)
            // The old host comes to an end too, on a disk that does not answer any more.
            device.isRecording = false
            device.fault = { _ in 5 }
            group.finish()
        }
        isDead = false
        let isForFsck = options.fsckEvery > 0 && mountCount % options.fsckEvery == 0
        try CrashCheck.run(
            disk, environment: host, workloads: group.workloads, fsck: isForFsck ? .afterUnmount : .no)
        environment = VirtualEnvironment(seed: seed &+ UInt64(mountCount) &* 1000 &+ 1)
        device = disk.copy(environment: environment)
    }
}
