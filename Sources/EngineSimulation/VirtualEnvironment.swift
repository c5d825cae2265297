package import EngineKit
internal import Synchronization

/// A host without a world: tasks run in order on the thread of the test, time passes only when nothing else can happen.
///
/// Deterministic: the same calls give the same history.
package final class VirtualEnvironment: EngineEnvironment {
    package private(set) var now = Instant(nanoseconds: 1_000_000_000)
    /// The time of day at the start of the time line.
    package var epoch = WallTime(seconds: 1_700_000_000, nanoseconds: 0)
    package let random: any RandomSource
    /// Everything that was logged.
    package private(set) var records: [LogRecord] = []

    /// Timers and jobs that have run.
    package var eventCount: UInt64 { timerCount + executor.jobCount }
    /// Behind it ``run(limit:until:)`` ends: something goes round in circles. It holds back jobs as well.
    package var eventCountMax: UInt64 {
        get { executor.jobCountMax }
        set { executor.jobCountMax = newValue }
    }
    /// Whether the limit of events was reached.
    package var isExhausted: Bool { eventCount >= eventCountMax }

    private let executor = VirtualExecutor()
    private var timers = TimerHeap()
    private var timerCount: UInt64 = 0

    package init(seed: UInt64 = 1) {
        random = SeededRandom(seed: seed)
    }

    package var wallTime: WallTime {
        let passed = now.nanoseconds + UInt64(epoch.nanoseconds)
        return WallTime(
            seconds: epoch.seconds + Int64(passed / 1_000_000_000), nanoseconds: UInt32(passed % 1_000_000_000))
    }

    package func log(_ record: LogRecord) {
        records.append(record)
    }

    package func spawn(_ body: @escaping () async -> Void) {
        // The executor runs everything on the thread that calls `run`: nothing is shared with another one.
        let parcel = Parcel(body: body)
        Task(executorPreference: executor) { await parcel.body() }
    }

    package func call(at instant: Instant, _ body: @escaping () -> Void) {
        timers.insert(max(instant, now), body)
    }

    /// Runs what can run now; false if there was nothing.
    @discardableResult
    package func runReadyJobs() -> Bool {
        executor.runJobs()
    }

    /// Runs tasks and timers until `isDone`, or until nothing can happen any more, or until `limit` has passed, or until
    /// ``eventCountMax`` is reached.
    ///
    /// - Returns: whether `isDone`.
    @discardableResult
    package func run(limit: Duration = .seconds(3600), until isDone: () -> Bool = { false }) -> Bool {
        let end = now + limit
        while true {
            executor.runJobs()
            if isDone() { return true }
            guard !isExhausted, let at = timers.first, at <= end else { return isDone() }
            timerCount += 1
            now = max(now, at)
            timers.removeFirst()()
        }
    }

    /// Runs `body` to its end as a task of this host.
    ///
    /// Traps when it cannot end: nothing is left that could wake it.
    package func wait<Result, Failure: Error>(
        limit: Duration = .seconds(3600), _ body: @escaping () async throws(Failure) -> Result
    ) throws(Failure) -> Result {
        var outcome: Swift.Result<Result, Failure>?
        spawn {
            do throws(Failure) {
                outcome = .success(try await body())
            } catch {
                outcome = .failure(error)
            }
        }
        run(limit: limit) { outcome != nil }
        guard let outcome else { fatalError("a task waits for something that never comes") }
        return try outcome.get()
    }
}

private struct Parcel: @unchecked Sendable {
    let body: () async -> Void
}

/// Jobs in the order of their arrival.
private final class VirtualExecutor: TaskExecutor {
    private let jobs = Mutex<[UnownedJob]>([])
    // Touched by the thread that calls `runJobs` alone.
    nonisolated(unsafe) private var batch: [UnownedJob] = []
    nonisolated(unsafe) private(set) var jobCount: UInt64 = 0
    nonisolated(unsafe) var jobCountMax = UInt64.max

    func enqueue(_ job: consuming ExecutorJob) {
        let unowned = UnownedJob(job)
        jobs.withLock { $0.append(unowned) }
    }

    @discardableResult
    func runJobs() -> Bool {
        var hasRun = false
        while jobCount < jobCountMax {
            jobs.withLock { swap(&$0, &batch) }
            guard !batch.isEmpty else { return hasRun }
            hasRun = true
            jobCount += UInt64(batch.count)
            for job in batch { job.runSynchronously(on: asUnownedTaskExecutor()) }
            batch.removeAll(keepingCapacity: true)
        }
        return hasRun
    }
}
