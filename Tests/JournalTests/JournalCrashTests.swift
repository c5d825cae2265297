import EngineKit
import EngineSimulation
import Glibc
import Testing

@testable import Journal

/// Random changes, a cut of power at every point of the writes, and the promise of a log: after the replay the blocks
/// are as after some transaction, and not an older one than the last that was said to be durable.
struct JournalCrashTests {
    @Test("After any cut of power transactions are there whole or not at all, and durable ones are", arguments: 1...3)
    func everyCut(seed: UInt64) throws {
        let run = CrashRun(seed: seed)
        try run.work(rounds: 25)
        let cut = PowerCut(base: run.base, environment: run.environment)
        let random = SeededRandom(seed: seed &+ 1000)
        for record in run.fixture.device.records {
            cut.pass(record)
            let losses: [PowerCut.Loss] = [.everything, .someWrites, .someSectors]
            for loss in [.nothing, losses[cut.position % 3]] where loss == .nothing || cut.canLose {
                let disk = cut.disk(loss, random: random, environment: run.environment)
                try run.check(disk, after: cut.position, loss)
            }
        }
        #expect(run.journal.statistics.checkpoints > 0)
        #expect(run.journal.statistics.creditOverruns == 0)
    }

    @Test("A cut of power during the replay is healed by the next one", arguments: 1...3)
    func cutDuringReplay(seed: UInt64) throws {
        let run = CrashRun(seed: seed)
        try run.work(rounds: 15)
        let cut = PowerCut(base: run.base, environment: run.environment)
        let random = SeededRandom(seed: seed)
        for record in run.fixture.device.records {
            cut.pass(record)
            guard cut.position % 41 == 0 else { continue }
            let position = cut.position
            let disk = cut.disk(.someSectors, random: random, environment: run.environment)
            let recovery = JournalFixture(runs: run.fixture.runs, device: disk)
            recovery.device.isRecording = true
            try recovery.replay()
            let second = PowerCut(base: disk, environment: run.environment)
            for record in recovery.device.records {
                second.pass(record)
                for loss in PowerCut.Loss.allCases {
                    let again = second.disk(loss, random: random, environment: run.environment)
                    try run.check(again, after: position, loss)
                }
            }
        }
    }

    @Test("A host that crashes, replays and goes on many times never loses what was durable", arguments: 1...3)
    func manyLives(seed: UInt64) throws {
        let random = SeededRandom(seed: seed)
        var disk: MemoryDevice?
        var state: [UInt64]?
        for life in 0..<25 as Range<UInt64> {
            let run = CrashRun(seed: seed &* 100 &+ life, device: disk, state: state)
            try run.work(rounds: 8)
            let records = run.fixture.device.records
            let cut = PowerCut(base: run.base, environment: run.environment)
            for record in records.prefix(Int(random.next(below: UInt64(records.count + 1)))) { cut.pass(record) }
            let left = cut.disk(.someSectors, random: random, environment: run.environment)
            state = try run.check(left, after: cut.position, .someSectors)
            disk = left
        }
    }
}

/// A journal under random changes, and what it said when.
private final class CrashRun {
    static let blockCount = 80
    static let firstBlock: UInt64 = 5000

    let fixture: JournalFixture
    let environment: VirtualEnvironment
    let journal: Journal
    /// The disk before the first recorded write.
    let base: MemoryDevice
    private let random: SeededRandom
    /// What every block holds after the changes so far.
    private var current: [UInt64]
    /// The same at the end of each transaction; index: its number.
    private var states: [[UInt64]]
    /// Length of the record when a transaction was said to be durable.
    private var durable: [(recordCount: Int, transaction: UInt64)] = []
    private var lastValue: UInt64

