internal import CYoke
package import EngineKit
internal import Glibc

/// The clocks of the system. Engines never see them: the reactor passes instants on.
package enum SystemClock {
    /// CLOCK_MONOTONIC.
    package static var now: Instant { Instant(nanoseconds: yoke_monotonic_nanoseconds()) }

    /// Seconds since 1970 of CLOCK_REALTIME.
    package static var realtimeSeconds: Int64 {
        var now = timespec()
        clock_gettime(CLOCK_REALTIME, &now)
        return Int64(now.tv_sec)
    }
}
