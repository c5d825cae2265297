import DRBDLayout
import EngineKit
import Testing

@testable import Replication

/// Spec: drbd-wire 10.
struct BitmapTransferTests {
    private struct Sent: Equatable {
        let packet: BitmapSender.Packet
        let bytes: [UInt8]
    }

    private func send(_ bitmap: Bitmap, compressed: Bool, header: Int = 16, disturb: () -> Void = {}) -> [Sent] {
        var sender = BitmapSender(bitmap: bitmap, useRunLengthEncoding: compressed, headerByteCount: header)
        var room = [UInt8](repeating: 0, count: 4096)
        var sent: [Sent] = []
        while let packet = room.withUnsafeMutableBytes({ sender.next(into: $0) }) {
            let count =
                switch packet {
                case .plain(let count), .compressed(let count): count
                }
            sent.append(Sent(packet: packet, bytes: Array(room[..<count])))
            disturb()
        }
        #expect(sender.isComplete)
        return sent
    }

    private typealias Failure = BitmapReceiver.Failure

    private func feed(_ bytes: [UInt8], isPlain: Bool, to receiver: inout BitmapReceiver) -> Failure? {
        bytes.withUnsafeBytes { buffer in
            do throws(Failure) {
                if isPlain { try receiver.receivePlain(buffer) } else { try receiver.receiveCompressed(buffer) }
                return nil
            } catch {
                return error
            }
        }
    }

    /// Whether the transfer was complete and without fault.
    private func receive(_ sent: [Sent], into bitmap: Bitmap, header: Int = 16) -> Bool {
        var receiver = BitmapReceiver(bitmap: bitmap, headerByteCount: header)
        for packet in sent {
            let isPlain =
                switch packet.packet {
                case .plain: true
                case .compressed: false
                }
            if let failure = feed(packet.bytes, isPlain: isPlain, to: &receiver) {
                Issue.record(failure)
                return false
            }
        }
        return receiver.isComplete
    }

    private func copy(_ bitmap: Bitmap) -> [UInt8] {
        var bytes = [UInt8](repeating: 0, count: bitmap.wordCount * 8)
        bytes.withUnsafeMutableBytes { bitmap.copyWords(0..<bitmap.wordCount, into: $0) }
        return bytes
    }

    /// Bits of the worked example of 10.3.
    private func example() -> Bitmap {
        let bitmap = Bitmap(sectors: 204_720)
        for bits in [0..<16, 100..<103, 300..<301, 5000..<5002, 9000..<9001] { bitmap.setBits(bits) }
        return bitmap
    }

    static let plainLengths: [(sectors: UInt64, header: Int, lengths: [Int])] = [
        (204_720, 16, [3200, 0]), (614_304, 16, [4080, 4080, 1440, 0]), (614_304, 8, [4088, 4088, 1424, 0]),
        (0, 16, [0]),
    ]

    @Test("plain packets as seen: full ones, the rest, and an empty one", arguments: plainLengths)
    func plain(sectors: UInt64, header: Int, lengths: [Int]) {
        let sent = send(Bitmap(sectors: sectors), compressed: false, header: header)
        #expect(sent.map(\.packet) == lengths.map { .plain(byteCount: $0) })
    }

