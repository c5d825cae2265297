import LayoutKit
import OCFS2Layout
import Testing

@Suite struct BlockCheckTests {
    /// The check of a block without a field: one is appended, which counts as zero; so only buffers with their own.
    private func check(_ bytes: [UInt8], at offset: Int) -> BlockCheck {
        reading(bytes) { BlockCheck.compute($0, at: offset) }
    }

    // Spec: ocfs2-disk-2 B.3. The field lies where the buffers hold zeroes.
    @Test(
        "single bits have the sums of the chapter",
        arguments: [
            (512, 0, 0x5d27_51af, 0x0003), (512, 1, 0x6db0_3cd7, 0x0005), (512, 7, 0x1905_33ca, 0x000c),
            (512, 8, 0xe5f4_f81d, 0x000d), (512, 4095, 0xa0ed_09a7, 0x100d), (1024, 0, 0xe8db_a1be, 0x0003),
            (1024, 8191, 0xfdf2_d3f1, 0x200e), (2048, 1, 0xc40b_37e6, 0x0005), (2048, 16383, 0xe3af_c641, 0x400f),
            (4096, 0, 0x623b_56c2, 0x0003), (4096, 8, 0xe595_c810, 0x000d), (4096, 32767, 0xd55b_7cce, 0x8010),
        ] as [(Int, Int, UInt32, UInt16)])
    func singleBits(size: Int, bit: Int, crc: UInt32, parity: UInt16) {
        let bytes = block(size) { $0[bit >> 3] = 1 << UInt8(bit & 7) }
        #expect(check(bytes, at: 0x30) == BlockCheck(crc: crc, parity: parity))
    }

    @Test(
        "empty blocks have the sums of the chapter",
        arguments: [(512, 0x4d55_8a87), (1024, 0x104a_50d1), (2048, 0x0e17_4561), (4096, 0x38e3_ffee)]
            as [(Int, UInt32)])
    func zeroes(size: Int, crc: UInt32) {
        #expect(check(block(size) { _ in }, at: 0x80) == BlockCheck(crc: crc, parity: 0))
    }

    @Test("the field counts as zero whatever it holds", arguments: [0x08, 0x18, 0x20, 0x30, 0x80, 504])
    func fieldIgnored(offset: Int) {
        var bytes = (0..<512).map { UInt8(truncatingIfNeeded: 7 * $0 + 3) }
        let filled = check(bytes, at: offset)
        for index in offset..<offset + 8 { bytes[index] = 0 }
        #expect(check(bytes, at: offset) == filled)
    }

    @Test("the sum of the text that CRCs are compared by")
    func knownText() {
        #expect(reading(Array("123456789".utf8)) { CRC32.update(~0, with: $0) } == 0x340b_c6d9)
    }

    @Test("blocks of a real volume carry exactly the computed check")
    func realBlocks() {
        for bytes in [
            SmallVolume.superblock, SmallVolume.rootDirectory, SmallVolume.localAlloc, SmallVolume.truncateLog,
            SmallVolume.journal,
        ] {
            #expect(check(bytes, at: 0x80) == reading(bytes) { BlockCheck(of: $0, at: 0x80) })
        }
        for bytes in [SmallVolume.inodeGroup, SmallVolume.slotGroup] {
            #expect(check(bytes, at: 0x30) == reading(bytes) { BlockCheck(of: $0, at: 0x30) })
        }
    }

    @Test("any one flipped bit outside of the field is corrected", arguments: [512, 4096])
    func correction(size: Int) throws {
        let good = block(size) { bytes in
            for index in 0..<size { bytes[index] = UInt8(truncatingIfNeeded: index &* 31 &+ index >> 7) }
            BlockCheck.store(into: bytes, at: 0x80)
        }
        for bit in stride(from: 0, to: size * 8, by: 7) where !(0x80 * 8..<0x88 * 8).contains(bit) {
            var bytes = good
            bytes[bit >> 3] ^= 1 << UInt8(bit & 7)
            let outcome = try bytes.withUnsafeMutableBytes { try BlockCheck.verify($0, at: 0x80) }
            #expect(outcome == .corrected(bit: bit))
            #expect(bytes == good)
        }
    }

    @Test("two flipped bits are an error and stay as they are")
    func twoBits() {
        let good = block(512) { bytes in
            for index in 0..<512 { bytes[index] = UInt8(truncatingIfNeeded: index) }
            BlockCheck.store(into: bytes, at: 0x80)
        }
        for distance in 1..<200 {
            var bytes = good
            bytes[3] ^= 1
            bytes[300 + distance] ^= 0x10
            let broken = bytes
            #expect(throws: LayoutError.self) {
                try bytes.withUnsafeMutableBytes { _ = try BlockCheck.verify($0, at: 0x80) }
            }
            #expect(bytes == broken)
        }
    }

    @Test("a damaged checksum field is an error, not a correction")
    func damagedField() {
        var bytes = SmallVolume.rootDirectory
        bytes[0x81] ^= 4
        #expect(throws: LayoutError.self) {
            try bytes.withUnsafeMutableBytes { _ = try BlockCheck.verify($0, at: 0x80) }
        }
    }

    @Test("the parity by words equals the parity by the definition", arguments: [64, 512, 1024, 2048, 4096])
    func definition(size: Int) {
        let bytes = (0..<size).map { UInt8(truncatingIfNeeded: ($0 &* 131) ^ ($0 >> 3)) }
        var position = 1, expected = 0
        for bit in 0..<size * 8 {
            repeat { position += 1 } while position & (position - 1) == 0
            // The eight bytes of the field count as zero.
            let isField = (16..<24).contains(bit >> 3)
            if !isField, bytes[bit >> 3] & (1 << UInt8(bit & 7)) != 0 { expected ^= position }
        }
        #expect(Int(check(bytes, at: 16).parity) == expected)
    }
}
