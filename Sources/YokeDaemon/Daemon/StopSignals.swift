internal import Glibc
package import Logging
internal import NIOPosix

/// SIGTERM and SIGINT end the daemon; SIGHUP is noted. Made before any other thread, so that none gets them.
package final class StopSignals: Sendable {
    /// An empty object means that the signals are blocked in all threads made from now on.
    package init() {
        signal(SIGPIPE, SIG_IGN)
        var signals = Self.set
        pthread_sigmask(SIG_BLOCK, &signals, nil)
    }

    private static var set: sigset_t {
        var signals = sigset_t()
        sigemptyset(&signals)
        for number in [SIGTERM, SIGINT, SIGHUP] { sigaddset(&signals, number) }
        return signals
    }

    /// Returns when SIGTERM or SIGINT came.
    package func waitForStop(logger: Logger) async {
        _ = try? await NIOThreadPool.singleton.runIfActive {
            var signals = Self.set
            while true {
                var number: Int32 = 0
                guard sigwait(&signals, &number) == 0 else { continue }
                if number != SIGHUP { return }
                logger.notice("SIGHUP: the configuration is read by each command; nothing is kept to be read again")
            }
        }
    }
}