    @Test("the code of the worked example, in one packet without an end packet")
    func golden() {
        let sent = send(example(), compressed: true)
        #expect(
            sent == [
                Sent(
                    packet: .compressed(byteCount: 16),
                    bytes: [
                        0xd2, 0xf7, 0x6f, 0x24, 0x1f, 0x25, 0x3f, 0x2a, 0xd1, 0x9f, 0x36, 0xc7, 0x1f, 0xe7, 0x07, 0x00,
                    ])
            ])
        let all = Bitmap(sectors: 204_720)
        all.setAll()
        #expect(send(all, compressed: true).map(\.bytes) == [[0xb2, 0x7f, 0xc5, 0x42, 0x00]])
        let received = Bitmap(sectors: 204_720)
        #expect(receive(sent, into: received))
        #expect(copy(received) == copy(example()))
    }

    @Test("what is received is added to what was set")
    func merges() {
        for compressed in [true, false] {
            let target = Bitmap(sectors: 204_720)
            target.setBits(200..<250)
            #expect(receive(send(example(), compressed: compressed), into: target))
            #expect(target.setBitCount == 23 + 50)
            #expect(target.isSet(220) && target.isSet(9000))
        }
    }

    @Test("bits that do not compress go plain, the rest in code; both sides keep the place", arguments: 0..<40)
    func mixed(seed: Int) {
        let random = SeededRandom(seed: UInt64(seed))
        let sectors = 8 * (1 + random.next(below: 400_000)) - random.next(below: 8)
        let bitmap = Bitmap(sectors: sectors)
        var bit = 0
        while bit < bitmap.bitCount {
            let end = min(bitmap.bitCount, bit + 1 + Int(random.next(below: 60000)))
            switch random.next(below: 3) {
            case 0: for noisy in bit..<end where random.next(below: 2) == 0 { bitmap.setBits(noisy..<noisy + 1) }
            case 1: bitmap.setBits(bit..<end)
            default: break
            }
            bit = end
        }
        let header = seed % 2 == 0 ? 16 : 8
        let sent = send(bitmap, compressed: true, header: header)
        let target = Bitmap(sectors: sectors)
        #expect(receive(sent, into: target, header: header))
        #expect(copy(target) == copy(bitmap))
        #expect(target.setBitCount == bitmap.setBitCount)
        #expect(sent.allSatisfy { $0.bytes.count <= 4096 - header })
    }

    @Test("bits set while the transfer runs do no harm")
    func disturbed() {
        let random = SeededRandom(seed: 3)
        let bitmap = Bitmap(sectors: 8 * 300_000)
        for _ in 0..<50000 { bitmap.setOutOfSync(sector: random.next(below: 8 * 300_000), byteCount: 512) }
        let before = copy(bitmap)
        let sent = send(bitmap, compressed: true) {
            for _ in 0..<100 { bitmap.setOutOfSync(sector: random.next(below: 8 * 300_000), byteCount: 512) }
        }
        let target = Bitmap(sectors: 8 * 300_000)
        #expect(receive(sent, into: target))
        let after = copy(target)
        #expect(zip(before, after).allSatisfy { $0 & ~$1 == 0 })
    }

    @Test("a plain packet of another length is refused", arguments: [0, 8, 4072, 4079, 4088])
    func badLength(length: Int) {
        var receiver = BitmapReceiver(bitmap: Bitmap(sectors: 614_304))
        let failure = feed(Array(repeating: 0xff, count: length), isPlain: true, to: &receiver)
        #expect(failure == .badLength(found: length, expected: 4080, position: 0))
        #expect(failure?.description == "P_BITMAP of \(length) bytes at word 0, expected 4080")
    }

    @Test("bits beyond the device in a plain packet are ignored")
    func padding() {
        let bitmap = Bitmap(sectors: 101)
        var receiver = BitmapReceiver(bitmap: bitmap)
        let first = feed(Array(repeating: 0xff, count: 8), isPlain: true, to: &receiver)
        #expect(first == nil)
        #expect(bitmap.setBitCount == 13)
        #expect(!receiver.isComplete)
        let end = feed([], isPlain: true, to: &receiver)
        #expect(end == nil)
        #expect(receiver.isComplete)
    }

    private let allSet: [UInt8] = [0xb2, 0x7f, 0xc5, 0x42, 0x00]

    @Test(
        "code that is wrong or cut off is refused",
        arguments: [
            [0xb3, 0x7f, 0xc5, 0x42, 0x00], [0xb2], [], [0xb2, 0x7f],
        ] as [[UInt8]])
    func badCode(bytes: [UInt8]) {
        var receiver = BitmapReceiver(bitmap: Bitmap(sectors: 204_720))
        let failure = feed(bytes, isPlain: false, to: &receiver)
        guard case .badCode(_, position: 0) = failure else {
            Issue.record("\(String(describing: failure))")
            return
        }
    }

    @Test("a run beyond the end is refused, and whatever comes after the end")
    func beyondTheEnd() {
        var small = BitmapReceiver(bitmap: Bitmap(sectors: 204_712))
        let tooLong = feed(allSet, isPlain: false, to: &small)
        #expect(tooLong != nil)
        for isPlain in [true, false] {
            var done = BitmapReceiver(bitmap: Bitmap(sectors: 204_720))
            let first = feed(allSet, isPlain: false, to: &done)
            #expect(first == nil)
            let second = feed(allSet, isPlain: isPlain, to: &done)
            #expect(second == .afterEnd)
        }
    }

    @Test("random bytes never trap")
    func hostile() {
        let random = SeededRandom(seed: 9)
        for _ in 0..<2000 {
            let bitmap = Bitmap(sectors: 1 + random.next(below: 100_000))
            var receiver = BitmapReceiver(bitmap: bitmap)
            for _ in 0..<3 {
                var bytes = (0..<Int(random.next(below: 40))).map { _ in UInt8(truncatingIfNeeded: random.next()) }
                if !bytes.isEmpty && random.next(below: 4) != 0 { bytes[0] = bytes[0] & 0xf0 | 2 }
                _ = feed(bytes, isPlain: false, to: &receiver)
            }
            #expect(bitmap.setBitCount <= bitmap.bitCount)
        }
    }
}
