import DRBDLayout
import EngineKit
import Replication
import Testing

@Suite("Disks that leave and return")
struct DiskLossTests {
    private let zero = VolumeNumber(0)

    @Test("a Primary without its disk reads and writes on the peer's, and syncs back when it returns")
    func disklessPrimary() {
        let pair = EnginePair()
        pair.bringUpEqual()
        pair.a.promote()
        pair.a.write(sector: 8, fill: 1)
        #expect(pair.a.run(.detach(zero, force: false)) == .success)
        pair.pass(.milliseconds(50))
        #expect(pair.a.stateText == "Connected Primary/Secondary Diskless/UpToDate")
        #expect(pair.b.stateText == "Connected Secondary/Primary UpToDate/Diskless")
        #expect(pair.b.logged("new current UUID"))
        #expect(pair.a.read(sector: 8).bytes.allSatisfy { $0 == 1 })
        #expect(pair.a.write(sector: 16, fill: 2) == 0)
        #expect(pair.b.outOfSync == 1)
        #expect(pair.a.read(sector: 16).bytes.allSatisfy { $0 == 2 })
        #expect(pair.a.run(.attach(zero, pair.a.disk.device, pair.a.diskOptions)) == .success)
        #expect(pair.run { pair.areConnected && pair.a.state.disk == .upToDate && pair.b.state.pdsk == .upToDate })
        #expect(pair.a.read(sector: 16).bytes.allSatisfy { $0 == 2 })
        #expect(pair.areDisksEqual)
    }

    @Test("a Secondary's disk returns without a sync when nothing was written")
    func secondaryReattaches() {
        let pair = EnginePair()
        pair.bringUpEqual()
        #expect(pair.b.run(.detach(zero, force: false)) == .success)
        pair.pass(.milliseconds(50))
        #expect(pair.a.stateText == "Connected Secondary/Secondary UpToDate/Diskless")
        #expect(pair.b.run(.attach(zero, pair.b.disk.device, pair.b.diskOptions)) == .success)
        #expect(pair.run { pair.b.state.disk == .upToDate && pair.a.state.pdsk == .upToDate })
        #expect(pair.areConnected)
    }

    @Test("writes while the Secondary's disk was away are synced to it")
    func secondaryMissedWrites() {
        let pair = EnginePair()
        pair.bringUpEqual()
        pair.a.promote()
        pair.b.run(.detach(zero, force: false))
        pair.pass(.milliseconds(50))
        #expect(pair.a.write(sector: 80, fill: 3) == 0)
        #expect(pair.a.outOfSync == 1)
        pair.b.run(.attach(zero, pair.b.disk.device, pair.b.diskOptions))
        #expect(pair.run { pair.areConnected && pair.b.state.disk == .upToDate && pair.a.outOfSync == 0 })
        #expect(pair.areDisksEqual)
    }

    @Test("the last good disk of a Primary is not detached")
    func lastDisk() {
        let pair = EnginePair()
        pair.bringUpEqual()
        pair.a.promote()
        pair.b.run(.disconnect(force: false))
        pair.pass(.milliseconds(50))
        #expect(pair.a.run(.detach(zero, force: false)) == .refused(.noUpToDateDisk))
    }

    @Test("a write error detaches the disk, the application does not notice while the peer is there")
    func writeError() {
        let pair = EnginePair()
        pair.bringUpEqual()
        pair.a.promote()
        pair.a.disk.badSectors = 80..<88
        #expect(pair.a.write(sector: 80, fill: 9) == 0)
        #expect(pair.run { pair.a.state.disk == .diskless })
        #expect(pair.a.read(sector: 80).bytes.allSatisfy { $0 == 9 })
        #expect(pair.a.logged("local WRITE IO error sector 80+8"))
        #expect(pair.run { pair.b.state.pdsk == .diskless })
    }

