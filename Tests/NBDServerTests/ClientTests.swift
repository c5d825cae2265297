import Glibc
import NBDServer
import Testing

/// Real clients against a server in memory. Each test names the program that judges.
@Suite(.serialized) struct ClientTests {
    private static let size = 8 << 20

    private func export(
        isReadOnly: Bool = false, minimumBlock: Int = 512, reportsAllocation: Bool = false
    ) -> NBDExport {
        NBDExport(
            name: "r0", description: "a test volume", sizeBytes: UInt64(Self.size), isReadOnly: isReadOnly,
            minimumBlock: minimumBlock, reportsAllocation: reportsAllocation)
    }

    /// A file with `content` that lives as long as `body` runs.
    private func withFile<Result>(_ content: [UInt8], _ body: (String) throws -> Result) rethrows -> Result {
        var template = Array("/tmp/yoke-nbd-file-XXXXXX".utf8CString)
        let descriptor = mkstemp(&template)
        let path = String(decoding: template.dropLast().map { UInt8(bitPattern: $0) }, as: UTF8.self)
        defer { unlink(path) }
        var position = 0
        while position < content.count {
            let count = content.withUnsafeBytes {
                write(descriptor, $0.baseAddress! + position, content.count - position)
            }
            guard count > 0 else { break }
            position += count
        }
        close(descriptor)
        return try body(path)
    }

    private func contents(_ path: String) -> [UInt8] {
        let descriptor = open(path, O_RDONLY)
        defer { close(descriptor) }
        var status = stat()
        fstat(descriptor, &status)
        var result = [UInt8](repeating: 0, count: Int(status.st_size))
        var position = 0
        while position < result.count {
            let count = result.withUnsafeMutableBytes {
                read(descriptor, $0.baseAddress! + position, $0.count - position)
            }
            guard count > 0 else { break }
            position += count
        }
        return result
    }

    @Test("nbdinfo reads flags, sizes and the description", .enabled(if: Tool.exists("nbdinfo"), "no nbdinfo"))
    func nbdinfo() {
        let server = MemoryServer(export: export(minimumBlock: 4096))
        defer { server.stop() }
        let outcome = Tool.run("nbdinfo", ["--json", server.uri(export: "r0")])
        #expect(outcome.status == 0, "\(outcome.text)")
        for part in [
            "\"protocol\": \"newstyle-fixed\"", "\"TLS\": false", "\"structured\": true",
            "\"export-name\": \"r0\"", "\"description\": \"a test volume\"", "\"export-size\": 8388608",
            "\"is_read_only\": false", "\"can_df\": true", "\"can_fast_zero\": true", "\"can_flush\": true",
            "\"can_fua\": true", "\"can_multi_conn\": true", "\"can_trim\": true", "\"can_zero\": true",
            "\"block_size_minimum\": 4096", "\"block_size_preferred\": 4096", "\"block_size_maximum\": 33554432",
            "base:allocation",
        ] {
            #expect(outcome.text.contains(part), "\(part) is missing in \(outcome.text)")
        }
        let list = Tool.run("nbdinfo", ["--list", server.uri])
        #expect(list.status == 0 && list.text.contains("export=\"r0\""), "\(list.text)")
    }

    @Test("qemu-img shows the reason of a refusal", .enabled(if: Tool.exists("qemu-img"), "no qemu-img"))
    func refusal() {
        let reason = "r0 is Secondary on this host: promote it with: yoke drbdadm primary r0"
        let server = MemoryServer(export: export(), refusal: reason)
        let outcome = Tool.run("qemu-img", ["info", server.uri(export: "r0")])
        server.stop()
        #expect(outcome.status != 0 && outcome.text.contains(reason), "\(outcome.text)")
    }

    @Test(
        "nbdinfo maps holes and data of a backend that knows them", .enabled(if: Tool.exists("nbdinfo"), "no nbdinfo"))
    func map() {
        let server = MemoryServer(export: export(reportsAllocation: true))
        let write = Tool.run("qemu-io", ["-f", "raw", "-c", "write -P 7 1M 64k", server.uri])
        let outcome = Tool.run("nbdinfo", ["--map", server.uri])
        server.stop()
        #expect(write.status == 0, "\(write.text)")
        let fields = outcome.text.split(separator: "\n").map { $0.split(separator: " ").prefix(3).map(String.init) }
        #expect(fields == [["0", "1048576", "3"], ["1048576", "65536", "0"], ["1114112", "7274496", "3"]])
    }

    @Test("nbdcopy writes over several connections and flushes", .enabled(if: Tool.exists("nbdcopy"), "no nbdcopy"))
    func nbdcopyIn() {
        let data = pattern(Self.size)
        let server = MemoryServer(export: export())
        let outcome = withFile(data) {
            Tool.run("nbdcopy", ["--connections=4", "--threads=4", "--flush", "--requests=32", $0, server.uri])
        }
        server.stop()
        #expect(outcome.status == 0, "\(outcome.text)")
        #expect(server.disk == data)
        #expect(server.counters.connectionsAtOnce >= 4)
        #expect(server.counters.flushes >= 1 && server.counters.writesBeforeFlush == server.counters.writes)
        #expect(server.counters.violations == 0)
    }

    @Test("nbdcopy reads back every byte", .enabled(if: Tool.exists("nbdcopy"), "no nbdcopy"))
    func nbdcopyOut() {
        let data = pattern(Self.size, seed: 9)
        let server = MemoryServer(export: export())
        let input = withFile(data) { Tool.run("nbdcopy", [$0, server.uri]) }
        let copy = withFile([]) { path in
            let outcome = Tool.run("nbdcopy", [server.uri, path])
            #expect(outcome.status == 0, "\(outcome.text)")
            return contents(path)
        }
        server.stop()
        #expect(input.status == 0 && copy == data)
    }

