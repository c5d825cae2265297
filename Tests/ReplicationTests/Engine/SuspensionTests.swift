import DRBDLayout
import EngineKit
import Replication
import Testing

@Suite("Fencing and suspended I/O")
struct SuspensionTests {
    private let zero = VolumeNumber(0)

    private func stonithPair(_ status: Int32?) -> EnginePair {
        let pair = EnginePair()
        pair.a.diskOptions.fencing = .resourceAndStonith
        pair.b.diskOptions.fencing = .resourceAndStonith
        pair.a.handlerStatus["fence-peer"] = status
        pair.bringUpEqual()
        pair.a.promote()
        pair.a.write(sector: 0, fill: 1)
        return pair
    }

    @Test("a shot peer: new generation, then the frozen write completes")
    func shotPeer() {
        let pair = stonithPair(7)
        pair.cut()
        let id = pair.a.startWrite(sector: 8, fill: 2)
        #expect(pair.run(limit: .seconds(100)) { pair.a.completions[id] != nil })
        #expect(pair.a.completions[id] == 0)
        #expect(pair.a.state.pdsk == .outdated && !pair.a.state.isSuspended)
        #expect(pair.a.logged("susp( 0 -> 1 )") && pair.a.logged("susp( 1 -> 0 )"))
        #expect(pair.a.outOfSync >= 1)
        #expect(pair.a.volume.uuids![1] != 0)
        pair.isCut = false
        #expect(pair.run(limit: .seconds(100)) { pair.areConnected && pair.b.state.disk == .upToDate })
        #expect(pair.areDisksEqual)
        #expect(pair.run { pair.a.handlers.contains("unfence-peer") })
    }

    @Test("a handler that never answers keeps I/O frozen until the peer is back, which gets the write again")
    func frozenUntilReturn() {
        let pair = stonithPair(nil)
        pair.cut()
        let id = pair.a.startWrite(sector: 8, fill: 2)
        let read = pair.a.startRequest(.read, sector: 0, byteCount: 4096)
        pair.pass(.seconds(60))
        #expect(pair.a.completions[id] == nil)
        #expect(pair.a.state.suspFen)
        let before = pair.a.volume.uuids!
        pair.isCut = false
        #expect(pair.run(limit: .seconds(100)) { pair.a.completions[id] != nil })
        #expect(pair.a.completions[id] == 0 && pair.a.completions[read] == 0)
        #expect(pair.a.volume.uuids! == before)
        pair.pass(.seconds(1))
        #expect(pair.areConnected && !pair.a.state.isSuspended)
        #expect(pair.areDisksEqual)
        #expect(pair.a.outOfSync == 0)
    }

    @Test("who yields keeps the old generation and takes the other's data")
    func yieldToPeer() {
        let pair = stonithPair(nil)
        pair.cut()
        let id = pair.a.startWrite(sector: 8, fill: 2)
        pair.pass(.seconds(60))
        #expect(pair.a.completions[id] == nil && pair.a.state.suspFen)
        let before = pair.a.volume.uuids![0]
        #expect(pair.a.run(.yieldToPeer(zero)) == .success)
        #expect(!pair.a.state.isSuspended)
        #expect(pair.a.volume.uuids![0] == before)
        #expect(pair.a.outOfSync >= 1)
    }

    @Test("resume-io lets frozen writes go with a new generation")
    func resumeIO() {
        let pair = stonithPair(1)
        pair.cut()
        let id = pair.a.startWrite(sector: 8, fill: 2)
        pair.pass(.seconds(60))
        #expect(pair.a.completions[id] == nil)
        #expect(pair.a.logged("fence-peer helper broken, returned 1"))
        #expect(pair.a.run(.resumeIO(zero)) == .success)
        #expect(pair.a.completions[id] == 0)
        #expect(pair.a.logged("new current UUID"))
    }

    @Test("suspend-io holds requests and answers, resume-io gives them out")
    func suspendIO() {
        let pair = EnginePair()
        pair.bringUpEqual()
        pair.a.promote()
        let early = pair.a.startWrite(sector: 0, fill: 1)
        #expect(pair.a.run(.suspendIO(zero)) == .success)
        let late = pair.a.startWrite(sector: 8, fill: 2)
        pair.pass(.seconds(20))
        #expect(pair.a.completions[early] == nil && pair.a.completions[late] == nil)
        #expect(pair.a.run(.resumeIO(zero)) == .success)
        pair.pass(.milliseconds(10))
        #expect(pair.a.completions[early] == 0 && pair.a.completions[late] == 0)
        #expect(pair.areDisksEqual)
    }

