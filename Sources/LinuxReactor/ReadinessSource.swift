internal import CYoke
internal import Glibc

/// A descriptor that the reactor watches for readiness.
///
/// The kernel reports edges; the source remembers them as levels (`isReadable`, `isWritable`) until a call on the
/// descriptor says that it would block. So pausing and arming cost no system call, and what a handler left unread is
/// offered again in the next round.
package class ReadinessSource {
    /// -1 after ``ReadinessTable/remove(_:)``.
    fileprivate(set) final var descriptor: Int32
    /// Bytes (or a connection) may wait.
    final var isReadable = false
    /// The last write did not fill the descriptor.
    final var isWritable = false
    /// The peer ended its direction, or the descriptor failed. From then on `isReadable` is only cleared by a call that
    /// returned nothing, because no further edge will come.
    final var hasHungUp = false
    /// Waits in the reactor's list of sources to be delivered.
    final var isQueued = false
    fileprivate final var slot = -1

    init(descriptor: Int32) {
        self.descriptor = descriptor
    }

    /// Whether ``deliver()`` has something to tell.
    var wantsDelivery: Bool { false }

    /// Tells the handler. It may close any source, this one included.
    func deliver() {}
}

/// All watched descriptors of a reactor, in one epoll set.
///
/// A cookie is the slot and its generation, so that an event that was taken from the kernel before its source was
/// closed reaches nobody.
struct ReadinessTable {
    private struct Slot {
        var generation: UInt32 = 0
        var source: ReadinessSource?
    }

    /// The epoll descriptor; pollable itself.
    let descriptor: Int32
    private var slots: [Slot] = []
    private var vacant: [Int] = []
    private let events: UnsafeMutablePointer<epoll_event>
    private static let eventsMax = 256

    init() throws(SystemError) {
        descriptor = yoke_epoll_create()
        guard descriptor >= 0 else { throw SystemError(operation: "epoll_create1", code: errno) }
        events = .allocate(capacity: Self.eventsMax)
        events.initialize(repeating: epoll_event(), count: Self.eventsMax)
    }

    /// Watches both directions of the source's descriptor, from now until ``remove(_:)``.
    mutating func add(_ source: ReadinessSource) throws(SystemError) {
        precondition(source.slot < 0, "source is watched already")
        let index: Int
        if let free = vacant.popLast() {
            index = free
        } else {
            index = slots.count
            slots.append(Slot())
        }
        let interest = YOKE_EPOLL_IN | YOKE_EPOLL_OUT | YOKE_EPOLL_PEER_HANG_UP | YOKE_EPOLL_EDGE
        let cookie = UInt64(index) | UInt64(slots[index].generation) << 32
        guard yoke_epoll_add(descriptor, source.descriptor, interest, cookie) == 0 else {
            let code = errno
            vacant.append(index)
            throw SystemError(operation: "epoll_ctl", code: code)
        }
        slots[index].source = source
        source.slot = index
    }

    /// Stops watching. The caller closes the descriptor, which is returned.
    mutating func remove(_ source: ReadinessSource) -> Int32 {
        let closing = source.descriptor
        source.descriptor = -1
        guard source.slot >= 0 else { return closing }
        precondition(slots[source.slot].source === source, "source of another reactor")
        _ = yoke_epoll_remove(descriptor, closing)
        slots[source.slot].source = nil
        slots[source.slot].generation &+= 1
        vacant.append(source.slot)
        source.slot = -1
        return closing
    }

    /// Takes the events that are there, waiting for the first at most `nanoseconds` (negative: without limit), and
    /// appends the sources that now want delivery to `ready`. Returns false when more events may wait.
    mutating func wait(nanoseconds: Int64, into ready: inout [ReadinessSource]) -> Bool {
        let count = retryingInterrupted {
            Int(yoke_epoll_wait(descriptor, events, Int32(Self.eventsMax), nanoseconds))
        }
        precondition(count >= 0, "epoll_wait failed with error \(-count)")
        for index in 0..<count {
            note(events[index].events, cookie: yoke_epoll_event_cookie(events + index), into: &ready)
        }
        return count < Self.eventsMax
    }

    private mutating func note(_ events: UInt32, cookie: UInt64, into ready: inout [ReadinessSource]) {
        let slot = slots[Int(cookie & 0xffff_ffff)]
        guard slot.generation == UInt32(cookie >> 32), let source = slot.source else { return }
        if events & (YOKE_EPOLL_ERROR | YOKE_EPOLL_HANG_UP) != 0 {
            source.hasHungUp = true
            source.isReadable = true
            source.isWritable = true
        }
        if events & YOKE_EPOLL_PEER_HANG_UP != 0 {
            source.hasHungUp = true
            source.isReadable = true
        }
        if events & YOKE_EPOLL_IN != 0 { source.isReadable = true }
        if events & YOKE_EPOLL_OUT != 0 { source.isWritable = true }
        if !source.isQueued && source.wantsDelivery {
            source.isQueued = true
            ready.append(source)
        }
    }

    /// Every source that is watched.
    var sources: [ReadinessSource] { slots.compactMap(\.source) }

    func destroy() {
        close(descriptor)
        events.deallocate()
    }
}