    @Test("qemu-img converts an image in and finds it equal", .enabled(if: Tool.exists("qemu-img"), "no qemu-img"))
    func qemuConvert() {
        var data = [UInt8](repeating: 0, count: Self.size)
        data.replaceSubrange(1 << 20..<3 << 20, with: pattern(2 << 20))
        let server = MemoryServer(export: export())
        withFile(data) { path in
            let convert = Tool.run("qemu-img", ["convert", "-n", "-f", "raw", "-O", "raw", path, server.uri])
            #expect(convert.status == 0, "\(convert.text)")
            let compare = Tool.run("qemu-img", ["compare", "-f", "raw", "-F", "raw", path, server.uri])
            #expect(compare.status == 0, "\(compare.text)")
        }
        server.stop()
        #expect(server.disk == data)
        #expect(server.counters.flushes >= 1)
    }

    @Test("qemu-io writes with FUA, zeroes, discards and flushes", .enabled(if: Tool.exists("qemu-io"), "no qemu-io"))
    func qemuIO() {
        let server = MemoryServer(export: export())
        let commands = [
            "write -P 1 0 1M", "write -f -P 2 64k 4k", "write -z 128k 64k", "write -z -u 256k 64k",
            "discard 512k 128k", "flush", "read -P 1 0 64k", "read -P 2 64k 4k", "read -P 0 128k 64k",
            "aio_write -P 3 1M 1M", "aio_write -P 4 2M 3M", "aio_flush", "read -P 3 1M 1M", "read -P 4 2M 3M",
        ]
        let outcome = Tool.run(
            "qemu-io",
            ["-f", "raw", "-t", "writeback", "--discard", "unmap"] + commands.flatMap { ["-c", $0] } + [server.uri])
        server.stop()
        #expect(outcome.status == 0 && !outcome.text.contains("Pattern verification failed"), "\(outcome.text)")
        #expect(server.counters.writesWithFUA == 1)
        #expect(server.counters.trims >= 1 && server.counters.flushes >= 1)
        #expect(server.counters.zeroings >= 2 && server.counters.zeroingsThatMayUnmap >= 1)
        #expect(server.disk[0] == 1 && server.disk[65536] == 2 && server.disk[131072] == 0)
    }

    @Test("qemu-io works with blocks of 4096 bytes by itself", .enabled(if: Tool.exists("qemu-io"), "no qemu-io"))
    func qemuLargeBlocks() {
        let server = MemoryServer(export: export(minimumBlock: 4096))
        let outcome = Tool.run(
            "qemu-io",
            ["-f", "raw", "-c", "write -P 1 512 512", "-c", "read -P 1 512 512", "-c", "read -P 0 0 512", server.uri])
        server.stop()
        #expect(outcome.status == 0 && !outcome.text.contains("failed"), "\(outcome.text)")
        #expect(server.disk[512..<1024].allSatisfy { $0 == 1 } && server.disk[1024] == 0)
    }

    @Test(
        "an I/O error reaches qemu-io and the connection lives on", .enabled(if: Tool.exists("qemu-io"), "no qemu-io"))
    func ioError() {
        let server = MemoryServer(export: export(), badOffset: 1 << 20)
        let outcome = Tool.run(
            "qemu-io", ["-f", "raw", "-c", "read 1M 4k", "-c", "read 2M 4k", "-c", "write 1M 4k", server.uri])
        server.stop()
        #expect(outcome.text.contains("read failed: Input/output error"), "\(outcome.text)")
        #expect(outcome.text.contains("write failed: Input/output error"), "\(outcome.text)")
        #expect(outcome.text.contains("read 4096/4096 bytes at offset 2097152"), "\(outcome.text)")
        #expect(server.counters.connections == 1)
    }

    @Test("a read-only export takes no writer", .enabled(if: Tool.exists("qemu-io"), "no qemu-io"))
    func readOnly() {
        let server = MemoryServer(export: export(isReadOnly: true))
        let writer = Tool.run("qemu-io", ["-f", "raw", "-c", "write 0 4k", server.uri])
        let reader = Tool.run("qemu-io", ["-r", "-f", "raw", "-c", "read -P 0 0 4k", server.uri])
        server.stop()
        #expect(writer.status != 0)
        #expect(reader.status == 0, "\(reader.text)")
        #expect(server.counters.writes == 0 && server.counters.reads >= 1)
    }

    @Test(
        "fio verifies random writes of mixed sizes at depth 32",
        .enabled(if: Tool.run("fio", ["--enghelp"]).text.contains("nbd"), "no fio with an nbd engine"))
    func fio() {
        let server = MemoryServer(export: export())
        let outcome = withFile([]) { path in
            Tool.run(
                "fio",
                [
                    "--name=verify", "--ioengine=nbd", "--uri=\(server.uri)", "--rw=randwrite",
                    "--bsrange=512-256k", "--bs_unaligned=0", "--size=8m", "--iodepth=32", "--verify=crc32c",
                    "--verify_fatal=1", "--verify_state_save=0", "--randseed=42", "--fsync=16", "--output=\(path)",
                ])
        }
        server.stop()
        #expect(outcome.status == 0, "\(outcome.text)")
        #expect(server.counters.reads > 0 && server.counters.writes > 0 && server.counters.flushes > 0)
        #expect(server.counters.violations == 0)
    }

    @Test("nbd-client lists the exports", .enabled(if: Tool.exists("nbd-client"), "no nbd-client"))
    func nbdClientList() {
        let server = MemoryServer(export: export())
        let outcome = Tool.run("nbd-client", ["-l", "-unix", server.path])
        server.stop()
        #expect(outcome.text.contains("r0"), "\(outcome.text)")
    }
}
