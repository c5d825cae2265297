import DRBDLayout
import Foundation
import Testing

@testable import MetadataTools

@Suite("Offline metadata tool")
struct MetadataToolTests {
    @Test("Fresh metadata: one line a step, and the generations of a new device")
    func createsFresh() throws {
        let image = try Image(size: 64 << 20)
        let made = image.run("create-md", options: [])
        #expect(made.status == 0)
        #expect(
            made.output
                == "initializing activity log\nWriting meta data...\nNew drbd meta data block successfully created.\n")
        #expect(made.errors == "initializing bitmap (4 KB) to all zero\n")
        let zeroes = "0000000000000000"
        #expect(image.run("get-gi").output == "0000000000000004:\(zeroes):\(zeroes):\(zeroes):0:0:0:0:0:0:0\n")
        #expect(image.run("read-dev-uuid").output == "0000000000001234\n")
    }

    @Test("Existing metadata is overwritten only after a whole yes", arguments: ["no", "y", "YES", "yes "])
    func asksBeforeOverwriting(answer: String) throws {
        let image = try Image(size: 64 << 20)
        _ = image.run("create-md")
        _ = image.run("set-gi", ["AA"])
        let refused = image.run("create-md", options: [], answer: answer)
        #expect(refused.status == 1)
        #expect(refused.errors.contains("[need to type 'yes' to confirm]"))
        #expect(refused.errors.hasSuffix("Operation cancelled.\n"))
        #expect(image.run("get-gi").output.hasPrefix("00000000000000AA:"))
        #expect(image.run("create-md", options: [], answer: "yes").status == 0)
        #expect(image.run("get-gi").output.hasPrefix("0000000000000004:"))
    }

    @Test("Without a terminal nothing is confirmed")
    func needsTerminal() throws {
        let image = try Image(size: 64 << 20)
        _ = image.run("create-md")
        let refused = image.run("wipe-md", options: [])
        #expect(refused.status == 1)
        #expect(refused.errors.contains("stdin not a TTY, not waiting for confirmation"))
        #expect(image.run("get-gi").status == 0)
        #expect(image.run("wipe-md").output.hasSuffix("DRBD meta data block successfully wiped out.\n"))
        #expect(image.run("get-gi").status == 1)
        #expect(image.run("wipe-md").status == 0)
    }

    @Test("A minor that runs is not touched, but may be read")
    func leavesRunningDevicesAlone() throws {
        let image = try Image(size: 64 << 20)
        _ = image.run("create-md")
        let console = RecordingConsole(answer: "yes")
        let tool = MetadataTool(console: console, environment: .alone)
        #expect(tool.run(["7", "v08", image.path, "internal", "create-md"]) == 20)
        #expect(console.errors == "Device '7' is configured!\n")
        #expect(tool.run(["7", "v08", image.path, "internal", "get-gi"]) == 0)
        #expect(console.output.hasPrefix("# Output might be stale, since minor 7 is attached\n"))
    }

    @Test("An unclean dump is refused, and not parsable when forced")
    func uncleanDump() throws {
        let image = try Image(size: 64 << 20)
        _ = image.run("create-md")
        try image.crash(extents: [1])
        let refused = image.run("dump-md", options: [])
        #expect(refused.status == 1)
        #expect(refused.errors == "Found meta data is \"unclean\", please apply-al first\n")
        let forced = image.run("dump-md")
        #expect(forced.output.contains("This_is_an_unclean_meta_data_dump._Don't_trust_the_bitmap."))
        #expect(image.run("verify-dump", [try image.file(forced.output)]).status == 10)
    }

    @Test("A device that is too small, or foreign, is named with what was found where")
    func namesWhatItFound() throws {
        let small = try Image(size: 512 << 10)
        let refused = small.run("create-md")
        #expect(refused.status == 1)
        #expect(refused.errors.contains("too small"), "\(refused.errors)")
        let empty = try Image(size: 64 << 20)
        #expect(empty.run("get-gi").errors.contains("no superblock at sector 131064"), "\(empty.run("get-gi").errors)")
        let resized = empty.run("check-resize")
        #expect(resized.status != 0 && resized.errors.contains("does not move it"), "\(resized.errors)")
    }

    @Test(
        "Bad calls are usage errors",
        arguments: [
            [], ["-"], ["-", "v08"], ["-", "v09", "x", "internal", "get-gi"], ["-", "v08", "x", "internal", "foo"],
            ["-", "v08", "x", "nowhere", "get-gi"], ["xyz", "v08", "x", "internal", "get-gi"],
            ["-", "v08", "/does/not/exist", "internal", "get-gi"],
        ])
    func badCalls(words: [String]) {
        let console = RecordingConsole(answer: nil)
        #expect(MetadataTool(console: console, environment: .alone).run(words) == 20)
        #expect(!console.errors.isEmpty)
    }

    @Test("What lies at the start of a device is recognised")
    func recognises() {
        var start = [UInt8](repeating: 0, count: ExistingData.scannedByteCount)
        #expect(ExistingData.recognise(start) == nil)
        start[5] = 1
        #expect(ExistingData.recognise(start)?.name == "some data")
        start.replaceSubrange(0..<4, with: Array("XFSB".utf8))
        start.replaceSubrange(4..<16, with: [0, 0, 16, 0, 0, 0, 0, 0, 0, 0, 1, 0])
        #expect(ExistingData.recognise(start) == ExistingData(name: "xfs filesystem", usedBytes: 256 * 4096))
    }
}