    @Test("a read error is served by the peer")
    func readError() {
        let pair = EnginePair()
        pair.bringUpEqual()
        pair.a.promote()
        pair.a.write(sector: 80, fill: 9)
        pair.a.disk.badSectors = 80..<88
        let answer = pair.a.read(sector: 80)
        #expect(answer.errno == 0 && answer.bytes.allSatisfy { $0 == 9 })
    }

    @Test("pass_on tells the application, and keeps the only good copy")
    func passOnAlone() {
        let pair = EnginePair()
        pair.a.diskOptions.onIOError = .passOn
        pair.a.bringUp(connects: false)
        pair.a.promote(force: true)
        pair.a.disk.badSectors = 80..<88
        #expect(pair.a.write(sector: 80, fill: 1) == 5)
        #expect(pair.a.state.disk == .upToDate)
        #expect(pair.run { pair.a.handlers.contains("pri-on-incon-degr") })
        #expect(pair.a.write(sector: 800, fill: 1) == 0)
    }

    @Test("pass_on beside an UpToDate peer makes the disk Inconsistent, a resync repairs it by itself")
    func passOnConnected() {
        let pair = EnginePair()
        pair.a.diskOptions.onIOError = .passOn
        pair.bringUpEqual()
        pair.a.promote()
        pair.a.disk.badSectors = 80..<88
        #expect(pair.a.write(sector: 80, fill: 1) == 0)
        #expect(pair.a.state.disk == .inconsistent)
        #expect(pair.a.write(sector: 800, fill: 1) == 0)
        pair.a.disk.badSectors = nil
        #expect(pair.run(limit: .seconds(100)) { pair.a.state.disk == .upToDate && pair.areConnected })
        #expect(pair.areDisksEqual)
    }

    @Test("call-local-io-error runs the handler")
    func callHandler() {
        let pair = EnginePair()
        pair.a.diskOptions.onIOError = .callLocalIOError
        pair.bringUpEqual()
        pair.a.promote()
        pair.a.disk.badSectors = 80..<88
        pair.a.write(sector: 80, fill: 1)
        #expect(pair.run { pair.a.state.disk == .diskless })
        #expect(pair.a.handlers.contains("local-io-error"))
    }

    @Test("a metadata error detaches")
    func metadataError() {
        let pair = EnginePair()
        pair.bringUpEqual()
        pair.a.promote()
        pair.a.disk.hasBadMetadata = true
        #expect(pair.a.write(sector: 8192, fill: 4) == 0)
        #expect(pair.run { pair.a.state.disk == .diskless })
        #expect(pair.a.write(sector: 8200, fill: 4) == 0)
        #expect(pair.b.disk.bytes(sector: 8192, count: 512).allSatisfy { $0 == 4 })
    }

    @Test("detach --force frees requests of a stuck disk")
    func forcedDetach() {
        let pair = EnginePair()
        pair.bringUpEqual()
        pair.a.promote()
        pair.a.write(sector: 8, fill: 1)
        pair.a.disk.isStuck = true
        let id = pair.a.startWrite(sector: 8, fill: 2)
        pair.pass(.seconds(1))
        #expect(pair.a.completions[id] == nil)
        #expect(pair.a.run(.detach(zero, force: true)) == .success)
        #expect(pair.a.completions[id] == 0)
        #expect(pair.b.disk.bytes(sector: 8, count: 512).allSatisfy { $0 == 2 })
    }

    @Test("disk-timeout gives a stuck disk up")
    func diskTimeout() {
        let pair = EnginePair()
        pair.a.diskOptions.diskTimeout = 20
        pair.bringUpEqual()
        pair.a.promote()
        pair.a.write(sector: 8, fill: 1)
        pair.a.disk.isStuck = true
        #expect(pair.a.write(sector: 8, fill: 2) == 0)
        #expect(pair.a.logged("failed to meet the disk-timeout"))
        #expect(pair.run { pair.a.state.disk == .diskless })
    }

