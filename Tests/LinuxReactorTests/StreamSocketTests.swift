internal import EngineKit
internal import Glibc
internal import LinuxReactor
internal import Testing

@Suite("Stream sockets")
struct StreamSocketTests {
    private static let families = ["IPv4", "IPv6", "Unix"]

    @Test("megabytes come back from an echo unchanged", arguments: Reactor.Backend.tested, families)
    func echo(backend: Reactor.Backend, family: String) async throws {
        let directory = try TemporaryDirectory()
        let address: SocketAddress =
            switch family {
            case "IPv4": .loopback()
            case "IPv6": .loopback6()
            default: .unix(path: "\(directory.path)/socket")
            }
        let byteCount = 2 << 20
        let test = try TestReactor(backend)
        let isEqual = try await test.run { (reactor, outcome: Outcome<Bool>) in
            let near = SocketProbe()
            let far = SocketProbe()
            far.isEcho = true
            let payload = Self.payload(byteCount)
            try reactor.makePair(on: address, near: near, far: far) { nearSocket, _ in
                // Copied pieces and a payload by reference, more pieces than one call takes.
                for index in 0..<100 {
                    near.output.append(count: 10) { $0.copyBytes(from: (0..<10).map { UInt8($0 + index) }) }
                    near.output.append(payload.part(offset: 0, count: 1000 + index))
                }
                near.output.append(payload)
                near.flush(nearSocket)
                nearSocket.handler = near
            }
            var expected: [UInt8] = []
            for index in 0..<100 {
                expected += (0..<10).map { UInt8($0 + index) }
                expected += payload.bytes.prefix(1000 + index)
            }
            expected += payload.bytes
            near.onChange = { probe, _ in
                if probe.received.count >= expected.count { outcome.finish(probe.received == expected) }
                if let failure = probe.failure { outcome.fail(TestFailure("socket failed: \(failure)")) }
            }
        }
        #expect(isEqual)
    }

    @Test("after one side ends, the other side still gets through", arguments: Reactor.Backend.tested)
    func halfClose(backend: Reactor.Backend) async throws {
        let test = try TestReactor(backend)
        let (received, hasEnded) = try await test.run { (reactor, outcome: Outcome<(Int, Bool)>) in
            let near = SocketProbe()
            let far = SocketProbe()
            try reactor.makePair(near: near, far: far) { nearSocket, _ in
                near.output.append(Self.payload(100))
                near.flush(nearSocket)
                nearSocket.shutdownSending()
            }
            far.onChange = { probe, socket in
                guard probe.hasEnded else { return }
                probe.output.append(Self.payload(3000))
                probe.flush(socket)
                socket.close()
            }
            near.onChange = { probe, _ in
                if probe.hasEnded { outcome.finish((probe.received.count, far.hasEnded)) }
            }
        }
        #expect(received == 3000)
        #expect(hasEnded)
    }

    @Test("a connect to a port where nobody listens is refused", arguments: Reactor.Backend.tested)
    func refused(backend: Reactor.Backend) async throws {
        let test = try TestReactor(backend)
        let errno = try await test.run { (reactor, outcome: Outcome<Int32>) in
            // A port that was ours a moment ago.
            let listener = try reactor.listen(on: .loopback(), handler: Acceptor { $0.close() })
            let address = listener.address
            listener.close()
            let probe = SocketProbe()
            probe.onConnectFailed = { outcome.finish($0) }
            _ = reactor.connect(to: address, timeout: .seconds(5), handler: probe)
        }
        #expect(errno == ECONNREFUSED)
    }

    @Test("a connect that is not answered ends with its deadline", arguments: Reactor.Backend.tested)
    func timeout(backend: Reactor.Backend) async throws {
        let test = try TestReactor(backend)
        let errno = try await test.run { (reactor, outcome: Outcome<Int32>) in
            // A full backlog drops further requests without an answer.
            let silent = SilentListener()
            let port = try silent.open()
            for _ in 0..<4 {
                let probe = SocketProbe()
                probe.onConnectFailed = { errno in
                    withExtendedLifetime(silent) { outcome.finish(errno) }
                }
                _ = reactor.connect(to: .loopback(port: port), timeout: .milliseconds(150), handler: probe)
            }
        }
        #expect(errno == ETIMEDOUT)
    }

