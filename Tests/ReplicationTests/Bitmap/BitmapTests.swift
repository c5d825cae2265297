import EngineKit
import Testing

@testable import Replication

/// Spec: drbd-disk-and-state 6.
struct BitmapTests {
    private func setBits(_ bitmap: Bitmap) -> [Int] {
        var bits: [Int] = []
        var bit = 0
        while let next = bitmap.nextSetBit(from: bit) {
            bits.append(next)
            bit = next + 1
        }
        return bits
    }

    static let geometries: [(sectors: UInt64, bits: Int, words: Int, blocks: Int)] = [
        (0, 0, 0, 0), (1, 1, 1, 1), (8, 1, 1, 1), (9, 2, 1, 1), (512, 64, 1, 1), (513, 65, 2, 1),
        (204_720, 25590, 400, 1), (614_304, 76788, 1200, 3), (262_144, 32768, 512, 1), (262_145, 32769, 513, 2),
    ]

    @Test("bits, words and blocks of devices", arguments: geometries)
    func sizes(sectors: UInt64, bits: Int, words: Int, blocks: Int) {
        let bitmap = Bitmap(sectors: sectors)
        #expect(bitmap.bitCount == bits)
        #expect(bitmap.wordCount == words)
        #expect(bitmap.blockCount == blocks)
        bitmap.setAll()
        #expect(bitmap.setBitCount == bits)
    }

    typealias RangeRow = (sector: UInt64, byteCount: Int, bits: Range<Int>)
    static let widened: [RangeRow] = [
        (0, 512, 0..<1), (7, 512, 0..<1), (7, 1024, 0..<2), (8, 4096, 1..<2), (9, 4096, 1..<3),
        (0, 0, 0..<0), (100, 512, 12..<13), (101, 512, 0..<0), (96, 1 << 20, 12..<13),
    ]

    @Test("setting widens a range to whole 4 KiB", arguments: widened)
    func widens(sector: UInt64, byteCount: Int, bits: Range<Int>) {
        // 101 sectors: the last of 13 blocks has 5 sectors.
        let bitmap = Bitmap(sectors: 101)
        #expect(bitmap.setOutOfSync(sector: sector, byteCount: byteCount) == bits.count)
        #expect(setBits(bitmap) == Array(bits))
        #expect(bitmap.setOutOfSync(sector: sector, byteCount: byteCount) == 0, "set already")
    }

    static let narrowed: [RangeRow] = [
        (0, 512, 0..<0), (0, 4096, 0..<1), (0, 4095, 0..<1), (0, 8192 - 512, 0..<1), (1, 8192, 1..<2),
        (1, 4096, 0..<0), (96, 5 * 512, 12..<13), (96, 4 * 512, 0..<0), (95, 6 * 512, 12..<13),
        (97, 4 * 512, 0..<0), (0, 101 * 512, 0..<13), (8, 1 << 20, 1..<13),
    ]

    @Test("clearing narrows a range to whole 4 KiB, the last block of the device counts as whole", arguments: narrowed)
    func narrows(sector: UInt64, byteCount: Int, bits: Range<Int>) {
        let bitmap = Bitmap(sectors: 101)
        bitmap.setAll()
        #expect(bitmap.setInSync(sector: sector, byteCount: byteCount) == bits.count)
        #expect(setBits(bitmap) == (0..<13).filter { !bits.contains($0) })
    }

    @Test("a range beyond every number is cut, not trapped on")
    func hugeRange() {
        let bitmap = Bitmap(sectors: 101)
        #expect(bitmap.setOutOfSync(sector: .max - 1, byteCount: 4096) == 0)
        #expect(bitmap.setInSync(sector: .max - 1, byteCount: 4096) == 0)
        #expect(!bitmap.isAnySet(sector: .max, byteCount: 512))
    }

    @Test("a part of a range that is set is found")
    func isAnySet() {
        let bitmap = Bitmap(sectors: 1 << 20)
        bitmap.setBits(5000..<5001)
        #expect(bitmap.isAnySet(sector: 40000, byteCount: 512))
        #expect(bitmap.isAnySet(sector: 39999, byteCount: 1024))
        #expect(!bitmap.isAnySet(sector: 39992, byteCount: 4096))
        #expect(!bitmap.isAnySet(sector: 40008, byteCount: 1 << 20))
    }

