import Glibc
import Synchronization
import Testing

@testable import LinuxReactor

@Suite("worker pool")
struct WorkerPoolTests {
    @Test("a job that blocks until a later one has run does not keep it from running", .timeLimit(.minutes(1)))
    func laterJobs() throws {
        let pool = WorkerPool(name: "pool test", threadsMax: 8, jobsMax: 64, mailbox: try Mailbox(jobsMax: 64))
        defer { pool.shutDown() }
        // Each round finds the threads of the rounds before idle, or about to be.
        for _ in 0..<300 {
            let hasEnded = Box()
            #expect(pool.add { while !hasEnded.isSet { sched_yield() } })
            #expect(pool.add { hasEnded.set() })
            while !hasEnded.isSet { sched_yield() }
        }
    }
}

private final class Box: Sendable {
    private let flag = Atomic(false)

    var isSet: Bool { flag.load(ordering: .acquiring) }
    func set() { flag.store(true, ordering: .releasing) }
}
