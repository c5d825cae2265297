import ArgumentParser
import FileSystemSimulation
import Glibc

struct CrashCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "crash",
        abstract: "Cuts the power at every write of a workload; recovers and checks each disk that may be left.")

    @Option(help: "The first seed.") var seed: UInt64 = 1
    @Option(help: "Crash points to check, over as many seeds as it takes.") var points = 5000
    @Option(help: "Operations for each seed.") var steps = 400
    @Option(help: "One of so many points is checked.") var sampleEvery: UInt64 = 1
    @Option(help: "One of so many disks goes to fsck.ocfs2; 0: none.") var fsckEvery = 50
    @Option(help: "Workloads at the same time.") var workers = 1
    @Option(help: "One of so many disks is saved as the cut left it; 0: none.") var saveEvery = 0
    @Option(help: "Folder for saved disks.") var saveTo = "."
    @Flag(help: "Print every operation.") var trace = false
    @OptionGroup var volume: VolumeOptions

    func run() throws {
        guard ExternalTool.hasVolumeTools else { throw ValidationError("mkfs.ocfs2 and fsck.ocfs2 are needed") }
        var pointCount = 0, fsckCount = 0, stepCount = 0, failures = 0
        var current = seed
        while pointCount < points {
            var options = CrashRun.Options()
            options.recipe = volume.recipe
            options.workers = workers
            options.saveEvery = saveEvery
            options.savePath = saveTo
            options.stepCount = steps
            options.sampleEvery = sampleEvery
            options.fsckEvery = fsckEvery
            options.pointCountMax = points - pointCount
            let run = try CrashRun(seed: current, options)
            if trace { run.trace = { print($0) } }
            do throws(SimulationFailure) {
                try run.run()
            } catch {
                failures += 1
                print("FAILED \(error)")
                print(
                    "  replay: yoke-fs-sim crash --seed \(current) --points \(run.pointCount) --steps \(steps) "
                        + "--sample-every \(sampleEvery) --fsck-every \(fsckEvery) --workers \(workers) \(volume.text) --trace"
                )
                fflush(nil)
                if failures >= 5 { throw ExitCode.failure }
            }
            pointCount += max(1, run.pointCount)
            fsckCount += run.fsckCount
            stepCount += run.stepCount
            current += 1
        }
        print(
            "\(pointCount) crash points, \(fsckCount) checked by fsck.ocfs2, \(stepCount) operations, "
                + "seeds \(seed)...\(current - 1), \(failures) failures")
        if failures > 0 { throw ExitCode.failure }
    }
}
