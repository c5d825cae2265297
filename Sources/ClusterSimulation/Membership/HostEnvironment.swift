internal import EngineKit
internal import EngineSimulation

/// The environment of one host among several on one time line: nothing runs on it while it is off, and what is due while it
/// stands still runs when it goes on.
final class HostEnvironment: EngineEnvironment {
    private let base: VirtualEnvironment
    private(set) var isOff = false
    private var asleepUntil = Instant.zero

    init(_ base: VirtualEnvironment) {
        self.base = base
    }

    var now: Instant { base.now }
    var wallTime: WallTime { base.wallTime }
    var random: any RandomSource { base.random }
    var isAsleep: Bool { base.now < asleepUntil }

    /// Nothing runs any more.
    func turnOff() {
        isOff = true
    }

    /// Nothing runs for a while: a stopped process, a paused machine.
    func sleep(for length: Duration) {
        asleepUntil = max(asleepUntil, base.now + length)
    }

    func spawn(_ body: @escaping () async -> Void) {
        guard !isOff else { return }
        base.spawn(body)
    }

    func call(at instant: Instant, _ body: @escaping () -> Void) {
        guard !isOff else { return }
        base.call(at: instant) { [self] in
            guard !isOff else { return }
            if isAsleep { call(at: asleepUntil, body) } else { body() }
        }
    }

    func log(_ record: LogRecord) {
        base.log(record)
    }
}
