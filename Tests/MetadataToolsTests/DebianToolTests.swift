import DRBDLayout
import Foundation
import Testing

@testable import MetadataTools

/// Debian's drbdmeta and ours on the same images: each reads what the other wrote, and prints the same.
@Suite("Beside Debian's drbdmeta", .enabled(if: DebianTool.isInstalled, "drbd-utils is not installed"))
struct DebianToolTests {
    @Test(
        "Metadata made by both is the same, byte for byte",
        arguments: [64 << 20, 128 << 20, 129 << 20, (300 << 20) + 512, 1_234_567_890])
    func createdMetadataIsEqual(size: Int) throws {
        let (ours, theirs) = (try Image(size: size), try Image(size: size))
        #expect(ours.run("create-md").status == 0)
        #expect(theirs.debian("create-md").status == 0)
        // The device UUID is random; Debian's drbdadm writes it in a step of its own.
        _ = ours.run("write-dev-uuid", ["0"])
        #expect(try ours.tail(1 << 20) == theirs.tail(1 << 20))
    }

    @Test("Debian's tool reads ours: generations, dump, state")
    func debianReadsOurs() throws {
        let image = try Image(size: 64 << 20)
        #expect(image.run("create-md").status == 0)
        #expect(image.run("set-gi", ["1A:2B:3C:4D:1:1:0:1:0:1:0"]).status == 0)
        #expect(image.debian("get-gi").output == image.run("get-gi").output)
        #expect(image.debian("show-gi").output == image.run("show-gi").output)
        #expect(image.debian("dstate").output == image.run("dstate").output)
        #expect(image.debian("dstate").output == "UpToDate\n")
        // Ours prints the real flags; see the deviation in MetadataTool+Dump.
        let ourDump = withoutHead(image.run("dump-md").output).replacingOccurrences(
            of: "flags 0x000000b5", with: "flags 0x00000000")
        #expect(ourDump == withoutHead(image.debian("dump-md").output))
    }

    @Test("Every state of the flags has the words of Debian's tool", arguments: 0..<128)
    func flagWordsAreEqual(pattern: Int) throws {
        let image = try Image(size: 2 << 20)
        _ = image.run("create-md")
        let flags = (0..<7).map { pattern >> $0 & 1 == 1 ? "1" : "0" }.joined(separator: ":")
        _ = image.run("set-gi", ["1:2:3:4:" + flags])
        #expect(image.debian("show-gi").output == image.run("show-gi").output)
        #expect(image.debian("dstate").output == image.run("dstate").output)
    }

    @Test("An unclean disk with a log of a crashed primary is replayed alike")
    func replayIsEqual() throws {
        let (ours, theirs) = (try Image(size: 300 << 20), try Image(size: 300 << 20))
        for image in [ours, theirs] {
            _ = image.run("create-md")
            _ = image.run("write-dev-uuid", ["0"])
            try image.crash(extents: [0, 1, 2, 39, 68])
        }
        let (our, their) = (ours.run("apply-al"), theirs.debian("apply-al"))
        #expect(our.status == 0)
        #expect(their.status == 0)
        #expect(our.errors.contains("Marked additional 20 MB as out-of-sync based on AL."), "\(our.errors)")
        #expect(their.output.contains("Marked additional 20 MB as out-of-sync based on AL."), "\(their.output)")
        #expect(try ours.tail(1 << 20) == theirs.tail(1 << 20))
        let dump = withoutHead(ours.run("dump-md").output).replacingOccurrences(
            of: "flags 0x00000097", with: "flags 0x00000000")
        #expect(dump == withoutHead(theirs.debian("dump-md").output))
    }

    @Test("A dump restores, ours by theirs and theirs by ours")
    func dumpsRestore() throws {
        let source = try Image(size: 300 << 20)
        _ = source.run("create-md")
        try source.crash(extents: [3, 70])
        _ = source.run("apply-al")
        let dump = try source.file(source.run("dump-md").output)
        let (ours, theirs) = (try Image(size: 300 << 20), try Image(size: 300 << 20))
        #expect(theirs.debian("restore-md", [dump]).status == 0)
        #expect(ours.run("restore-md", [dump]).status == 0)
        // The bitmap. Debian's restore leaves the log as it finds it; ours initialises it.
        #expect(try ours.tail(64 << 10).prefix(28 << 10) == theirs.tail(64 << 10).prefix(28 << 10))
        #expect(ours.run("get-gi").output == source.run("get-gi").output)
        #expect(ours.run("verify-dump", [dump]).status == 0)
    }

    @Test("A filesystem that would be cut is refused in the same words")
    func filesystemIsRecognised() throws {
        let (ours, theirs) = (try Image(size: 64 << 20), try Image(size: 64 << 20))
        for image in [ours, theirs] { image.makeFilesystem() }
        let (our, their) = (ours.run("create-md"), theirs.debian("create-md"))
        #expect(our.status == 40)
        #expect(their.status == 40)
        #expect(our.output == their.output)
    }

