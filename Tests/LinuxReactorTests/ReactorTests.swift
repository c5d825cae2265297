internal import CYoke
internal import EngineKit
internal import Glibc
internal import LinuxReactor
internal import Synchronization
internal import Testing

@Suite("Reactor")
struct ReactorTests {
    @Test("timers run by deadline, equal ones in the order they were added", arguments: Reactor.Backend.tested)
    func timers(backend: Reactor.Backend) async throws {
        let test = try TestReactor(backend)
        let order = try await test.run { (reactor, outcome: Outcome<[Int]>) in
            var order: [Int] = []
            let start = reactor.now
            for (number, milliseconds) in [(3, 30), (1, 10), (5, 50), (2, 10), (4, 30)] {
                reactor.addTimer(at: start + .milliseconds(milliseconds)) {
                    order.append(number)
                    if reactor.now < start + .milliseconds(milliseconds) { order.append(-number) }
                }
            }
            let cancelled = reactor.addTimer(at: start + .milliseconds(20)) { order.append(99) }
            reactor.addTimer(at: start + .milliseconds(15)) { reactor.cancel(cancelled) }
            reactor.addTimer(at: start + .milliseconds(60)) { outcome.finish(order) }
        }
        #expect(order == [1, 2, 3, 4, 5])
    }

    @Test("a timer that adds itself for the past does not keep events waiting")
    func pastTimers() async throws {
        let test = try TestReactor(.epoll)
        let runs = try await test.run { (reactor, outcome: Outcome<Int>) in
            var runs = 0
            func again() {
                runs += 1
                reactor.addTimer(at: .zero) { if runs < 1_000_000 { again() } }
            }
            again()
            let job = Confined { outcome.finish(runs) }
            reactor.post { job.value() }
        }
        #expect(runs < 1000)
    }

    @Test(
        "io_uring is used where it can be had",
        .enabled(if: Reactor.isRingAvailable, "io_uring is switched off: half of these suites does not run"))
    func ringIsUsed() async throws {
        #expect(try await TestReactor(.automatic).perform { $0.isUsingRing })
        #expect(try await TestReactor(.ioUring).perform { $0.isUsingRing })
        #expect(try await !TestReactor(.epoll).perform { $0.isUsingRing })
    }

    @Test(
        "without io_uring epoll serves, unless io_uring was demanded",
        .enabled(if: !Reactor.isRingAvailable, "io_uring can be had here"))
    func ringIsMissing() async throws {
        #expect(try await !TestReactor(.automatic).perform { $0.isUsingRing })
        #expect(throws: SystemError(operation: "io_uring_setup", code: ENOSYS)) { try TestReactor(.ioUring) }
    }

    @Test("a heap of many timers, some cancelled, runs in order")
    func manyTimers() async throws {
        let test = try TestReactor(.epoll)
        let isOrdered = try await test.run { (reactor, outcome: Outcome<Bool>) in
            let random = SeededRandom(seed: 4)
            let start = reactor.now
            var seen: [UInt64] = []
            var timers: [ReactorTimer] = []
            for _ in 0..<1000 {
                let delay = random.next(below: 20_000)
                timers.append(
                    reactor.addTimer(at: start + .microseconds(Int(delay))) { seen.append(delay) })
            }
            for index in stride(from: 0, to: 1000, by: 3) { reactor.cancel(timers[index]) }
            reactor.addTimer(at: start + .milliseconds(25)) {
                outcome.finish(seen.count == 666 && seen == seen.sorted())
            }
        }
        #expect(isOrdered)
    }

    @Test("every job of many threads runs once, in the order of its thread", arguments: Reactor.Backend.tested)
    func mailbox(backend: Reactor.Backend) async throws {
        let test = try TestReactor(backend)
        let reactor = test.reactor
        let seen = Confined(Seen())
        try await withThrowingTaskGroup(of: Void.self) { group in
            for thread in 0..<4 {
                group.addTask {
                    for number in 0..<1000 {
                        reactor.post { seen.value.lists[thread].append(number) }
                    }
                }
            }
            try await group.waitForAll()
        }
        let lists = try await test.perform { _ in seen.value.lists }
        #expect(lists.allSatisfy { $0 == Array(0..<1000) })
    }

    private final class Seen {
        var lists = [[Int]](repeating: [], count: 4)
    }

    @Test("a full mailbox refuses, and so does a reactor that has ended")
    func mailboxLimit() async throws {
        let reactor = try Reactor(options: .init(backend: .epoll, jobsMax: 2))
        #expect(reactor.post {})
        #expect(reactor.post {})
        #expect(!reactor.post {})
        try reactor.start()
        reactor.stop()
        reactor.join()
        #expect(!reactor.post {})
    }

