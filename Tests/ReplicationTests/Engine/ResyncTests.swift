import DRBDLayout
import EngineKit
import Replication
import Testing

@Suite("Resync and verify")
struct ResyncTests {
    private let zero = VolumeNumber(0)

    @Test("invalidate takes the data from the peer, also on a Primary")
    func invalidate() {
        let pair = EnginePair()
        pair.bringUpEqual()
        pair.a.promote()
        pair.a.write(sector: 8, fill: 7)
        #expect(pair.a.run(.invalidate(zero)) == .success)
        #expect(pair.run { pair.areConnected && pair.a.state.disk == .upToDate && pair.b.state.pdsk == .upToDate })
        #expect(pair.a.read(sector: 8).bytes.allSatisfy { $0 == 7 })
        #expect(pair.areDisksEqual)
    }

    @Test("invalidate-remote sends everything to the peer")
    func invalidateRemote() {
        let pair = EnginePair()
        pair.bringUpEqual()
        pair.b.disk.put(at: 16, count: 512) { $0.initializeMemory(as: UInt8.self, repeating: 0xee) }
        #expect(pair.a.run(.invalidateRemote(zero)) == .success)
        #expect(pair.run { pair.areConnected && pair.b.state.disk == .upToDate })
        #expect(pair.areDisksEqual)
        #expect(pair.b.handlers.contains("before-resync-target") && pair.b.handlers.contains("after-resync-target"))
    }

    @Test("the application writes on while the resync runs, on the source and on the target")
    func writesDuringResync() {
        let pair = EnginePair()
        pair.network.allowTwoPrimaries = true
        pair.bringUpEqual()
        pair.a.promote()
        pair.b.promote()
        pair.a.diskOptions.resyncRate = 4000
        pair.a.run(.diskOptions(zero, pair.a.diskOptions))
        pair.pass(.milliseconds(10))
        #expect(pair.b.run(.invalidate(zero)) == .success)
        #expect(pair.run { pair.b.state.conn == .syncTarget })
        var ids: [(TestNode, UInt64)] = []
        var round = 0
        while pair.b.state.conn == .syncTarget, round < 400 {
            ids.append((pair.a, pair.a.startWrite(sector: UInt64(round * 37 % 1500) * 8, fill: UInt8(round & 0x7f))))
            ids.append((pair.b, pair.b.startWrite(sector: UInt64(round * 53 % 1500) * 8 + 3, fill: 0x80)))
            pair.pass(.milliseconds(5))
            round += 1
        }
        #expect(round > 20)
        #expect(pair.run(limit: .seconds(200)) { pair.areConnected && pair.b.state.disk == .upToDate })
        #expect(pair.run { ids.allSatisfy { $0.0.completions[$0.1] == 0 } })
        pair.pass(.seconds(1))
        #expect(pair.areDisksEqual)
        #expect(pair.a.outOfSync == 0 && pair.b.outOfSync == 0)
    }

    @Test("pause-sync stops a resync on both sides, resume-sync lets it end")
    func pause() {
        let pair = EnginePair()
        pair.bringUpEqual()
        pair.b.diskOptions.resyncRate = 4000
        pair.b.run(.diskOptions(zero, pair.b.diskOptions))
        pair.pass(.milliseconds(10))
        pair.a.run(.invalidateRemote(zero))
        pair.run { pair.b.state.conn == .syncTarget }
        #expect(pair.a.run(.pauseSync(zero)) == .success)
        pair.pass(.seconds(1))
        #expect(pair.a.state.conn == .pausedSyncS && pair.b.state.conn == .pausedSyncT)
        let left = pair.b.outOfSync
        pair.pass(.seconds(5))
        #expect(pair.b.outOfSync == left && left > 0)
        #expect(pair.a.run(.pauseSync(zero)) == .failed(.pauseFlagSet, info: nil))
        #expect(pair.b.run(.resumeSync(zero)) == .failed(.pausedByPeer, info: nil))
        #expect(pair.a.run(.resumeSync(zero)) == .success)
        #expect(pair.run { pair.areConnected && pair.b.state.disk == .upToDate })
        #expect(pair.areDisksEqual)
    }

