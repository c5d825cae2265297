import Testing

@testable import Replication

/// A log and the extents that a resync holds against it.
private final class Volume {
    private var log = ActivityLog(slotCount: 67)
    private var resync: ResyncExtents

    init(faults: PlantedFaults = []) {
        resync = ResyncExtents(faults: faults)
    }

    /// Whether a write may take its references.
    func write(_ extents: ClosedRange<UInt32>) -> Bool {
        switch log.begin(extents, resync: &resync) {
        case .ready, .needsTransaction: true
        case .mustWait(.resync): false
        case .mustWait, .notLogged: fatalError("the log is neither full nor suspended here")
        }
    }

    func end(_ extents: ClosedRange<UInt32>) { log.end(extents) }
    func isInUse(_ extent: UInt32) -> Bool { log.isInUse(extent) }
    func lock(_ extent: UInt32) -> ResyncExtents.Answer { resync.lock(extent, against: log) }
    func unlock(_ extent: UInt32) -> Bool { resync.unlock(extent) }
    func isWanted(_ extent: UInt32) -> Bool { resync.isWanted(extent) }
    func stopDraining() { resync.stopDraining() }
    func removeAll() { resync.removeAll() }
    var count: Int { resync.count }
}

/// Spec: drbd-disk-and-state 5.3 step 2, 19.2; drbd-wire 11.3.
struct ResyncExtentsTests {
    private let volume = Volume()

    @Test("requests share an extent; writes wait until the last one is answered")
    func sharing() {
        #expect(volume.lock(1) == .locked)
        #expect(volume.lock(1) == .locked)
        #expect(volume.write(0...3), "the extent before")
        #expect(volume.write(8...8), "the extent after")
        #expect(!volume.write(7...7))
        #expect(!volume.unlock(1))
        #expect(!volume.write(4...4))
        #expect(volume.unlock(1))
        #expect(volume.write(4...4))
    }

    @Test("a write that touches a held extent with its end waits, and takes nothing")
    func overlap() {
        #expect(volume.lock(1) == .locked)
        #expect(!volume.write(3...4))
        #expect(!volume.isInUse(3))
        #expect(volume.isWanted(1))
    }

    @Test("an extent in use drains: new writes wait, the resync takes it when the old ones ended")
    func draining() {
        #expect(volume.write(5...5))
        #expect(volume.lock(1) == .busy)
        #expect(volume.lock(1) == .busy)
        volume.end(5...5)
        #expect(!volume.write(6...6))
        #expect(volume.lock(1) == .locked)
        #expect(!volume.write(5...5))
    }

    @Test("resync gives up an extent that does not drain while a write waits for it")
    func yielding() {
        #expect(volume.write(5...5))
        #expect(volume.lock(1) == .busy)
        #expect(!volume.write(6...6))
        #expect(volume.lock(1) == .yielded)
        #expect(volume.write(6...6))
    }

    @Test("no further request in an extent that a write waits for")
    func wanted() {
        #expect(volume.lock(1) == .locked)
        #expect(!volume.write(4...4))
        #expect(volume.lock(1) == .busy)
        #expect(volume.unlock(1))
        #expect(volume.write(4...4))
    }

    @Test("an extent that drained under a waiting write serves one request and goes back")
    func inheritedWish() {
        #expect(volume.write(5...5))
        #expect(volume.lock(1) == .busy)
        #expect(!volume.write(6...6))
        volume.end(5...5)
        #expect(volume.lock(1) == .locked)
        #expect(volume.lock(1) == .busy)
        #expect(volume.unlock(1))
        #expect(volume.write(6...6))
    }

    @Test("one extent drains at a time")
    func oneDrains() {
        #expect(volume.write(5...5))
        #expect(volume.write(9...9))
        #expect(volume.lock(1) == .busy)
        #expect(volume.lock(2) == .yielded)
        #expect(volume.write(6...6), "extent 1 is free for writes again")
        #expect(!volume.write(10...10))
        volume.stopDraining()
        #expect(volume.write(10...10))
    }

    @Test("at most 61 extents are held")
    func limit() {
        for extent in 0..<UInt32(61) { #expect(volume.lock(extent) == .locked) }
        #expect(volume.lock(61) == .busy)
        #expect(volume.lock(60) == .locked)
        _ = volume.unlock(3)
        #expect(volume.lock(61) == .locked)
        volume.removeAll()
        #expect(volume.count == 0)
        #expect(volume.write(0...3))
    }

    @Test("extents of sectors and bits")
    func arithmetic() {
        #expect(ResyncExtents.extent(ofSector: 32767) == 0)
        #expect(ResyncExtents.extent(ofSector: 32768) == 1)
        #expect(ResyncExtents.extent(ofBit: 4095) == 0)
        #expect(ResyncExtents.extent(ofBit: 4096) == 1)
    }

    @Test("the planted fault lets both in")
    func fault() {
        let volume = Volume(faults: .skipResyncLock)
        #expect(volume.write(4...4))
        #expect(volume.lock(1) == .locked)
        #expect(volume.write(5...5))
    }
}