    @Test("a connect leaves from the address it is told to", arguments: Reactor.Backend.tested)
    func localAddress(backend: Reactor.Backend) async throws {
        let test = try TestReactor(backend)
        let host = try await test.run { (reactor, outcome: Outcome<String?>) in
            let listener = try reactor.listen(
                on: .loopback(),
                handler: Acceptor { socket in outcome.finish(socket.remoteAddress?.host) })
            _ = reactor.connect(
                to: listener.address, from: .ipv4(address: 0x7f00_0009, port: 0), handler: SocketProbe())
        }
        #expect(host == "127.0.0.9")
        let errno = try await test.run { (reactor, outcome: Outcome<Int32>) in
            let probe = SocketProbe()
            probe.onConnectFailed = { outcome.finish($0) }
            _ = reactor.connect(to: .loopback(port: 9), from: .ipv4(address: 0xc000_0201, port: 0), handler: probe)
        }
        #expect(errno == EADDRNOTAVAIL)
    }

    @Test("the look at a socket sees life, waiting bytes and the end", arguments: Reactor.Backend.tested)
    func looksAlive(backend: Reactor.Backend) async throws {
        let test = try TestReactor(backend)
        let seen = try await test.run { (reactor, outcome: Outcome<[Bool]>) in
            let near = SocketProbe()
            let far = SocketProbe()
            var seen: [Bool] = []
            try reactor.makePair(near: near, far: far) { nearSocket, farSocket in
                seen.append(nearSocket.looksAlive)
                nearSocket.pauseReading()
                farSocket.pauseReading()
                far.output.append(Self.payload(2))
                far.flush(farSocket)
                seen.append(nearSocket.looksAlive)
                farSocket.close()
                nearSocket.resumeReading()
            }
            near.onChange = { probe, socket in
                guard probe.hasEnded else { return }
                seen.append(probe.received.count == 2)
                seen.append(socket.looksAlive)
                socket.close()
                seen.append(socket.looksAlive)
                outcome.finish(seen)
            }
        }
        #expect(seen == [true, true, true, false, false])
    }

    @Test("nothing is read while reading is paused", arguments: Reactor.Backend.tested)
    func pause(backend: Reactor.Backend) async throws {
        let test = try TestReactor(backend)
        let (whilePaused, after) = try await test.run { (reactor, outcome: Outcome<(Int, Int)>) in
            let near = SocketProbe()
            let far = SocketProbe()
            var whilePaused = -1
            try reactor.makePair(near: near, far: far) { nearSocket, farSocket in
                nearSocket.pauseReading()
                far.output.append(Self.payload(5000))
                far.flush(farSocket)
                // A timer fires in a later round than the one that saw the bytes.
                reactor.addTimer(at: reactor.now + .milliseconds(20)) {
                    whilePaused = near.received.count
                    nearSocket.resumeReading()
                }
            }
            near.onChange = { probe, _ in
                if probe.received.count == 5000 { outcome.finish((whilePaused, 5000)) }
            }
        }
        #expect(whilePaused == 0)
        #expect(after == 5000)
    }

    @Test("a reset is reported to the reader and to the writer", arguments: Reactor.Backend.tested)
    func reset(backend: Reactor.Backend) async throws {
        let test = try TestReactor(backend)
        let (reading, writing) = try await test.run { (reactor, outcome: Outcome<(Int32?, Int32?)>) in
            let near = SocketProbe()
            let far = SocketProbe()
            try reactor.makePair(near: near, far: far) { nearSocket, farSocket in
                // Closing with unread bytes makes TCP reset.
                farSocket.pauseReading()
                near.output.append(Self.payload(1000))
                near.flush(nearSocket)
                farSocket.close()
            }
            near.onChange = { probe, socket in
                guard let reading = probe.failure else { return }
                probe.output.append(Self.payload(10))
                probe.flush(socket)
                outcome.finish((reading, probe.failure))
            }
        }
        #expect(reading == ECONNRESET)
        #expect(writing == EPIPE)
    }

