import DRBDLayout
import EngineKit
import Replication
import Testing

@Suite("Wire protocols, time-outs and bad peers")
struct ProtocolTests {
    private let zero = VolumeNumber(0)

    @Test("protocols A and B answer earlier and lose nothing", arguments: [NetworkOptions.WireProtocol.a, .b, .c])
    func wireProtocols(wireProtocol: NetworkOptions.WireProtocol) {
        let pair = EnginePair()
        pair.network.wireProtocol = wireProtocol
        pair.bringUpEqual()
        pair.a.promote()
        let ids = (0..<40).map { pair.a.startWrite(sector: UInt64($0 % 13) * 8, fill: UInt8($0 + 1)) }
        #expect(pair.run { ids.allSatisfy { pair.a.completions[$0] == 0 } })
        #expect(pair.a.flush() == 0)
        #expect(pair.areDisksEqual)
        pair.pass(.seconds(50))
        #expect(pair.areConnected)
        #expect(pair.a.outOfSync == 0)
        #expect(pair.a.volume.peerPending == 0 && pair.b.volume.unacknowledged == 0)
    }

    @Test(
        "a demotion ends when the peer has all that was answered",
        arguments: [NetworkOptions.WireProtocol.a, .b, .c], [true, false])
    func demotion(wireProtocol: NetworkOptions.WireProtocol, isDiskless: Bool) {
        let pair = EnginePair()
        pair.network.wireProtocol = wireProtocol
        pair.bringUpEqual()
        pair.a.promote()
        if isDiskless { pair.a.run(.detach(zero, force: false)) }
        pair.a.write(sector: 0, fill: 9)
        pair.b.extraDiskLatency = .milliseconds(300)
        let id = pair.a.startWrite(sector: 0, byteCount: 65536, fill: 1)
        #expect(pair.run { pair.a.completions[id] == 0 })
        #expect(pair.a.demote() == .success)
        #expect(pair.b.disk.bytes(sector: 0, count: 65536).allSatisfy { $0 == 1 })
        pair.b.disk.crash()
        #expect(pair.b.disk.bytes(sector: 0, count: 65536).allSatisfy { $0 == 1 })
        #expect(pair.areConnected)
    }

    @Test(
        "a connection that breaks during a demotion leaves a new generation, and nothing is taken for equal",
        arguments: [NetworkOptions.WireProtocol.a, .b, .c])
    func cutDuringDemotion(wireProtocol: NetworkOptions.WireProtocol) {
        let pair = EnginePair()
        pair.network.wireProtocol = wireProtocol
        pair.bringUpEqual()
        pair.a.promote()
        pair.a.write(sector: 0, fill: 9)
        pair.pass(.seconds(1))
        pair.cut()
        let id = pair.a.startWrite(sector: 0, fill: 1)
        let command = pair.a.start(.secondary(zero))
        #expect(pair.run(limit: .seconds(100)) { pair.a.results[command] != nil })
        #expect(pair.a.results[command] == .success && pair.a.completions[id] == 0)
        #expect(pair.a.outOfSync > 0 && pair.a.volume.uuids![1] != 0)
        pair.isCut = false
        #expect(pair.run(limit: .seconds(100)) { pair.areConnected && pair.a.outOfSync == 0 })
        #expect(pair.areDisksEqual)
        #expect(pair.b.disk.bytes(sector: 0, count: 4096).allSatisfy { $0 == 1 })
    }

