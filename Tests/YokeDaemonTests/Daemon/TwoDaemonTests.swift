import DRBDLayout
import EngineKit
import Glibc
import LinuxReactor
import Logging
import MetadataTools
import Synchronization
import Testing
import YokeControl

@testable import Replication
@testable import YokeDaemon

/// A daemon in this process: no control socket, files under a directory of its own.
private final class TestHost: Sendable {
    let daemon: Daemon
    let root: String
    let address: String

    init(_ name: String, address: String, megabytes: Int = 16) throws {
        var template = Array("/tmp/yoke-daemon-XXXXXX".utf8CString)
        mkdtemp(&template)
        root = String(decoding: template.dropLast().map { UInt8(bitPattern: $0) }, as: UTF8.self)
        self.address = address
        let paths = InstallationPaths(root: root)
        mkdir(root + "/run", 0o755)
        mkdir(paths.runDirectory, 0o755)
        let disk = open(root + "/disk0", O_CREAT | O_RDWR, 0o600)
        ftruncate(disk, megabytes << 20)
        close(disk)
        let logger = Logger(label: "test") { _ in SwiftLogNoOpLogHandler() }
        daemon = Daemon(settings: DaemonSettings(paths: paths, node: name), logger: logger)
        let output = CollectedOutput()
        guard daemon.metadataTool(output).run(["-", "v08", "/disk0", "internal", "create-md"]) == 0 else {
            throw SystemError(operation: "create-md: \(output.lines)", code: EIO)
        }
    }

    /// Runs a drbdsetup command; its exit status and lines.
    @discardableResult
    func setup(_ line: String) async -> (status: Int32, lines: [String]) {
        let output = CollectedOutput()
        let status = await daemon.service.run(line.split(separator: " ").map(String.init), output: output)
        return (status, output.lines)
    }

    func up(peer: TestHost, options: String = "--allow-two-primaries=yes") async {
        await setup("new-resource r0")
        await setup("new-minor r0 0 0")
        #expect(await setup("attach 0 /disk0 /disk0 internal --resync-rate=1G --c-plan-ahead=0").status == 0)
        #expect(await setup("connect r0 ipv4:\(address) ipv4:\(peer.address) \(options)").status == 0)
    }

    func wait(_ predicate: @escaping @Sendable (DeviceState) -> Bool) async -> Bool {
        guard let runner = daemon.registry.resource("r0") else { return false }
        return await runner.wait(for: VolumeNumber(0), seconds: 20) { predicate($0.snapshot.state) ? .reached : nil }
            == .reached
    }

    func end() async {
        for runner in daemon.registry.resources { await runner.stop() }
        system("rm -rf \(root)")
    }

    func bytes(count: Int) -> [UInt8] {
        var bytes = [UInt8](repeating: 0, count: count)
        let disk = open(root + "/disk0", O_RDONLY)
        defer { close(disk) }
        bytes.withUnsafeMutableBytes { _ = pread(disk, $0.baseAddress, $0.count, 0) }
        return bytes
    }
}

/// Writes one block through a runner, on its thread.
private final class Writer: VolumeUser, @unchecked Sendable {
    private var promise: Promise<Int32>?

    func write(_ byte: UInt8, atSector sector: UInt64, _ runner: ResourceRunner) async -> Int32? {
        await Promise<Int32>.wait { promise in
            runner.reactor.post { [self] in
                self.promise = promise
                do throws(OpenRefusal) {
                    try runner.openVolume(VolumeNumber(0))
                } catch {
                    return promise.fulfil(error.errno)
                }
                let buffer = IOBuffer(byteCount: 4096)
                memset(buffer.base, Int32(byte), 4096)
                runner.submit(
                    .write(forceUnitAccess: false), volume: VolumeNumber(0), sector: sector, byteCount: 4096,
                    data: IOSlice(buffer: buffer, offset: 0, count: 4096), token: 7, user: self)
                runner.closeVolume(VolumeNumber(0))
            }
        }
    }

    func requestCompleted(token: UInt64, errno: Int32) {
        #expect(token == 7)
        promise?.fulfil(errno)
        promise = nil
    }
}

@Suite(.serialized) struct TwoDaemonTests {
    private func pair(port: Int, _ body: (TestHost, TestHost) async throws -> Void) async throws {
        let first = try TestHost("a", address: "127.0.0.2:\(port)")
        let second = try TestHost("b", address: "127.0.0.3:\(port)")
        try await body(first, second)
        await first.end()
        await second.end()
    }