    @Test("a connect that is given up tells nothing", arguments: Reactor.Backend.tested)
    func abandonedConnect(backend: Reactor.Backend) async throws {
        let test = try TestReactor(backend)
        let told = try await test.run { (reactor, outcome: Outcome<[String]>) in
            var told: [String] = []
            let listener = try reactor.listen(on: .loopback(), handler: Acceptor { $0.close() })
            for target in [listener.address, .loopback(port: 1), .ipv6(address: [], scope: 0, port: 1)] {
                let probe = SocketProbe()
                probe.onConnected = { _ in told.append("connected") }
                probe.onConnectFailed = { _ in told.append("failed") }
                let socket = reactor.connect(to: target, timeout: .milliseconds(5), handler: probe)
                socket.close()
                socket.close()
            }
            reactor.addTimer(at: reactor.now + .milliseconds(20)) { outcome.finish(told) }
        }
        #expect(told.isEmpty)
    }

    @Test("more sockets become readable at once than a small ring can report", arguments: Reactor.Backend.tested)
    func manyAtOnce(backend: Reactor.Backend) async throws {
        let test = try TestReactor(backend, ringEntryCount: 8)
        let rounds = 3
        let pairCount = 100
        let counts = try await test.run { (reactor, outcome: Outcome<[Int]>) in
            var counts: [Int] = []
            var senders: [(SocketProbe, StreamSocket)] = []
            var receivedInRound = 0
            func sendRound() {
                receivedInRound = 0
                for (probe, socket) in senders {
                    probe.output.append(Self.payload(1000))
                    probe.flush(socket)
                }
            }
            for _ in 0..<pairCount {
                let near = SocketProbe()
                let far = SocketProbe()
                far.onChange = { _, _ in
                    receivedInRound += 1
                    guard receivedInRound == pairCount else { return }
                    counts.append(receivedInRound)
                    if counts.count == rounds { outcome.finish(counts) } else { sendRound() }
                }
                try reactor.makePair(near: near, far: far) { nearSocket, _ in
                    senders.append((near, nearSocket))
                    if senders.count == pairCount { sendRound() }
                }
            }
        }
        #expect(counts == Array(repeating: pairCount, count: rounds))
    }

    @Test("the end of a stream is told once", arguments: Reactor.Backend.tested)
    func endOnce(backend: Reactor.Backend) async throws {
        let test = try TestReactor(backend)
        let calls = try await test.run { (reactor, outcome: Outcome<Int>) in
            let near = SocketProbe()
            var calls = 0
            try reactor.makePair(near: near, far: SocketProbe()) { nearSocket, farSocket in
                near.onChange = { _, _ in
                    calls += 1
                    // Both directions ended: the kernel reports a hang-up now.
                    nearSocket.shutdownSending()
                    reactor.addTimer(at: reactor.now + .milliseconds(10)) { outcome.finish(calls) }
                }
                farSocket.shutdownSending()
            }
        }
        #expect(calls == 1)
    }

