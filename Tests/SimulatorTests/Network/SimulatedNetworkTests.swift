import EngineKit
import Replication
import Simulator
import Testing

/// Drives a network by hand and keeps what hosts are told.
private final class Bench {
    let network: SimulatedNetwork
    var connected: [Int] = []
    var failed: [Int32] = []
    var received: [[UInt8]] = [[], []]
    var ended: [Int32?] = [nil, nil]
    var queues = [OutputQueue(), OutputQueue()]
    let sockets = [SocketID(11), SocketID(22)]
    private(set) var now: UInt64 = 0

    init(bufferSize: Int = 1 << 16, seed: UInt64 = 3) {
        var character = SimulatedNetwork.Character()
        character.bufferSize = bufferSize
        network = SimulatedNetwork(character: character, random: SimulationRandom(seed: seed, stream: 0))
    }

    /// Host 0 connects to host 1.
    func connect() {
        network.setListening(host: 1, true)
        network.connect(host: 0, sockets[0], timeout: 5_000_000_000)
        run(for: 1_000_000_000)
    }

    func send(from host: Int, _ bytes: [UInt8]) {
        bytes.withUnsafeBytes { queues[host].append($0) }
        push(host)
    }

    func push(_ host: Int) {
        _ = network.send(host: host, sockets[host], from: &queues[host])
        take(network.takeNotices())
    }

    func run(for span: UInt64) {
        let end = now + span
        while let time = network.nextTime, time <= end {
            now = time
            take(network.advance())
        }
        now = end
        network.setNow(end)
    }

    func take(_ notices: [SimulatedNetwork.Notice]) {
        for notice in notices {
            switch notice {
            case .connected(let host, _): connected.append(host)
            case .connectFailed(_, _, let errno): failed.append(errno)
            case .incoming(let host, let connection): network.accept(connection, as: sockets[host])
            case .readable(let host, _): read(host)
            case .writable(let host, _): push(host)
            }
        }
        let more = network.takeNotices()
        if !more.isEmpty { take(more) }
    }

    func read(_ host: Int) {
        let count = network.readableBytes(host: host, sockets[host])
        if count > 0 {
            var bytes = [UInt8](repeating: 0, count: count)
            bytes.withUnsafeMutableBytes { network.read(host: host, sockets[host], into: $0) }
            received[host] += bytes
        }
        if let errno = network.takeEnd(host: host, sockets[host]) { ended[host] = errno }
    }

    static func pattern(_ count: Int) -> [UInt8] { (0..<count).map { UInt8(truncatingIfNeeded: $0 &* 7 &+ $0 >> 8) } }
}

@Suite("Simulated network")
struct SimulatedNetworkTests {
    @Test("a stream delivers everything in order, also through a buffer smaller than the data")
    func stream() {
        let bench = Bench(bufferSize: 1000)
        bench.connect()
        let bytes = Bench.pattern(50_000)
        bench.send(from: 0, bytes)
        bench.run(for: 10_000_000_000)
        #expect(bench.received[1] == bytes)
        #expect(bench.queues[0].isEmpty)
    }

    @Test("nobody listens: refused; a dead machine or a cut: no answer until the time is over")
    func noConnection() {
        let refused = Bench()
        refused.network.connect(host: 0, refused.sockets[0], timeout: 5_000_000_000)
        refused.run(for: 1_000_000_000)
        #expect(refused.failed == [111])

        let silent = Bench()
        silent.network.setListening(host: 1, true)
        silent.network.setLink(from: 1, isUp: false)
        silent.network.connect(host: 0, silent.sockets[0], timeout: 5_000_000_000)
        silent.run(for: 4_900_000_000)
        #expect(silent.failed.isEmpty)
        silent.run(for: 200_000_000)
        #expect(silent.failed == [110])
    }

    @Test("a request that was lost is asked again once the link is mended")
    func retriedRequest() {
        let bench = Bench()
        bench.network.setListening(host: 1, true)
        bench.network.setLink(from: 0, isUp: false)
        bench.network.connect(host: 0, bench.sockets[0], timeout: 10_000_000_000)
        bench.run(for: 2_000_000_000)
        bench.network.setLink(from: 0, isUp: true)
        bench.run(for: 5_000_000_000)
        #expect(bench.connected == [0])
    }

