/// A point on a monotonic time line, in nanoseconds since an arbitrary start.
///
/// The reactor takes it from `CLOCK_MONOTONIC`, the simulator from its own virtual clock. Engines never ask for the
/// time: every input carries it.
package struct Instant: Comparable, Hashable, Sendable {
    /// Nanoseconds since the start of the time line.
    package var nanoseconds: UInt64

    package init(nanoseconds: UInt64) {
        self.nanoseconds = nanoseconds
    }

    package static let zero = Instant(nanoseconds: 0)
    /// Later than every instant that can be reached.
    package static let distantFuture = Instant(nanoseconds: .max)

    package static func < (left: Instant, right: Instant) -> Bool {
        left.nanoseconds < right.nanoseconds
    }

    /// The instant `duration` later; stays at ``distantFuture`` when it would run over.
    package static func + (left: Instant, duration: Duration) -> Instant {
        let (sum, overflow) = left.nanoseconds.addingReportingOverflow(duration.nanosecondsClamped)
        return overflow ? .distantFuture : Instant(nanoseconds: sum)
    }

    /// The time from `earlier` to `later`; zero when `later` is not later.
    package static func - (later: Instant, earlier: Instant) -> Duration {
        guard later > earlier else { return .zero }
        return .nanoseconds(Int64(clamping: later.nanoseconds - earlier.nanoseconds))
    }
}

extension Duration {
    /// The whole duration in nanoseconds, negative ones as 0, too long ones as the largest number.
    package var nanosecondsClamped: UInt64 {
        let (seconds, attoseconds) = components
        guard seconds >= 0, attoseconds >= 0 else { return 0 }
        let (product, overflow) = UInt64(seconds).multipliedReportingOverflow(by: 1_000_000_000)
        if overflow { return .max }
        let (sum, carried) = product.addingReportingOverflow(UInt64(attoseconds / 1_000_000_000))
        return carried ? .max : sum
    }

    /// `count` tenths of a second, the unit of many options of the field.
    package static func deciseconds(_ count: Int) -> Duration {
        .milliseconds(100 * count)
    }
}
