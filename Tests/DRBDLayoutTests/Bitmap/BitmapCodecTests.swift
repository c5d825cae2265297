import DRBDLayout
import LayoutKit
import Testing

/// A bitmap as plain as possible, for tests.
struct PlainBits: BitRunSource, Equatable {
    var bits: [Bool]

    init(count: Int) {
        bits = Array(repeating: false, count: count)
    }

    var bitCount: UInt64 { UInt64(bits.count) }

    func isSet(_ position: UInt64) -> Bool { bits[Int(position)] }

    func firstBit(_ value: Bool, from position: UInt64) -> UInt64 {
        UInt64(bits[Int(position)...].firstIndex(of: value) ?? bits.count)
    }

    mutating func set(_ range: Range<UInt64>) {
        for index in range { bits[Int(index)] = true }
    }
}

@Suite struct BitmapCodecTests {
    private static let worked = hex("d2 f76f241f253f2ad19f36c71fe70700")

    private func decode(_ payload: [UInt8], from position: UInt64 = 0, bitCount: UInt64) throws
        -> (ranges: [Range<UInt64>], position: UInt64)
    {
        var ranges: [Range<UInt64>] = []
        let end = try payload.withUnsafeBytes { (buffer) throws(LayoutError) in
            try CompressedBitmapDecoder.decode(buffer, from: position, bitCount: bitCount) { ranges.append($0) }
        }
        return (ranges, end)
    }

    private func encodePacket(_ source: PlainBits, from position: UInt64 = 0, room: Int = 4080) -> ([UInt8], UInt64)? {
        var out = zeroes(room)
        let result = out.withUnsafeMutableBytes { CompressedBitmapEncoder.encode(source, from: position, into: $0) }
        return result.map { (Array(out.prefix($0.byteCount)), $0.nextPosition) }
    }

    // Spec: drbd-wire 10.3.
    @Test("the worked example decodes to its runs and encodes to its bytes")
    func workedExample() throws {
        let (ranges, end) = try decode(Self.worked, bitCount: 25590)
        #expect(ranges == [0..<16, 100..<103, 300..<301, 5000..<5002, 9000..<9001])
        #expect(end == 25590)
        var bits = PlainBits(count: 25590)
        for range in ranges { bits.set(range) }
        let packet = encodePacket(bits)
        #expect(packet?.0 == Self.worked)
        #expect(packet?.1 == 25590)
    }

    @Test("a bitmap that is all set")
    func allSet() throws {
        let payload = hex("b2 7fc54200")
        let (ranges, end) = try decode(payload, bitCount: 25590)
        #expect(ranges == [0..<25590])
        #expect(end == 25590)
        var bits = PlainBits(count: 25590)
        bits.set(0..<25590)
        #expect(encodePacket(bits)?.0 == payload)
    }

    @Test(
        "the ends of every level of the code come back",
        arguments: [
            1, 2, 3, 4, 5, 8, 9, 16, 17, 48, 49, 304, 305, 8496, 8497, 2_105_648, 2_105_649, 17_181_974_832,
            17_181_974_833, UInt64(1) << 56,
        ] as [UInt64])
    func levels(length: UInt64) {
        let word = RunLengthCode.word(for: length)
        let decoded = RunLengthCode.decode(word.bits, validBits: word.bitCount)
        #expect(decoded?.length == length)
        #expect(decoded?.bitCount == word.bitCount)
        #expect(RunLengthCode.decode(word.bits, validBits: word.bitCount - 1) == nil)
    }

    @Test("random bitmaps come back, in packets of any size", arguments: [UInt64(1), 2, 3, 4, 5, 6, 7, 8])
    func roundTrip(seed: UInt64) throws {
        var random = SeededNumbers(seed: seed)
        var bits = PlainBits(count: 1 + Int(random.next(upperBound: 20000 as UInt64)))
        for _ in 0..<20 {
            let start = random.next(upperBound: bits.bitCount)
            bits.set(start..<min(bits.bitCount, start + 1 + random.next(upperBound: 300)))
        }
        var copy = PlainBits(count: bits.bits.count)
        var position: UInt64 = 0
        while position < bits.bitCount {
            guard
                let (payload, next) = encodePacket(
                    bits, from: position, room: 9 + Int(random.next(upperBound: 20 as UInt64)))
            else {
                // What the code does not shorten would travel as plain words.
                let end = min(position + 64, bits.bitCount)
                for index in position..<end where bits.isSet(index) { copy.set(index..<index + 1) }
                position = end
                continue
            }
            let (ranges, end) = try decode(payload, from: position, bitCount: bits.bitCount)
            for range in ranges { copy.set(range) }
            #expect(end == next)
            position = end
        }
        #expect(copy == bits)
    }