    @Test("without any data I/O freezes under on-no-data-accessible suspend-io and goes on when the peer returns")
    func noData() {
        let pair = EnginePair()
        var options = ResourceOptions()
        options.onNoDataAccessible = .suspendIO
        pair.a.restart(options: options)
        pair.bringUpEqual()
        pair.a.promote()
        pair.a.run(.detach(zero, force: false))
        pair.pass(.milliseconds(50))
        pair.cut()
        let id = pair.a.startWrite(sector: 8, fill: 2)
        pair.pass(.seconds(60))
        #expect(pair.a.completions[id] == nil && pair.a.state.suspNod)
        pair.isCut = false
        #expect(pair.run(limit: .seconds(100)) { pair.a.completions[id] != nil })
        #expect(pair.a.completions[id] == 0)
        #expect(pair.b.disk.bytes(sector: 8, count: 512).allSatisfy { $0 == 2 })
    }

    @Test("without any data I/O freezes, and goes on when the peer attaches its disk again")
    func peerDiskReturns() {
        let pair = EnginePair()
        var options = ResourceOptions()
        options.onNoDataAccessible = .suspendIO
        pair.a.restart(options: options)
        pair.bringUpEqual()
        pair.a.promote()
        pair.a.write(sector: 8, fill: 1)
        pair.a.run(.detach(zero, force: true))
        pair.b.run(.detach(zero, force: true))
        #expect(pair.run { pair.a.state.suspNod })
        let id = pair.a.startWrite(sector: 8, fill: 2)
        let read = pair.a.startRequest(.read, sector: 16, byteCount: 4096)
        pair.pass(.seconds(60))
        #expect(pair.a.completions[id] == nil && pair.a.completions[read] == nil)
        pair.b.attach()
        #expect(pair.run(limit: .seconds(100)) { pair.a.completions[id] != nil && pair.a.completions[read] != nil })
        #expect(pair.a.completions[id] == 0 && pair.a.completions[read] == 0)
        #expect(!pair.a.state.isSuspended)
        pair.a.attach()
        #expect(pair.run { pair.areConnected && pair.a.state.disk == .upToDate })
        #expect(pair.areDisksEqual)
    }

    @Test("a write that waited for a disk is in the log of the disk that it goes to")
    func logOfTheNextDisk() {
        let pair = EnginePair()
        var options = ResourceOptions()
        options.onNoDataAccessible = .suspendIO
        pair.a.restart(options: options)
        pair.bringUpEqual()
        pair.a.promote()
        pair.cut()
        #expect(pair.run { pair.a.state.conn == .wfConnection })
        pair.a.disk.hasBadMetadata = true
        let id = pair.a.startWrite(sector: 8, fill: 2)
        #expect(pair.run { pair.a.state.disk == .diskless })
        #expect(pair.a.completions[id] == nil && pair.a.state.suspNod)
        pair.a.disk.hasBadMetadata = false
        #expect(pair.a.attach() == .success)
        #expect(pair.a.finish(id) == 0)
        pair.crash(pair.a)
        pair.a.restart(options: options)
        pair.a.bringUp(connects: false)
        #expect(pair.a.logged("Marked additional 4096 KB as out-of-sync based on AL."))
        #expect(pair.a.outOfSync == 1024)
    }

    @Test("a volume that was frozen for another one's lack of data goes on alone in a new generation")
    func otherVolumeLacksData() {
        let pair = EnginePair()
        let second = VolumeNumber(7)
        var options = ResourceOptions()
        options.onNoDataAccessible = .suspendIO
        pair.a.restart(options: options)
        for node in [pair.a!, pair.b!] {
            node.secondDisk = TestDisk(sectorCount: 8192)
            node.run(.addVolume(second))
            node.run(.attach(second, node.secondDisk!.device, node.diskOptions))
            node.bringUp()
        }
        #expect(pair.run { pair.a.snapshot.volumes.allSatisfy { $0.state.conn == .connected } })
        for volume in [zero, second] { pair.a.run(.primary(volume, force: true)) }
        #expect(pair.run { pair.b.snapshot.volumes.allSatisfy { $0.state.disk == .upToDate } })
        pair.pass(.seconds(1))
        pair.b.run(.detach(zero, force: true))
        pair.a.run(.detach(zero, force: true))
        #expect(pair.run { pair.a.snapshot.volumes.allSatisfy { $0.state.isSuspended } })
        pair.cut()
        #expect(pair.run { pair.a.snapshot.volumes.allSatisfy { $0.state.conn == .wfConnection } })
        func generations() -> [UInt64]? {
            for volume in pair.a.snapshot.volumes where volume.volume == second { return volume.uuids }
            return nil
        }
        let before = generations()
        #expect(pair.a.attach() == .success)
        pair.pass(.seconds(1))
        #expect(pair.a.snapshot.volumes.allSatisfy { !$0.state.isSuspended })
        #expect(before != nil && generations()?[1] == before?[0])
    }

