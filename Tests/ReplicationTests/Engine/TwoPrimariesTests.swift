import DRBDLayout
import EngineKit
import Replication
import Testing

@Suite("Two Primaries")
struct TwoPrimariesTests {
    private func bothPrimary(_ pair: EnginePair) {
        pair.network.allowTwoPrimaries = true
        pair.bringUpEqual()
        #expect(pair.a.promote() == .success)
        #expect(pair.b.promote() == .success)
    }

    @Test("the second promotion is refused without allow-two-primaries")
    func secondRefused() {
        let pair = EnginePair()
        pair.bringUpEqual()
        #expect(pair.a.promote() == .success)
        #expect(pair.b.promote() == .refused(.twoPrimaries))
        #expect(pair.areConnected)
    }

    @Test("both promote at the same moment")
    func simultaneousPromotion() {
        let pair = EnginePair()
        pair.network.allowTwoPrimaries = true
        pair.bringUpEqual()
        let first = pair.a.start(.primary(VolumeNumber(0), force: false))
        let second = pair.b.start(.primary(VolumeNumber(0), force: false))
        pair.run { pair.a.results[first] != nil && pair.b.results[second] != nil }
        #expect(pair.a.results[first] == .success)
        #expect(pair.b.results[second] == .success)
        pair.pass(.milliseconds(10))
        #expect(pair.a.stateText == "Connected Primary/Primary UpToDate/UpToDate")
        #expect(pair.b.stateText == "Connected Primary/Primary UpToDate/UpToDate")
    }

    @Test("writes of both on their own places end up on both disks")
    func disjointWrites() {
        let pair = EnginePair()
        bothPrimary(pair)
        var ids: [(TestNode, UInt64)] = []
        for round in 0..<50 {
            ids.append((pair.a, pair.a.startWrite(sector: UInt64(round) * 16, fill: UInt8(round + 1))))
            ids.append((pair.b, pair.b.startWrite(sector: UInt64(round) * 16 + 8, fill: UInt8(round + 101))))
            if round % 7 == 0 { pair.pass(.microseconds(70)) }
        }
        #expect(pair.run { ids.allSatisfy { $0.0.completions[$0.1] == 0 } })
        pair.pass(.seconds(1))
        #expect(pair.areConnected)
        #expect(pair.areDisksEqual)
    }

    @Test("concurrent writes to one place leave both disks equal", arguments: 1...6)
    func overlappingWrites(seed: Int) {
        let pair = EnginePair()
        bothPrimary(pair)
        let random = SeededRandom(seed: UInt64(seed))
        var ids: [(TestNode, UInt64)] = []
        for round in 0..<300 {
            let node: TestNode = random.next(below: 2) == 0 ? pair.a : pair.b
            let sector = random.next(below: 24)
            let byteCount = Int(random.next(below: 16) + 1) * 512
            ids.append((node, node.startWrite(sector: sector, byteCount: byteCount, fill: UInt8(round & 0xff))))
            if random.next(below: 3) == 0 { pair.pass(.microseconds(Int64(random.next(below: 200)))) }
        }
        #expect(pair.run { ids.allSatisfy { $0.0.completions[$0.1] != nil } })
        #expect(ids.allSatisfy { $0.0.completions[$0.1] == 0 })
        pair.pass(.seconds(2))
        #expect(pair.areConnected)
        #expect(pair.areDisksEqual)
        #expect(pair.a.outOfSync == 0 && pair.b.outOfSync == 0)
    }

    @Test("the peer's write that lies in an own one under way is superseded")
    func superseded() {
        let pair = EnginePair()
        bothPrimary(pair)
        let first = pair.a.startWrite(sector: 0, byteCount: 8192, fill: 1)
        let second = pair.b.startWrite(sector: 8, fill: 2)
        #expect(pair.run { pair.a.completions[first] == 0 && pair.b.completions[second] == 0 })
        pair.pass(.seconds(1))
        #expect(pair.areDisksEqual)
        #expect(pair.areConnected)
        #expect(pair.a.flush() == 0 && pair.b.flush() == 0)
    }

    @Test("a write that the peer made after it acknowledged ours is no concurrent one", arguments: [true, false])
    func slowDisk(isFirstSlow: Bool) {
        let pair = EnginePair()
        bothPrimary(pair)
        let (slow, fast): (TestNode, TestNode) = isFirstSlow ? (pair.a, pair.b) : (pair.b, pair.a)
        slow.write(sector: 0, fill: 9)
        fast.write(sector: 8, fill: 9)
        slow.extraDiskLatency = .milliseconds(20)
        let first = slow.startWrite(sector: 0, fill: 1)
        pair.pass(.milliseconds(1))
        #expect(fast.disk.bytes(sector: 0, count: 512).allSatisfy { $0 == 1 })
        let second = fast.startWrite(sector: 0, fill: 2)
        #expect(pair.run { slow.completions[first] == 0 && fast.completions[second] == 0 })
        pair.pass(.seconds(1))
        #expect(pair.areConnected && pair.areDisksEqual)
        #expect(slow.disk.bytes(sector: 0, count: 512).allSatisfy { $0 == 2 })
    }

    @Test("a superseded write is answered when what lies over it can be read", arguments: [true, false])
    func supersededIsVisible(isFirstSlow: Bool) {
        let pair = EnginePair()
        bothPrimary(pair)
        let (slow, fast): (TestNode, TestNode) = isFirstSlow ? (pair.a, pair.b) : (pair.b, pair.a)
        slow.write(sector: 0, byteCount: 8192, fill: 9)
        slow.extraDiskLatency = .milliseconds(20)
        let over = slow.startWrite(sector: 0, byteCount: 8192, fill: 1)
        let inside = fast.startWrite(sector: 8, fill: 2)
        #expect(pair.run { fast.completions[inside] == 0 })
        #expect(slow.disk.bytes(sector: 8, count: 4096).allSatisfy { $0 != 9 })
        #expect(pair.run { slow.completions[over] == 0 })
        pair.pass(.seconds(1))
        #expect(pair.areConnected && pair.areDisksEqual)
        #expect(slow.flush() == 0 && fast.flush() == 0)
    }

    @Test("a cable cut under load ends in a split brain, never in a silent merge")
    func cutUnderLoad() {
        let pair = EnginePair()
        bothPrimary(pair)
        for index in 0..<20 {
            _ = pair.a.startWrite(sector: UInt64(index) * 8, fill: 1)
            _ = pair.b.startWrite(sector: UInt64(index) * 8 + 800, fill: 2)
        }
        pair.pass(.microseconds(100))
        pair.cut()
        pair.pass(.seconds(60))
        pair.a.write(sector: 4000, fill: 3)
        pair.b.write(sector: 4800, fill: 4)
        pair.isCut = false
        #expect(
            pair.run(limit: .seconds(100)) { pair.a.state.conn == .standAlone && pair.b.state.conn == .standAlone })
        #expect(pair.a.logged("Split-Brain detected"))
    }
}
