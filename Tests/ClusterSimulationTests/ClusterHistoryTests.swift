import ClusterSimulation
import FileSystemSimulation
import Testing

@Suite("several hosts on one volume", .enabled(if: ExternalTool.hasVolumeTools, "mkfs.ocfs2 is not installed"))
struct ClusterHistoryTests {
    @Test("what one host does the others see", arguments: UInt64(1)...12)
    func histories(seed: UInt64) {
        let outcome = ClusterHistory.run(seed: seed)
        #expect(outcome.failure == nil, "seed \(seed), step \(outcome.steps)")
    }
}
