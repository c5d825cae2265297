internal import Glibc
package import Logging

/// SIGTERM and SIGINT end the daemon; SIGHUP is noted.
///
/// The signals are blocked before any other thread exists, so that none gets them, and the main thread waits for them.
package struct StopSignals {
    private var signals: sigset_t

    /// Call it on the main thread, before anything that may start a thread (a task does).
    package init() {
        signal(SIGPIPE, SIG_IGN)
        signals = sigset_t()
        sigemptyset(&signals)
        for number in [SIGTERM, SIGINT, SIGHUP] { sigaddset(&signals, number) }
        pthread_sigmask(SIG_BLOCK, &signals, nil)
    }

    /// Blocks until SIGTERM or SIGINT comes.
    package func waitForStop(logger: Logger) {
        var signals = signals
        while true {
            var number: Int32 = 0
            guard sigwait(&signals, &number) == 0 else { continue }
            if number != SIGHUP { return }
            logger.notice("SIGHUP: the configuration is read by each command; nothing is kept to be read again")
        }
    }

    /// Lets the process end at once by the next SIGTERM or SIGINT: a clean stop is under way already.
    package func release() {
        var signals = signals
        pthread_sigmask(SIG_UNBLOCK, &signals, nil)
    }
}