    @Test("an extent that becomes clean is told")
    func cleanedExtent() {
        let bitmap = Bitmap(sectors: 1 << 20)
        bitmap.setBits(4095..<4098)
        #expect(bitmap.setBitCount(ofResyncExtent: 0) == 1)
        #expect(bitmap.setBitCount(ofResyncExtent: 1) == 2)
        #expect(bitmap.setBitCount(ofResyncExtent: 9999) == 0)
        bitmap.clearBits(4096..<4097)
        #expect(!bitmap.hasCleanedExtent)
        bitmap.clearBits(4097..<4098)
        #expect(bitmap.hasCleanedExtent)
    }

    static let deviceSizes: [UInt64] = [614_304, 262_144, 524_301, 777, 98304]

    @Test("agrees with an array of flags over random histories", arguments: deviceSizes)
    func model(sectors: UInt64) {
        let seed = sectors
        let random = SeededRandom(seed: seed)
        let bitmap = Bitmap(sectors: sectors)
        var flags = [Bool](repeating: false, count: bitmap.bitCount)
        for step in 0..<400 {
            let first = Int(random.next(below: UInt64(flags.count)))
            let length = 1 << random.next(below: 16)
            let bits = first..<min(flags.count, first + Int(random.next(below: UInt64(length))) + 1)
            let isSet = random.next(below: 2) == 0
            let changes = bits.filter { flags[$0] != isSet }.count
            for bit in bits { flags[bit] = isSet }
            #expect((isSet ? bitmap.setBits(bits) : bitmap.clearBits(bits)) == changes)
            guard step % 20 == 0 else { continue }
            #expect(bitmap.setBitCount == flags.count { $0 })
            #expect(setBits(bitmap) == flags.indices.filter { flags[$0] })
            for start in [0, first, flags.count - 1, flags.count] {
                #expect(bitmap.nextClearBit(from: start) == flags[start...].firstIndex(of: false))
            }
            for extent in 0...UInt32(flags.count / 4096) {
                let range = min(flags.count, Int(extent) * 4096)..<min(flags.count, Int(extent + 1) * 4096)
                #expect(bitmap.setBitCount(ofResyncExtent: extent) == flags[range].count { $0 })
            }
        }
    }
}

/// Spec: drbd-disk-and-state 5.3, 6.
struct BitmapBlockTests {
    private let buffer = IOBuffer(byteCount: 4096)
    private var block: UnsafeMutableRawBufferPointer { UnsafeMutableRawBufferPointer(start: buffer.base, count: 4096) }

    private func image(_ fill: (inout [UInt8]) -> Void) -> [UInt8] {
        var bytes = [UInt8](repeating: 0, count: 4096)
        fill(&bytes)
        return bytes
    }

    @Test("bit b is bit b mod 8 of byte b div 8 of the area")
    func place() {
        let bitmap = Bitmap(sectors: 614_304)
        bitmap.setBits(32768 + 77..<32768 + 78)
        #expect(bitmap.nextChangedBlock(from: 0) == 1)
        bitmap.beginWrite(block: 1, into: block)
        #expect(block.enumerated().allSatisfy { $0.element == ($0.offset == 9 ? 1 << 5 : 0) })
    }

    @Test("the bits of a replayed log: extents 0-2, 39 and 68 as seen")
    func replayed() {
        let bitmap = Bitmap(sectors: 614_304)
        for extent in [0, 1, 2, 39, 68] { bitmap.setBits(extent * 1024..<(extent + 1) * 1024) }
        #expect(bitmap.setBitCount == 5120)
        bitmap.beginWrite(block: 0, into: block)
        #expect(block[..<384].allSatisfy { $0 == 0xff })
        #expect(block[384...].allSatisfy { $0 == 0 })
        bitmap.finishWrite(block: 0, succeeded: true)
        #expect(bitmap.nextChangedBlock(from: 0) == 1)
        bitmap.beginWrite(block: 1, into: block)
        #expect(block[39 * 128 - 4096..<40 * 128 - 4096].allSatisfy { $0 == 0xff })
        #expect(bitmap.nextChangedBlock(from: 1) == 2)
    }

