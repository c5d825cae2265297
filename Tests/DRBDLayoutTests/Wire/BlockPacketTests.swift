import DRBDLayout
import LayoutKit
import Testing

/// Packets of writes, reads, resync and verify; bytes from drbd-wire 26.
@Suite struct BlockPacketTests {
    /// Cookies are identities, read in one fixed order.
    private static let cookieA: UInt64 = 0xff48_3ad9_1f50_9700

    @Test("P_DATA and its acknowledgement")
    func write() throws {
        try expectGolden(
            hex("0000000000000050 0097501fd93a48ff 00000001 00000102"),
            is: DataHeader(
                sector: 80, blockID: Self.cookieA, sequence: 1, flags: [.readWriteSync, .sendWriteAck]))
        try expectGolden(
            hex("0000000000000050 0097501fd93a48ff 00001000 00000065"),
            is: BlockAck(sector: 80, blockID: Self.cookieA, size: 4096, sequence: 101))
    }

    @Test("P_TRIM")
    func trim() throws {
        try expectGolden(
            hex("0000000000000800 0097501fd93a48ff 00000003 00000142 00100000"),
            is: TrimRequest(
                header: DataHeader(
                    sector: 2048, blockID: Self.cookieA, sequence: 3,
                    flags: [.readWriteSync, .discard, .sendWriteAck]),
                size: 1 << 20))
    }

    @Test("P_BARRIER counts in host order, its acknowledgement counts writes in big-endian")
    func barrier() throws {
        try expectGolden(hex("01000000 00000000"), is: Barrier(number: 1))
        try expectGolden(hex("01000000 00000001"), is: BarrierAck(number: 1, writeCount: 1))
        // "EPO2" comes back as it was sent.
        let barrier = try Barrier.decode(Array("EPO2".utf8) + zeroes(4))
        #expect(BarrierAck(number: barrier.number, writeCount: 1).encoded == Array("EPO2".utf8) + [0, 0, 0, 1])
    }

    @Test("resync requests, and the garbage that kernel peers leave in their pads")
    func requests() throws {
        try expectGolden(
            hex("0000000000000320 ffffffffffffffff 00003000 00000000"), is: BlockRequest(sector: 800, size: 12288))
        #expect(
            try BlockRequest.decode(hex("0000000000000000 ffffffffffffffff 00001000 9812c7f6"))
                == BlockRequest(sector: 0, size: 4096))
        try expectGolden(hex("0000000000000800 00010000 00000000"), is: ResyncDeallocated(sector: 2048, size: 65536))
        #expect(
            try OutOfSync.decode(hex("0000000000000080 00010000 6ec93cff")) == OutOfSync(sector: 128, size: 65536))
        #expect(OutOfSync(sector: 128, size: 65536).encoded == hex("0000000000000080 00010000 00000000"))
    }

    @Test("P_OV_RESULT carries a number, big-endian")
    func verify() throws {
        let equal = try BlockAck.decode(hex("0000000000000000 0000000000001267 00001000 00000006"))
        #expect(try VerifyResult(equal) == .inSync)
        let different = try BlockAck.decode(hex("0000000000000640 0000000000001268 00001000 000000ce"))
        #expect(try VerifyResult(different) == .outOfSync)
        #expect(
            BlockAck(sector: 1600, blockID: VerifyResult.outOfSync.blockID, size: 4096, sequence: 206) == different)
        let other = try BlockAck.decode(hex("0000000000000640 0000000000001269 00001000 000000ce"))
        #expect(
            throws: LayoutError.badValue(
                field: "block_id of P_OV_RESULT", found: 4713, expected: "4711 or 4712")
        ) {
            try VerifyResult(other)
        }
    }

    @Test("the data of a write is what header and digest leave, in whole sectors")
    func dataByteCount() throws {
        let dialect = WireDialect(version: 101, features: [])
        #expect(try DataHeader.dataByteCount(length: 0x1018, digestByteCount: 0, dialect: dialect) == 4096)
        #expect(try DataHeader.dataByteCount(length: 0x301c, digestByteCount: 4, dialect: dialect) == 12288)
        #expect(try DataHeader.dataByteCount(length: 24, digestByteCount: 0, dialect: dialect) == 0)
        #expect(throws: LayoutError.truncated(need: 28, have: 27)) {
            try DataHeader.dataByteCount(length: 27, digestByteCount: 4, dialect: dialect)
        }
        let expected = "a multiple of 512 up to 1048576"
        #expect(throws: LayoutError.badLength(of: "data", found: 4095, expected: expected)) {
            try DataHeader.dataByteCount(length: 24 + 4095, digestByteCount: 0, dialect: dialect)
        }
        #expect(throws: LayoutError.badLength(of: "data", found: 1_049_088, expected: expected)) {
            try DataHeader.dataByteCount(length: 24 + 1_049_088, digestByteCount: 0, dialect: dialect)
        }
    }

    @Test(
        "ranges outside of the device, empty ones and odd ones are refused",
        arguments: [
            (UInt64(992), UInt32(4096), true), (993, 4096, false), (1000, 512, false), (.max, 512, false),
            (0, 0, false), (0, 511, false), (0, 0xffff_fe00, false), (999, 512, true), (0, 1 << 20, false),
        ] as [(UInt64, UInt32, Bool)])
    func ranges(sector: UInt64, size: UInt32, isLegal: Bool) {
        let check = { () throws(LayoutError) in
            try WireRange.check(sector: sector, byteCount: size, byteCountMax: 1 << 20, capacitySectors: 1000)
        }
        if isLegal {
            #expect(throws: Never.self, performing: check)
        } else {
            #expect(throws: LayoutError.self, performing: check)
        }
    }
}
