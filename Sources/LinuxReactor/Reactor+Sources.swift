internal import CYoke
package import EngineKit
internal import Glibc

// What a reactor watches, and its timers.
extension Reactor {
    func watch(_ source: ReadinessSource) throws(SystemError) {
        preconditionOnThread()
        let cookie = readiness.add(source)
        if let ring { return ring.addPoll(source.descriptor, cookie) }
        do throws(SystemError) {
            try epoll.add(source.descriptor, cookie)
        } catch {
            _ = readiness.remove(source)
            throw error
        }
    }

    /// Has the kernel report once that the source has room to write.
    func awaitOutput(_ source: ReadinessSource) {
        source.isWritable = false
        guard !source.isAwaitingOutput else { return }
        source.isAwaitingOutput = true
        let cookie = readiness.cookie(of: source)
        if let ring {
            ring.addOutputPoll(source.descriptor, cookie)
        } else {
            epoll.setOutput(true, source.descriptor, cookie)
        }
    }

    /// Stops watching; the descriptor, which the caller closes.
    @discardableResult
    func removeSource(_ source: ReadinessSource) -> Int32 {
        let (descriptor, cookie) = readiness.remove(source)
        guard let cookie else { return descriptor }
        if let ring {
            ring.removePoll(cookie)
            if source.isAwaitingOutput { ring.removePoll(cookie.output) }
        } else {
            epoll.remove(descriptor)
        }
        return descriptor
    }

    /// Stops watching and closes a socket.
    func closeSocket(_ source: ReadinessSource) {
        preconditionOnThread()
        let descriptor = removeSource(source)
        guard descriptor >= 0 else { return }
        // The ring holds the file until the end of the round. A connection can wait for that; a port may be wanted
        // again at once.
        if ring != nil && source is ListeningSocket { _ = shutdown(descriptor, Int32(SHUT_RDWR)) }
        Glibc.close(descriptor)
    }

    /// Has the source told in the next round if it has something to tell.
    func queueIfReady(_ source: ReadinessSource) {
        guard !source.isQueued, source.wantsDelivery else { return }
        source.isQueued = true
        ready.append(source)
    }

    /// When ``ReactorOwner/deadlineReached(_:)`` is wanted; replaces the last one. Nil: not at all.
    package func setDeadline(_ instant: Instant?) {
        preconditionOnThread()
        deadline = instant
    }

    /// Runs `action` on the reactor's thread at `instant`. Equal instants run in the order they were added. For what
    /// happens seldom; an engine keeps its own timers behind ``setDeadline(_:)``.
    @discardableResult
    package func addTimer(at instant: Instant, _ action: @escaping () -> Void) -> ReactorTimer {
        preconditionOnThread()
        return timers.add(deadline: instant, action: action)
    }

    /// Nothing happens when the timer ran already.
    package func cancel(_ timer: ReactorTimer) {
        preconditionOnThread()
        timers.cancel(timer)
    }
}
