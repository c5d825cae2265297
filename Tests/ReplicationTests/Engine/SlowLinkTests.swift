import DRBDLayout
import EngineKit
import Replication
import Testing

@Suite("Links that are slower than those who write")
struct SlowLinkTests {
    private let zero = VolumeNumber(0)

    /// 64 MiB, and 6 MiB/s from one of the nodes.
    private func slowPair(from name: String) -> EnginePair {
        let pair = EnginePair(sectorCount: 131_072)
        pair.network.allowTwoPrimaries = true
        pair.bringUpEqual()
        pair.slowLink = (from: name, byteCount: 64 << 10, interval: .milliseconds(10))
        return pair
    }

    @Test("a Primary with much unsent data still takes the other one's writes and barriers")
    func unsentData() {
        let pair = slowPair(from: "a")
        pair.a.promote()
        pair.b.promote()
        #expect(pair.b.write(sector: 100_000, fill: 1) == 0)
        let ids = (0..<40).map { pair.a.startWrite(sector: UInt64($0) * 2048, byteCount: 1 << 20, fill: 3) }
        pair.pass(.milliseconds(20))
        let start = pair.now
        #expect(pair.b.write(sector: 100_000, fill: 4) == 0)
        #expect(pair.b.flush() == 0)
        #expect(pair.now - start < .milliseconds(100))
        #expect(ids.allSatisfy { pair.a.completions[$0] == nil })
        #expect(pair.run { ids.allSatisfy { pair.a.completions[$0] == 0 } })
        #expect(pair.areConnected && pair.areDisksEqual)
    }

    @Test("a peer that reads more than the link takes still gets its writes through")
    func unsentReplies() {
        let pair = slowPair(from: "b")
        pair.a.promote()
        pair.a.run(.detach(zero, force: false))
        #expect(pair.a.write(sector: 100_000, fill: 1) == 0)
        let ids = (0..<40).map { pair.a.startRequest(.read, sector: UInt64($0) * 2048, byteCount: 1 << 20) }
        pair.pass(.milliseconds(20))
        let start = pair.now
        #expect(pair.a.write(sector: 100_000, fill: 4) == 0)
        #expect(pair.now - start < .milliseconds(100))
        #expect(pair.run { ids.allSatisfy { pair.a.completions[$0] == 0 } })
        #expect(pair.areConnected)
    }

    @Test("what is read for the peer waits for room on the link")
    func boundedReplies() {
        let pair = slowPair(from: "b")
        pair.a.promote()
        pair.a.run(.detach(zero, force: false))
        var most = 0
        pair.onBytes = { node, _ in
            guard node === pair.b else { return }
            for number in 1...8 {
                let waiting = node.engine.withOutputQueue(of: SocketID(UInt32(number))) { $0.byteCount } ?? 0
                most = max(most, waiting)
            }
        }
        let ids = (0..<50).map { pair.a.startRequest(.read, sector: UInt64($0) * 2048, byteCount: 1 << 20) }
        #expect(pair.run { ids.allSatisfy { pair.a.completions[$0] == 0 } })
        #expect(most > 8 << 20 && most < 30 << 20)
    }

    @Test("reads that wait for the link end with the connection")
    func waitingReadsAreDropped() {
        let pair = slowPair(from: "b")
        pair.a.promote()
        pair.a.run(.detach(zero, force: false))
        let ids = (0..<40).map { pair.a.startRequest(.read, sector: UInt64($0) * 2048, byteCount: 1 << 20) }
        pair.pass(.milliseconds(50))
        pair.reset()
        #expect(pair.run { ids.allSatisfy { pair.a.completions[$0] == 5 } })
        pair.slowLink = nil
        #expect(pair.run { pair.areConnected })
        #expect(pair.a.read(sector: 0).errno == 0)
        #expect(pair.b.volume.unacknowledged == 0)
    }

    @Test("reads that wait for the link are refused when the disk is gone")
    func waitingReadsWithoutDisk() {
        let pair = slowPair(from: "b")
        pair.a.promote()
        pair.a.run(.detach(zero, force: false))
        let ids = (0..<40).map { pair.a.startRequest(.read, sector: UInt64($0) * 2048, byteCount: 1 << 20) }
        pair.pass(.milliseconds(50))
        #expect(pair.b.run(.detach(zero, force: true)) == .success)
        #expect(pair.run { ids.allSatisfy { pair.a.completions[$0] != nil } })
        #expect(pair.areConnected && pair.b.volume.unacknowledged == 0)
    }
}
