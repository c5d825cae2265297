internal import CYoke
package import EngineKit
internal import Glibc
internal import Synchronization

/// The owner of a ``Reactor``: carries out, once in a round, what the events of that round led to.
package protocol ReactorOwner: AnyObject {
    /// All events of a round were told. Now send (once for each socket), submit disk operations, set the deadline.
    func roundEnded(_ reactor: Reactor)
    /// The instant of ``Reactor/setDeadline(_:)`` has come; the deadline is gone until it is set again.
    func deadlineReached(_ reactor: Reactor)
}

/// One thread that owns sockets, disks, timers and a mailbox, and tells their owners what happens.
///
/// **A round.** Wait; take all completions and events; tell, in this order: disks, sockets and other descriptors, jobs
/// from other threads, timers, the deadline; run executor jobs; ``ReactorOwner/roundEnded(_:)``; hand the disk
/// operations of the round to the kernel in one batch, together with the next wait.
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

    let mailbox: Mailbox
    let workers: WorkerPool
    let threadIdentity = Atomic<UInt64>(0)
    private let mustStop = Atomic<Bool>(false)
    private let thread = Mutex<SystemThread?>(nil)

    // Confined to the thread from here on.
    private let epoll: EpollPoller
    /// Nil: epoll and workers do everything. Made on the thread, which alone may submit.
    private var ring: Ring?
    private var readiness = ReadinessTable()
    private var events: [PolledEvent] = []
    private var ready: [ReadinessSource] = []
    private var delivering: [ReadinessSource] = []
    var timers = TimerHeap()
    private var deadline: Instant?
    var operations = DiskOperations(slotCount: 1024)
    /// Calls that go to the workers at the end of the round.
    private var workerCalls: [DiskCall] = []
    private var diskResults: [DiskCallResult] = []
    /// Requests that were refused before they began.
    private var refused: [(disk: DiskFile, token: UInt64, errno: Int32)] = []
    private var mail = Mailbox.Contents()
    private var executorJobs: [UnownedJob] = []
    private var runningJobs: [UnownedJob] = []
    private var isEnding = false
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
            flushWorkerCalls()
        }
        end()
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

// MARK: The round

extension Reactor {
    private func wait() {
        let limit = waitLimit()
        if limit != 0 && options.busyPoll > .zero {
            let end = now + options.busyPoll
            repeat {
                poll(nanoseconds: 0)
                if !ready.isEmpty || !diskResults.isEmpty { return }
            } while now < end
            return poll(nanoseconds: waitLimit())
        }
        poll(nanoseconds: limit)
    }

    /// Asks the kernel once: fills `ready` and `diskResults`.
    private func poll(nanoseconds: Int64) {
        if let ring {
            ring.wait(nanoseconds: nanoseconds, events: &events, results: &diskResults)
            for cookie in ring.takeEndedPolls() {
                if let source = readiness.source(cookie) { ring.addPoll(source.descriptor, cookie) }
            }
        } else {
            epoll.wait(nanoseconds: nanoseconds, into: &events)
        }
        for event in events { note(event) }
        events.removeAll(keepingCapacity: true)
    }

    private func note(_ event: PolledEvent) {
        guard let source = readiness.source(event.cookie) else { return }
        if event.events & (YOKE_EPOLL_ERROR | YOKE_EPOLL_HANG_UP) != 0 {
            source.hasHungUp = true
            source.isReadable = true
            source.isWritable = true
        }
        if event.events & YOKE_EPOLL_PEER_HANG_UP != 0 {
            source.hasHungUp = true
            source.isReadable = true
        }
        if event.events & YOKE_EPOLL_IN != 0 { source.isReadable = true }
        if event.events & YOKE_EPOLL_OUT != 0 { source.isWritable = true }
        queueIfReady(source)
    }

    /// Nanoseconds until something is due; 0 when something is there already, -1 for no limit.
    private func waitLimit() -> Int64 {
        if !ready.isEmpty || !refused.isEmpty || !executorJobs.isEmpty || !diskResults.isEmpty { return 0 }
        var next = deadline
        if let timer = timers.nextDeadline { next = min(next ?? timer, timer) }
        guard let next else { return -1 }
        return Int64(clamping: (next - now).nanosecondsClamped)
    }

    private func tellEvents() {
        tellDisks()
        tellSources()
        runMail()
        tellTimers()
        runExecutorJobs()
    }