    @Test("alternating bits are not worth a code")
    func incompressible() {
        var bits = PlainBits(count: 4096)
        for index in stride(from: UInt64(0), to: 4096, by: 3) { bits.set(index..<index + 1) }
        #expect(encodePacket(bits) == nil)
    }

    @Test("a payload without code is refused", arguments: [[], [0x82]] as [[UInt8]])
    func empty(payload: [UInt8]) {
        #expect(throws: LayoutError.truncated(need: 2, have: payload.count)) {
            try decode(payload, bitCount: 100)
        }
    }

    @Test("another code number is refused", arguments: [UInt8(0), 1, 3, 15])
    func codeNumber(number: UInt8) {
        #expect(
            throws: LayoutError.badValue(
                field: "code of P_COMPRESSED_BITMAP", found: UInt64(number), expected: "2")
        ) {
            try decode([0x80 | number, 0], bitCount: 100)
        }
    }

    @Test("a run beyond the end is refused, of set and of clear bits", arguments: [UInt8(0xb2), 0x32])
    func beyondEnd(encoding: UInt8) {
        let payload = [encoding] + hex("7fc54200")
        #expect(throws: LayoutError.self) { try decode(payload, bitCount: 25589) }
        #expect(throws: LayoutError.self) { try decode(payload, from: 1, bitCount: 25590) }
        #expect(throws: LayoutError.self) { try decode(payload, from: 30000, bitCount: 25590) }
    }

    @Test("code that ends within a word is refused at every length")
    func cutCode() throws {
        for count in 2..<5 {
            #expect(throws: LayoutError.self) { try decode(Array(hex("b2 7fc54200").prefix(count)), bitCount: 25590) }
        }
        // All ones is the prefix of the longest word, whatever the pad says.
        for pad in UInt8(0)..<8 {
            #expect(throws: LayoutError.self) { try decode([0x82 | pad << 4, 0xff], bitCount: .max) }
        }
    }

    @Test("the longest run on the largest device does not run over")
    func longestRun() throws {
        let payload = [0x82] + [UInt8](repeating: 0xff, count: 8)
        #expect(try decode(payload, bitCount: .max).position == RunLengthCode.runLengthMax)
        #expect(throws: LayoutError.self) { try decode(payload, from: .max - 1, bitCount: .max) }
    }

    // Spec: drbd-wire 10.2.
    @Test(
        "plain packets are split as kernel peers split them",
        arguments: [
            (UInt64(204_720), 16, [400, 0]), (614_304, 16, [510, 510, 180, 0]), (614_304, 8, [511, 511, 178, 0]),
            (1, 16, [1, 0]), (0, 16, [0]), (510 * 512, 16, [510, 0]),
        ] as [(UInt64, Int, [Int])])
    func plainSplit(sectors: UInt64, header: Int, words: [Int]) {
        let geometry = BitmapGeometry(deviceSectors: sectors)
        var position: UInt64 = 0
        var found: [Int] = []
        repeat {
            found.append(geometry.packetWordCount(at: position, headerByteCount: header))
            position += UInt64(found.last ?? 0)
        } while found.last != 0
        #expect(found == words)
        #expect(geometry.bitPosition(afterWord: position) == geometry.bitCount)
    }

    @Test("bits beyond the last one are known")
    func validBits() {
        let geometry = BitmapGeometry(bitCount: 25590)
        #expect(geometry.wordCount == 400)
        #expect(geometry.validBits(ofWord: 398) == .max)
        #expect(geometry.validBits(ofWord: 399) == 0x003f_ffff_ffff_ffff)
        #expect(geometry.validBits(ofWord: 400) == 0)
        #expect(BitmapGeometry(deviceSectors: .max).bitCount == 1 << 61)
    }
}
