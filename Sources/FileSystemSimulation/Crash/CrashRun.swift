import EngineKit
import EngineSimulation

/// A workload on a volume whose power is cut at every point: after each operation the disks that a cut at any of its
/// writes may have left are recovered and checked.
///
/// One seed makes the whole run.
package final class CrashRun {
    package struct Options: Sendable {
        package var recipe = SimulatedVolume.Recipe()
        /// Operations of the workload.
        package var stepCount = 300
        /// Workloads at the same time.
        package var workers = 1
        /// Crash points to be checked; then the run ends.
        package var pointCountMax = Int.max
        /// One of so many points is checked.
        package var sampleEvery: UInt64 = 1
        /// One of so many checked disks is given to fsck.ocfs2; 0: none.
        package var fsckEvery = 20

        /// One of so many disks is saved as the cut left it, before any recovery; 0: none.
        package var saveEvery = 0
        /// Folder for these disks.
        package var savePath = ""

        package init() {}
    }

    package let seed: UInt64
    private let options: Options
    private let environment: VirtualEnvironment
    private let device: MemoryDevice
    private let random: SeededRandom
    private let cut: PowerCut
    package private(set) var pointCount = 0
    package private(set) var fsckCount = 0
    package private(set) var stepCount = 0
    package var trace: ((String) -> Void)?

    package init(seed: UInt64, _ options: Options) throws(SimulationFailure) {
        self.seed = seed
        self.options = options
        environment = VirtualEnvironment(seed: seed)
        random = SeededRandom(seed: seed &+ 77)
        do throws(SimulatedVolume.ToolFailure) {
            device = try SimulatedVolume.make(options.recipe, environment: environment)
        } catch {
            throw SimulationFailure(error.description)
        }
        cut = PowerCut(base: device, environment: environment)
        device.isRecording = true
    }

    package func run() throws(SimulationFailure) {
        do throws(SimulationFailure) {
            try runSteps()
        } catch {
            throw SimulationFailure("seed \(seed): \(error)")
        }
    }

    private func runSteps() throws(SimulationFailure) {
        let group = try WorkloadGroup(mounting: device, environment: environment, count: options.workers, seed: seed)
        for workload in group.workloads { workload.trace = trace }
        // The top directories are there from here on.
        for record in device.records { cut.pass(record) }
        device.records = []
        while stepCount < options.stepCount, pointCount < options.pointCountMax {
            stepCount += 1
            try group.step()
            try checkCuts(group)
            group.settle()
        }
        group.finish()
        device.records = []
        let faults = SimulatedVolume.faults(on: device)
        guard faults.isEmpty else { throw SimulationFailure("after the unmount: fsck.ocfs2: \(faults.prefix(5))") }
    }

    /// Cuts the power behind each of the writes since the last call.
    private func checkCuts(_ group: WorkloadGroup) throws(SimulationFailure) {
        let records = device.records
        device.records = []
        for record in records {
            cut.pass(record)
            guard random.next(below: options.sampleEvery) == 0 else { continue }
            let lossy: [PowerCut.Loss] = [.everything, .someWrites, .someSectors]
            let losses = cut.canLose ? [.nothing, lossy[Int(random.next(below: 3))]] : [PowerCut.Loss.nothing]
            for loss in losses {
                guard pointCount < options.pointCountMax else { return }
                try check(loss, group)
            }
        }
    }

    private func check(_ loss: PowerCut.Loss, _ group: WorkloadGroup) throws(SimulationFailure) {
        pointCount += 1
        let isForFsck = options.fsckEvery > 0 && pointCount % options.fsckEvery == 0
        if isForFsck { fsckCount += 1 }
        let host = VirtualEnvironment(seed: seed &+ UInt64(pointCount))
        let disk = cut.disk(loss, random: random, environment: host)
        if options.saveEvery > 0, pointCount % options.saveEvery == 0 {
            do throws(SimulatedVolume.ToolFailure) {
                try SimulatedVolume.save(disk, to: "\(options.savePath)/crash-\(seed)-\(pointCount).img")
            } catch {
                throw SimulationFailure(error.description)
            }
        }
        do throws(SimulationFailure) {
            try CrashCheck.run(
                disk, environment: host, workloads: group.workloads, fsck: isForFsck ? .afterUnmount : .no)
        } catch {
            throw SimulationFailure(
                "point \(pointCount) (step \(stepCount), write \(cut.position), \(loss)): \(error)")
        }
    }
}
