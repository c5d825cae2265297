package import EngineKit

/// How far a resync or verify is: what was to do, what is left at eight moments, pauses.
/// Spec: drbd-disk-and-state 19.3, 19.4; drbd-config-and-tools 15.
package struct ResyncProgress: Equatable, Sendable {
    private struct Mark: Equatable {
        var time: Instant
        var leftBits: UInt64
    }

    private static let markCount = 8
    private static let markStep = Duration.seconds(3)

    /// Bits at the start.
    package let totalBits: UInt64
    /// Bits whose blocks could not be synced.
    package var failedBits: UInt64 = 0

    private let start: Instant
    private var pausedSince: Instant?
    private var pausedTime = Duration.zero
    private var marks: [Mark]
    private var lastMark = 0

    package init(totalBits: UInt64, now: Instant) {
        self.totalBits = totalBits
        start = now
        marks = Array(repeating: Mark(time: now, leftBits: totalBits), count: Self.markCount)
    }

    /// Notes what is left: at most every 3 s, only if it changed, not in a pause.
    package mutating func advance(leftBits: UInt64, now: Instant) {
        guard pausedSince == nil, now - marks[lastMark].time >= Self.markStep, marks[lastMark].leftBits != leftBits
        else { return }
        lastMark = (lastMark + 1) % Self.markCount
        marks[lastMark] = Mark(time: now, leftBits: leftBits)
    }

    package mutating func pause(now: Instant) {
        if pausedSince == nil { pausedSince = now }
    }

    /// The resync goes on; what was before the pause tells nothing about its speed.
    package mutating func resume(leftBits: UInt64, now: Instant) {
        guard let since = pausedSince else { return }
        pausedTime += now - since
        pausedSince = nil
        marks = Array(repeating: Mark(time: now, leftBits: leftBits), count: Self.markCount)
        lastMark = 0
    }

    /// Time in pauses.
    package func pausedTime(now: Instant) -> Duration {
        pausedTime + (pausedSince.map { now - $0 } ?? .zero)
    }

    /// Time since the start without pauses.
    package func runningTime(now: Instant) -> Duration {
        max(.zero, (now - start) - pausedTime(now: now))
    }

    /// The moment that the speed of /proc/drbd counts from: the oldest but one.
    package func displayMark(now: Instant) -> (leftBits: UInt64, age: Duration) {
        let mark = marks[(lastMark + 2) % Self.markCount]
        return (mark.leftBits, now - mark.time)
    }

    /// KiB/s since the mark before the last one; the resync's own speed as ``ResyncThrottle`` sees it.
    package func recentSpeed(leftBits: UInt64, now: Instant) -> Int {
        let mark = marks[(lastMark + Self.markCount - 1) % Self.markCount]
        return Self.speed(bits: mark.leftBits > leftBits ? mark.leftBits - leftBits : 0, time: now - mark.time)
    }

    /// The line at the end, without the failed blocks: `Resync done (total 12 sec; paused 0 sec; 102400 K/sec)`.
    package func doneText(isVerify: Bool, now: Instant) -> String {
        let running = Self.seconds(runningTime(now: now))
        let paused = pausedTime(now: now).components.seconds
        let speed = Self.speed(bits: totalBits - min(totalBits, failedBits), time: runningTime(now: now))
        return "\(isVerify ? "Online verify" : "Resync") done (total \(running + Int(paused)) sec; "
            + "paused \(paused) sec; \(speed) K/sec)"
    }

    /// Whole seconds, at least one.
    private static func seconds(_ time: Duration) -> Int { max(1, Int(time.components.seconds)) }

    /// KiB/s.
    private static func speed(bits: UInt64, time: Duration) -> Int { Int(bits) / seconds(time) * 4 }
}

/// `c-min-rate`: whether a resync that is faster than that yields to other I/O. Spec: drbd-disk-and-state 19.3.
package struct ResyncThrottle: Equatable, Sendable {
    /// Sectors of other I/O that do not count as activity.
    private static let idleSectors: UInt64 = 64

    private var otherSectorsSeen: UInt64 = 0

    package init() {}

    /// - Parameters:
    ///   - rateMin: KiB/s; 0 never yields.
    ///   - otherSectors: transferred with the backing device by others than the resync, a running sum.
    ///   - isWriteWaitingForLog: an application write waits for the activity log.
    ///   - speed: of the resync, KiB/s.
    package mutating func shouldYield(
        rateMin: Int, otherSectors: UInt64, isWriteWaitingForLog: Bool, speed: Int
    ) -> Bool {
        guard rateMin > 0 else { return false }
        guard isWriteWaitingForLog || otherSectors &- otherSectorsSeen > Self.idleSectors else { return false }
        otherSectorsSeen = otherSectors
        return speed > rateMin
    }
}