    @Test("down leaves nothing behind")
    func down() {
        let pair = EnginePair()
        pair.bringUpEqual()
        pair.a.promote()
        pair.a.write(sector: 8, fill: 1)
        #expect(pair.a.run(.down) == .success)
        #expect(pair.a.stateText == "StandAlone Secondary/Unknown Diskless/DUnknown")
        #expect(pair.a.releasedDevices == 1)
        #expect(!pair.a.disk.superblock.flags.contains(.primaryIndicator))
        #expect(pair.run { pair.b.state.conn == .wfConnection })
    }

    @Test("what a failed flush lost on the Secondary is synced to it")
    func failedFlush() {
        let pair = EnginePair()
        pair.bringUpEqual()
        pair.a.promote()
        pair.a.write(sector: 0, fill: 1)
        #expect(pair.a.flush() == 0)
        pair.b.disk.failsFlushes = true
        for block in 0..<5 { pair.a.write(sector: UInt64(block) * 8, fill: 2) }
        #expect(pair.run { pair.b.state.disk == .diskless })
        #expect(pair.b.disk.bytes(sector: 0, count: 512).allSatisfy { $0 == 1 })
        pair.b.disk.failsFlushes = false
        // Nothing that this disk says about itself is to be believed.
        #expect(pair.b.disk.superblock.flags.contains(.fullSync))
        #expect(!pair.b.disk.superblock.flags.contains(.consistent))
        #expect(pair.run { pair.areConnected })
        pair.b.attach()
        #expect(pair.run { pair.areConnected && pair.b.state.disk == .upToDate && pair.a.outOfSync == 0 })
        #expect(pair.areDisksEqual)
    }

    @Test("a flush of a Primary without a disk fails with the peer that did not acknowledge it")
    func flushOnPeerAlone() {
        let pair = EnginePair()
        pair.bringUpEqual()
        pair.a.promote()
        pair.a.run(.detach(zero, force: false))
        #expect(pair.a.write(sector: 8, fill: 1) == 0)
        pair.b.extraDiskLatency = .milliseconds(300)
        #expect(pair.a.write(sector: 16, fill: 2) == 0)
        let id = pair.a.startRequest(.flush)
        pair.pass(.milliseconds(10))
        #expect(pair.a.completions[id] == nil)
        pair.crash(pair.b)
        #expect(pair.a.finish(id) == 5)
    }

    @Test("a flush that waited for the peer's return covers what is sent again")
    func flushSentAgain() {
        let pair = EnginePair()
        var options = ResourceOptions()
        options.onNoDataAccessible = .suspendIO
        pair.a.restart(options: options)
        pair.bringUpEqual()
        pair.a.promote()
        pair.a.run(.detach(zero, force: false))
        pair.b.extraDiskLatency = .milliseconds(300)
        let write = pair.a.startWrite(sector: 16, fill: 2)
        #expect(pair.a.finish(write) == 0)
        let id = pair.a.startRequest(.flush)
        pair.pass(.milliseconds(10))
        pair.crash(pair.b)
        #expect(pair.run { pair.a.state.suspNod })
        #expect(pair.a.completions[id] == nil)
        pair.b.restart()
        pair.b.bringUp()
        #expect(pair.a.finish(id) == 0)
        pair.crash(pair.b)
        #expect(pair.b.disk.bytes(sector: 16, count: 512).allSatisfy { $0 == 2 })
    }

    @Test("a Primary whose disk fails before its target has the data does not go on with the target's")
    func sourceFailsEarly() {
        let pair = EnginePair()
        var options = ResourceOptions()
        options.onNoDataAccessible = .suspendIO
        pair.a.restart(options: options)
        pair.bringUpEqual()
        pair.a.promote()
        pair.b.run(.disconnect(force: false))
        #expect(pair.run { pair.a.state.conn == .wfConnection })
        pair.a.write(sector: 8, fill: 7)
        pair.a.disk.hasBadMetadata = true
        pair.b.run(.connect(pair.network, ConnectOnce()))
        #expect(pair.run { pair.a.state.disk == .diskless && pair.a.state.conn == .connected })
        pair.pass(.seconds(1))
        #expect(pair.a.state.suspNod && pair.a.state.pdsk == .inconsistent)
        let wasMisled = pair.a.changes.contains {
            guard case .volume(_, _, let state) = $0 else { return false }
            return state.disk <= .failed && state.conn == .connected && state.pdsk == .upToDate
        }
        #expect(!wasMisled)
        pair.a.disk.hasBadMetadata = false
        #expect(pair.a.attach() == .success)
        #expect(pair.run { pair.areConnected && pair.b.state.disk == .upToDate })
        #expect(pair.b.disk.bytes(sector: 8, count: 512).allSatisfy { $0 == 7 })
    }

