/// The time of day as files carry it.
package struct WallTime: Equatable, Hashable, Sendable {
    /// Since 1970, UTC.
    package var seconds: Int64
    /// 0 ... 999,999,999
    package var nanoseconds: UInt32

    package init(seconds: Int64, nanoseconds: UInt32) {
        self.seconds = seconds
        self.nanoseconds = nanoseconds
    }
}

/// What straight-line `async` code of an engine needs from the world: the reactor's in the daemon, a virtual one in
/// tests and simulators.
///
/// Everything is called on, and calls back on, the one executor that the environment stands for.
package protocol EngineEnvironment: AnyObject {
    var now: Instant { get }
    var wallTime: WallTime { get }
    var random: any RandomSource { get }

    /// Starts a task on this executor. It runs after the caller has given the thread back.
    func spawn(_ body: @escaping () async -> Void)
    /// Calls `body` on this executor at `instant`, or soon after. Cancel by ignoring the call.
    func call(at instant: Instant, _ body: @escaping () -> Void)
    func log(_ record: LogRecord)
}

extension EngineEnvironment {
    package func sleep(until instant: Instant) async {
        await withUnsafeContinuation { (continuation: UnsafeContinuation<Void, Never>) in
            call(at: instant) { continuation.resume() }
        }
    }

    package func log(_ level: LogLevel, _ text: String) {
        log(LogRecord(level, text))
    }

    /// Lets other tasks and completions of this executor run.
    package func yield() async {
        await sleep(until: now)
    }
}
