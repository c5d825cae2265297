import Foundation
import OCFS2Layout
import Testing

@testable import VolumeTools

/// Volumes made here, judged by the classic tools.
@Suite("Judged by fsck.ocfs2", .enabled(if: ClassicTool.isInstalled, "ocfs2-tools is not installed"))
struct FsckTests {
    /// Faults that fsck.ocfs2 finds in volumes of mkfs.ocfs2 itself. Spec: ocfs2-disk-2 23.
    private static let harmless = ["[DX_TREE_MISSING]"]

    @Test(
        "fsck.ocfs2 finds no fault, and mounted.ocfs2 prints what ours prints",
        arguments: PlanTests.cases.filter { $0.size <= 5 << 30 })
    func clean(_ item: PlanTests.Case) throws {
        let image = try ImageFile(size: item.size)
        let device = try FileOfflineDevice(path: image.path, writable: true)
        var options = FormatOptions()
        item.options(&options)
        let uuid = try #require(FixedBytes16(hexadecimalText: "8FDA71670E2E4F058A5AAFF8B53C453D"))
        let identity = FormatIdentity(
            uuid: uuid, generation: 0x1234_5678, indexSeed: IndexSeed(11, 22, 33), time: 1_700_000_000)
        let plan = try VolumePlan(try VolumeFormat(options, deviceByteCount: item.size), identity)
        try VolumeWriter.write(plan, to: device)
        let checked = try ClassicTool.run("fsck.ocfs2", ["-f", "-n", image.path])
        let faults = checked.output.split(separator: "\n").filter { line in
            line.hasPrefix("[") && !Self.harmless.contains { line.hasPrefix($0) }
        }
        #expect(faults == [], "\(checked.output)")
        #expect(checked.output.contains("All passes succeeded."), "\(checked.output)")
        for mode in ["-d", "-f"] {
            let theirs = try ClassicTool.run("mounted.ocfs2", [mode, image.path]).output
            let ours = ToolRun.mounted("\(mode) \(image.path)", devices: [image.path: device])
            #expect(ours.output == theirs)
        }
    }
}

@Suite struct FileOfflineDeviceTests {
    @Test("a file that another tool holds is refused")
    func exclusive() throws {
        let image = try ImageFile(size: 1 << 20)
        let first = try FileOfflineDevice(path: image.path, writable: true)
        #expect {
            _ = try FileOfflineDevice(path: image.path, writable: true)
        } throws: { error in
            guard case OfflineDeviceError.inUse = error else { return false }
            return true
        }
        _ = try FileOfflineDevice(path: image.path, writable: false)
        #expect(first.byteCount == 1 << 20)
    }

    @Test("ranges are cleared, and nothing lies behind the end")
    func clear() throws {
        let image = try ImageFile(size: 1 << 20)
        let device = try FileOfflineDevice(path: image.path, writable: true)
        try device.write([UInt8](repeating: 7, count: 20000), at: 4096)
        try device.clear(5000..<15000)
        #expect(try device.read(at: 4999, count: 3) == [7, 0, 0])
        #expect(try device.read(at: 14998, count: 3) == [0, 0, 7])
        #expect(throws: OfflineDeviceError.self) { try device.write([1], at: 1 << 20) }
        #expect(throws: OfflineDeviceError.self) { _ = try device.read(at: (1 << 20) - 1, count: 2) }
        #expect(throws: OfflineDeviceError.notADevice(path: "/tmp")) {
            _ = try FileOfflineDevice(path: "/tmp", writable: false)
        }
    }
}