    @Test("discards and zeroes read as zeroes on both disks")
    func discards() {
        let pair = EnginePair()
        pair.bringUpEqual()
        pair.a.promote()
        pair.a.write(sector: 0, byteCount: 2 << 20, fill: 0xaa)
        #expect(pair.a.finish(pair.a.startRequest(.discard, sector: 100, byteCount: 1 << 20)) == 0)
        #expect(
            pair.a.finish(pair.a.startRequest(.writeZeroes(mayUnmap: false), sector: 3000, byteCount: 65536)) == 0)
        #expect(pair.b.disk.bytes(sector: 100, count: 1 << 20).allSatisfy { $0 == 0 })
        #expect(pair.b.disk.bytes(sector: 3000, count: 65536).allSatisfy { $0 == 0 })
        #expect(pair.areDisksEqual)
    }

    @Test("FUA writes are durable on both disks when they are answered")
    func forceUnitAccess() {
        let pair = EnginePair()
        pair.bringUpEqual()
        pair.a.promote()
        let id = pair.a.startRequest(.write(forceUnitAccess: true), sector: 8, byteCount: 4096, fill: 5)
        #expect(pair.a.finish(id) == 0)
        pair.a.disk.crash()
        pair.b.disk.crash()
        #expect(pair.a.disk.bytes(sector: 8, count: 4096).allSatisfy { $0 == 5 })
        #expect(pair.b.disk.bytes(sector: 8, count: 4096).allSatisfy { $0 == 5 })
    }

    @Test("a flush is durable on both disks when it is answered")
    func flush() {
        let pair = EnginePair()
        pair.bringUpEqual()
        pair.a.promote()
        pair.a.write(sector: 8, fill: 5)
        #expect(pair.a.flush() == 0)
        pair.a.disk.crash()
        pair.b.disk.crash()
        #expect(pair.a.disk.bytes(sector: 8, count: 4096).allSatisfy { $0 == 5 })
        #expect(pair.b.disk.bytes(sector: 8, count: 4096).allSatisfy { $0 == 5 })
    }

    @Test("a peer whose disk hangs is given up after ko-count * timeout")
    func hangingPeer() {
        let pair = EnginePair()
        pair.network.timeout = 10
        pair.network.koCount = 3
        pair.bringUpEqual()
        pair.a.promote()
        pair.a.write(sector: 8, fill: 1)
        pair.pass(.seconds(10))
        pair.b.disk.isStuck = true
        let start = pair.now
        #expect(pair.a.write(sector: 8, fill: 2) == 0)
        let waited = pair.now - start
        #expect(waited >= .seconds(3) && waited < .seconds(5))
        #expect(pair.a.logged("Remote failed to finish a request"))
        #expect(pair.a.outOfSync == 1)
    }

    @Test("a port scan does no harm", arguments: [[UInt8](repeating: 0x47, count: 200), [0x83, 0x74, 0x02, 0x67]])
    func portScan(bytes: [UInt8]) {
        let pair = EnginePair()
        pair.a.bringUp()
        let id = pair.a.engine.nextSocketID()
        pair.a.feed(.accepted(id, from: "scanner"))
        let window = pair.a.engine.receiveWindow(for: id)
        let count = min(window.count, bytes.count)
        window.copyBytes(from: bytes[..<count])
        pair.a.feed(.received(id, count: count))
        pair.pass(.seconds(5))
        #expect(pair.a.logged("Error receiving initial packet"))
        pair.b.bringUp()
        #expect(pair.run { pair.areConnected })
    }

    @Test("garbage on an established connection drops it, and it comes back", arguments: 0..<20)
    func garbage(seed: Int) {
        let pair = EnginePair()
        pair.bringUpEqual()
        pair.a.promote()
        pair.a.write(sector: 0, fill: 1)
        let random = SeededRandom(seed: UInt64(seed))
        // A header of version 100 with a random command, volume and length, then noise.
        var bytes: [UInt8] = [0x86, 0x20, 0xec, 0x20, 0, UInt8(random.next(below: 2)), 0]
        bytes.append(UInt8(random.next(below: 0x40)))
        let length = UInt32(random.next(below: 64)) * (seed % 2 == 0 ? 4 : 1000)
        bytes += withUnsafeBytes(of: length.bigEndian) { Array($0) } + [0, 0, 0, 0]
        for _ in 0..<300 { bytes.append(UInt8(truncatingIfNeeded: random.next())) }
        pair.inject(bytes, into: pair.b, onDataSocket: seed % 3 != 0)
        pair.pass(.seconds(3))
        pair.a.run(.disconnect(force: true))
        pair.b.run(.disconnect(force: true))
        pair.a.run(.connect(pair.network, ConnectOnce()))
        pair.b.run(.connect(pair.network, ConnectOnce()))
        #expect(pair.run(limit: .seconds(100)) { pair.areConnected && pair.b.state.disk == .upToDate })
        #expect(pair.areDisksEqual)
    }

    @Test("two volumes share one connection and its epochs")
    func twoVolumes() {
        let pair = EnginePair()
        let second = VolumeNumber(7)
        for node in [pair.a!, pair.b!] {
            node.secondDisk = TestDisk(sectorCount: 8192)
            node.run(.addVolume(second))
            node.run(.attach(second, node.secondDisk!.device, node.diskOptions))
            node.bringUp()
        }
        #expect(pair.run { pair.a.snapshot.volumes.allSatisfy { $0.state.conn == .connected } })
        #expect(pair.run { pair.b.snapshot.volumes.allSatisfy { $0.state.conn == .connected } })
        for volume in [zero, second] { #expect(pair.a.run(.primary(volume, force: true)) == .success) }
        #expect(
            pair.run {
                pair.b.snapshot.volumes.allSatisfy { $0.state.disk == .upToDate && $0.state.conn == .connected }
            })
        let ids = (0..<20).map {
            pair.a.startRequest(
                .write(forceUnitAccess: false), sector: UInt64($0) * 8, byteCount: 4096, fill: UInt8($0),
                volume: $0 % 2 == 0 ? zero : second)
        }
        #expect(pair.run { ids.allSatisfy { pair.a.completions[$0] == 0 } })
        #expect(pair.a.flush() == 0)
        #expect(pair.areDisksEqual)
        #expect(pair.a.secondDisk!.hasSameData(as: pair.b.secondDisk!, sectors: 8000))
    }

    @Test("a net option changed on the live connection reaches the peer")
    func liveOptions() {
        let pair = EnginePair()
        pair.bringUpEqual()
        var network = pair.network
        network.afterSplitBrain0Primaries = .discardLocal
        #expect(pair.a.run(.networkOptions(network)) == .success)
        pair.pass(.milliseconds(10))
        #expect(pair.b.snapshot.network?.afterSplitBrain0Primaries == .discardRemote)
        #expect(pair.areConnected)
    }
}