    @Test("an event that was taken for a closed socket reaches nobody", arguments: Reactor.Backend.tested)
    func closeInsideRound(backend: Reactor.Backend) async throws {
        let test = try TestReactor(backend)
        let calls = try await test.run { (reactor, outcome: Outcome<Int>) in
            // Both ends get bytes in one round; whoever is told first closes the other and opens a third socket,
            // which takes the freed slot.
            let near = SocketProbe()
            let far = SocketProbe()
            var calls = 0
            try reactor.makePair(near: near, far: far) { nearSocket, farSocket in
                near.output.append(Self.payload(10))
                far.output.append(Self.payload(10))
                near.flush(nearSocket)
                far.flush(farSocket)
                let closeOther = { (other: StreamSocket) in
                    calls += 1
                    other.close()
                    let third = SocketProbe()
                    third.onConnectFailed = { _ in
                        reactor.addTimer(at: reactor.now) { outcome.finish(calls) }
                    }
                    _ = reactor.connect(to: .loopback(port: 1), handler: third)
                }
                near.onChange = { _, _ in if calls == 0 { closeOther(farSocket) } }
                far.onChange = { _, _ in if calls == 0 { closeOther(nearSocket) } }
            }
        }
        #expect(calls == 1)
    }

    @Test("a second listener on the same port is refused, a stale Unix socket is replaced")
    func addressInUse() async throws {
        let directory = try TemporaryDirectory()
        let test = try TestReactor(.epoll)
        let code = try await test.perform { reactor -> Int32? in
            let first = try reactor.listen(on: .loopback(), handler: Acceptor { $0.close() })
            do throws(SystemError) {
                _ = try reactor.listen(on: first.address, handler: Acceptor { $0.close() })
                return nil
            } catch {
                return error.code
            }
        }
        #expect(code == EADDRINUSE)
        let path = "\(directory.path)/socket"
        try Self.leaveStaleSocket(path)
        let second = try await test.perform { reactor -> Int32? in
            _ = try reactor.listen(on: .unix(path: path), handler: Acceptor { $0.close() })
            do throws(SystemError) {
                _ = try reactor.listen(on: .unix(path: path), handler: Acceptor { $0.close() })
                return nil
            } catch {
                return error.code
            }
        }
        #expect(second == EADDRINUSE)
    }

    /// Bytes that repeat with a period that is no power of two.
    static func payload(_ byteCount: Int) -> IOSlice {
        let buffer = IOBuffer(byteCount: byteCount)
        for index in 0..<byteCount {
            buffer.base.storeBytes(of: UInt8(index % 251), toByteOffset: index, as: UInt8.self)
        }
        return IOSlice(buffer: buffer, offset: 0, count: byteCount)
    }

    /// What a killed process leaves behind.
    private static func leaveStaleSocket(_ path: String) throws {
        let descriptor = socket(AF_UNIX, Int32(SOCK_STREAM.rawValue), 0)
        var address = sockaddr_un()
        address.sun_family = sa_family_t(AF_UNIX)
        withUnsafeMutableBytes(of: &address.sun_path) { $0.copyBytes(from: path.utf8) }
        let status = withUnsafePointer(to: &address) {
            $0.withMemoryRebound(to: sockaddr.self, capacity: 1) {
                bind(descriptor, $0, socklen_t(MemoryLayout<sockaddr_un>.size))
            }
        }
        close(descriptor)
        guard status == 0 else { throw TestFailure("bind: \(errno)") }
    }
}

/// A listener outside the reactor that never accepts.
private final class SilentListener {
    private let descriptor: Int32

    init() {
        descriptor = socket(AF_INET, Int32(SOCK_STREAM.rawValue), 0)
    }

    deinit {
        close(descriptor)
    }

    /// Listens with the smallest backlog; the port.
    func open() throws -> UInt16 {
        var address = sockaddr_in()
        address.sin_family = sa_family_t(AF_INET)
        address.sin_addr.s_addr = UInt32(0x7f00_0001).bigEndian
        var length = socklen_t(MemoryLayout<sockaddr_in>.size)
        let status = withUnsafeMutablePointer(to: &address) {
            $0.withMemoryRebound(to: sockaddr.self, capacity: 1) { pointer in
                bind(descriptor, pointer, length) == 0 && listen(descriptor, 0) == 0
                    && getsockname(descriptor, pointer, &length) == 0
            }
        }
        guard status else { throw TestFailure("silent listener: \(errno)") }
        return UInt16(bigEndian: address.sin_port)
    }
}