    @Test("a disk that is back before the new generation of its loss has begun is synced, and no split brain")
    func quickReturn() {
        let pair = EnginePair()
        pair.network.allowTwoPrimaries = true
        pair.bringUpEqual()
        pair.a.promote()
        pair.b.promote()
        pair.b.write(sector: 8, fill: 1)
        pair.b.run(.invalidateRemote(zero))
        #expect(pair.run { pair.a.state.conn == .connected && pair.a.state.disk == .upToDate })
        pair.b.extraDiskLatency = .milliseconds(500)
        #expect(pair.run { pair.b.state.pdsk == .upToDate })
        pair.a.run(.detach(zero, force: true))
        #expect(pair.a.attach() == .success)
        #expect(pair.run { pair.areConnected && pair.a.state.disk == .upToDate && pair.b.state.pdsk == .upToDate })
        #expect(!pair.b.logged("Split-Brain detected") && !pair.b.handlers.contains("initial-split-brain"))
        #expect(pair.areDisksEqual)
    }

    @Test("detach --force while the peer's write waits for the activity log")
    func forcedDetachBeforeLog() {
        let pair = EnginePair(sectorCount: 65536)
        pair.bringUpEqual()
        pair.a.promote()
        pair.a.run(.detach(zero, force: false))
        pair.b.disk.isStuck = true
        let ids = (0..<3).map { pair.a.startWrite(sector: UInt64($0) * 16384, fill: 1) }
        pair.pass(.milliseconds(10))
        #expect(pair.b.run(.detach(zero, force: true)) == .success)
        #expect(ids.allSatisfy { pair.a.finish($0) == 5 })
        #expect(pair.b.volume.unacknowledged == 0)
    }

    @Test("detach --force and a broken connection while a verify waits for writes", arguments: [true, false])
    func verifyWaitsForWrites(isDetached: Bool) {
        let pair = EnginePair()
        pair.network.verifyAlgorithm = .crc32c
        pair.bringUpEqual()
        pair.b.promote()
        pair.b.write(sector: 0, fill: 1)
        pair.a.extraDiskLatency = .seconds(2)
        let id = pair.b.startWrite(sector: 0, fill: 2)
        pair.pass(.milliseconds(10))
        _ = pair.a.start(.verify(zero, start: nil, stop: nil))
        pair.pass(.milliseconds(100))
        #expect(pair.b.state.conn == .verifyT && pair.b.volume.unacknowledged > 0)
        if isDetached {
            #expect(pair.b.run(.detach(zero, force: true)) == .success)
        } else {
            pair.reset()
        }
        #expect(pair.b.finish(id) == 0)
        pair.a.extraDiskLatency = .zero
        pair.pass(.milliseconds(100))
        #expect(pair.run { pair.areConnected && pair.b.state.pdsk == .upToDate })
        #expect(pair.b.volume.unacknowledged == 0)
    }

