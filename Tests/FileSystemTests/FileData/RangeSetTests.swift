import EngineKit
import Testing

@testable import FileSystem

@Suite("Sets of ranges")
struct RangeSetTests {
    @Test("Random inserts and removals equal a set of numbers", arguments: 1...8)
    func random(seed: Int) {
        let random = SeededRandom(seed: UInt64(seed))
        var set = RangeSet()
        var model = [Bool](repeating: false, count: 200)
        for _ in 0..<400 {
            let start = random.next(below: 199)
            let range = start..<min(200, start + random.next(below: 30))
            let isInsert = random.next(below: 2) == 0
            if isInsert { set.insert(range) } else { set.remove(range) }
            for number in range { model[Int(number)] = isInsert }
            for number in 0..<200 { #expect(set.contains(UInt64(number)) == model[number]) }
            for (first, second) in zip(set.ranges, set.ranges.dropFirst()) {
                #expect(first.upperBound < second.lowerBound)
            }
            #expect(set.count == UInt64(model.count { $0 }))
            let asked = random.next(below: 100)..<100 + random.next(below: 100)
            let parts = set.parts(in: asked), gaps = set.gaps(in: asked)
            #expect(parts.reduce(0) { $0 + $1.count } + gaps.reduce(0) { $0 + $1.count } == asked.count)
            #expect(parts.allSatisfy { set.contains($0) } && !gaps.contains { set.overlaps($0) })
            #expect(set.overlaps(asked) == !parts.isEmpty)
        }
    }
}
