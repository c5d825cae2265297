import DRBDLayout
import EngineKit
import Replication
import Testing

@Suite("Losing and finding the peer")
struct ReconnectTests {
    @Test("a graceful disconnect leaves one side StandAlone, the other waiting")
    func gracefulDisconnect() {
        let pair = EnginePair()
        pair.bringUpEqual()
        #expect(pair.a.run(.disconnect(force: false)) == .success)
        #expect(pair.a.state.conn == .standAlone)
        pair.pass(.seconds(1))
        #expect(pair.b.state.conn == .wfConnection)
        #expect(pair.a.run(.connect(pair.network, ConnectOnce())) == .success)
        #expect(pair.run { pair.areConnected })
        #expect(pair.a.logged("uuid_compare()=0 by rule 40"))
    }

    @Test("after a break only what changed travels")
    func bitmapResync() {
        let pair = EnginePair()
        pair.bringUpEqual()
        pair.a.promote()
        pair.a.write(sector: 0, fill: 1)
        pair.b.run(.disconnect(force: false))
        pair.run { pair.a.state.conn == .wfConnection }
        for block in 0..<10 { pair.a.write(sector: UInt64(block) * 800, fill: 0x33) }
        #expect(pair.a.outOfSync == 10)
        let before = pair.b.volume.receivedSectors
        pair.b.run(.connect(pair.network, ConnectOnce()))
        #expect(pair.run { pair.areConnected && pair.b.state.disk == .upToDate })
        #expect(pair.a.logged("uuid_compare()=1 by rule 70"))
        #expect(pair.b.logged("uuid_compare()=-1 by rule 50"))
        #expect(pair.b.volume.receivedSectors - before == 80)
        #expect(pair.areDisksEqual)
        pair.pass(.seconds(1))
        #expect(pair.a.outOfSync == 0 && pair.b.outOfSync == 0)
        #expect(pair.a.volume.uuids!.map { $0 & ~1 } == pair.b.volume.uuids!.map { $0 & ~1 })
    }

    @Test("writes under way when the cable is cut are answered and synced later")
    func cutUnderLoad() {
        let pair = EnginePair()
        pair.bringUpEqual()
        pair.a.promote()
        let ids = (0..<32).map { pair.a.startWrite(sector: UInt64($0) * 64, fill: UInt8($0 + 1)) }
        pair.pass(.microseconds(120))
        pair.cut()
        #expect(pair.run { ids.allSatisfy { pair.a.completions[$0] != nil } })
        #expect(ids.allSatisfy { pair.a.completions[$0] == 0 })
        #expect(pair.a.logged("PingAck did not arrive in time.") || pair.a.logged("Remote failed"))
        #expect(pair.a.state.pdsk == .unknown)
        #expect(pair.a.outOfSync > 0)
        pair.isCut = false
        #expect(pair.run { pair.areConnected && pair.b.state.disk == .upToDate })
        #expect(pair.areDisksEqual)
    }

    @Test("a Primary that lost its power becomes source for the extents of its log")
    func crashedPrimary() {
        let pair = EnginePair()
        pair.bringUpEqual()
        pair.a.promote()
        pair.a.write(sector: 8, fill: 9)
        pair.crash(pair.a)
        pair.pass(.seconds(3))
        #expect(pair.b.state.conn == .wfConnection)
        pair.a.restart()
        pair.a.bringUp()
        #expect(pair.run { pair.areConnected && pair.b.state.disk == .upToDate })
        #expect(pair.a.logged("uuid_compare()=1 by rule 40"))
        #expect(pair.areDisksEqual)
        #expect(!pair.a.volume.metadataFlags!.contains(.crashedPrimary))
    }

    @Test("a Secondary that lost its power gets what it may have lost")
    func crashedSecondary() {
        let pair = EnginePair()
        pair.bringUpEqual()
        pair.a.promote()
        for block in 0..<20 { pair.a.write(sector: UInt64(block) * 8, fill: 5) }
        pair.crash(pair.b)
        for block in 20..<40 { pair.a.write(sector: UInt64(block) * 8, fill: 6) }
        pair.b.restart()
        pair.b.bringUp()
        #expect(pair.run { pair.areConnected && pair.b.state.disk == .upToDate })
        #expect(pair.areDisksEqual)
    }

