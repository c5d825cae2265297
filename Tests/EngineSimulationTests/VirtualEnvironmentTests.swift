import EngineKit
import EngineSimulation
import Testing

@Suite("a host in memory")
struct VirtualEnvironmentTests {
    @Test("tasks run in order, and time passes only when they wait")
    func order() {
        let host = VirtualEnvironment()
        var seen: [String] = []
        host.spawn {
            seen.append("a")
            await host.sleep(until: host.now + .seconds(5))
            seen.append("a later")
        }
        host.spawn { seen.append("b") }
        let start = host.now
        host.run()
        #expect(seen == ["a", "b", "a later"])
        #expect(host.now - start == .seconds(5))
    }

    @Test("a disk keeps what is written and tells a failure")
    func disk() throws {
        let host = VirtualEnvironment()
        let disk = MemoryDevice(byteCount: 1 << 20, environment: host)
        let buffer = IOBuffer(byteCount: 4096)
        let slice = IOSlice(buffer: buffer, offset: 0, count: 1024)
        slice.bytes.initializeMemory(as: UInt8.self, repeating: 7)
        try host.wait { () async throws(BlockDeviceError) in
            try await disk.write(slice, at: 512)
            try await disk.flush()
        }
        #expect(disk.bytes(at: 0, count: 2048).filter { $0 == 7 }.count == 1024)
        disk.fault = { $0.kind == .read ? 5 : 0 }
        #expect(throws: BlockDeviceError(errno: 5)) {
            try host.wait { () async throws(BlockDeviceError) in try await disk.read(slice, at: 0) }
        }
    }

    @Test("a lock lets readers in together and nobody pass a waiting writer")
    func lock() {
        let host = VirtualEnvironment()
        let lock = AsyncReadWriteLock()
        var seen: [String] = []
        for (name, mode) in [
            ("r1", AsyncReadWriteLock.Mode.shared), ("r2", .shared), ("w", .exclusive), ("r3", .shared),
        ] {
            host.spawn {
                await lock.with(mode) {
                    seen.append("\(name) in")
                    await host.sleep(until: host.now + .seconds(1))
                    seen.append("\(name) out")
                }
            }
        }
        host.run()
        #expect(seen == ["r1 in", "r2 in", "r1 out", "r2 out", "w in", "w out", "r3 in", "r3 out"])
        #expect(lock.isIdle)
    }
}