@Suite("Volumes that come to a live connection")
struct LateVolumeTests {
    @Test("a volume added on both nodes after the connection was made connects and syncs", arguments: [true, false])
    func lateVolume(attachesFirst: Bool) {
        let pair = EnginePair()
        pair.bringUpEqual()
        let second = VolumeNumber(3)
        for node in [pair.a!, pair.b!] {
            node.secondDisk = TestDisk(sectorCount: 8192)
            #expect(node.run(.addVolume(second)) == .success)
            if attachesFirst {
                #expect(node.run(.attach(second, node.secondDisk!.device, node.diskOptions)) == .success)
            }
        }
        if !attachesFirst {
            for node in [pair.a!, pair.b!] {
                #expect(node.run(.attach(second, node.secondDisk!.device, node.diskOptions)) == .success)
            }
        }
        #expect(pair.run { [pair.a!, pair.b!].allSatisfy { $0.snapshot.volumes[1].state.conn == .connected } })
        #expect(pair.a.run(.primary(second, force: true)) == .success)
        #expect(
            pair.run {
                [pair.a!, pair.b!].allSatisfy {
                    let state = $0.snapshot.volumes[1].state
                    return state.conn == .connected && state.disk == .upToDate && state.pdsk == .upToDate
                }
            })
        #expect(pair.a.secondDisk!.hasSameData(as: pair.b.secondDisk!, sectors: 8000))
        #expect(pair.a.run(.disconnect(force: false)) == .success)
    }

    @Test("a receiver takes no more of the peer's data into memory than max-buffers allows")
    func receiverMemory() {
        let pair = EnginePair()
        pair.network.buffersMax = 64
        pair.bringUpEqual()
        pair.a.promote()
        // The extent is in the log before the disks become slow.
        pair.a.write(sector: 0, fill: 1)
        pair.diskLatency = .seconds(2)
        let ids = (0..<16).map { pair.a.startWrite(sector: $0 * 256, byteCount: 128 << 10, fill: 3) }
        var most = 0
        #expect(
            pair.run {
                most = max(most, pair.b.volume.unacknowledged)
                return ids.allSatisfy { pair.a.completions[$0] == 0 }
            })
        // 64 pages are two writes of 128 KiB.
        #expect(most == 2)
        #expect(pair.areConnected && pair.areDisksEqual)
    }
}

@Suite("Congestion under protocol A")
struct CongestionTests {
    private let zero = VolumeNumber(0)

    @Test("pull-ahead marks what the link cannot take, and syncs it when the link is free again")
    func pullAhead() {
        let pair = EnginePair()
        pair.network.wireProtocol = .a
        pair.network.onCongestion = .pullAhead
        pair.network.congestionFill = 64
        pair.bringUpEqual()
        pair.a.promote()
        let ids = (0..<40).map { pair.a.startWrite(sector: UInt64($0) * 16, fill: UInt8($0 + 1)) }
        #expect(pair.run { pair.a.state.conn == .ahead })
        #expect(pair.run { ids.allSatisfy { pair.a.completions[$0] == 0 } })
        #expect(pair.run { pair.b.state.conn == .behind })
        #expect(pair.b.state.disk < .upToDate)
        #expect(pair.run { pair.b.outOfSync > 0 && pair.b.outOfSync == pair.a.outOfSync })
        #expect(pair.run { pair.areConnected && pair.b.state.disk == .upToDate })
        #expect(pair.areDisksEqual)
        pair.pass(.seconds(1))
        #expect(pair.a.outOfSync == 0)
    }

    @Test("a demotion waits until the peer is no longer Behind")
    func demotionAhead() {
        let pair = EnginePair()
        pair.network.wireProtocol = .a
        pair.network.onCongestion = .pullAhead
        pair.network.congestionFill = 64
        pair.bringUpEqual()
        pair.a.promote()
        for index in 0..<40 { _ = pair.a.startWrite(sector: UInt64(index) * 16, fill: UInt8(index + 1)) }
        #expect(pair.run { pair.a.state.conn == .ahead && pair.a.volume.applicationPending == 0 })
        let command = pair.a.start(.secondary(zero))
        #expect(pair.run { pair.a.results[command] != nil })
        #expect(pair.a.results[command] == .success && pair.a.state.conn != .ahead)
        pair.cut()
        pair.pass(.seconds(60))
        pair.isCut = false
        #expect(pair.run { pair.areConnected && pair.b.state.disk == .upToDate && pair.a.outOfSync == 0 })
        #expect(pair.areDisksEqual)
    }

    @Test("disconnect gives the connection up")
    func disconnect() {
        let pair = EnginePair()
        pair.network.wireProtocol = .a
        pair.network.onCongestion = .disconnect
        pair.network.congestionFill = 64
        pair.bringUpEqual()
        pair.a.promote()
        let ids = (0..<40).map { pair.a.startWrite(sector: UInt64($0) * 16, fill: UInt8($0 + 1)) }
        #expect(pair.run { ids.allSatisfy { pair.a.completions[$0] == 0 } })
        #expect(pair.run { pair.a.state.conn == .standAlone })
    }
}
