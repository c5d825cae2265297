import EngineSimulation
import Testing

@Suite(.enabled(if: Tool.hasVolumeTools, "ocfs2-tools are not installed"))
struct VolumeImageTests {
    @Test("what mkfs.ocfs2 makes is clean after the way through memory", arguments: [512, 4096])
    func roundTrip(blockSize: Int) throws {
        let image = try VolumeImage.make(.init(mebibytes: 70, blockSize: blockSize))
        #expect(image.faults() == [])
        #expect(image.debugfs("ls //").contains("truncate_log:0000"))
    }

    @Test("a fault that is put on the disk is found")
    func fault() throws {
        let image = try VolumeImage.make(.init(isLocal: false))
        // i_used of the global bitmap. Spec: ocfs2-disk-2 20.2.
        let block = UInt64(15)
        var bytes = image.device.bytes(at: block * 1024, count: 1024)
        bytes[0xb8] ^= 1
        bytes.withUnsafeBytes { image.device.write(at: block * 1024, $0) }
        #expect(image.faults().contains { $0.hasPrefix("[CHAIN_GROUP_BITS]") })
    }
}
