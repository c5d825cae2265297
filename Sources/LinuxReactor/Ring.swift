internal import CYoke
internal import Glibc

/// Disk calls and readiness by one io_uring. Confined to the thread that made it.
///
/// Readiness is a multishot poll for each descriptor: one request reports every edge. A ping-pong over loopback took
/// 14.0 us a round trip so, 14.5 with epoll, 15.6 with an epoll descriptor that is polled by the ring.
///
/// **Limits.** Disk calls under way are at most half the completion queue, so that it never overflows by them; more
/// wait here, in order. When the submission queue is full, it is submitted.
final class Ring {
    private let ring: UnsafeMutablePointer<io_uring>
    private let diskCallsMax: Int
    private var diskCallsUnderWay = 0
    private var waiting: [DiskCall] = []
    private var firstWaiting = 0
    /// Reaped while room was made, told by the next ``wait(nanoseconds:events:results:)``.
    private var reapedEvents: [PolledEvent] = []
    private var reapedResults: [DiskCallResult] = []
    /// Polls that the kernel ended and that must be asked for again if their source still lives.
    private var endedPolls: [Cookie] = []

    /// Errors: ENOSYS, EPERM where io_uring is missing or switched off; ENOMEM.
    init(entryCount: Int) throws(SystemError) {
        ring = .allocate(capacity: 1)
        ring.initialize(to: io_uring())
        let status = yoke_ring_create(ring, UInt32(entryCount))
        guard status == 0 else {
            ring.deallocate()
            throw SystemError(operation: "io_uring_setup", code: -status)
        }
        diskCallsMax = Int(yoke_ring_completion_entries(ring)) / 2
    }

    deinit {
        io_uring_queue_exit(ring)
        ring.deallocate()
    }

    /// Whether this process may have a ring.
    static let isAvailable: Bool = {
        do throws(SystemError) {
            _ = try Ring(entryCount: 8)
            return true
        } catch {
            return false
        }
    }()

    /// Disk calls that the kernel has.
    var isIdle: Bool { diskCallsUnderWay == 0 && firstWaiting == waiting.count }
}

// MARK: Requests

extension Ring {
    /// Calls without a request of the ring go to a worker.
    static func canMake(_ opcode: DiskCall.Opcode) -> Bool {
        switch opcode {
        case .read, .write, .writeDurable, .synchronize, .punchHole, .zeroRange: true
        case .discardBlocks: false
        }
    }

    /// Queues a disk call for the next submission.
    func add(_ call: DiskCall) {
        guard diskCallsUnderWay < diskCallsMax, firstWaiting == waiting.count else {
            waiting.append(call)
            return
        }
        prepare(call)
    }

    private func prepare(_ call: DiskCall) {
        diskCallsUnderWay += 1
        let entry = nextEntry()
        let count = UInt32(clamping: call.byteCount)
        let cookie = call.cookie.bits
        switch call.opcode {
        case .read:
            yoke_ring_prepare_read(entry, call.descriptor, call.address, count, call.offset, cookie)
        case .write:
            yoke_ring_prepare_write(entry, call.descriptor, call.address, count, call.offset, 0, cookie)
        case .writeDurable:
            yoke_ring_prepare_write(
                entry, call.descriptor, call.address, count, call.offset, YOKE_WRITE_DURABLE, cookie)
        case .synchronize:
            yoke_ring_prepare_synchronize(entry, call.descriptor, cookie)
        case .punchHole:
            yoke_ring_prepare_allocate(
                entry, call.descriptor, YOKE_PUNCH_HOLE, call.offset, UInt64(call.byteCount), cookie)
        case .zeroRange:
            yoke_ring_prepare_allocate(
                entry, call.descriptor, YOKE_ZERO_RANGE, call.offset, UInt64(call.byteCount), cookie)
        case .discardBlocks:
            preconditionFailure("the ring cannot discard blocks")
        }
    }