    @Test("the owner is called once a round, after its events, and at its deadline", arguments: Reactor.Backend.tested)
    func owner(backend: Reactor.Backend) async throws {
        let owner = RecordingOwner()
        let confined = Confined(owner)
        let test = try TestReactor(backend, owner: owner)
        let events = try await test.run { (reactor, outcome: Outcome<[String]>) in
            let owner = confined.value
            owner.events.removeAll()
            owner.onDeadline = {
                if owner.deadlines == 2 { reactor.addTimer(at: reactor.now) { outcome.finish(owner.events) } }
            }
            let start = reactor.now
            reactor.setDeadline(start + .seconds(100))
            reactor.setDeadline(start + .milliseconds(10))
            owner.next = start + .milliseconds(20)
        }
        #expect(events.starts(with: ["round", "deadline", "round", "deadline", "round"]))
    }

    /// Sets the second deadline from the end of the round, as an engine's owner does.
    private final class RecordingOwner: ReactorOwner {
        var events: [String] = []
        var deadlines = 0
        var next: Instant?
        var onDeadline: () -> Void = {}

        func roundEnded(_ reactor: Reactor) {
            events.append("round")
            if deadlines == 1, let next {
                self.next = nil
                reactor.setDeadline(next)
            }
        }

        func deadlineReached(_ reactor: Reactor) {
            events.append("deadline")
            deadlines += 1
            onDeadline()
        }
    }

    @Test("tasks that prefer the reactor run on its thread and come back to it", arguments: Reactor.Backend.tested)
    func executor(backend: Reactor.Backend) async throws {
        let test = try TestReactor(backend)
        let reactor = test.reactor
        let visits = await Task(executorPreference: reactor) {
            var visits = [reactor.isOnThread]
            for _ in 0..<3 {
                await Task.yield()
                visits.append(reactor.isOnThread)
            }
            let inner = await withTaskGroup(of: Bool.self) { group in
                for _ in 0..<10 { group.addTask { reactor.isOnThread } }
                return await group.reduce(true) { $0 && $1 }
            }
            return visits + [inner]
        }.value
        #expect(visits == [true, true, true, true, true])
    }

    @Test("work runs elsewhere, its completion on the reactor's thread", arguments: Reactor.Backend.tested)
    func offload(backend: Reactor.Backend) async throws {
        let test = try TestReactor(backend)
        let (wasElsewhere, isBack) = try await test.run { (reactor, outcome: Outcome<(Bool, Bool)>) in
            let isAccepted = reactor.offload {
                !reactor.isOnThread
            } completion: { wasElsewhere in
                outcome.finish((wasElsewhere, reactor.isOnThread))
            }
            if !isAccepted { outcome.fail(TestFailure("refused")) }
        }
        #expect(wasElsewhere)
        #expect(isBack)
    }

    @Test("a watched descriptor is told as long as bytes wait", arguments: Reactor.Backend.tested)
    func watchedDescriptor(backend: Reactor.Backend) async throws {
        var ends: [Int32] = [0, 0]
        #expect(pipe2(&ends, Int32(O_NONBLOCK | O_CLOEXEC)) == 0)
        let (reading, writing) = (ends[0], ends[1])
        defer {
            close(reading)
            close(writing)
        }
        let test = try TestReactor(backend)
        let sizes = try await test.run { (reactor, outcome: Outcome<[Int]>) in
            let reader = PipeReader { reader, watch in
                // Half of what waits at a time; told again without a new edge.
                if reader.sizes == [2, 2] {
                    write(writing, "xyz", 3)
                } else if reader.sizes.reduce(0, +) == 7 {
                    reactor.unwatch(watch)
                    write(writing, "nobody hears", 12)
                    reactor.addTimer(at: reactor.now + .milliseconds(5)) { outcome.finish(reader.sizes) }
                }
            }
            _ = try reactor.watch(descriptor: reading, handler: reader)
            write(writing, "abcd", 4)
        }
        #expect(sizes == [2, 2, 2, 1])
    }

    private final class PipeReader: DescriptorHandler {
        var sizes: [Int] = []
        let onRead: (PipeReader, DescriptorWatch) -> Void

        init(_ onRead: @escaping (PipeReader, DescriptorWatch) -> Void) {
            self.onRead = onRead
        }

        func descriptorReadable(_ watch: DescriptorWatch) {
            var bytes: UInt16 = 0
            let count = read(watch.fileDescriptor, &bytes, 2)
            guard count > 0 else { return watch.exhausted() }
            sizes.append(count)
            onRead(self, watch)
        }
    }

    @Test("busy polling finds timers, jobs and disks as sleeping does", arguments: Reactor.Backend.tested)
    func busyPoll(backend: Reactor.Backend) async throws {
        let reactor = try Reactor(options: .init(backend: backend, busyPoll: .microseconds(50)))
        try reactor.start()
        let elapsed = await withCheckedContinuation { continuation in
            reactor.post {
                let start = reactor.now
                reactor.addTimer(at: start + .milliseconds(2)) { continuation.resume(returning: reactor.now - start) }
            }
        }
        #expect(elapsed >= .milliseconds(2))
        reactor.stop()
        reactor.join()
    }
}
