import Glibc
import LinuxReactor
import Testing

/// Whether this host lets the tests make block devices; why not, otherwise.
enum BlockDeviceHost {
    static var isUsable: Bool { geteuid() == 0 && FUSEMount.isAvailable && LoopDevice.isAvailable }
    static let requirement: Comment = "needs root, /dev/fuse and loop devices"
}

/// A mount in memory under a real loop device, with the production code that sets both up. Takes everything away in
/// the end, also after a failure.
private final class TestDevice {
    let memory: MemoryMount
    let device: FileBackedBlockDevice
    private var isGone = false

    var path: String { device.loop.path }

    init(sizeBytes: Int) throws {
        memory = try MemoryMount(fileName: "drbd0", sizeBytes: sizeBytes)
        do {
            device = try FileBackedBlockDevice.attach(to: memory.mount, fileName: "drbd0")
        } catch {
            memory.stop()
            throw error
        }
    }

    /// Frees the loop device; the kernel then ends the mount by itself.
    func remove() throws {
        isGone = true
        do {
            try device.detach()
        } catch {
            memory.stop()
            throw error
        }
        memory.join()
    }

    /// Ends the server while the loop device is attached, then frees the device.
    func removeAfterDeath(_ body: () -> Void) throws {
        isGone = true
        memory.stop()
        body()
        try device.detach()
    }

    deinit {
        guard !isGone else { return }
        try? device.detach()
        memory.stop()
    }
}

/// A directory to mount on that is unmounted, by its exact path, and removed.
private func withMountPoint<Result>(_ body: (String) throws -> Result) rethrows -> Result {
    var template = Array("/tmp/yoke-ext4-XXXXXX".utf8CString)
    guard mkdtemp(&template) != nil else { fatalError("mkdtemp: errno \(errno)") }
    let path = String(decoding: template.dropLast().map { UInt8(bitPattern: $0) }, as: UTF8.self)
    defer {
        _ = Tool.run("umount", ["--lazy", "--quiet", path])
        rmdir(path)
    }
    return try body(path)
}

private func expectSuccess(_ program: String, _ arguments: [String]) {
    let outcome = Tool.run(program, arguments, seconds: 120)
    #expect(outcome.status == 0, "\(program) \(arguments): \(outcome.text)")
}

private func mounts() -> String { Tool.run("cat", ["/proc/mounts"]).text }

@Suite(.serialized, .enabled(if: BlockDeviceHost.isUsable, BlockDeviceHost.requirement))
struct BlockDeviceTests {
    @Test("ext4 lives on a loop device over the served file")
    func ext4() throws {
        let test = try TestDevice(sizeBytes: 64 << 20)
        #expect(test.device.loop.isDirect)
        #expect(!mounts().contains(test.memory.directory), "the mount is hidden once the loop device holds the file")
        expectSuccess("mkfs.ext4", ["-q", "-F", test.path])
        withMountPoint { point in
            expectSuccess("mount", [test.path, point])
            #expect(BlockSpecialNode.isClaimed(test.device.loop.path))
            expectSuccess("dd", ["if=/dev/urandom", "of=\(point)/data", "bs=64k", "count=256", "conv=fsync"])
            expectSuccess("cp", ["\(point)/data", "\(point)/copy"])
            expectSuccess("umount", [point])
            #expect(!BlockSpecialNode.isClaimed(test.device.loop.path))
            expectSuccess("e2fsck", ["-f", "-n", test.path])
            expectSuccess("mount", ["-o", "ro", test.path, point])
            expectSuccess("cmp", ["\(point)/data", "\(point)/copy"])
            expectSuccess("umount", [point])
        }
        try test.remove()
        let counters = test.memory.counters
        #expect(counters.endedByKernel && counters.misaligned == 0)
        #expect(counters.writes > 0 && counters.reads > 0 && counters.flushes > 0)
        // The superblock's magic number, read where the backend has it.
        #expect(test.memory.disk[1080] == 0x53 && test.memory.disk[1081] == 0xef)
    }

