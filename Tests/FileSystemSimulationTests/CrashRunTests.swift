import FileSystemSimulation
import Testing

@Suite(.enabled(if: ExternalTool.hasVolumeTools, "ocfs2-tools are not installed"))
struct CrashRunTests {
    @Test("After a cut of power at any point the volume is sound and what was synced is there", arguments: [1, 3])
    func cuts(workers: Int) throws {
        var options = CrashRun.Options()
        options.workers = workers
        options.stepCount = 80
        options.pointCountMax = 60
        options.fsckEvery = 20
        let run = try CrashRun(seed: 5, options)
        try run.run()
        #expect(run.pointCount > 30)
    }

    @Test("Unmounts, cuts and dying disks one after the other lose nothing that was synced")
    func lives() throws {
        var options = ModelRun.Options()
        options.stepCount = 400
        options.stepsPerMountMax = 60
        options.fsckEvery = 5
        let run = try ModelRun(seed: 3, options)
        try run.run()
        #expect(run.mountCount > 5)
    }
}
