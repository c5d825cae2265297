import EngineKit
import Testing

@testable import Replication

/// Spec: drbd-disk-and-state 19.3, 19.4.
struct ResyncProgressTests {
    private func second(_ count: UInt64) -> Instant { Instant(nanoseconds: (1000 + count) * 1_000_000_000) }

    @Test("marks are set every 3 s if bits changed; the display counts from the oldest but one")
    func marks() {
        var progress = ResyncProgress(totalBits: 1000, now: second(0))
        progress.advance(leftBits: 990, now: second(2))
        #expect(progress.recentSpeed(leftBits: 980, now: second(2)) == 40)
        for step in 1...8 { progress.advance(leftBits: 1000 - UInt64(step) * 30, now: second(UInt64(step) * 3)) }
        // Marks at 3, 6 ... 24 s; the last is 24, so last + 2 is the one at 6 s.
        let mark = progress.displayMark(now: second(25))
        #expect(mark.leftBits == 940)
        #expect(mark.age == .seconds(19))
        // Since the mark at 21 s with 790 bits left.
        #expect(progress.recentSpeed(leftBits: 750, now: second(25)) == 40 / 4 * 4)
    }

    @Test("no mark while nothing changes or the resync is paused")
    func noMarks() {
        var progress = ResyncProgress(totalBits: 1000, now: second(0))
        progress.advance(leftBits: 1000, now: second(10))
        progress.pause(now: second(10))
        progress.advance(leftBits: 900, now: second(20))
        #expect(progress.displayMark(now: second(20)).leftBits == 1000)
        #expect(progress.displayMark(now: second(20)).age == .seconds(20))
    }

    @Test("pauses do not count as running time; the speed starts anew after them")
    func pauses() {
        var progress = ResyncProgress(totalBits: 1000, now: second(0))
        progress.pause(now: second(10))
        progress.pause(now: second(12))
        #expect(progress.runningTime(now: second(15)) == .seconds(10))
        progress.resume(leftBits: 500, now: second(30))
        #expect(progress.pausedTime(now: second(40)) == .seconds(20))
        #expect(progress.runningTime(now: second(40)) == .seconds(20))
        #expect(progress.displayMark(now: second(40)).age == .seconds(10))
        #expect(progress.recentSpeed(leftBits: 400, now: second(40)) == 40)
    }

    @Test("the line at the end")
    func doneText() {
        var progress = ResyncProgress(totalBits: 25600, now: second(0))
        progress.pause(now: second(2))
        progress.resume(leftBits: 100, now: second(5))
        #expect(
            progress.doneText(isVerify: false, now: second(13))
                == "Resync done (total 13 sec; paused 3 sec; 10240 K/sec)")
        progress.failedBits = 25600
        #expect(
            progress.doneText(isVerify: true, now: second(5))
                == "Online verify done (total 5 sec; paused 3 sec; 0 K/sec)")
        let fast = ResyncProgress(totalBits: 10, now: second(0))
        #expect(fast.doneText(isVerify: false, now: second(0)) == "Resync done (total 1 sec; paused 0 sec; 40 K/sec)")
    }

    @Test("bits that came back are no speed")
    func grew() {
        let progress = ResyncProgress(totalBits: 10, now: second(0))
        #expect(progress.recentSpeed(leftBits: 20, now: second(3)) == 0)
    }

    @Test("a resync above c-min-rate yields while others move more than 64 sectors or wait for the log")
    func throttle() {
        var throttle = ResyncThrottle()
        func yields(_ sectors: UInt64, waits: Bool = false, speed: Int = 251, rateMin: Int = 250) -> Bool {
            throttle.shouldYield(
                rateMin: rateMin, otherSectors: sectors, isWriteWaitingForLog: waits, speed: speed)
        }
        #expect(!yields(64))
        #expect(yields(65))
        #expect(!yields(129), "64 since the last time")
        #expect(yields(130))
        #expect(yields(130, waits: true))
        #expect(!yields(1000, speed: 250))
        #expect(!yields(1001), "that was remembered although it did not yield")
        #expect(!yields(9000, waits: true, rateMin: 0))
        #expect(yields(9000))
    }
}
