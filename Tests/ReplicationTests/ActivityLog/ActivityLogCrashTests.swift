import DRBDLayout
import EngineKit
import Testing

@testable import Replication

/// What a crash at any moment finds on disk. Spec: drbd-disk-and-state 5.3 to 5.5.
struct ActivityLogCrashTests {
    /// The ring on a disk that loses the block under way, keeps it, or tears it.
    private struct Disk {
        var ring = [UInt8]()
        let striping: ActivityLogStriping

        init(striping: ActivityLogStriping) {
            self.striping = striping
            let byteCount = ActivityLogTransaction.byteCount
            var block = [UInt8](repeating: 0, count: byteCount)
            block.withUnsafeMutableBytes { ActivityLogTransaction.empty.encode(into: $0) }
            for _ in 0..<striping.blockCount { ring += block }
        }

        mutating func write(_ transaction: ActivityLogTransaction, sectors: Int = 8) {
            let start = Int(striping.block(ofTransaction: transaction.number)) * ActivityLogTransaction.byteCount
            var block = [UInt8](repeating: 0, count: ActivityLogTransaction.byteCount)
            block.withUnsafeMutableBytes { transaction.encode(into: $0) }
            ring.replaceSubrange(start..<start + sectors * 512, with: block[0..<sectors * 512])
        }

        func replay() throws -> ActivityLogReplay {
            try ring.withUnsafeBytes { bytes throws(ActivityLogReplay.Unusable) in
                try ActivityLogReplay(log: bytes, striping: striping)
            }
        }
    }

    private struct Write {
        let extents: ClosedRange<UInt32>
        /// Zero once the write may be on its way.
        var waitsFor: UInt64
    }

    @Test(
        "replay finds every extent with a write on its way, whatever became of the block under way",
        arguments: [
            (1, 67, 8, 1), (2, 67, 8, 1), (3, 1237, 8, 1), (4, 3000, 16, 4), (5, 919, 8, 1), (6, 920, 8, 1),
            (7, 6433, 8, 1),
        ])
    func replayCovers(seed: UInt64, slotCount: Int, stripeBlocks: UInt32, stripes: UInt32) throws {
        let striping = try #require(ActivityLogStriping(stripes: stripes, stripeBlocks: stripeBlocks))
        let random = SeededRandom(seed: seed)
        var log = ActivityLog(slotCount: slotCount, transactionNumber: UInt32(truncatingIfNeeded: random.next()))
        var resync = ResyncExtents()
        var disk = Disk(striping: striping)
        var writes: [Write] = []
        var underWay: ActivityLogTransaction?

        for step in 0..<3000 {
            switch random.next(below: 6) {
            case 0, 1:
                let first = UInt32(random.next(below: UInt64(slotCount) * 2))
                let extents = first...first + UInt32(random.next(below: 3))
                switch log.begin(extents, resync: &resync) {
                case .ready: writes.append(Write(extents: extents, waitsFor: 0))
                case .needsTransaction(let sequence): writes.append(Write(extents: extents, waitsFor: sequence))
                case .mustWait, .notLogged: break
                }
            case 2, 3:
                guard !writes.isEmpty else { break }
                let write = writes.remove(at: Int(random.next(below: UInt64(writes.count))))
                log.end(write.extents)
            case 4:
                if let prepared = log.prepareTransaction() { underWay = prepared.transaction }
            default:
                guard let transaction = underWay else { break }
                disk.write(transaction)
                log.commitTransaction()
                underWay = nil
            }
            guard step % 200 == 0 else { continue }
            var crashed = disk
            if let underWay { crashed.write(underWay, sectors: Int(random.next(below: 9))) }
            let onDisk = try crashed.replay().extents
            for write in writes where write.waitsFor <= log.committedSequence {
                for extent in write.extents {
                    #expect(onDisk.contains(extent), "step \(step): extent \(extent) is lost")
                }
            }
        }
        log.end(allOf: writes.map(\.extents))
        while let prepared = log.prepareTransaction() {
            disk.write(prepared.transaction)
            log.commitTransaction()
        }
        for _ in 0..<striping.blockCount {
            if let underWay {
                disk.write(underWay)
                log.commitTransaction()
            }
            let prepared = log.prepareTransaction(evenIfEmpty: true)
            underWay = try #require(prepared).transaction
        }
        #expect(try disk.replay().extents == log.extents, "at rest the disk knows the slots exactly")
    }
}

extension ActivityLog {
    fileprivate mutating func end(allOf requests: [ClosedRange<UInt32>]) {
        for extents in requests { end(extents) }
    }
}