    @Test("a flush of a Primary whose only copy lost its power fails, once", arguments: [true, false])
    func flushAfterLoss(isApart: Bool) {
        let pair = EnginePair()
        pair.bringUpEqual()
        pair.a.promote()
        pair.a.run(.detach(zero, force: false))
        pair.a.write(sector: 0, fill: 1)
        #expect(pair.a.flush() == 0)
        // The write is done, its flush is not.
        let id = pair.a.startWrite(sector: 8, fill: 2)
        #expect(pair.run { pair.a.completions[id] == 0 })
        pair.crash(pair.b)
        pair.run { pair.a.state.conn < .connected }
        pair.pass(.milliseconds(10))
        if isApart { #expect(pair.a.flush() == 5) }
        pair.b.restart()
        pair.b.bringUp()
        #expect(pair.run { pair.areConnected && pair.a.state.pdsk == .upToDate })
        if !isApart { #expect(pair.a.flush() == 5) }
        #expect(pair.a.flush() == 0)
    }

    @Test("a flush of a target whose source is gone fails")
    func flushWithoutSource() {
        let pair = EnginePair()
        pair.network.allowTwoPrimaries = true
        pair.a.diskOptions.resyncRate = 10
        pair.bringUpEqual()
        pair.a.promote()
        pair.b.promote()
        pair.b.run(.invalidateRemote(zero))
        #expect(pair.run { pair.a.state.conn == .syncTarget })
        #expect(pair.a.flush() == 0)
        pair.cut()
        #expect(pair.run(limit: .seconds(100)) { pair.a.state.conn < .connected })
        #expect(pair.a.state.disk == .inconsistent)
        #expect(pair.a.flush() == 5)
    }

    @Test("detach --force of the only copy fails the flush that waits for it")
    func flushOfStuckDisk() {
        let pair = EnginePair()
        pair.a.bringUp(connects: false)
        pair.a.promote(force: true)
        pair.a.write(sector: 0, fill: 1)
        pair.a.disk.isStuck = true
        let id = pair.a.startRequest(.flush)
        pair.a.run(.detach(zero, force: true))
        #expect(pair.a.finish(id) == 5)
    }

    @Test("no epoch is acknowledged whose disk left before it was flushed", arguments: [true, false])
    func barrierWithoutDisk(isFlushUnderWay: Bool) {
        let pair = EnginePair()
        pair.bringUpEqual()
        pair.a.promote()
        pair.a.write(sector: 0, fill: 1)
        #expect(pair.a.flush() == 0)
        let id = pair.a.startWrite(sector: 8, fill: 2)
        #expect(pair.run { pair.a.completions[id] == 0 })
        if isFlushUnderWay {
            pair.b.disk.isStuck = true
            pair.pass(.milliseconds(1))
        }
        #expect(pair.b.run(.detach(zero, force: true)) == .success)
        #expect(pair.run(limit: .seconds(3)) { pair.areConnected && pair.a.outOfSync == 1 })
        pair.b.disk.isStuck = false
        pair.b.disk.crash()
        #expect(pair.b.disk.bytes(sector: 8, count: 512).allSatisfy { $0 == 0 })
        pair.b.attach()
        #expect(pair.run { pair.areConnected && pair.b.state.disk == .upToDate && pair.a.outOfSync == 0 })
        #expect(pair.areDisksEqual)
    }

    @Test("an epoch whose disk is detached by the book is acknowledged")
    func barrierAfterDetach() {
        let pair = EnginePair()
        pair.bringUpEqual()
        pair.a.promote()
        pair.a.write(sector: 0, fill: 1)
        let id = pair.a.startWrite(sector: 8, fill: 2)
        #expect(pair.run { pair.a.completions[id] == 0 })
        #expect(pair.b.run(.detach(zero, force: false)) == .success)
        pair.pass(.seconds(2))
        #expect(!pair.a.logged("NetworkFailure") && !pair.a.logged("BrokenPipe"))
        pair.b.disk.crash()
        #expect(pair.b.disk.bytes(sector: 8, count: 512).allSatisfy { $0 == 2 })
    }

    @Test("a second attach leaves the disk that is there alone")
    func secondAttach() {
        let pair = EnginePair()
        pair.a.bringUp(connects: false)
        pair.a.promote(force: true)
        guard case .failed(.alreadyAttached, _)? = pair.a.attach() else {
            Issue.record("attached twice")
            return
        }
        #expect(pair.a.releasedDevices == 0)
        #expect(pair.a.write(sector: 0, fill: 1) == 0)
    }
}
