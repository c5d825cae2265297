import EngineKit
import EngineSimulation
import JournalLayout
import Testing

@testable import Journal

struct JournalTests {
    @Test("A start on a new journal begins with transaction 2 at the first log block")
    func start() throws {
        let fixture = JournalFixture()
        _ = try fixture.started()
        let superblock = try fixture.superblock()
        #expect(superblock.start == 1 && superblock.sequence == 2)
    }

    @Test("A commit writes descriptor, images and commit block as the kernel does, and nothing to the places")
    func commitBytes() throws {
        let fixture = JournalFixture()
        let journal = try fixture.started()
        try fixture.change(journal, [20, 7412, 7414, 9], to: 0x1122)
        try fixture.commit(journal)
        let descriptor = fixture.device.block(601)
        let tags = descriptor.withUnsafeBytes { JournalDescriptor.tags(decoding: $0, .narrow) }
        #expect(tags.map(\.block) == [20, 7412, 7414, 9])
        #expect(fixture.device.block(602)[0..<2] == [0x22, 0x11])
        #expect(fixture.device.block(605).last == 0x5E)
        let commit = try fixture.device.block(606).withUnsafeBytes { bytes in try JournalCommit(decoding: bytes) }
        #expect(commit.sequence == 2 && commit.seconds >= 1_700_000_000)
        for block in [20, 7412, 7414, 9] as [UInt64] { #expect(fixture.value(block) == 0) }
    }

    @Test("The commit block is written after a flush that follows the images, with FUA")
    func order() throws {
        let fixture = JournalFixture()
        let journal = try fixture.started()
        fixture.device.isRecording = true
        try fixture.change(journal, [20], to: 1)
        try fixture.commit(journal)
        let kinds = fixture.device.records.map { record in
            switch record {
            case .flush: "flush"
            case .write(let offset, let bytes, let isForced):
                "\(offset / 1024)+\(bytes.count / 1024)\(isForced ? "!" : "")"
            }
        }
        #expect(kinds == ["601+2", "flush", "603+1!"])
    }

    @Test("A flush brings every block to its place with its seal and empties the log")
    func flush() throws {
        let fixture = JournalFixture()
        let journal = try fixture.started()
        try fixture.change(journal, [20, 21, 22, 50], to: 5)
        try fixture.flush(journal)
        for block in [20, 21, 22, 50] as [UInt64] {
            #expect(fixture.value(block) == 5)
            #expect(fixture.device.block(block).last == 0x5E)
        }
        let superblock = try fixture.superblock()
        #expect(superblock.start == 0 && superblock.sequence == 3)
        try fixture.change(journal, [20], to: 6)
        try fixture.commit(journal)
        #expect(try fixture.superblock().start != 0)
        #expect(try fixture.superblock().sequence == 3)
        #expect(fixture.value(20) == 5)
    }

    @Test("Changes are committed by themselves after the interval")
    func interval() throws {
        let fixture = JournalFixture()
        let journal = try fixture.started()
        let transaction = try fixture.change(journal, [20], to: 5)
        fixture.environment.run(limit: .milliseconds(4990))
        #expect(journal.committedTransaction < transaction)
        fixture.environment.run(limit: .milliseconds(5010))
        #expect(journal.committedTransaction == transaction)
    }

    @Test("Many commits that come together share one")
    func groupCommit() throws {
        let fixture = JournalFixture()
        let journal = try fixture.started()
        var ended = 0
        for index in 0..<100 {
            fixture.environment.spawn { [cache = fixture.cache] in
                let handle = try! await journal.begin(credits: 1)
                let block = cache.fresh(UInt64(100 + index))
                handle.modify(block)
                handle.end()
                try! await journal.commit(handle.transaction)
                ended += 1
            }
        }
        fixture.environment.run(limit: .seconds(1))
        #expect(ended == 100)
        #expect(journal.statistics.commits <= 2)
    }

    @Test("A commit waits for open handles, and handles that begin meanwhile go to the next transaction")
    func lockedTransaction() throws {
        let fixture = JournalFixture()
        let journal = try fixture.started()
        let environment = fixture.environment
        let first = try environment.wait { () async throws(JournalError) in try await journal.begin(credits: 2) }
        var isCommitted = false
        environment.spawn {
            try! await journal.commit(first.transaction)
            isCommitted = true
        }
        environment.run(limit: .seconds(1))
        var second: JournalHandle?
        environment.spawn { second = try! await journal.begin(credits: 2) }
        environment.run(limit: .seconds(1))
        #expect(!isCommitted && second == nil)
        first.modify(fixture.cache.fresh(30))
        first.end()
        environment.run(limit: .seconds(1))
        #expect(isCommitted)
        let transaction = try #require(second?.transaction)
        #expect(transaction == first.transaction + 1)
        second?.end()
    }

    @Test("Calls after a commit are made when it is durable, and not after an abort")
    func afterCommit() throws {
        let fixture = JournalFixture()
        let journal = try fixture.started()
        var calls = 0
        func change() throws {
            let handle = try fixture.environment.wait { () async throws(JournalError) in
                try await journal.begin(credits: 1)
            }
            handle.modify(fixture.cache.fresh(30))
            handle.afterCommit { calls += 1 }
            handle.end()
        }
        try change()
        #expect(calls == 0)
        try fixture.commit(journal)
        #expect(calls == 1)
        try change()
        journal.abort("a test")
        fixture.environment.run(limit: .seconds(10))
        #expect(calls == 1)
    }

    @Test("A block that begins with the log's magic is escaped in the log and whole in its place")
    func escape() throws {
        let fixture = JournalFixture()
        let journal = try fixture.started()
        let handle = try fixture.environment.wait { () async throws(JournalError) in
            try await journal.begin(credits: 1)
        }
        let block = fixture.cache.fresh(30)
        block.bytes.copyBytes(from: [0xC0, 0x3B, 0x39, 0x98, 1, 2])
        handle.modify(block)
        handle.end()
        try fixture.commit(journal)
        #expect(fixture.device.block(602)[0..<6] == [0, 0, 0, 0, 1, 2])
        let crashed = JournalFixture(runs: fixture.runs, device: fixture.device)
        #expect(try crashed.replay() == 1)
        #expect(crashed.device.block(30)[0..<6] == [0xC0, 0x3B, 0x39, 0x98, 1, 2])
        try fixture.flush(journal)
        #expect(fixture.device.block(30) == crashed.device.block(30))
    }

    @Test("More transactions than the log holds go round it, and what waits for space gets it")
    func wrap() throws {
        let fixture = JournalFixture()
        let journal = try fixture.started()
        for round in 1...200 as ClosedRange<UInt64> {
            try fixture.change(journal, (0..<40).map { 5000 + (round * 7 + $0) % 300 }, to: round)
            try fixture.commit(journal)
        }
        #expect(journal.statistics.blocksLogged > 8 * 1024)
        #expect(journal.statistics.checkpoints > 5)
        let crashed = JournalFixture(runs: fixture.runs, device: fixture.device)
        try crashed.replay()
        #expect(crashed.value(5000 + 200 * 7 % 300) == 200)
    }

    @Test("A handle that does not fit the log waits for the checkpoint")
    func logSpace() throws {
        let fixture = JournalFixture()
        let journal = try fixture.started()
        // The checkpoint that begins when half of the log is full shall be slow.
        fixture.environment.wait { () async throws(Never) in await journal.checkpointLock.lock(.exclusive) }
        for round in 1...5 as ClosedRange<UInt64> {
            try fixture.change(journal, (0..<200).map { 5000 + $0 }, to: round)
            try fixture.commit(journal)
        }
        var order: [Int] = []
        for credits in [200, 1] {
            fixture.environment.spawn {
                let handle = try! await journal.begin(credits: credits)
                order.append(credits)
                handle.end()
            }
        }
        fixture.environment.run(limit: .seconds(1))
        #expect(order.isEmpty && journal.statistics.waitsForLogSpace == 1)
        journal.checkpointLock.unlock(.exclusive)
        fixture.environment.run(limit: .seconds(1))
        #expect(order == [200, 1])
        #expect(fixture.value(5100) == 5)
    }

    @Test("A change that is larger than a transaction can be is refused with both numbers")
    func tooLarge() throws {
        let fixture = JournalFixture()
        let journal = try fixture.started()
        #expect(throws: JournalError.tooLarge(credits: 252, most: 251)) {
            try fixture.environment.wait { () async throws(JournalError) in
                try await journal.begin(credits: 252).end()
            }
        }
        let handle = try fixture.environment.wait { () async throws(JournalError) in
            try await journal.begin(credits: 200)
        }
        #expect(handle.extend(credits: 51))
        #expect(!handle.extend(credits: 1))
        handle.end()
    }

