import DRBDLayout
import LayoutKit
import Testing

@Suite struct ActivityLogTransactionTests {
    @Test("the empty block has the sum that the tool writes")
    func empty() throws {
        try expectGolden(hex("69cb65a2 00000000 709cc651 ffff") + zeroes(4082), is: ActivityLogTransaction.empty)
    }

    // Spec: drbd-disk-and-state 5.1: two consecutive blocks of a kernel node. Their sums fix every byte.
    @Test("update blocks have the sums of the kernel")
    func updates() throws {
        let first = ActivityLogTransaction(
            number: 10, slotCount: 1237, contextStart: 0, updates: [.init(slot: 1236, extent: 0)], context: [])
        #expect(
            Array(first.encoded.prefix(40))
                == hex("69cb65a2 0000000a 1957eb3c 0000 0001 04d5 0000") + zeroes(16) + hex("04d4 ffff"))
        var context = [UInt32](repeating: .max, count: 1237 - 919)
        context[1236 - 919] = 0
        let second = ActivityLogTransaction(
            number: 11, slotCount: 1237, contextStart: 919, updates: [.init(slot: 1235, extent: 1)],
            context: context)
        #expect(Array(second.encoded.prefix(20)) == hex("69cb65a2 0000000b 870af3f9 0000 0001 04d5 0397"))
    }

    @Test("a full block comes back")
    func roundTrip() throws {
        let transaction = ActivityLogTransaction(
            number: .max, slotCount: 6433, contextStart: 919,
            updates: (0..<64).map { .init(slot: UInt16($0), extent: UInt32($0) << 10) },
            context: (0..<919).map { UInt32($0) })
        try expectGolden(transaction.encoded, is: transaction)
    }

    @Test("every damaged bit is noticed", arguments: [0, 4, 8, 13, 15, 36, 419, 420, 4095])
    func damage(offset: Int) {
        var bytes = ActivityLogTransaction.empty.encoded
        bytes[offset] ^= 0x10
        #expect(throws: LayoutError.self) { try ActivityLogTransaction.decode(bytes) }
    }

    @Test("impossible types and counts are refused although the sum is right")
    func hostile() {
        #expect(
            throws: LayoutError.badValue(field: "type of the activity log block", found: 1, expected: "0 or 65535")
        ) {
            try ActivityLogTransaction.decode(withSum(hex("69cb65a2 00000000 00000000 0001") + zeroes(4082)))
        }
        #expect(throws: LayoutError.badValue(field: "n_updates", found: 65, expected: "0 to 64")) {
            try ActivityLogTransaction.decode(withSum(hex("69cb65a2 00000000 00000000 0000 0041") + zeroes(4080)))
        }
    }

    /// The block with its right sum.
    private func withSum(_ bytes: [UInt8]) -> [UInt8] {
        var bytes = bytes
        let sum = bytes.withUnsafeBytes { CRC32C.update(0, with: $0) }
        bytes.withUnsafeMutableBytes { $0[BE32(offset: 8)] = sum }
        return bytes
    }
}

@Suite struct ActivityLogReplayTests {
    private typealias Transaction = ActivityLogTransaction

    /// A log of empty blocks with some of them replaced, by block.
    private func log(_ blocks: [Int: [UInt8]], count: Int = 8) -> [UInt8] {
        (0..<count).flatMap { blocks[$0] ?? Transaction.empty.encoded }
    }

    private func replay(_ log: [UInt8], _ striping: ActivityLogStriping = .standard) throws -> ActivityLogReplay {
        try log.withUnsafeBytes { (bytes) throws(ActivityLogReplay.Unusable) in
            try ActivityLogReplay(log: bytes, striping: striping)
        }
    }

    private func update(
        _ number: UInt32, start: UInt16 = 0, _ updates: [Transaction.Update], context: [UInt32] = []
    ) -> [UInt8] {
        Transaction(number: number, slotCount: 1237, contextStart: start, updates: updates, context: context).encoded
    }

    @Test("an empty log names no extents")
    func empty() throws {
        #expect(try replay(log([:])) == ActivityLogReplay(extents: [], corruptBlocks: 0, newest: nil))
        #expect(try replay(log([0: zeroes(4096)])) == ActivityLogReplay(extents: [], corruptBlocks: 1, newest: nil))
    }

