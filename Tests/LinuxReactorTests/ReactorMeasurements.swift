internal import CYoke
internal import EngineKit
internal import Glibc
internal import LinuxReactor
internal import Testing

/// Prints times; run it alone, in a release build:
///
///     YOKE_MEASURE=1 YOKE_TESTS=LinuxReactorTests swift test --configuration release --filter ReactorMeasurements
@Suite("Reactor measurements", .enabled(if: getenv("YOKE_MEASURE") != nil, "set YOKE_MEASURE"), .serialized)
struct ReactorMeasurements {
    @Test(
        "4 KiB random writes", arguments: Reactor.Backend.tested,
        [("/var/tmp", 1), ("/var/tmp", 32), ("/dev/shm", 1), ("/dev/shm", 32)])
    func disk(backend: Reactor.Backend, setting: (place: String, depth: Int)) async throws {
        let directory = try TemporaryDirectory(in: setting.place)
        let byteCount = 64 << 20
        let disk = try DiskFile.open(path: directory.file("disk", byteCount: byteCount), access: .readWrite)
        let test = try TestReactor(backend, workerCount: 4)
        for offset in stride(from: 0, to: byteCount, by: 1 << 20) {
            _ = try await test.write(1, disk, at: UInt64(offset), byteCount: 1 << 20)
        }
        let count = setting.place == "/dev/shm" ? 200_000 : 20_000
        let result = try await test.run { (reactor, outcome: Outcome<Timing>) in
            let load = DiskLoad(disk: disk, reactor: reactor, count: count) { outcome.finish($0) }
            load.start(depth: setting.depth)
        }
        print("disk \(setting.place) depth \(setting.depth) \(backend): \(result)")
    }

    @Test("16-byte ping-pong between two reactors", arguments: Reactor.Backend.tested, ["TCP", "Unix"])
    func pingPong(backend: Reactor.Backend, family: String) async throws {
        let directory = try TemporaryDirectory()
        let server = try TestReactor(backend)
        let client = try TestReactor(backend)
        let path = "\(directory.path)/socket"
        let address = try await server.perform { reactor in
            try reactor.listen(
                on: family == "TCP" ? .loopback() : .unix(path: path),
                handler: Acceptor { $0.handler = Bouncer(limit: .max, reactor: reactor) { _ in } }
            ).address
        }
        let result = try await client.run { (reactor, outcome: Outcome<Timing>) in
            let bouncer = Bouncer(limit: 100_000, reactor: reactor) { outcome.finish($0) }
            _ = reactor.connect(to: address, handler: bouncer)
        }
        print("ping-pong \(family) \(backend): \(result) a round trip")
    }
}

private struct Timing: CustomStringConvertible, Sendable {
    var count: Int
    var elapsed: Duration
    var processor: Duration

    var description: String {
        let each = Double(elapsed.nanosecondsClamped) / Double(count)
        let busy = Double(processor.nanosecondsClamped) / Double(count)
        return "\((each / 10).rounded() / 100) us, \((busy / 10).rounded() / 100) us of the reactor thread"
    }
}

/// Time since its making, and processor time of the calling thread.
private struct Stopwatch {
    private let start = SystemClock.now
    private let processor = Stopwatch.threadTime()

    func timing(count: Int) -> Timing {
        Timing(count: count, elapsed: SystemClock.now - start, processor: Stopwatch.threadTime() - processor)
    }

    private static func threadTime() -> Instant {
        var time = timespec()
        clock_gettime(CLOCK_THREAD_CPUTIME_ID, &time)
        return Instant(nanoseconds: UInt64(time.tv_sec) * 1_000_000_000 + UInt64(time.tv_nsec))
    }
}

private final class DiskLoad: DiskHandler {
    private let disk: DiskFile
    private let reactor: Reactor
    private let count: Int
    private let onEnd: (Timing) -> Void
    private let random = SeededRandom(seed: 1)
    private let data = IOBuffer.filled(7, byteCount: 4096)
    private var submitted = 0
    private var completed = 0
    private var watch = Stopwatch()

    init(disk: DiskFile, reactor: Reactor, count: Int, onEnd: @escaping (Timing) -> Void) {
        self.disk = disk
        self.reactor = reactor
        self.count = count
        self.onEnd = onEnd
    }

    func start(depth: Int) {
        disk.handler = self
        watch = Stopwatch()
        for _ in 0..<depth { submit() }
    }

    private func submit() {
        submitted += 1
        reactor.submit(
            DiskRequest(
                token: UInt64(submitted), kind: .write(flushBefore: false, forceUnitAccess: false),
                offset: random.next(below: 16384) * 4096, byteCount: 4096, data: data), to: disk)
    }

    func diskCompleted(_ disk: DiskFile, token: UInt64, errno: Int32) {
        precondition(errno == 0)
        completed += 1
        if completed == count { return onEnd(watch.timing(count: count)) }
        if submitted < count { submit() }
    }
}

private final class Bouncer: StreamSocketHandler {
    private let limit: Int
    private let reactor: Reactor
    private let onEnd: (Timing) -> Void
    private var count = 0
    private var watch = Stopwatch()
    private var queue = OutputQueue()
    private let window = UnsafeMutableRawBufferPointer.allocate(byteCount: 4096, alignment: 16)

    init(limit: Int, reactor: Reactor, onEnd: @escaping (Timing) -> Void) {
        self.limit = limit
        self.reactor = reactor
        self.onEnd = onEnd
    }

    deinit {
        window.deallocate()
    }

    func socketConnected(_ socket: StreamSocket) {
        watch = Stopwatch()
        queue.append(UnsafeRawBufferPointer(rebasing: window[..<16]))
        _ = socket.transmit(&queue)
    }

    func socketReadable(_ socket: StreamSocket) {
        guard case .bytes(let received) = socket.receive(into: window) else { return }
        count += 1
        if count == limit { return onEnd(watch.timing(count: count)) }
        queue.append(UnsafeRawBufferPointer(rebasing: window[..<received]))
        _ = socket.transmit(&queue)
    }

    func socketWritable(_ socket: StreamSocket) {}
}