    @Test("a resync that was cut goes on with what is left")
    func interrupted() {
        let pair = EnginePair()
        pair.bringUpEqual()
        pair.b.diskOptions.resyncRate = 4000
        pair.b.run(.diskOptions(zero, pair.b.diskOptions))
        pair.pass(.milliseconds(10))
        pair.a.run(.invalidateRemote(zero))
        pair.run { pair.b.state.conn == .syncTarget }
        pair.pass(.milliseconds(500))
        pair.reset()
        pair.pass(.milliseconds(100))
        #expect(pair.b.state.disk == .inconsistent)
        let left = pair.b.outOfSync
        #expect(left > 0 && left < pair.b.volume.sizeSectors / 8)
        #expect(pair.run { pair.areConnected && pair.b.state.disk == .upToDate })
        #expect(pair.areDisksEqual)
    }

    @Test("power cut of the target in the middle of a resync")
    func targetCrashes() {
        let pair = EnginePair()
        pair.bringUpEqual()
        pair.a.promote()
        pair.a.write(sector: 0, byteCount: 1 << 20, fill: 0x77)
        pair.b.diskOptions.resyncRate = 4000
        pair.b.run(.diskOptions(zero, pair.b.diskOptions))
        pair.pass(.milliseconds(10))
        pair.a.run(.invalidateRemote(zero))
        pair.run { pair.b.state.conn == .syncTarget }
        pair.pass(.milliseconds(700))
        pair.crash(pair.b)
        pair.pass(.seconds(2))
        pair.b.restart()
        pair.b.bringUp()
        #expect(pair.run { pair.areConnected && pair.b.state.disk == .upToDate })
        #expect(pair.areDisksEqual)
    }

    @Test("what the target acknowledged and lost with its power is synced again")
    func targetLosesCache() {
        let pair = EnginePair()
        pair.bringUpEqual()
        pair.a.promote()
        pair.b.run(.disconnect(force: false))
        for block in 0..<64 { pair.a.write(sector: UInt64(block) * 16, fill: UInt8(block + 1)) }
        pair.b.diskOptions.resyncRate = 200
        pair.b.run(.diskOptions(zero, pair.b.diskOptions))
        pair.b.run(.connect(pair.network, ConnectOnce()))
        #expect(pair.run { pair.b.state.conn == .syncTarget && pair.a.outOfSync < 50 })
        #expect(pair.b.state.conn == .syncTarget)
        pair.crash(pair.b)
        pair.pass(.seconds(2))
        pair.b.restart()
        pair.b.bringUp()
        #expect(pair.run { pair.areConnected && pair.b.state.disk == .upToDate })
        #expect(pair.areDisksEqual)
    }

    @Test("a verify ends when a disk passes on an error, which makes that disk Inconsistent", arguments: [true, false])
    func errorDuringVerify(atSource: Bool) {
        let pair = EnginePair()
        pair.network.verifyAlgorithm = .crc32c
        for node in [pair.a, pair.b] as [TestNode] { node.diskOptions.onIOError = .passOn }
        pair.bringUpEqual()
        pair.a.promote()
        let verifier: TestNode = atSource ? pair.a : pair.b
        #expect(verifier.run(.verify(zero, start: nil, stop: nil)) == .success)
        pair.a.disk.badSectors = 80..<88
        #expect(pair.a.write(sector: 80, fill: 5) == 0)
        pair.pass(.milliseconds(100))
        #expect(pair.a.stateText == "Connected Primary/Secondary Inconsistent/UpToDate")
        #expect(pair.b.stateText == "Connected Secondary/Primary UpToDate/Inconsistent")
    }

    @Test("verify finds a planted difference on both sides, and a reconnect of a Primary repairs it")
    func verify() {
        let pair = EnginePair()
        pair.network.verifyAlgorithm = .crc32c
        pair.bringUpEqual()
        pair.a.promote()
        pair.b.disk.put(at: 1600, count: 512) { $0.initializeMemory(as: UInt8.self, repeating: 0xee) }
        #expect(pair.a.run(.verify(zero, start: nil, stop: nil)) == .success)
        #expect(pair.run(limit: .seconds(200)) { pair.areConnected && pair.a.handlers.contains("out-of-sync") })
        #expect(pair.a.logged("Online verify found 1 4k block out of sync!"))
        #expect(pair.b.logged("Out of sync: start=1600, size=8 (sectors)"))
        #expect(pair.a.outOfSync == 1 && pair.b.outOfSync == 1)
        pair.b.run(.disconnect(force: false))
        pair.b.run(.connect(pair.network, ConnectOnce()))
        #expect(pair.run { pair.areConnected && pair.b.state.disk == .upToDate && pair.b.outOfSync == 0 })
        #expect(pair.areDisksEqual)
    }

