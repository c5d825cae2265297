internal import CYoke
package import EngineKit
internal import Glibc
internal import Synchronization

/// The owner of a ``Reactor``: carries out, once in a round, what the events of that round led to.
package protocol ReactorOwner: AnyObject {
    /// All events of a round were told. Now send (once for each socket), submit disk operations, set the deadline.
    /// Called again when disk operations ended within the round.
    func roundEnded(_ reactor: Reactor)
    /// The instant of ``Reactor/setDeadline(_:)`` has come; the deadline is gone until it is set again.
    func deadlineReached(_ reactor: Reactor)
}

/// One thread that owns sockets, disks, timers and a mailbox, and tells their owners what happens.
///
/// **A round.** Wait; take all completions and events; tell, in this order: disks, sockets and other descriptors, jobs
/// from other threads, timers, the deadline; run executor jobs; ``ReactorOwner/roundEnded(_:)``; make the disk calls that
/// this thread makes itself, tell their results, end the round again; hand the other disk operations of the round to the
/// kernel in one batch, together with the next wait.
///
/// **Threads.** Everything is called on the reactor's thread, except ``start()``, ``post(_:)``, ``stop()``, ``join()``,
/// ``now`` and the executor's `enqueue`. `@unchecked Sendable` for that reason: the mailbox is the only shared state.
///
/// **Re-entrance.** No call into the reactor, a socket or a disk ever calls a handler before it returns.
///
/// **Cost** of an echo on a socket: wait, receive, send, without allocation. Of a 4 KiB disk operation with io_uring:
/// its share of one system call.
package final class Reactor: @unchecked Sendable {
    /// How the kernel is asked.
    package enum Backend: Sendable {
        /// io_uring where it can be had, else epoll.
        case automatic
        case ioUring
        /// epoll for readiness, worker threads for disks.
        case epoll
    }

    package struct Options: Sendable {
        package var backend: Backend
        /// Name of the thread, 15 bytes are shown.
        package var name: String
        /// Threads for blocking work, started when needed.
        package var workerCount: Int
        /// Jobs from other threads that may wait.
        package var jobsMax: Int
        /// How long to look for events before sleeping; trades processor time for wake-up latency.
        package var busyPoll: Duration
        /// Submission entries of the ring.
        package var ringEntryCount = 512

        package init(
            backend: Backend = .automatic, name: String = "reactor", workerCount: Int = 4, jobsMax: Int = 1 << 16,
            busyPoll: Duration = .zero
        ) {
            self.backend = backend
            self.name = name
            self.workerCount = workerCount
            self.jobsMax = jobsMax
            self.busyPoll = busyPoll
        }
    }

    package let options: Options
    /// Set it on the reactor's thread, or before ``start()``. Held until the reactor ends.
    package var owner: (any ReactorOwner)?

    /// A write, the flush behind it, and one to spare.
    private static let immediatePassesMax = 3

    let mailbox: Mailbox
    let workers: WorkerPool
    let threadIdentity = Atomic<UInt64>(0)
    private let mustStop = Atomic<Bool>(false)
    private let thread = Mutex<SystemThread?>(nil)

    // Confined to the thread from here on.
    let epoll: EpollPoller
    /// Nil: epoll and workers do everything. Made on the thread, which alone may submit.
    var ring: Ring?
    var readiness = ReadinessTable()
    var events: [PolledEvent] = []
    var ready: [ReadinessSource] = []
    var delivering: [ReadinessSource] = []
    var timers = TimerHeap()
    var deadline: Instant?
    var operations = DiskOperations(slotCount: 1024)
    /// Calls that go to the workers at the end of the round.
    var workerCalls: [DiskCall] = []
    /// Calls that this thread makes itself at the end of the round.
    var immediateCalls: [DiskCall] = []
    var firstImmediateCall = 0
    var diskResults: [DiskCallResult] = []
    /// Requests that were refused before they began.
    var refused: [(disk: DiskFile, token: UInt64, errno: Int32)] = []
    var mail = Mailbox.Contents()
    var executorJobs: [UnownedJob] = []
    var runningJobs: [UnownedJob] = []
    var isEnding = false
    var offloads: [UInt64: AnyOffload] = [:]
    var lastOffload: UInt64 = 0

    /// Errors: EMFILE and the like.
    package init(options: Options = Options()) throws(SystemError) {
        self.options = options
        let mailbox = try Mailbox(jobsMax: options.jobsMax)
        self.mailbox = mailbox
        workers = WorkerPool(
            name: "\(options.name.prefix(10))-work", threadsMax: max(1, options.workerCount), jobsMax: 4096,
            mailbox: mailbox)
        epoll = try EpollPoller()
        if options.backend == .ioUring && !Ring.isAvailable {
            throw SystemError(operation: "io_uring_setup", code: ENOSYS)
        }
    }

    /// Whether the kernel lets this process use io_uring.
    package static var isRingAvailable: Bool { Ring.isAvailable }

    /// CLOCK_MONOTONIC; on any thread.
    package var now: Instant { SystemClock.now }

    /// Whether the ring does the work; known when the thread runs. On the reactor's thread.
    package var isUsingRing: Bool { ring != nil }

    /// True on the reactor's own thread.
    package var isOnThread: Bool { threadIdentity.load(ordering: .relaxed) == yoke_thread_identity() }

    @inline(__always)
    func preconditionOnThread() {
        assert(isOnThread, "a reactor is used on a thread that is not its own")
    }
}

