import DRBDLayout
import EngineKit
import Testing

@testable import Replication

/// Spec: drbd-disk-and-state 5.1 to 5.4.
struct ActivityLogTests {
    private var resync = ResyncExtents()

    private func bytes(_ transaction: ActivityLogTransaction) -> [UInt8] {
        var block = [UInt8](repeating: 0xaa, count: ActivityLogTransaction.byteCount)
        block.withUnsafeMutableBytes { transaction.encode(into: $0) }
        return block
    }

    private func hex(_ bytes: some Sequence<UInt8>) -> String {
        bytes.map { ($0 < 16 ? "0" : "") + String($0, radix: 16) }.joined()
    }

    /// Begins one extent and commits its transaction.
    private mutating func touch(_ log: inout ActivityLog, _ extent: UInt32) -> ActivityLog.Prepared? {
        let admission = log.begin(extent...extent, resync: &resync)
        let prepared = log.prepareTransaction()
        if prepared != nil { log.commitTransaction() }
        if case .mustWait = admission { return prepared }
        log.end(extent...extent)
        return prepared
    }

    @Test("the first transactions are the blocks seen on a kernel's disk")
    mutating func goldenBlocks() throws {
        var log = ActivityLog(slotCount: 1237, transactionNumber: 10)
        let firstPrepared = touch(&log, 0)
        let first = try #require(firstPrepared)
        let block = bytes(first.transaction)
        #expect(
            hex(block[0..<48])
                == "69cb65a20000000a1957eb3c00000001" + "04d50000000000000000000000000000"
                + "0000000004d4ffffffffffffffffffff")
        #expect(hex(block[0xa0..<0xac]) == "ffffffff00000000ffffffff")
        #expect(block[0x1a4...].allSatisfy { $0 == 0xff })
        #expect(first.evictedExtents.isEmpty)
        let nextPrepared = touch(&log, 1)
        let next = bytes(try #require(nextPrepared).transaction)
        #expect(hex(next[0..<20]) == "69cb65a20000000b870af3f900000001" + "04d50397")
    }

    @Test("context pointer, number and slots go on from transaction to transaction")
    mutating func context() throws {
        var log = ActivityLog(slotCount: 1237, transactionNumber: .max)
        let firstPrepared = touch(&log, 7)
        let first = try #require(firstPrepared).transaction
        let secondPrepared = touch(&log, 8)
        let second = try #require(secondPrepared).transaction
        let thirdPrepared = touch(&log, 9)
        let third = try #require(thirdPrepared).transaction
        #expect([first.number, second.number, third.number] == [.max, 0, 1])
        #expect([first.contextStart, second.contextStart, third.contextStart] == [0, 919, 0])
        #expect([first.context.count, second.context.count, third.context.count] == [919, 318, 919])
        #expect([first, second, third].map { $0.updates[0].slot } == [1236, 1235, 1234], "from the highest index")
        #expect(second.context[1236 - 919] == 7, "the slots as they were before this transaction")
        #expect(second.context[1235 - 919] == .max)
    }

    @Test("an extent that is in the log needs no transaction")
    mutating func hit() {
        var log = ActivityLog(slotCount: 67)
        #expect(log.begin(3...4, resync: &resync) == .needsTransaction(1))
        #expect(log.prepareTransaction()?.transaction.updates.count == 2)
        #expect(log.prepareTransaction() == nil)
        log.commitTransaction()
        #expect(log.begin(3...3, resync: &resync) == .ready)
        log.end(3...3)
        log.end(3...4)
        #expect(!log.isInUse(3))
        #expect(log.begin(4...4, resync: &resync) == .ready)
        #expect(log.isInUse(4))
        #expect(!log.hasPendingChanges)
    }

    @Test("who meets an extent under way waits for the same transaction, others for the next one")
    mutating func transactionUnderWay() {
        var log = ActivityLog(slotCount: 67)
        #expect(log.begin(1...1, resync: &resync) == .needsTransaction(1))
        _ = log.prepareTransaction()
        #expect(log.isTransactionUnderWay)
        #expect(log.begin(1...1, resync: &resync) == .needsTransaction(1))
        #expect(log.begin(1...2, resync: &resync) == .needsTransaction(2))
        #expect(log.prepareTransaction() == nil, "one at a time")
        log.commitTransaction()
        #expect(log.committedSequence == 1)
        #expect(log.prepareTransaction()?.transaction.updates == [.init(slot: 65, extent: 2)])
    }

    @Test("64 changes fill a transaction, the next request waits without taking anything")
    mutating func fullTransaction() {
        var log = ActivityLog(slotCount: 200)
        #expect(log.begin(0...59, resync: &resync) == .needsTransaction(1))
        #expect(log.begin(100...104, resync: &resync) == .mustWait(.transactionFull))
        #expect(!log.isInUse(100))
        #expect(log.begin(100...103, resync: &resync) == .needsTransaction(1))
        #expect(log.begin(59...60, resync: &resync) == .mustWait(.transactionFull))
        #expect(log.begin(58...59, resync: &resync) == .needsTransaction(1))
        #expect(log.prepareTransaction()?.transaction.updates.count == 64)
        #expect(log.begin(104...104, resync: &resync) == .needsTransaction(2))
    }