    @Test("what is sent during a cut arrives after it")
    func cut() {
        let bench = Bench()
        bench.connect()
        bench.network.setLink(from: 0, isUp: false)
        bench.send(from: 0, [1, 2, 3])
        bench.run(for: 3_000_000_000)
        #expect(bench.received[1].isEmpty)
        bench.network.setLink(from: 0, isUp: true)
        bench.send(from: 0, [4])
        bench.run(for: 3_000_000_000)
        #expect(bench.received[1] == [1, 2, 3, 4])
    }

    @Test("a cut of one direction stops the other one when the buffers are full")
    func oneWayCut() {
        let bench = Bench(bufferSize: 1000)
        bench.connect()
        bench.network.setLink(from: 1, isUp: false)
        bench.send(from: 0, Bench.pattern(5000))
        bench.run(for: 3_000_000_000)
        #expect(bench.received[1].count == 1000)
        bench.network.setLink(from: 1, isUp: true)
        bench.take(bench.network.takeNotices())
        bench.run(for: 3_000_000_000)
        #expect(bench.received[1].count == 5000)
    }

    @Test("close delivers what was sent and then the end")
    func close() {
        let bench = Bench()
        bench.connect()
        bench.send(from: 0, [1, 2, 3])
        bench.network.close(host: 0, bench.sockets[0])
        bench.run(for: 1_000_000_000)
        #expect(bench.received[1] == [1, 2, 3])
        #expect(bench.ended[1] == .some(0))
    }

    @Test("a reset reaches both sides")
    func reset() {
        let bench = Bench(seed: 4)
        bench.connect()
        while bench.ended[0] == nil {
            bench.network.resetConnections()
            bench.run(for: 1_000_000_000)
        }
        #expect(bench.ended == [104, 104])
    }

    @Test("a forgotten connection is silent in both directions and nobody is told")
    func forgotten() {
        let bench = Bench(seed: 4)
        bench.connect()
        // Each call forgets some of the connections.
        for _ in 0..<20 { bench.network.forgetConnections() }
        bench.send(from: 0, [1])
        bench.send(from: 1, [2])
        bench.run(for: 60_000_000_000)
        #expect(bench.received == [[], []])
        #expect(bench.ended == [nil, nil])
    }

    @Test("a machine without power says nothing; when it is back it answers old data with a reset")
    func powerFailure() {
        let bench = Bench()
        bench.connect()
        bench.network.powerFailure(host: 1)
        bench.send(from: 0, [1, 2])
        bench.run(for: 20_000_000_000)
        #expect(bench.ended[0] == nil)
        bench.network.powerReturns(host: 1)
        bench.run(for: 20_000_000_000)
        #expect(bench.ended[0] == .some(104))
    }

    @Test("the kernel of a killed program closes its sockets")
    func killedProgram() {
        let bench = Bench()
        bench.connect()
        bench.network.crashOfProgram(host: 1)
        bench.run(for: 1_000_000_000)
        #expect(bench.ended[0] != nil)
        bench.network.connect(host: 0, SocketID(12), timeout: 1_000_000_000)
        bench.run(for: 1_000_000_000)
        #expect(bench.failed == [111])
    }

    @Test("packets are seen whole, however the bytes are cut")
    func observed() {
        let bench = Bench(bufferSize: 1 << 16)
        bench.network.observesPackets = true
        bench.connect()
        let header: [UInt8] = [0x86, 0x20, 0xec, 0x20, 0, 1, 0, 0x16, 0, 0, 0, 24, 0, 0, 0, 0]
        let packet = header + Array(0..<24)
        for byte in packet + packet { bench.send(from: 0, [byte]) }
        #expect(bench.network.packets.count == 2)
        #expect(bench.network.packets.allSatisfy { $0.command == 0x16 && $0.volume == 1 && $0.length == 24 })
        #expect(bench.network.packets[1].payload == Array(0..<24))
    }
}
