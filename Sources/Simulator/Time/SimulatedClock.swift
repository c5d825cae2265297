package import EngineKit

/// The monotonic clock of one host: starts anywhere and runs a little too fast or too slow.
///
/// Promise: every wait of the protocol is a span measured by one host alone (drbd-wire 20); no rule compares the
/// clocks of two hosts. So any start and any steady rate error must do no harm.
package struct SimulatedClock {
    /// Reading at world time 0, in nanoseconds.
    private let start: UInt64
    /// Rate error in parts per million.
    private let partsPerMillion: Int

    /// - Parameter partsPerMillion: above 0 is a clock that runs fast; more than -1,000,000.
    package init(startNanoseconds: UInt64, partsPerMillion: Int) {
        precondition(partsPerMillion > -1_000_000, "a clock that runs backwards")
        start = startNanoseconds
        self.partsPerMillion = partsPerMillion
    }

    /// What the clock shows at a time of the world.
    package func reading(at worldTime: UInt64) -> Instant {
        let quotient = Int64(worldTime / 1_000_000)
        let remainder = Int64(worldTime % 1_000_000)
        let error = quotient * Int64(partsPerMillion) + remainder * Int64(partsPerMillion) / 1_000_000
        return Instant(nanoseconds: start &+ worldTime &+ UInt64(bitPattern: error))
    }

    /// The first time of the world, not before `earliest`, at which the clock shows `instant` or more; nil for never.
    package func worldTime(of instant: Instant, notBefore earliest: UInt64) -> UInt64? {
        if reading(at: earliest) >= instant { return earliest }
        // Two hundred years ahead is never.
        guard instant.nanoseconds < start &+ (1 << 62) else { return nil }
        let span = instant.nanoseconds - start
        let guess = span.multipliedFullWidth(by: 1_000_000)
        var worldTime = UInt64(1_000_000 + partsPerMillion).dividingFullWidth(guess).quotient
        worldTime = max(worldTime, earliest)
        while reading(at: worldTime) < instant { worldTime += 1 }
        while worldTime > earliest, reading(at: worldTime - 1) >= instant { worldTime -= 1 }
        return worldTime
    }
}