// MARK: Life

extension Reactor {
    /// Starts the thread. Call it once.
    package func start() throws(SystemError) {
        let started = try SystemThread.start(name: options.name) { [self] in run() }
        thread.withLock { $0 = started }
    }

    /// Runs `job` on the reactor's thread in one of its next rounds. On any thread. False when the reactor has ended
    /// or too many jobs wait; the job is dropped then.
    @discardableResult
    package func post(_ job: @escaping @Sendable () -> Void) -> Bool {
        mailbox.post(job)
    }

    /// Ends the reactor after the round under way: no handler is called any more, all its sockets are closed, and the
    /// memory of disk operations stays until the kernel is done with it. On any thread.
    package func stop() {
        mustStop.store(true, ordering: .releasing)
        mailbox.signal()
    }

    /// Waits for the end of the thread that ``start()`` made. Not on the reactor's thread.
    package func join() {
        precondition(!isOnThread, "a reactor cannot wait for its own end")
        let started = thread.withLock { thread -> SystemThread? in
            defer { thread = nil }
            return thread
        }
        started?.join()
    }

    /// The reactor's loop, for a thread of the caller's; returns after ``stop()``.
    package func run() {
        begin()
        while !mustStop.load(ordering: .acquiring) {
            wait()
            tellEvents()
            owner?.roundEnded(self)
            finishImmediateCalls()
            flushWorkerCalls()
        }
        end()
    }

    /// Makes the immediate calls and tells what they led to, which is known without asking the kernel: an answer leaves
    /// one system call earlier. The events of the next round wait no longer than for a few such calls.
    private func finishImmediateCalls() {
        for _ in 0..<Self.immediatePassesMax {
            makeImmediateCalls()
            guard !diskResults.isEmpty else { return }
            tellDisks()
            owner?.roundEnded(self)
        }
    }

    private func begin() {
        threadIdentity.store(yoke_thread_identity(), ordering: .relaxed)
        do throws(SystemError) {
            if options.backend != .epoll && Ring.isAvailable { ring = try Ring(entryCount: options.ringEntryCount) }
        } catch {
            // A moment ago it could be had; epoll serves as well.
            ring = nil
        }
        do throws(SystemError) {
            try watch(MailboxSource(descriptor: mailbox.descriptor, reactor: self))
        } catch {
            preconditionFailure("a reactor cannot watch its mailbox: \(error)")
        }
    }

    private func end() {
        isEnding = true
        owner = nil
        for source in readiness.sources where !(source is MailboxSource) {
            switch source {
            case let socket as StreamSocket: socket.close()
            case let listener as ListeningSocket: listener.close()
            case let watch as DescriptorWatch: unwatch(watch)
            default: break
            }
        }
        ready.removeAll()
        timers.removeAll()
        while firstImmediateCall < immediateCalls.count { makeImmediateCalls() }
        workers.shutDown()
        // The workers are done: what they posted is all there is.
        mailbox.close(exchanging: &mail)
        diskResults.append(contentsOf: mail.diskResults)
        tellDisks()
        mail.removeAll()
        offloads.removeAll()
        awaitRing()
    }

    /// Waits until the kernel is done with the memory of disk operations.
    private func awaitRing() {
        guard let ring else { return }
        let end = now + .seconds(10)
        while !ring.isIdle {
            guard now < end else {
                // A device hangs. The kernel may still write into the buffers, so they must never be freed.
                _ = Unmanaged.passRetained(self)
                return
            }
            ring.wait(nanoseconds: 100_000_000, events: &events, results: &diskResults)
            events.removeAll()
            tellDisks()
        }
        self.ring = nil
    }
}
