internal import CYoke
internal import Glibc

/// One thing that the kernel reported.
struct PolledEvent {
    var cookie: Cookie
    /// EPOLLIN and so on, which are the POLLIN and so on of poll(2).
    var events: UInt32
}

/// Readiness by epoll, edge-triggered.
final class EpollPoller {
    private let descriptor: Int32
    private let events: UnsafeMutablePointer<epoll_event>
    private static let eventsMax = 256

    init() throws(SystemError) {
        descriptor = yoke_epoll_create()
        guard descriptor >= 0 else { throw SystemError(operation: "epoll_create1", code: errno) }
        events = .allocate(capacity: Self.eventsMax)
        events.initialize(repeating: epoll_event(), count: Self.eventsMax)
    }

    deinit {
        Glibc.close(descriptor)
        events.deallocate()
    }

    func add(_ watched: Int32, _ cookie: Cookie) throws(SystemError) {
        guard yoke_epoll_add(descriptor, watched, YOKE_POLL_INPUT | YOKE_EPOLL_EDGE, cookie.bits) == 0 else {
            throw SystemError(operation: "epoll_ctl", code: errno)
        }
    }

    /// Reports room to write too, or no more.
    func setOutput(_ isWanted: Bool, _ watched: Int32, _ cookie: Cookie) {
        let events = YOKE_POLL_INPUT | YOKE_EPOLL_EDGE | (isWanted ? YOKE_EPOLL_OUT : 0)
        let status = yoke_epoll_modify(descriptor, watched, events, cookie.bits)
        precondition(status == 0, "epoll_ctl: error \(errno)")
    }

    func remove(_ watched: Int32) {
        _ = yoke_epoll_remove(descriptor, watched)
    }

    /// Appends what is there, waiting for the first event at most `nanoseconds` (negative: without limit).
    func wait(nanoseconds: Int64, into found: inout [PolledEvent]) {
        let count = yoke_epoll_wait(descriptor, events, Int32(Self.eventsMax), nanoseconds)
        precondition(count >= 0 || errno == EINTR, "epoll_wait: error \(errno)")
        for index in 0..<max(0, Int(count)) {
            found.append(
                PolledEvent(
                    cookie: Cookie(bits: yoke_epoll_event_cookie(events + index)), events: events[index].events))
        }
    }
}