    @Test("the victim is the slot that was unused for the longest time")
    mutating func eviction() throws {
        var log = ActivityLog(slotCount: 3)
        for extent: UInt32 in [10, 20, 30, 10] { _ = touch(&log, extent) }
        let preparedPrepared = touch(&log, 40)
        let prepared = try #require(preparedPrepared)
        #expect(prepared.evictedExtents == [20])
        #expect(prepared.transaction.updates == [.init(slot: 1, extent: 40)])
        #expect(prepared.transaction.context == [30, 20, 10], "before the update")
        #expect(log.extents == [10, 30, 40])
        #expect(touch(&log, 20)?.evictedExtents == [30])
    }

    @Test("slots in use are never victims")
    mutating func slotsInUse() {
        var log = ActivityLog(slotCount: 2)
        #expect(log.begin(1...2, resync: &resync) == .needsTransaction(1))
        #expect(log.begin(3...3, resync: &resync) == .mustWait(.slotsInUse))
        _ = log.prepareTransaction()
        log.commitTransaction()
        #expect(log.begin(3...3, resync: &resync) == .mustWait(.slotsInUse))
        let freed = log.end(1...2)
        #expect(freed)
        #expect(log.begin(2...3, resync: &resync) == .needsTransaction(2), "2 is held, so 1 goes")
        #expect(log.prepareTransaction()?.evictedExtents == [1])
    }

    @Test("a request that does not fit leaves its extents as unused as before")
    mutating func rollBack() {
        var log = ActivityLog(slotCount: 2)
        _ = touch(&log, 1)
        _ = touch(&log, 2)
        #expect(log.begin(2...4, resync: &resync) == .mustWait(.slotsInUse))
        #expect(!log.isInUse(2))
        #expect(log.begin(3...4, resync: &resync) == .needsTransaction(3))
    }

    @Test("an extent that is not durable yet is not thrown out again, though nobody uses it")
    mutating func abandoned() {
        var log = ActivityLog(slotCount: 1)
        #expect(log.begin(1...1, resync: &resync) == .needsTransaction(1))
        log.end(1...1)
        #expect(log.begin(2...2, resync: &resync) == .mustWait(.slotsInUse))
        _ = log.prepareTransaction()
        #expect(log.begin(2...2, resync: &resync) == .mustWait(.slotsInUse))
        log.commitTransaction()
        #expect(log.begin(2...2, resync: &resync) == .needsTransaction(2))
    }

    @Test("a suspended log takes no references")
    mutating func suspended() {
        var log = ActivityLog(slotCount: 67)
        log.isSuspended = true
        #expect(log.begin(1...1, resync: &resync) == .notLogged)
        #expect(!log.isInUse(1))
        log.isSuspended = false
        #expect(log.begin(1...1, resync: &resync) == .needsTransaction(1))
    }

    @Test("al-updates no: slots are managed, nothing is written, later contexts know all")
    mutating func withoutUpdates() throws {
        var log = ActivityLog(slotCount: 3)
        log.writesTransactions = false
        #expect(log.begin(1...2, resync: &resync) == .ready)
        #expect(log.isInUse(2))
        #expect(log.prepareTransaction() == nil)
        log.writesTransactions = true
        let transaction = log.prepareTransaction(evenIfEmpty: true)
        let prepared = try #require(transaction)
        #expect(prepared.transaction.updates.isEmpty)
        #expect(prepared.transaction.context == [.max, 2, 1])
    }

    typealias Extent = (sector: UInt64, byteCount: Int, first: UInt32, last: UInt32)
    static let requests: [Extent] = [
        (0, 512, 0, 0), (8191, 512, 0, 0), (8191, 1024, 0, 1), (8192, 4096, 1, 1), (3 * 8192 - 8, 1 << 20, 2, 3),
        (0, 128 << 20, 0, 31),
    ]

    @Test("the extents of a request", arguments: requests)
    func touchedExtents(row: Extent) {
        #expect(ActivityLog.extents(sector: row.sector, byteCount: row.byteCount) == row.first...row.last)
    }

    @Test("planted faults: nothing is logged; evictions are not told")
    mutating func faults() {
        var log = ActivityLog(slotCount: 1, faults: .skipActivityLogWrite)
        #expect(log.begin(1...1, resync: &resync) == .ready)
        #expect(log.prepareTransaction() == nil)
        var other = ActivityLog(slotCount: 1, faults: .skipBitmapWriteBeforeEviction)
        _ = touch(&other, 1)
        #expect(touch(&other, 2)?.evictedExtents == [])
    }
}
