internal import CYoke
internal import Glibc
internal import Synchronization

/// What other threads leave for the thread of a reactor: jobs, executor jobs, results of workers.
///
/// Costs one lock and, for the first item since the reactor last looked, one write to an eventfd.
final class Mailbox: Sendable {
    /// Everything that waits, in the order of arrival within each kind.
    struct Contents: Sendable {
        var jobs: [@Sendable () -> Void] = []
        var executorJobs: [UnownedJob] = []
        var diskResults: [DiskCallResult] = []

        mutating func removeAll() {
            jobs.removeAll(keepingCapacity: true)
            executorJobs.removeAll(keepingCapacity: true)
            diskResults.removeAll(keepingCapacity: true)
        }
    }

    private struct State {
        var contents = Contents()
        /// The eventfd was written and not read since.
        var isSignalled = false
        var isClosed = false
    }

    /// The eventfd that becomes readable.
    let descriptor: Int32
    private let state = Mutex(State())
    private let jobsMax: Int

    init(jobsMax: Int) throws(SystemError) {
        descriptor = yoke_eventfd_create()
        self.jobsMax = jobsMax
        guard descriptor >= 0 else { throw SystemError(operation: "eventfd", code: errno) }
    }

    deinit {
        Glibc.close(descriptor)
    }

    /// False when `jobsMax` jobs wait already, or the reactor is gone; the job is dropped then.
    func post(_ job: @escaping @Sendable () -> Void) -> Bool {
        let jobsMax = jobsMax
        return put { contents in
            guard contents.jobs.count < jobsMax else { return false }
            contents.jobs.append(job)
            return true
        }
    }

    /// Executor jobs are never refused: their number is bounded by the tasks that exist.
    func post(_ job: UnownedJob) {
        _ = put { contents in
            contents.executorJobs.append(job)
            return true
        }
    }

    /// Results are bounded by the operations under way.
    func post(_ result: DiskCallResult) {
        _ = put { contents in
            contents.diskResults.append(result)
            return true
        }
    }

    private func put(_ body: (inout Contents) -> Bool) -> Bool {
        let (accepted, mustSignal) = state.withLock { state -> (Bool, Bool) in
            guard !state.isClosed, body(&state.contents) else { return (false, false) }
            let mustSignal = !state.isSignalled
            state.isSignalled = true
            return (true, mustSignal)
        }
        if mustSignal { signal() }
        return accepted
    }

    /// Makes the reactor go round once.
    func signal() {
        var one: UInt64 = 1
        // It fails only when the counter is full, and then the reactor is awake anyway.
        _ = write(descriptor, &one, 8)
    }

    /// Exchanges what waits against the empty `spare`, whose storage is used for what comes next. Call it when
    /// ``descriptor`` is readable.
    func take(exchanging spare: inout Contents) {
        var count: UInt64 = 0
        // Before the lock: what is put in between finds isSignalled set and is taken by the exchange.
        _ = read(descriptor, &count, 8)
        state.withLock { state in
            swap(&state.contents, &spare)
            state.isSignalled = false
        }
    }

    /// Refuses everything from now on.
    func close(exchanging spare: inout Contents) {
        state.withLock { state in
            swap(&state.contents, &spare)
            state.isClosed = true
        }
    }
}