    @Test("two daemons connect, sync, replicate writes from both sides and come apart cleanly")
    func life() async throws {
        try await pair(port: 27_801) { first, second in
            await first.up(peer: second)
            await second.up(peer: first)
            #expect(await first.wait { $0.conn == .connected })
            #expect(await first.setup("cstate 0").lines == ["Connected"])
            #expect(await first.setup("primary 0").status == 17)
            #expect(await first.setup("primary 0 --force").status == 0)
            for host in [first, second] {
                #expect(await host.wait { $0.conn == .connected && $0.disk == .upToDate && $0.pdsk == .upToDate })
            }
            #expect(await second.setup("0 primary").status == 0)
            #expect(await first.setup("role 0").lines == ["Primary/Primary"])
            let runners = [first, second].compactMap { $0.daemon.registry.resource("r0") }
            #expect(await Writer().write(0x11, atSector: 0, runners[0]) == 0)
            #expect(await Writer().write(0x22, atSector: 8, runners[1]) == 0)
            #expect(first.bytes(count: 8192) == second.bytes(count: 8192))
            #expect(
                first.bytes(count: 8192) == [UInt8](repeating: 0x11, count: 4096)
                    + [UInt8](repeating: 0x22, count: 4096))
            #expect(await second.setup("secondary 0").status == 0)
            #expect(await Writer().write(0x33, atSector: 0, runners[1]) == EROFS)
            #expect(await first.setup("down r0").status == 0)
            #expect(await first.setup("role 0").status == 10)
            #expect(await second.wait { $0.conn < .connected })
        }
    }

    @Test("events tell the whole life, each line once")
    func events() async throws {
        try await pair(port: 27_802) { first, second in
            let output = CollectedOutput()
            let service = first.daemon.service
            let listening = Task { await service.run(["events2"], output: output) }
            while output.lines.isEmpty { await Task.yield() }
            await first.up(peer: second)
            await second.up(peer: first)
            #expect(await first.wait { $0.conn == .connected })
            #expect(await first.setup("down r0").status == 0)
            listening.cancel()
            _ = await listening.value
            let lines = output.lines
            #expect(lines.first == "exists -")
            for wanted in [
                "create resource name:r0 role:Secondary suspended:no",
                "create device name:r0 volume:0 minor:0 disk:Diskless",
                "change device name:r0 volume:0 minor:0 disk:Inconsistent",
                "change connection name:r0 peer-node-id:0 conn-name:peer connection:Connecting",
                "destroy device name:r0 volume:0 minor:0", "destroy resource name:r0",
            ] {
                #expect(lines.filter { $0 == wanted }.count == 1, "\(wanted)\n\(lines)")
            }
        }
    }

    @Test("names, minors, volumes and addresses are used once")
    func uniqueness() async throws {
        try await pair(port: 27_803) { first, second in
            await first.up(peer: second)
            #expect(await first.setup("new-resource r0").status == 0)
            #expect(await first.setup("new-minor r0 0 0").status == 0)
            #expect(await first.setup("new-minor r0 1 0").lines.first?.contains("(161)") == true)
            #expect(await first.setup("new-minor nonex 5 0").lines.first == "nonex: Failure: (158) Unknown resource")
            #expect(await first.setup("attach 0 /disk0 /disk0 internal").lines.first?.contains("(124)") == true)
            await first.setup("new-resource r1")
            await first.setup("new-minor r1 1 0")
            #expect(await first.setup("attach 1 /disk0 /disk0 internal").lines.first?.contains("(114)") == true)
            #expect(await first.setup("attach 1 /none /none internal").lines.first?.contains("(104)") == true)
            #expect(
                await first.setup("connect r1 ipv4:\(first.address) ipv4:127.0.0.9:1").lines
                    == ["r1: Failure: (102) Local address(port) already in use."])
            #expect(
                await first.setup("disconnect ipv4:127.0.0.8:1 ipv4:127.0.0.9:1").lines
                    == [
                        "??: Failure: (162) Invalid configuration request", "additional info from kernel:",
                        "unknown connection",
                    ])
            #expect(await first.setup("role 5").lines.first == "5: Failure: (127) Device minor not allocated")
            #expect(await first.setup("primary foo").lines == ["Cannot determine minor device number of device 'foo'"])
            #expect(await first.setup("primary foo").status == 20)
            #expect(await first.setup("wait-connect 0 --wfc-timeout=1").status == 5)
        }
    }

    @Test("a detach on a lone Secondary and a second attach give the disk back and take it again")
    func reattach() async throws {
        try await pair(port: 27_804) { first, second in
            await first.up(peer: second)
            #expect(await first.setup("detach 0").status == 0)
            #expect(await first.wait { $0.disk == .diskless })
            #expect(await first.setup("attach 0 /disk0 /disk0 internal").status == 0)
            #expect(await first.setup("dstate 0").lines.first?.hasPrefix("Inconsistent/") == true)
            #expect(await first.setup("show r0").lines.contains("            disk\t\t\t\"/disk0\";"))
        }
    }
}