    /// A dump without its comment lines of date and command.
    private func withoutHead(_ dump: String) -> String {
        dump.split(separator: "\n", omittingEmptySubsequences: false).dropFirst(4).joined(separator: "\n")
    }
}

/// Debian's program, told by a process.
enum DebianTool {
    static let isInstalled = FileManager.default.isExecutableFile(atPath: "/usr/sbin/drbdmeta")
}

/// A disk image in a temporary folder, removed with the value.
final class Image {
    let path: String
    private let folder: String

    init(size: Int) throws {
        folder = NSTemporaryDirectory() + "yoke-metadata-\(UUID().uuidString)"
        try FileManager.default.createDirectory(atPath: folder, withIntermediateDirectories: true)
        path = folder + "/disk.img"
        _ = FileManager.default.createFile(atPath: path, contents: nil)
        let handle = try FileHandle(forWritingTo: URL(fileURLWithPath: path))
        try handle.truncate(atOffset: UInt64(size))
        try handle.close()
    }

    deinit {
        try? FileManager.default.removeItem(atPath: folder)
    }

    /// Our tool, forced, without a daemon.
    func run(
        _ command: String, _ operands: [String] = [], options: [String] = ["--force"], answer: String? = nil
    ) -> (status: Int32, output: String, errors: String) {
        let console = RecordingConsole(answer: answer)
        let status = MetadataTool(console: console, environment: .alone)
            .run(options + ["-", "v08", path, "internal", command] + operands)
        return (status, console.output, console.errors)
    }

    func debian(_ command: String, _ operands: [String] = []) -> (status: Int32, output: String) {
        let process = Process()
        process.executableURL = URL(fileURLWithPath: "/usr/sbin/drbdmeta")
        process.arguments = ["--force", "-", "v08", path, "internal", command] + operands
        let output = Pipe()
        process.standardOutput = output
        process.standardError = command == "apply-al" ? output : FileHandle.nullDevice
        process.standardInput = FileHandle.nullDevice
        do { try process.run() } catch { return (-1, "\(error)") }
        let data = output.fileHandleForReading.readDataToEndOfFile()
        process.waitUntilExit()
        return (process.terminationStatus, String(decoding: data, as: UTF8.self))
    }

    func tail(_ count: Int) throws -> Data {
        let handle = try FileHandle(forReadingFrom: URL(fileURLWithPath: path))
        let size = try handle.seekToEnd()
        try handle.seek(toOffset: size - UInt64(count))
        return handle.readDataToEndOfFile()
    }

    func file(_ text: String) throws -> String {
        let path = folder + "/text"
        try text.write(toFile: path, atomically: true, encoding: .utf8)
        return path
    }

    func makeFilesystem() {
        let process = Process()
        process.executableURL = URL(fileURLWithPath: "/sbin/mkfs.ext4")
        process.arguments = ["-q", "-F", path]
        try? process.run()
        process.waitUntilExit()
    }

    /// What a primary leaves that was cut off from power: unclean magic, PRIMARY_IND, extents in the log.
    func crash(extents: [UInt32]) throws {
        let file = try BlockFile(path: path, readOnly: false)
        let area = MetadataArea(file: file, placement: .internal)
        var superblock = try area.superblock()
        let geometry = try area.geometry(of: superblock)
        superblock.deviceSectors = geometry.usableSectors
        superblock.flags = [.consistent, .wasUpToDate, .primaryIndicator, .connectedIndicator]
        superblock.hasUncleanMagic = true
        let free = [UInt32](repeating: ActivityLogTransaction.freeExtent, count: 257)
        let updates = extents.enumerated().map {
            ActivityLogTransaction.Update(slot: UInt16(256 - $0.offset), extent: $0.element)
        }
        let transaction = ActivityLogTransaction(
            number: 2, slotCount: 257, contextStart: 0, updates: updates, context: free)
        var block = [UInt8](repeating: 0, count: 4096)
        block.withUnsafeMutableBytes { transaction.encode(into: $0) }
        try file.write(block, at: geometry.sector(ofTransaction: 2) * 512)
        try area.write(superblock)
    }
}

final class RecordingConsole: Console {
    var output = ""
    var errors = ""
    private var answer: String?

    init(answer: String?) {
        self.answer = answer
    }

    func writeOutput(_ text: String) { output += text }
    func writeError(_ text: String) { errors += text }
    var isInteractive: Bool { answer != nil }
    func readLine() -> String? { answer }
}

extension MetadataTool.Environment {
    /// No daemon, paths as they are, nothing random.
    static var alone: MetadataTool.Environment {
        MetadataTool.Environment(
            isMinorConfigured: { $0 == 7 }, resolvePath: { $0 }, random: { 0x1234 }, dateText: { "today" },
            hostName: { "here" },
            readFile: { path in FileManager.default.contents(atPath: path).map { [UInt8]($0) } })
    }
}