    /// - Parameter device: a disk with a log to be replayed; `state` is what its blocks hold then.
    init(seed: UInt64, device: MemoryDevice? = nil, state: [UInt64]? = nil) {
        fixture = JournalFixture(seed: seed, cacheByteCount: 20 * 1024, device: device)
        fixture.options.unwrittenByteCountMax = 300 * 1024
        environment = fixture.environment
        base = fixture.device.copy(environment: environment)
        random = SeededRandom(seed: seed)
        current = state ?? [UInt64](repeating: 0, count: Self.blockCount)
        states = [current]
        lastValue = (current.max() ?? 0) + 1
        fixture.device.isRecording = true
        if device != nil { try! fixture.replay() }
        journal = fixture.journal()
        environment.wait { [journal] () async throws(Never) in try! await journal.start() }
    }

    /// Tasks that change, commit and flush.
    func work(rounds: Int) throws {
        var open = 0
        for _ in 0..<6 {
            open += 1
            environment.spawn { [self] in
                for _ in 0..<rounds { await step() }
                open -= 1
            }
        }
        try #require(environment.run { open == 0 })
    }

    private func step() async {
        let credits = 1 + Int(random.next(below: random.next(below: 8) == 0 ? 60 : 8))
        let handle = try! await journal.begin(credits: credits)
        var blocks: [(index: Int, block: MetadataBlock)] = []
        for _ in 0..<credits {
            let index = Int(random.next(below: UInt64(Self.blockCount)))
            // Reading is allowed while a handle is open.
            let block = try! await fixture.cache.read(Self.firstBlock + UInt64(index) * 2)
            if !blocks.contains(where: { $0.index == index }) { blocks.append((index, block)) }
        }
        lastValue += 1
        let value = lastValue
        for (index, block) in blocks {
            handle.modify(block)
            Self.fill(block.bytes, with: value)
            current[index] = value
        }
        while states.count <= Int(handle.transaction) { states.append(states[states.count - 1]) }
        states[Int(handle.transaction)] = current
        let isReleased = random.next(below: 8) == 0
        if isReleased {
            await environment.yield()
        }
        handle.end()
        switch random.next(below: 20) {
        case 0..<4:
            try! await journal.commit(handle.transaction)
            durable.append((fixture.device.records.count, handle.transaction))
        case 4:
            let before = journal.runningTransaction
            try! await journal.flush()
            durable.append((fixture.device.records.count, max(handle.transaction, before - 1)))
        case 5..<9: await environment.yield()
        default: break
        }
    }

    /// Replays on `disk` and compares; the state that is there.
    @discardableResult
    func check(_ disk: MemoryDevice, after recordCount: Int, _ loss: PowerCut.Loss) throws -> [UInt64] {
        let recovery = JournalFixture(runs: fixture.runs, device: disk)
        try recovery.replay()
        let found = try (0..<Self.blockCount).map { index in
            try value(recovery.device.block(Self.firstBlock + UInt64(index) * 2), index)
        }
        let oldest = durable.last { $0.recordCount <= recordCount }?.transaction ?? 0
        let match = states.indices.reversed().first { states[$0] == found }
        try #require(match != nil, "cut after \(recordCount), \(loss): a state that never was: \(found)")
        #expect(match! >= Int(oldest), "cut after \(recordCount), \(loss): \(match!) is there, \(oldest) was durable")
        return found
    }

    /// The one value that fills a block.
    private func value(_ bytes: [UInt8], _ index: Int) throws -> UInt64 {
        // Each word equals the next one.
        let (value, isWhole) = bytes.withUnsafeBytes { bytes in
            (
                bytes.loadUnaligned(as: UInt64.self),
                memcmp(bytes.baseAddress!, bytes.baseAddress! + 8, bytes.count - 16) == 0
            )
        }
        if !isWhole { Issue.record("block \(index) is torn") }
        return value
    }

    /// All but the last eight bytes, which the sealer has.
    private static func fill(_ bytes: UnsafeMutableRawBufferPointer, with value: UInt64) {
        let words = UnsafeMutableRawBufferPointer(rebasing: bytes[..<(bytes.count - 8)])
        words.withMemoryRebound(to: UInt64.self) { $0.update(repeating: value) }
    }
}