    @Test("verify without an algorithm is refused")
    func verifyRefused() {
        let pair = EnginePair()
        pair.bringUpEqual()
        #expect(pair.a.run(.verify(zero, start: nil, stop: nil)) == .refused(.noVerifyAlgorithm))
    }

    @Test("disks of different sizes agree on the smaller one")
    func differentSizes() {
        let pair = EnginePair(sectorCount: 32768, bSectorCount: 16384)
        pair.a.bringUp()
        pair.b.bringUp()
        #expect(pair.run { pair.areConnected })
        #expect(pair.a.volume.sizeSectors == pair.b.volume.sizeSectors)
        #expect(pair.a.promote(force: true) == .success)
        #expect(pair.run { pair.areConnected && pair.b.state.disk == .upToDate })
        #expect(pair.areDisksEqual)
    }

    @Test("a block that the source cannot read stays out of sync, and the resync ends")
    func unreadableBlock() {
        let pair = EnginePair()
        pair.a.diskOptions.onIOError = .passOn
        pair.bringUpEqual()
        pair.a.disk.badSectors = 800..<808
        pair.a.run(.invalidateRemote(zero))
        pair.pass(.seconds(20))
        #expect(pair.b.outOfSync >= 1)
        #expect(pair.b.state.disk == .inconsistent)
        #expect(pair.b.state.conn == .connected)
    }

    @Test("a block that was read for a resync that is over is not sent in the next one")
    func lateRead() {
        let pair = EnginePair()
        pair.bringUpEqual()
        pair.a.promote()
        pair.a.write(sector: 0, fill: 1)
        pair.a.run(.invalidateRemote(zero))
        #expect(pair.run { pair.b.state.conn == .syncTarget })
        pair.a.extraDiskLatency = .seconds(2)
        #expect(pair.run { pair.b.volume.peerPending > 0 })
        pair.pass(.milliseconds(10))
        pair.a.extraDiskLatency = .zero
        pair.b.run(.detach(zero, force: true))
        pair.pass(.milliseconds(10))
        pair.b.diskOptions.resyncRate = 4
        pair.b.attach()
        #expect(pair.run { pair.b.state.conn == .syncTarget })
        pair.pass(.seconds(3))
        #expect(pair.a.write(sector: 0, fill: 2) == 0)
        #expect(!pair.b.logged("error receiving"))
        #expect(pair.b.state.conn == .syncTarget || pair.areConnected)
        pair.b.diskOptions.resyncRate = 1 << 20
        pair.b.run(.diskOptions(zero, pair.b.diskOptions))
        #expect(pair.run(limit: .seconds(100)) { pair.areConnected && pair.b.state.disk == .upToDate })
        #expect(pair.areDisksEqual)
    }

    @Test("nobody is promoted on a disk that stayed Inconsistent", arguments: [false, true])
    func promotionOfInconsistent(isForced: Bool) {
        let pair = EnginePair()
        for node in [pair.a, pair.b] as [TestNode] { node.diskOptions.onIOError = .passOn }
        pair.bringUpEqual()
        pair.a.disk.badSectors = 800..<808
        pair.a.run(.invalidateRemote(zero))
        // The first repair is over, the next one is far.
        pair.pass(.seconds(11))
        #expect(pair.b.stateText == "Connected Secondary/Secondary Inconsistent/UpToDate")
        let begin = pair.now
        #expect(pair.b.promote(force: isForced) == .refused(.noUpToDateDisk))
        #expect(pair.now - begin < .seconds(5))
        #expect(pair.b.logged("State change failed: Need access to UpToDate data"))
        #expect(pair.b.stateText == "Connected Secondary/Secondary Inconsistent/UpToDate")
    }
}
