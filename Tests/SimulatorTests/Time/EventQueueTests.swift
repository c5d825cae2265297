import EngineKit
import Simulator
import Testing

@Suite("Event queue")
struct EventQueueTests {
    @Test("events come by time, and at one time in the order in which they were added")
    func order() {
        var queue = EventQueue<Int>()
        for (event, time) in [(1, 30), (2, 10), (3, 20), (4, 10), (5, 30), (6, 10)] {
            queue.add(event, at: UInt64(time))
        }
        var seen: [Int] = []
        while let (_, event) = queue.popNext() { seen.append(event) }
        #expect(seen == [2, 4, 6, 3, 1, 5])
    }

    @Test("many events leave in the order that a stable sort gives")
    func manyEvents() {
        var random = SimulationRandom(seed: 7, stream: 0)
        var queue = EventQueue<Int>()
        var expected: [(time: Int, event: Int)] = []
        for event in 0..<2000 {
            let time = random.below(100)
            queue.add(event, at: UInt64(time))
            expected.append((time, event))
        }
        expected.sort { $0.time != $1.time ? $0.time < $1.time : $0.event < $1.event }
        for entry in expected { #expect(queue.popNext()?.event == entry.event) }
        #expect(queue.isEmpty)
    }
}

@Suite("Simulated clock")
struct SimulatedClockTests {
    @Test(
        "the world time of a reading is the first at which the clock shows it", arguments: [-20_000, -1, 0, 3, 15_000])
    func inverse(partsPerMillion: Int) throws {
        let clock = SimulatedClock(startNanoseconds: 5_000_000_000, partsPerMillion: partsPerMillion)
        for worldTime: UInt64 in [0, 1, 999, 1_000_000, 123_456_789_012] {
            let reading = clock.reading(at: worldTime)
            let found = try #require(clock.worldTime(of: reading, notBefore: 0))
            #expect(clock.reading(at: found) >= reading)
            #expect(found == 0 || clock.reading(at: found - 1) < reading)
        }
    }

    @Test("a fast clock gains what its error says")
    func gain() {
        let clock = SimulatedClock(startNanoseconds: 0, partsPerMillion: 500)
        #expect(clock.reading(at: 2_000_000_000).nanoseconds == 2_001_000_000)
    }

    @Test("a time that is never reached has no world time")
    func never() {
        let clock = SimulatedClock(startNanoseconds: 0, partsPerMillion: 0)
        #expect(clock.worldTime(of: .distantFuture, notBefore: 0) == nil)
    }
}

extension SimulatedClockTests {
    @Test("skewed numbers stay in their range and prefer the small end")
    func skewed() {
        var random = SimulationRandom(seed: 1, stream: 1)
        var small = 0
        for _ in 0..<1000 {
            let number = random.skewed(3, 1000)
            #expect((3...1000).contains(number))
            if number < 100 { small += 1 }
        }
        #expect(small > 500)
    }
}
