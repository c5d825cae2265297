import ArgumentParser
import FileSystemSimulation
import Glibc

struct ModelCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "model",
        abstract: "Runs a long workload beside a model, through unmounts, cuts of power and dying disks.")

    @Option(help: "The first seed.") var seed: UInt64 = 1
    @Option(help: "Operations over all seeds.") var steps = 1_000_000
    @Option(help: "Operations for each seed.") var stepsPerSeed = 20_000
    @Option(help: "Operations of one mount at most.") var stepsPerMount: UInt64 = 1500
    @Option(help: "One of so many mounts is followed by fsck.ocfs2; 0: none.") var fsckEvery = 10
    @Option(help: "Workloads at the same time.") var workers = 1
    @Option(help: "Bytes in all files; 60000000 keeps the volume full.") var bytesMax = 8 << 20
    @Flag(inversion: .prefixedNo, help: "Let disks die.") var faults = true
    @Flag(help: "Print every operation.") var trace = false
    @OptionGroup var volume: VolumeOptions

    func run() throws {
        guard ExternalTool.hasVolumeTools else { throw ValidationError("mkfs.ocfs2 and fsck.ocfs2 are needed") }
        var stepCount = 0, mountCount = 0, refusedCount = 0, noSpaceCount = 0, failures = 0
        var current = seed
        while stepCount < steps {
            var options = ModelRun.Options()
            options.recipe = volume.recipe
            options.workers = workers
            options.byteCountMax = bytesMax
            options.stepCount = min(stepsPerSeed, steps - stepCount)
            options.stepsPerMountMax = stepsPerMount
            options.fsckEvery = fsckEvery
            options.withFaults = faults
            let run = try ModelRun(seed: current, options)
            if trace { run.trace = { print($0) } }
            do throws(SimulationFailure) {
                try run.run()
            } catch {
                failures += 1
                print("FAILED \(error)")
                print(
                    "  replay: yoke-fs-sim model --seed \(current) --steps \(options.stepCount) --steps-per-seed "
                        + "\(stepsPerSeed) --steps-per-mount \(stepsPerMount) --fsck-every \(fsckEvery) --workers \(workers) --bytes-max \(bytesMax) "
                        + "\(faults ? "" : "--no-faults ")\(volume.text) --trace")
                fflush(nil)
                if failures >= 5 { throw ExitCode.failure }
            }
            stepCount += max(1, run.stepCount)
            mountCount += run.mountCount
            refusedCount += run.refusedCount
            noSpaceCount += run.noSpaceCount
            current += 1
        }
        print(
            "\(stepCount) operations (\(refusedCount) refused by both sides, \(noSpaceCount) for lack of space), \(mountCount) mounts, "
                + "seeds \(seed)...\(current - 1), \(failures) failures")
        if failures > 0 { throw ExitCode.failure }
    }
}