    /// Watches the input of a descriptor until ``removePoll(_:)``. The ring keeps the file open until then.
    func addPoll(_ descriptor: Int32, _ cookie: Cookie) {
        yoke_ring_prepare_poll(nextEntry(), descriptor, YOKE_POLL_INPUT, cookie.bits)
    }

    /// Reports once that a descriptor has room to write.
    func addOutputPoll(_ descriptor: Int32, _ cookie: Cookie) {
        yoke_ring_prepare_output_poll(nextEntry(), descriptor, cookie.output.bits)
    }

    /// Lets go of a descriptor with the next submission.
    func removePoll(_ cookie: Cookie) {
        yoke_ring_prepare_poll_removal(nextEntry(), cookie.bits, Cookie.ignored.bits)
    }

    /// A free submission entry, for which the queue is submitted when it is full.
    private func nextEntry() -> UnsafeMutablePointer<io_uring_sqe> {
        while true {
            if let entry = io_uring_get_sqe(ring) { return entry }
            let status = io_uring_submit(ring)
            if status < 0 { makeRoom(after: status) }
        }
    }

    /// The kernel takes no submission before completions are taken (EBUSY), or has no memory for now (EAGAIN).
    private func makeRoom(after status: Int32) {
        precondition(
            status == -EBUSY || status == -EAGAIN || status == -EINTR, "io_uring_submit: error \(-status)")
        _ = io_uring_get_events(ring)
        reap(events: &reapedEvents, results: &reapedResults)
    }
}

// MARK: Completions

extension Ring {
    /// Submits everything and waits for the first completion at most `nanoseconds` (negative: without limit); appends
    /// all that is there.
    func wait(nanoseconds: Int64, events: inout [PolledEvent], results: inout [DiskCallResult]) {
        let limit = reapedEvents.isEmpty && reapedResults.isEmpty ? nanoseconds : 0
        let status = yoke_ring_submit_and_wait(ring, limit)
        if status < 0 {
            precondition(
                [-ETIME, -EINTR, -EBUSY, -EAGAIN].contains(status), "io_uring_enter: error \(-status)")
        }
        events.append(contentsOf: reapedEvents)
        results.append(contentsOf: reapedResults)
        reapedEvents.removeAll(keepingCapacity: true)
        reapedResults.removeAll(keepingCapacity: true)
        reap(events: &events, results: &results)
        startWaiting()
    }

    /// Takes the polls that ended on their own since the last call.
    func takeEndedPolls() -> [Cookie] {
        guard !endedPolls.isEmpty else { return [] }
        defer { endedPolls.removeAll(keepingCapacity: true) }
        return endedPolls
    }

    private func reap(events: inout [PolledEvent], results: inout [DiskCallResult]) {
        var bits: UInt64 = 0
        var value: Int32 = 0
        var flags: UInt32 = 0
        while yoke_ring_take(ring, &bits, &value, &flags) != 0 {
            let cookie = Cookie(bits: bits)
            switch cookie.kind {
            case .disk:
                diskCallsUnderWay -= 1
                results.append(DiskCallResult(cookie: cookie, value: Int(value)))
            case .input:
                if value > 0 { events.append(PolledEvent(cookie: cookie, events: UInt32(value))) }
                if flags & YOKE_RING_MORE == 0 { endedPolls.append(cookie) }
            case .output:
                if value > 0 { events.append(PolledEvent(cookie: cookie, events: UInt32(value))) }
            case .ignored: break
            case nil: preconditionFailure("completion with the unknown cookie \(bits)")
            }
        }
    }

    private func startWaiting() {
        guard firstWaiting < waiting.count else { return }
        while firstWaiting < waiting.count && diskCallsUnderWay < diskCallsMax {
            prepare(waiting[firstWaiting])
            firstWaiting += 1
        }
        if firstWaiting == waiting.count {
            waiting.removeAll(keepingCapacity: true)
            firstWaiting = 0
        } else if firstWaiting > 1024 {
            waiting.removeFirst(firstWaiting)
            firstWaiting = 0
        }
    }
}