    @Test("a log without any valid block is unusable")
    func unusable() {
        let error = #expect(throws: ActivityLogReplay.Unusable.self) { try replay(zeroes(8 * 4096)) }
        #expect(
            error?.description
                == "no usable activity log: none of 8 blocks is valid; first block: bad magic: found 0x0, "
                + "expected 0x69cb65a2")
    }

    // Spec: drbd-disk-and-state 5.5: the five writes before the power cut.
    @Test("the slots of the real replay")
    func realReplay() throws {
        let slots: [UInt16] = [1236, 1235, 1234, 1233, 1232]
        let extents: [UInt32] = [0, 1, 2, 39, 68]
        var blocks: [Int: [UInt8]] = [:]
        var context = [UInt32](repeating: .max, count: 1237)
        for (index, (slot, extent)) in zip(slots, extents).enumerated() {
            let start = index % 2 == 0 ? 0 : 919
            let part = Array(context[start..<min(start + 919, 1237)])
            blocks[2 + index] = update(
                UInt32(10 + index), start: UInt16(start), [.init(slot: slot, extent: extent)], context: part)
            context[Int(slot)] = extent
        }
        #expect(
            try replay(log(blocks)) == ActivityLogReplay(extents: extents, corruptBlocks: 0, newest: 14))
    }

    @Test("numbers that wrap are applied in their order, later updates win")
    func wrapped() throws {
        let blocks = [
            6: update(.max - 1, [.init(slot: 5, extent: 50)]),
            7: update(.max, [.init(slot: 6, extent: 60)]),
            0: update(0, [.init(slot: 5, extent: 51)], context: .init(repeating: .max, count: 5) + [50, 60]),
            1: update(1, [.init(slot: 7, extent: 70)], context: .init(repeating: .max, count: 5) + [51, 60]),
        ]
        #expect(try replay(log(blocks)) == ActivityLogReplay(extents: [51, 60, 70], corruptBlocks: 0, newest: 1))
    }

    @Test("a torn block is counted and passed over")
    func torn() throws {
        var second = update(1, [.init(slot: 2, extent: 2)])
        second.replaceSubrange(2048..., with: zeroes(2048))
        let blocks = [
            0: update(0, [.init(slot: 1, extent: 1)]), 1: second,
            2: update(2, [.init(slot: 3, extent: 3)], context: [.max, 1, 2]),
        ]
        #expect(try replay(log(blocks)) == ActivityLogReplay(extents: [1, 2, 3], corruptBlocks: 1, newest: 2))
    }

    @Test("a freed slot names no extent, one extent in two slots is named once")
    func freed() throws {
        let blocks = [
            0: update(0, [.init(slot: 1, extent: 1), .init(slot: 2, extent: 9), .init(slot: 3, extent: 9)]),
            1: update(1, [.init(slot: 1, extent: .max)], context: [.max, 1, 9, 9]),
        ]
        #expect(try replay(log(blocks)).extents == [9])
    }

    @Test("slots beyond the count, up to the last that can be named, do no harm")
    func hostileSlots() throws {
        let block = Transaction(
            number: 3, slotCount: 1, contextStart: .max, updates: [.init(slot: .max, extent: 4)],
            context: (0..<919).map { UInt32($0) }
        ).encoded
        let extents = try replay(log([0: block])).extents
        #expect(extents.count == 918)
        #expect(extents.last == 918)
    }

    @Test("a striped log is read around its stripes")
    func striped() throws {
        let striping = try #require(ActivityLogStriping(stripes: 2, stripeBlocks: 4))
        // Transactions 0, 1, 2 lie in blocks 0, 4, 1.
        let blocks = [
            0: update(0, [.init(slot: 1, extent: 10)]),
            4: update(1, [.init(slot: 1, extent: 11)], context: [.max, 10]),
            1: update(2, [.init(slot: 2, extent: 12)], context: [.max, 11]),
        ]
        #expect(try replay(log(blocks), striping).extents == [11, 12])
    }
}