    @Test("a block is changed until it is written, and again when bits change meanwhile or the write fails")
    func changes() {
        let bitmap = Bitmap(sectors: 262_144)
        #expect(!bitmap.isChanged(block: 0))
        bitmap.setBits(3..<4)
        bitmap.beginWrite(block: 0, into: block)
        #expect(!bitmap.isChanged(block: 0))
        #expect(bitmap.isBeingWritten(block: 0))
        bitmap.setBits(3..<4)
        #expect(!bitmap.isChanged(block: 0), "nothing new")
        bitmap.clearBits(3..<4)
        #expect(bitmap.isChanged(block: 0))
        bitmap.finishWrite(block: 0, succeeded: true)
        #expect(bitmap.isChanged(block: 0))
        bitmap.beginWrite(block: 0, into: block)
        bitmap.finishWrite(block: 0, succeeded: false)
        #expect(bitmap.isChanged(block: 0))
        #expect(!bitmap.isBeingWritten(block: 0))
    }

    @Test("a block that lost bits says so until it is copied out, and is unwritten until it is on disk")
    func clearedBits() {
        let bitmap = Bitmap(sectors: 262_144)
        bitmap.setBits(3..<5)
        #expect(!bitmap.hasClearedBits(block: 0))
        bitmap.clearBits(3..<4)
        #expect(bitmap.hasClearedBits(block: 0))
        bitmap.beginWrite(block: 0, into: block)
        #expect(!bitmap.hasClearedBits(block: 0))
        #expect(bitmap.nextChangedBlock(from: 0) == nil)
        #expect(bitmap.nextUnwrittenBlock(from: 0) == 0)
        bitmap.finishWrite(block: 0, succeeded: false)
        #expect(bitmap.hasClearedBits(block: 0))
        bitmap.beginWrite(block: 0, into: block)
        bitmap.finishWrite(block: 0, succeeded: true)
        #expect(bitmap.nextUnwrittenBlock(from: 0) == nil)
    }

    @Test("a block read from disk replaces what was there; bits beyond the device are masked")
    func load() {
        let bitmap = Bitmap(sectors: 101)
        bitmap.setBits(0..<2)
        let bytes = image {
            $0[1] = 0xff; $0[2] = 0xff; $0[4000] = 1
        }
        bytes.withUnsafeBytes { bitmap.load(block: 0, from: $0) }
        #expect(bitmap.setBitCount == 5)
        #expect(bitmap.nextSetBit(from: 0) == 8)
        #expect(bitmap.nextSetBit(from: 13) == nil)
        #expect(!bitmap.isChanged(block: 0))
        bitmap.clearAll()
        #expect(bitmap.setBitCount == 0)
    }

    @Test("an activity-log extent has its bits in one block")
    func blockOfExtent() {
        #expect(Bitmap.block(ofActivityLogExtent: 31) == 0)
        #expect(Bitmap.block(ofActivityLogExtent: 32) == 1)
    }

    @Test("growing sets the new bits, the old partial block among them, or none")
    func growing() {
        let bitmap = Bitmap(sectors: 101)
        bitmap.setBits(3..<4)
        bitmap.resize(sectors: 262_144 + 8, settingNewBits: true)
        #expect(bitmap.setBitCount == 1 + 32769 - 12)
        #expect(bitmap.nextSetBit(from: 4) == 12)
        #expect(bitmap.nextChangedBlock(from: 1) == 1)
        let quiet = Bitmap(sectors: 96)
        quiet.resize(sectors: 262_144, settingNewBits: false)
        #expect(quiet.setBitCount == 0)
        #expect(quiet.bitCount == 32768)
        let whole = Bitmap(sectors: 96)
        whole.resize(sectors: 112, settingNewBits: true)
        #expect(whole.setBitCount == 2)
    }

    @Test("shrinking drops the bits beyond, growing again finds them clear")
    func shrinking() {
        let bitmap = Bitmap(sectors: 262_144 * 2)
        bitmap.setAll()
        bitmap.resize(sectors: 101, settingNewBits: true)
        #expect(bitmap.setBitCount == 13)
        #expect(bitmap.blockCount == 1)
        bitmap.resize(sectors: 262_144, settingNewBits: false)
        #expect(bitmap.setBitCount == 13)
        #expect(bitmap.setBitCount(ofResyncExtent: 0) == 13)
    }
}