    @Test("Credits that a handle still has count for what it makes sure of")
    func ensuredCredits() throws {
        let fixture = JournalFixture()
        let journal = try fixture.started()
        let handle = try fixture.environment.wait { () async throws(JournalError) in
            try await journal.begin(credits: 200)
        }
        #expect(handle.ensure(credits: 200))
        #expect(handle.ensure(credits: 251))
        #expect(handle.ensure(credits: 251) && !handle.ensure(credits: 252))
        #expect(!handle.extend(credits: 1))
        handle.end()
    }

    @Test("After an error of the device every waiter is told and nothing is written any more")
    func deviceError() throws {
        let fixture = JournalFixture()
        let journal = try fixture.started()
        var told: [JournalError] = []
        journal.onAbort = { told.append($0) }
        try fixture.change(journal, [20], to: 1)
        fixture.device.fault = { transfer in transfer.kind == .flush ? 5 : 0 }
        #expect(throws: JournalError.self) { try fixture.commit(journal) }
        #expect(told == [.device(BlockDeviceError(errno: 5))])
        fixture.device.fault = nil
        let writes = fixture.device.counts.writes
        #expect(throws: JournalError.aborted("the device failed with errno 5")) {
            try fixture.change(journal, [21], to: 1)
        }
        #expect(throws: JournalError.self) { try fixture.flush(journal) }
        fixture.environment.run(limit: .seconds(20))
        #expect(fixture.device.counts.writes == writes)
        #expect(told.count == 1)
    }

    @Test("An abort wakes handles, commits and flushes that wait")
    func abortWakes() throws {
        let fixture = JournalFixture()
        let journal = try fixture.started()
        let environment = fixture.environment
        let open = try environment.wait { () async throws(JournalError) in try await journal.begin(credits: 1) }
        open.modify(fixture.cache.fresh(30))
        var errors = 0
        environment.spawn { do { try await journal.commit(open.transaction) } catch { errors += 1 } }
        environment.run(limit: .seconds(1))
        environment.spawn { do { try await journal.begin(credits: 1).end() } catch { errors += 1 } }
        environment.spawn { do { try await journal.flush() } catch { errors += 1 } }
        environment.run(limit: .seconds(1))
        #expect(errors == 0)
        journal.abort("the host is fenced")
        environment.run(limit: .seconds(1))
        #expect(errors == 3)
        open.end()
    }

    @Test("A checkpoint that waits while the journal is stopped finds nothing to do")
    func stopBeforeCheckpoint() throws {
        let fixture = JournalFixture()
        // Every commit wants a checkpoint, also the one of the stop itself.
        fixture.options.unwrittenByteCountMax = 0
        let journal = try fixture.started()
        var aborts = 0
        journal.onAbort = { _ in aborts += 1 }
        try fixture.change(journal, [20], to: 9)
        try fixture.environment.wait { () async throws(JournalError) in try await journal.stop() }
        fixture.environment.run(limit: .seconds(1))
        #expect(aborts == 0)
        #expect(fixture.environment.records.filter { $0.level >= .warning }.isEmpty)
        #expect(fixture.value(20) == 9)
    }

    @Test("A stopped journal leaves an empty log and takes no handle")
    func stop() throws {
        let fixture = JournalFixture()
        let journal = try fixture.started()
        try fixture.change(journal, [20], to: 9)
        try fixture.environment.wait { () async throws(JournalError) in try await journal.stop() }
        #expect(fixture.value(20) == 9)
        #expect(try fixture.superblock().start == 0)
        #expect(throws: JournalError.aborted("the journal is stopped")) { try fixture.change(journal, [20], to: 1) }
        let next = JournalFixture(runs: fixture.runs, device: fixture.device)
        _ = try next.started()
        #expect(try next.superblock().sequence == 4)
    }
}