    @Test("a fenced Secondary leaves a disconnect Outdated and is not promoted")
    func disconnectOutdates() {
        let pair = EnginePair()
        pair.a.diskOptions.fencing = .resourceOnly
        pair.b.diskOptions.fencing = .resourceOnly
        pair.bringUpEqual()
        pair.a.promote()
        #expect(pair.b.run(.disconnect(force: false)) == .success)
        #expect(pair.b.state.disk == .outdated)
        #expect(pair.b.disk.superblock.flags.contains(.consistent))
        #expect(!pair.b.disk.superblock.flags.contains(.wasUpToDate))
        #expect(pair.b.promote() == .refused(.noUpToDateDisk))
    }

    @Test("outdate on an unconnected Secondary is durable")
    func outdate() {
        let pair = EnginePair()
        pair.bringUpEqual()
        pair.b.run(.disconnect(force: false))
        #expect(pair.b.run(.outdate(zero)) == .success)
        #expect(!pair.b.disk.superblock.flags.contains(.wasUpToDate))
        #expect(pair.b.promote() == .refused(.noUpToDateDisk))
    }

    @Test("the write that loses the last copy waits for a disk, and is made there")
    func lastCopyLost() {
        let pair = EnginePair()
        var options = ResourceOptions()
        options.onNoDataAccessible = .suspendIO
        pair.a.restart(options: options)
        pair.a.bringUp(connects: false)
        pair.a.promote(force: true)
        pair.a.write(sector: 8, fill: 1)
        pair.a.disk.badSectors = 80..<88
        let id = pair.a.startWrite(sector: 80, fill: 2)
        #expect(pair.run { pair.a.state.suspNod && pair.a.state.disk == .diskless })
        let later = pair.a.startWrite(sector: 80, fill: 3)
        pair.pass(.seconds(5))
        #expect(pair.a.completions[id] == nil && pair.a.completions[later] == nil)
        pair.a.disk.badSectors = nil
        #expect(pair.a.attach() == .success)
        #expect(pair.a.finish(id) == 0 && pair.a.finish(later) == 0)
        #expect(pair.a.disk.bytes(sector: 80, count: 512).allSatisfy { $0 == 3 })
    }

    @Test("the write that loses the last copy is made on the peer when that has its disk again")
    func lastRemoteCopyLost() {
        let pair = EnginePair()
        var options = ResourceOptions()
        options.onNoDataAccessible = .suspendIO
        pair.a.restart(options: options)
        pair.bringUpEqual()
        pair.a.promote()
        pair.a.run(.detach(zero, force: false))
        #expect(pair.a.write(sector: 8, fill: 1) == 0)
        pair.b.disk.badSectors = 80..<88
        let id = pair.a.startWrite(sector: 80, fill: 2)
        #expect(pair.run { pair.a.state.suspNod })
        pair.pass(.seconds(5))
        #expect(pair.a.completions[id] == nil)
        pair.b.disk.badSectors = nil
        #expect(pair.b.attach() == .success)
        #expect(pair.a.finish(id) == 0)
        #expect(pair.b.disk.bytes(sector: 80, count: 512).allSatisfy { $0 == 2 })
    }

    @Test("resume-io gives the write that lost the last copy its error")
    func lastCopyGivenUp() {
        let pair = EnginePair()
        var options = ResourceOptions()
        options.onNoDataAccessible = .suspendIO
        pair.a.restart(options: options)
        pair.a.bringUp(connects: false)
        pair.a.promote(force: true)
        pair.a.write(sector: 8, fill: 1)
        pair.a.disk.badSectors = 80..<88
        let id = pair.a.startWrite(sector: 80, fill: 2)
        #expect(pair.run { pair.a.state.suspNod && pair.a.state.disk == .diskless })
        #expect(pair.a.run(.resumeIO(zero)) == .success)
        #expect(pair.a.finish(id) == 5)
    }
}
