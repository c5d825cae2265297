import FileSystemSimulation
import Testing

@Suite(.enabled(if: ExternalTool.hasVolumeTools, "ocfs2-tools are not installed"))
struct CrashRunTests {
    @Test("After a cut of power at any point the volume is sound and what was synced is there", arguments: [1, 2])
    func cuts(seed: UInt64) throws {
        var options = CrashRun.Options()
        options.stepCount = 120
        options.pointCountMax = 150
        options.sampleEvery = 3
        options.fsckEvery = 25
        let run = try CrashRun(seed: seed, options)
        try run.run()
        #expect(run.pointCount > 50)
    }
}
