import DRBDLayout
import EngineKit
import Testing

@testable import Replication

/// Application writes and a resync in the same extents, over random histories. Spec: drbd-disk-and-state 5.3 step 2.
struct LogAgainstResyncTests {
    /// A volume of four resync extents on which writes and resync requests take random times.
    private final class Volume {
        private var log = ActivityLog(slotCount: 67)
        private var resync = ResyncExtents()
        private let random: SeededRandom
        private var waiting: [(extents: ClosedRange<UInt32>, since: Int)] = []
        private var writes: [(extents: ClosedRange<UInt32>, until: Int)] = []
        private var requests: [(extent: UInt32, until: Int)] = []
        private var nextExtent: UInt32 = 0
        private(set) var time = 0
        private(set) var writesDone = 0
        private(set) var requestsDone = 0
        private(set) var longestWait = 0

        init(seed: UInt64) {
            random = SeededRandom(seed: seed)
        }

        private func chance(_ part: UInt64) -> Bool { random.next(below: part) == 0 }

        func step() {
            time += 1
            for write in writes where write.until <= time {
                log.end(write.extents)
                writesDone += 1
            }
            writes.removeAll { $0.until <= time }
            for request in requests where request.until <= time {
                resync.unlock(request.extent)
                requestsDone += 1
            }
            requests.removeAll { $0.until <= time }
            if waiting.count < 8 {
                let first = UInt32(random.next(below: 15))
                waiting.append((first...first + (chance(4) ? 1 : 0), time))
            }
            admitWrites()
            if time % 10 == 0 { requestBlocks() }
            expectApart()
        }

        private func admitWrites() {
            waiting.removeAll { candidate in
                if case .mustWait = log.begin(candidate.extents, resync: &resync) { return false }
                if log.prepareTransaction() != nil { log.commitTransaction() }
                writes.append((candidate.extents, time + 1 + Int(random.next(below: 12))))
                longestWait = max(longestWait, time - candidate.since)
                return true
            }
        }

        private func requestBlocks() {
            for _ in 0..<20 {
                guard resync.lock(nextExtent, against: log) == .locked else { return }
                requests.append((nextExtent, time + 1 + Int(random.next(below: 30))))
                if chance(30) { nextExtent = UInt32(random.next(below: 4)) }
            }
        }

        private func expectApart() {
            for request in requests {
                for extent in request.extent * 4..<request.extent * 4 + 4 {
                    #expect(!log.isInUse(extent), "time \(time): a write and a resync request in \(request.extent)")
                }
            }
        }
    }

    @Test("never in one extent at a time, and both get on", arguments: 0..<10 as Range<UInt64>)
    func apart(seed: UInt64) {
        let volume = Volume(seed: seed)
        for _ in 0..<5000 { volume.step() }
        #expect(volume.writesDone > 1000)
        #expect(volume.requestsDone > 150)
        #expect(volume.longestWait < 300, "in steps; a request takes up to 30, a tick comes every 10")
    }
}
