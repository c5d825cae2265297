internal import Glibc

/// A few threads for what may block: disk calls where there is no ring, ioctls, name lookup, spawning, bulk work.
///
/// Threads are started when there is work for them and stay until ``shutDown()``. Results travel through the mailbox
/// of the reactor that owns the pool.
final class WorkerPool: @unchecked Sendable {
    private enum Job {
        case disk(DiskCall)
        case work(@Sendable () -> Void)
    }

    private let name: String
    private let threadsMax: Int
    private let mailbox: Mailbox
    private let jobsMax: Int

    // Guarded by `mutex`.
    private let mutex: UnsafeMutablePointer<pthread_mutex_t>
    private let condition: UnsafeMutablePointer<pthread_cond_t>
    private var jobs: [Job] = []
    private var firstJob = 0
    private var threads: [SystemThread] = []
    private var idleCount = 0
    private var isShutDown = false

    init(name: String, threadsMax: Int, jobsMax: Int, mailbox: Mailbox) {
        precondition(threadsMax > 0, "a pool without threads")
        self.name = name
        self.threadsMax = threadsMax
        self.jobsMax = jobsMax
        self.mailbox = mailbox
        mutex = .allocate(capacity: 1)
        condition = .allocate(capacity: 1)
        pthread_mutex_init(mutex, nil)
        pthread_cond_init(condition, nil)
    }

    deinit {
        pthread_cond_destroy(condition)
        pthread_mutex_destroy(mutex)
        condition.deallocate()
        mutex.deallocate()
    }

    /// Makes disk calls; each result is posted to the mailbox. Their number is bounded by the operations under way.
    func add(_ calls: [DiskCall]) {
        guard !calls.isEmpty else { return }
        pthread_mutex_lock(mutex)
        for call in calls { jobs.append(.disk(call)) }
        wakeThreads(for: calls.count)
        pthread_mutex_unlock(mutex)
    }

    /// Runs a closure; false when too much waits already.
    func add(_ work: @escaping @Sendable () -> Void) -> Bool {
        pthread_mutex_lock(mutex)
        defer { pthread_mutex_unlock(mutex) }
        guard !isShutDown, jobs.count - firstJob < jobsMax else { return false }
        jobs.append(.work(work))
        wakeThreads(for: 1)
        return true
    }

    /// Finishes what was begun or waits, and ends the threads.
    func shutDown() {
        pthread_mutex_lock(mutex)
        isShutDown = true
        let ending = threads
        threads = []
        pthread_cond_broadcast(condition)
        pthread_mutex_unlock(mutex)
        for thread in ending { thread.join() }
    }

    /// A thread that was told of an earlier job and has not taken it yet still counts as idle, and is not there for a
    /// second one: a job may block until a later one is done.
    private func wakeThreads(for count: Int) {
        for _ in 0..<min(count, idleCount) { pthread_cond_signal(condition) }
        let waiting = jobs.count - firstJob
        var missing = min(waiting - idleCount, threadsMax - threads.count)
        while missing > 0 {
            missing -= 1
            do throws(SystemError) {
                threads.append(try SystemThread.start(name: name) { [self] in run() })
            } catch {
                // Fewer threads are slower; none would never answer.
                precondition(!threads.isEmpty, "cannot start a worker thread: \(error)")
                return
            }
        }
    }

    private func run() {
        while let job = next() {
            switch job {
            case .disk(let call):
                mailbox.post(DiskCallResult(cookie: call.cookie, value: call.perform()))
            case .work(let work):
                work()
            }
        }
    }

    /// Waits for a job; nil when the pool is shut down and nothing is left.
    private func next() -> Job? {
        pthread_mutex_lock(mutex)
        defer { pthread_mutex_unlock(mutex) }
        while firstJob == jobs.count {
            if isShutDown { return nil }
            idleCount += 1
            pthread_cond_wait(condition, mutex)
            idleCount -= 1
        }
        let job = jobs[firstJob]
        jobs[firstJob] = .work {}
        firstJob += 1
        if firstJob == jobs.count {
            jobs.removeAll(keepingCapacity: true)
            firstJob = 0
        } else if firstJob > 4096 {
            jobs.removeFirst(firstJob)
            firstJob = 0
        }
        return job
    }
}