    @Test("two Primaries apart are a split brain, and both stay apart")
    func splitBrain() {
        let pair = EnginePair()
        pair.network.allowTwoPrimaries = true
        pair.bringUpEqual()
        pair.a.promote()
        pair.b.promote()
        pair.cut()
        pair.a.write(sector: 0, fill: 1)
        pair.b.write(sector: 8, fill: 2)
        pair.run(limit: .seconds(100)) { pair.a.state.conn == .wfConnection && pair.b.state.conn == .wfConnection }
        pair.isCut = false
        #expect(pair.run { pair.a.state.conn == .standAlone && pair.b.state.conn == .standAlone })
        #expect(pair.a.logged("Split-Brain detected"))
        #expect(pair.a.handlers.contains("initial-split-brain"))
        #expect(pair.a.handlers.contains("split-brain"))
    }

    @Test("discard-my-data resolves a split brain by hand")
    func discardMyData() {
        let pair = EnginePair()
        pair.network.allowTwoPrimaries = true
        pair.bringUpEqual()
        pair.a.promote()
        pair.b.promote()
        pair.cut()
        pair.a.write(sector: 0, fill: 1)
        pair.b.write(sector: 8, fill: 2)
        pair.run(limit: .seconds(100)) { pair.a.state.conn == .wfConnection && pair.b.state.conn == .wfConnection }
        pair.b.demote()
        pair.b.run(.disconnect(force: false))
        pair.isCut = false
        var once = ConnectOnce()
        once.discardMyData = true
        pair.b.run(.connect(pair.network, once))
        #expect(pair.run { pair.areConnected && pair.b.state.disk == .upToDate })
        #expect(pair.b.logged("manually solved"))
        #expect(pair.areDisksEqual)
        #expect(pair.b.disk.bytes(sector: 8, count: 512).allSatisfy { $0 == 0 })
    }

    @Test("after-sb-0pri discard-least-changes decides alone")
    func leastChanges() {
        let pair = EnginePair()
        pair.network.afterSplitBrain0Primaries = .discardLeastChanges
        pair.bringUpEqual()
        pair.cut()
        pair.run { pair.a.state.conn == .wfConnection && pair.b.state.conn == .wfConnection }
        pair.a.promote()
        pair.b.promote()
        for block in 0..<5 { pair.a.write(sector: UInt64(block) * 8, fill: 1) }
        pair.b.write(sector: 800, fill: 2)
        pair.a.demote()
        pair.b.demote()
        pair.isCut = false
        #expect(pair.run(limit: .seconds(200)) { pair.areConnected && pair.b.state.disk == .upToDate })
        #expect(pair.a.logged("automatically solved. Sync from this node"))
        #expect(pair.areDisksEqual)
        #expect(pair.b.disk.bytes(sector: 0, count: 512).allSatisfy { $0 == 1 })
    }

    @Test("a wrong secret ends in StandAlone, the right one connects")
    func authentication() {
        let pair = EnginePair()
        pair.network.authenticationAlgorithm = .sha256
        pair.network.sharedSecret = Array("sEcReT".utf8)
        pair.a.bringUp()
        pair.b.run(.addVolume(VolumeNumber(0)))
        pair.b.run(.attach(VolumeNumber(0), pair.b.disk.device, pair.b.diskOptions))
        var wrong = pair.network
        wrong.sharedSecret = Array("other".utf8)
        pair.b.run(.connect(wrong, ConnectOnce()))
        #expect(pair.run { pair.a.state.conn == .standAlone || pair.b.state.conn == .standAlone })
        pair.a.run(.disconnect(force: false))
        pair.b.run(.disconnect(force: false))
        pair.a.run(.connect(pair.network, ConnectOnce()))
        pair.b.run(.connect(pair.network, ConnectOnce()))
        #expect(pair.run { pair.areConnected })
        #expect(pair.a.logged("Peer authenticated using 32 bytes HMAC"))
    }

    @Test("different settings are refused by name")
    func settingsDiffer() {
        let pair = EnginePair()
        pair.a.bringUp()
        pair.network.wireProtocol = .a
        pair.b.bringUp()
        #expect(pair.run { pair.a.state.conn == .standAlone })
        #expect(pair.a.logged("incompatible protocol settings"))
    }

    @Test("an idle connection lives on pings")
    func idle() {
        let pair = EnginePair()
        pair.bringUpEqual()
        pair.pass(.seconds(120))
        #expect(pair.areConnected)
        #expect(!pair.a.logged("NetworkFailure"))
    }
}
