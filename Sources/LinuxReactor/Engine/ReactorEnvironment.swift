internal import CYoke
package import EngineKit
internal import Glibc

/// The world of straight-line engine code that lives on a ``Reactor``: its tasks, its timers, the system's clocks.
///
/// Confined to the reactor's thread, as everything that runs in it.
package final class ReactorEnvironment: EngineEnvironment {
    package let reactor: Reactor
    package let random: any RandomSource
    private let writeLog: (LogRecord) -> Void

    /// - Parameter log: called on the reactor's thread; must not block.
    package init(reactor: Reactor, random: any RandomSource = SystemRandom(), log: @escaping (LogRecord) -> Void) {
        self.reactor = reactor
        self.random = random
        writeLog = log
    }

    package var now: Instant { reactor.now }

    package var wallTime: WallTime {
        var time = timespec()
        clock_gettime(CLOCK_REALTIME, &time)
        return WallTime(seconds: Int64(time.tv_sec), nanoseconds: UInt32(time.tv_nsec))
    }

    package func spawn(_ body: @escaping () async -> Void) {
        reactor.preconditionOnThread()
        let parcel = TaskParcel(body: body)
        Task(executorPreference: reactor) { await parcel.body() }
    }

    package func call(at instant: Instant, _ body: @escaping () -> Void) {
        reactor.addTimer(at: instant, body)
    }

    package func log(_ record: LogRecord) {
        writeLog(record)
    }
}

/// `@unchecked Sendable`: made, run and dropped on the thread of one reactor.
private struct TaskParcel: @unchecked Sendable {
    let body: () async -> Void
}
