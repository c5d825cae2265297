import OCFS2Layout
import Testing

@Suite struct BitmapTests {
    /// Runs `body` on a bitmap of `bits` bits whose bytes come from `fill`.
    private func bitmap(
        _ bits: Int, bytes: Int? = nil, _ fill: (Int) -> UInt8 = { _ in 0 }, _ body: (BitmapView) -> Void
    ) {
        var storage = (0..<(bytes ?? (bits + 7) / 8)).map(fill)
        storage.withUnsafeMutableBytes { body(BitmapView($0, bitCount: bits)) }
    }

    @Test("ranges are set and cleared to the bit, at every offset and length", arguments: [200, 256, 77])
    func ranges(bits: Int) {
        for start in stride(from: 0, to: bits, by: 5) {
            for end in stride(from: start, through: bits, by: 3) {
                bitmap(bits) { map in
                    map.set(start..<end)
                    #expect((0..<bits).allSatisfy { map[$0] == (start..<end).contains($0) })
                    #expect(map.usedCount(in: 0..<bits) == end - start)
                    #expect(map.isUsed(start..<end))
                    map.clear(start..<end)
                    #expect(map.isFree(0..<bits))
                }
            }
        }
    }

    @Test("the first free and the first used bit are found across words, and none behind the range")
    func search() {
        bitmap(300) { map in
            #expect(map.firstFree(in: 0..<300) == 0)
            #expect(map.firstUsed(in: 0..<300) == nil)
            map.set(0..<299)
            #expect(map.firstFree(in: 0..<299) == nil)
            #expect(map.firstFree(in: 7..<300) == 299)
            #expect(map.firstUsed(in: 130..<300) == 130)
            #expect(map.firstFree(in: 5..<5) == nil)
        }
    }

    @Test("bits behind the bytes' last whole word are found too")
    func tail() {
        bitmap(77) { map in
            map.set(0..<76)
            #expect(map.firstFree(in: 0..<77) == 76)
            map.set(76..<77)
            #expect(map.firstFree(in: 0..<77) == nil)
        }
    }

    // Spec: ocfs2-disk 9.5 rule 1.
    @Test("a run of the wanted length comes before longer searching, the longest one when there is none")
    func runs() {
        bitmap(512) { map in
            map.set(0..<512)
            map.clear(10..<13)
            map.clear(60..<70)
            map.clear(120..<140)
            let all = 0..<512
            #expect(map.findRun(wanted: 1, in: all) == 10..<11)
            #expect(map.findRun(wanted: 4, in: all) == 60..<64)
            #expect(map.findRun(wanted: 10, in: all) == 60..<70)
            #expect(map.findRun(wanted: 15, in: all) == 120..<135)
            #expect(map.findRun(wanted: 100, in: all) == 120..<140)
            #expect(map.findRun(wanted: 100, minimum: 21, in: all) == nil)
            #expect(map.findRun(wanted: 8, in: 0..<66) == 60..<66)
            #expect(map.findRun(wanted: 5, in: 64..<512) == 64..<69)
        }
    }

    @Test("bits that the last commit still had in use are not handed out")
    func committed() {
        bitmap(128) { now in
            bitmap(128) { before in
                before.set(0..<64)
                now.set(100..<128)
                #expect(now.findRun(wanted: 50, in: 0..<128, committed: before) == 64..<100)
                #expect(now.findRun(wanted: 10, in: 0..<64, committed: before) == nil)
            }
        }
    }
}
