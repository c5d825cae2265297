internal import EngineKit

/// Counts the tasks that work for a mount without a caller, so that an unmount can wait for them.
final class BackgroundTasks {
    private(set) var running = 0
    private let ended = AsyncSignal()
    /// Set by the unmount: no timer starts anything any more.
    var isClosing = false

    var isIdle: Bool { running == 0 }

    func start(_ environment: any EngineEnvironment, _ body: @escaping () async -> Void) {
        running += 1
        environment.spawn { [self] in
            await body()
            running -= 1
            if running == 0 { ended.notify() }
        }
    }

    /// Returns when none is running.
    func wait() async {
        while running > 0 { await ended.wait() }
    }
}
