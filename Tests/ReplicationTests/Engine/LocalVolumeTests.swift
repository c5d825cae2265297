import DRBDLayout
import EngineKit
import Replication
import Testing

@Suite("A volume without peer")
struct LocalVolumeTests {
    /// A node with an UpToDate disk, promoted.
    private func primaryAlone(_ pair: EnginePair) -> TestNode {
        pair.a.bringUp(connects: false)
        #expect(pair.a.promote(force: true) == .success)
        return pair.a
    }

    @Test("fresh metadata attaches as Inconsistent with all bits set and the running magic on disk")
    func attachFresh() {
        let pair = EnginePair()
        pair.a.bringUp(connects: false)
        #expect(pair.a.stateText == "StandAlone Secondary/Unknown Inconsistent/DUnknown")
        #expect(pair.a.outOfSync == pair.a.volume.sizeSectors / 8)
        #expect(pair.a.disk.superblock.hasUncleanMagic)
        #expect(!pair.a.disk.superblock.flags.contains(.activityLogClean))
        #expect(pair.a.disk.superblock.deviceSectors == pair.a.volume.sizeSectors)
        #expect(pair.a.volume.isActivityLogSuspended)
    }

    @Test("a Secondary refuses writes with EROFS and reads with EMEDIUMTYPE")
    func secondaryRefuses() {
        let pair = EnginePair()
        pair.a.bringUp(connects: false)
        #expect(pair.a.write(sector: 0, fill: 1) == 30)
        #expect(pair.a.read(sector: 0).errno == 124)
    }

    @Test("what was written is read, and counts as out of sync")
    func writeAndRead() {
        let pair = EnginePair()
        let node = primaryAlone(pair)
        #expect(node.write(sector: 8, byteCount: 8192, fill: 7) == 0)
        let answer = node.read(sector: 8, byteCount: 8192)
        #expect(answer.errno == 0)
        #expect(answer.bytes == Array(repeating: 7, count: 8192))
        #expect(node.flush() == 0)
        #expect(node.outOfSync == node.volume.sizeSectors / 8)
    }

    @Test("a request longer than 1 MiB is cut and answered once")
    func longRequest() {
        let pair = EnginePair()
        let node = primaryAlone(pair)
        #expect(node.write(sector: 1000, byteCount: 3 << 20, fill: 9) == 0)
        #expect(node.disk.bytes(sector: 1000, count: 3 << 20).allSatisfy { $0 == 9 })
        #expect(node.read(sector: 1000, byteCount: 3 << 20).bytes == Array(repeating: 9, count: 3 << 20))
        #expect(node.finish(node.startRequest(.discard, sector: 1000, byteCount: 3 << 20)) == 0)
        #expect(node.disk.bytes(sector: 1000, count: 3 << 20).allSatisfy { $0 == 0 })
    }

    @Test("requests outside of the device are refused")
    func outside() {
        let pair = EnginePair()
        let node = primaryAlone(pair)
        #expect(node.write(sector: node.volume.sizeSectors, fill: 1) == 28)
        #expect(node.read(sector: node.volume.sizeSectors - 1).errno == 5)
    }

    @Test("an open volume is not demoted")
    func openVolume() {
        let pair = EnginePair()
        let node = primaryAlone(pair)
        node.feed(.opened(VolumeNumber(0)))
        #expect(node.demote() == .refused(.deviceInUse))
        node.feed(.closed(VolumeNumber(0)))
        #expect(node.demote() == .success)
    }

    @Test("detach writes the bitmap and lets the devices go; attach finds everything again")
    func detachAndAttach() {
        let pair = EnginePair()
        let node = primaryAlone(pair)
        node.write(sector: 0, fill: 3)
        node.demote()
        #expect(node.run(.detach(VolumeNumber(0), force: false)) == .success)
        #expect(node.state.disk == .diskless)
        #expect(node.releasedDevices == 1)
        let bits = Int(node.disk.superblock.deviceSectors / 8)
        #expect(node.disk.setBitCountOnDisk == bits)
        #expect(node.run(.attach(VolumeNumber(0), node.disk.device, node.diskOptions)) == .success)
        #expect(node.state.disk == .upToDate)
    }

    @Test("a new generation begins when a Secondary is promoted alone")
    func newGeneration() {
        let pair = EnginePair()
        let node = primaryAlone(pair)
        let uuids = node.volume.uuids!
        #expect(uuids[0] & 1 == 1)
        #expect(uuids[1] == GenerationUUID.justCreated)
        #expect(node.disk.superblock.current == uuids[0])
        #expect(node.disk.superblock.flags.contains(.primaryIndicator))
    }

    @Test("a node that lost its power as Primary marks what its activity log names")
    func powerCut() {
        let pair = EnginePair(sectorCount: 65536)
        pair.bringUpEqual()
        pair.a.promote()
        pair.b.run(.disconnect(force: false))
        pair.pass(.seconds(1))
        // Extents of 4 MiB: 0 and 2.
        pair.a.write(sector: 8, fill: 1)
        pair.a.write(sector: 2 * 8192 + 8, fill: 1)
        #expect(pair.a.outOfSync == 2)
        pair.crash(pair.a)
        #expect(pair.a.disk.setBitCountOnDisk == 0)
        pair.a.restart()
        pair.a.bringUp(connects: false)
        #expect(pair.a.logged("Marked additional 8192 KB as out-of-sync based on AL."))
        #expect(pair.a.outOfSync == 2048)
        #expect(pair.a.state.disk == .upToDate)
    }

    @Test("foreign metadata is refused and named")
    func noMetadata() {
        let pair = EnginePair()
        let sector = pair.a.disk.geometry.superblockSector
        pair.a.disk.put(at: sector, count: 4096) { $0.initializeMemory(as: UInt8.self, repeating: 0x55) }
        pair.a.run(.addVolume(VolumeNumber(0)))
        let result = pair.a.run(.attach(VolumeNumber(0), pair.a.disk.device, DiskOptions()))
        guard case .failed(.invalidMetadata, let info?)? = result else {
            Issue.record("unexpected \(String(describing: result))")
            return
        }
        #expect(info.contains("no superblock at sector \(sector)"))
        #expect(pair.a.releasedDevices == 1)
        #expect(pair.a.state.disk == .diskless)
        #expect(pair.a.run(.removeVolume(VolumeNumber(0))) == .success)
    }
}