    @Test("blkdiscard and blkdiscard --zeroout reach the backend")
    func discard() throws {
        let test = try TestDevice(sizeBytes: 8 << 20)
        expectSuccess("dd", ["if=/dev/urandom", "of=\(test.path)", "bs=1M", "count=8", "oflag=direct"])
        expectSuccess("blkdiscard", ["--offset", "1048576", "--length", "1048576", test.path])
        expectSuccess("blkdiscard", ["--zeroout", "--offset", "4194304", "--length", "65536", test.path])
        try test.remove()
        let counters = test.memory.counters
        #expect(counters.zeroedBytes == 1_114_112)
        #expect(counters.zeroingsThatMayUnmap >= 1)
        #expect(test.memory.disk[1 << 20..<2 << 20].allSatisfy { $0 == 0 })
        #expect(test.memory.disk[4 << 20..<(4 << 20) + 65536].allSatisfy { $0 == 0 })
        #expect(!test.memory.disk[2 << 20..<4 << 20].allSatisfy { $0 == 0 })
    }

    @Test("fio verifies random direct writes, many at once", .enabled(if: Tool.exists("fio"), "no fio"))
    func fio() throws {
        let test = try TestDevice(sizeBytes: 16 << 20)
        expectSuccess(
            "fio",
            [
                "--name=verify", "--filename=\(test.path)", "--ioengine=libaio", "--direct=1", "--rw=randwrite",
                "--bsrange=512-1m", "--bs_unaligned=0", "--size=16m", "--iodepth=32", "--verify=crc32c",
                "--verify_fatal=1", "--verify_state_save=0", "--randseed=42", "--output=/dev/null",
            ])
        try test.remove()
        #expect(test.memory.counters.requestsAtOnce > 1)
        #expect(test.memory.counters.misaligned == 0)
    }

    @Test("when the server dies the device fails its users and goes away")
    func serverDies() throws {
        let test = try TestDevice(sizeBytes: 8 << 20)
        let path = test.path
        try test.removeAfterDeath {
            let outcome = Tool.run("dd", ["if=\(path)", "of=/dev/null", "bs=4k", "count=1", "iflag=direct"])
            #expect(outcome.status != 0 && outcome.text.contains("Input/output error"), "\(outcome.text)")
        }
        let list = Tool.run("losetup", ["--list", "--noheadings", path])
        #expect(!list.text.contains("drbd0"), "\(list.text)")
    }

    @Test("a file that is not there leaves no mount behind")
    func missingFile() throws {
        let memory = try MemoryMount(fileName: "drbd0", sizeBytes: 1 << 20)
        #expect(throws: DeviceNodeError.self) {
            try FileBackedBlockDevice.attach(to: memory.mount, fileName: "drbd1")
        }
        memory.join()
        #expect(memory.counters.endedByKernel && !mounts().contains(memory.directory))
    }

    @Test("the node shows its own name among the mounts, and is replaced only when it is ours")
    func specialNode() throws {
        let test = try TestDevice(sizeBytes: 16 << 20)
        expectSuccess("mkfs.ext4", ["-q", "-F", test.path])
        var template = Array("/tmp/yoke-dev-XXXXXX".utf8CString)
        guard mkdtemp(&template) != nil else { fatalError("mkdtemp: errno \(errno)") }
        let directory = String(decoding: template.dropLast().map { UInt8(bitPattern: $0) }, as: UTF8.self)
        let node = directory + "/drbd0"
        defer {
            unlink(node)
            rmdir(directory)
        }
        try BlockSpecialNode.create(node, for: test.path)
        try BlockSpecialNode.create(node, for: test.path)
        withMountPoint { point in
            // /tmp may be mounted so that special files do nothing; then the node cannot be opened.
            let outcome = Tool.run("mount", [node, point])
            #expect(outcome.status == 0 && mounts().contains("\(node) \(point) ext4"), "\(outcome.text)")
            expectSuccess("umount", [point])
        }
        try BlockSpecialNode.remove(node)
        try BlockSpecialNode.remove(node)
        #expect(access(node, F_OK) != 0)
        expectSuccess("touch", [node])
        #expect(throws: DeviceNodeError.self) { try BlockSpecialNode.create(node, for: test.path) }
        #expect(throws: DeviceNodeError.self) { try BlockSpecialNode.remove(node) }
        try test.remove()
    }
}