    private func tellDisks() {
        if !refused.isEmpty {
            let told = refused
            refused.removeAll(keepingCapacity: true)
            for entry in told where !entry.disk.isClosed {
                entry.disk.handler?.diskCompleted(entry.disk, token: entry.token, errno: entry.errno)
            }
        }
        var index = 0
        while index < diskResults.count {
            let result = diskResults[index]
            index += 1
            switch operations.take(result) {
            case .next(let call):
                queue(call)
            case .completed(let disk, let token, let errno):
                if !disk.isClosed && !isEnding { disk.handler?.diskCompleted(disk, token: token, errno: errno) }
            }
        }
        diskResults.removeAll(keepingCapacity: true)
    }

    private func tellSources() {
        swap(&ready, &delivering)
        for source in delivering {
            source.isQueued = false
            guard source.wantsDelivery else { continue }
            source.deliver()
            queueIfReady(source)
        }
        delivering.removeAll(keepingCapacity: true)
    }

    private func runMail() {
        guard !mail.jobs.isEmpty || !mail.diskResults.isEmpty || !mail.executorJobs.isEmpty else { return }
        diskResults.append(contentsOf: mail.diskResults)
        if !mail.diskResults.isEmpty { tellDisks() }
        executorJobs.append(contentsOf: mail.executorJobs)
        for job in mail.jobs { job() }
        mail.removeAll()
    }

    private func tellTimers() {
        guard deadline != nil || timers.nextDeadline != nil else { return }
        let time = now
        while let action = timers.takeDue(now: time) { action() }
        if let deadline, deadline <= time {
            self.deadline = nil
            owner?.deadlineReached(self)
        }
    }

    /// Runs the jobs that wait now; those they enqueue come in the next round, so that events get their turn.
    private func runExecutorJobs() {
        guard !executorJobs.isEmpty else { return }
        swap(&executorJobs, &runningJobs)
        for job in runningJobs {
            job.runSynchronously(
                isolatedTo: asUnownedSerialExecutor(), taskExecutor: asUnownedTaskExecutor())
        }
        runningJobs.removeAll(keepingCapacity: true)
    }

    /// Takes what other threads have left.
    func takeMail() {
        mailbox.take(exchanging: &mail)
    }

    func enqueueLocally(_ job: UnownedJob) {
        executorJobs.append(job)
    }
}

// MARK: Sources and timers

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

    /// Stops watching; the descriptor, which the caller closes.
    @discardableResult
    func removeSource(_ source: ReadinessSource) -> Int32 {
        let (descriptor, cookie) = readiness.remove(source)
        guard let cookie else { return descriptor }
        if let ring {
            ring.removePoll(cookie)
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

// MARK: Disks

extension Reactor {
    /// Begins an operation at the end of the round; its completion is told in a later round.
    ///
    /// Refused with EIO behind the end of the disk, with EROFS on a read-only disk, with ENOBUFS when 65,536 are under
    /// way. Requests of one disk are not ordered among each other: what must come after something is submitted after
    /// its completion.
    package func submit(_ request: DiskRequest, to disk: DiskFile) {
        preconditionOnThread()
        let code = DiskOperations.check(request, disk)
        guard code == 0, let call = operations.begin(request, disk) else {
            refused.append((disk, request.token, code == 0 ? ENOBUFS : code))
            return
        }
        queue(call)
    }

    /// Ends the use of a disk: no completion follows. The claim on it is given back when the last operation is done.
    package func close(_ disk: DiskFile) {
        preconditionOnThread()
        disk.isClosed = true
        disk.handler = nil
    }

    private func queue(_ call: DiskCall) {
        if let ring, Ring.canMake(call.opcode) {
            ring.add(call)
        } else {
            workerCalls.append(call)
        }
    }

    private func flushWorkerCalls() {
        guard !workerCalls.isEmpty else { return }
        workers.add(workerCalls)
        workerCalls.removeAll(keepingCapacity: true)
    }
}

/// Has the reactor look into its mailbox.
private final class MailboxSource: ReadinessSource {
    private unowned let reactor: Reactor

    init(descriptor: Int32, reactor: Reactor) {
        self.reactor = reactor
        super.init(descriptor: descriptor)
    }

    override var wantsDelivery: Bool { isReadable }

    override func deliver() {
        isReadable = false
        reactor.takeMail()
    }
}
