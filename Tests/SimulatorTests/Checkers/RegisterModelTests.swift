import Testing

@testable import Simulator

/// A model of one area of four sectors, and two hosts that are in sync.
private final class Bench {
    let model: RegisterModel
    var now: UInt64 = 0

    init() {
        var areas = TrackedAreas()
        areas.append(sector: 100, count: 4)
        model = RegisterModel(areas: areas, usesProtocolC: true)
        setConnected(true)
    }

    /// Both UpToDate; connected or not.
    func setConnected(_ isConnected: Bool) {
        now += 1
        for host in 0...1 {
            model.setSessionLive(host: host, isConnected, now: now)
            model.setSurety(writer: host, holder: host, true)
            model.setSurety(writer: host, holder: 1 - host, isConnected)
        }
    }

    func issue(_ host: Int, _ range: Range<Int> = 0..<4, isZero: Bool = false) -> UInt32 {
        now += 1
        return model.issueWrite(host: host, range: range, isZero: isZero, now: now)
    }

    func acknowledge(_ write: UInt32, isDurable: Bool = false) {
        now += 1
        model.acknowledge(write, isDurable: isDurable, now: now)
    }

    func write(_ host: Int) -> UInt32 {
        let number = issue(host)
        acknowledge(number)
        return number
    }

    /// What a read of the first sector on `host` would be told if it returned the data of `write`.
    func problem(_ host: Int, reading write: UInt32) -> String? {
        now += 1
        let view = model.issueRead(reader: host, range: 0..<1, holders: [host], now: now)
        return model.checkRead(view, data: Self.sector(write), holders: [host])
    }

    static func sector(_ write: UInt32) -> UnsafeRawBufferPointer {
        let bytes = UnsafeMutableRawBufferPointer.allocate(byteCount: 512, alignment: 8)
        bytes.initializeMemory(as: UInt8.self, repeating: 0)
        if write > 0, let base = bytes.baseAddress { SectorStamp(write: write, sector: 100).fill(base) }
        return UnsafeRawBufferPointer(bytes)
    }
}

@Suite("Register model")
struct RegisterModelTests {
    @Test("a target whose source went on alone reads what was there until it notices, and nothing older")
    func unnoticedParting() {
        let bench = Bench()
        let first = bench.write(1)
        let second = bench.write(1)
        bench.model.resyncTarget = 0
        bench.model.setSurety(writer: 1, holder: 0, false)
        bench.model.setSessionLive(host: 1, false, now: bench.now)
        let third = bench.write(1)
        func problem(_ write: UInt32) -> String? {
            let view = bench.model.issueRead(reader: 0, range: 0..<1, holders: [1], now: bench.now)
            return bench.model.checkRead(view, data: Bench.sector(write), holders: [1])
        }
        #expect(problem(second) == nil && problem(third) == nil)
        #expect(problem(first) != nil)
        bench.model.setSessionLive(host: 1, true, now: bench.now)
        #expect(problem(second) != nil)
    }

    @Test("an acknowledged write is what both hosts read, and nothing older")
    func simpleWrite() {
        let bench = Bench()
        let first = bench.write(0)
        let second = bench.write(1)
        for host in 0...1 {
            #expect(bench.problem(host, reading: second) == nil)
            #expect(bench.problem(host, reading: first) != nil)
            #expect(bench.problem(host, reading: 0) != nil)
        }
    }

    @Test("of two writes under way at the same time either may win")
    func concurrentWrites() {
        let bench = Bench()
        let first = bench.issue(0)
        let second = bench.issue(1)
        bench.acknowledge(first)
        bench.acknowledge(second)
        #expect(bench.problem(0, reading: first) == nil)
        #expect(bench.problem(0, reading: second) == nil)
        #expect(bench.problem(0, reading: 0) != nil)
    }

    @Test("a read may return a write that began while it was under way")
    func readDuringWrite() {
        let bench = Bench()
        let view = bench.model.issueRead(reader: 0, range: 0..<1, holders: [0], now: bench.now)
        let write = bench.write(0)
        let later = bench.write(0)
        #expect(bench.model.checkRead(view, data: Bench.sector(write), holders: [0]) == nil)
        #expect(bench.model.checkRead(view, data: Bench.sector(0), holders: [0]) == nil)
        #expect(bench.model.checkRead(view, data: Bench.sector(later), holders: [0]) == nil)
    }

    @Test("torn sectors and data of other sectors are never right")
    func garbage() {
        let bench = Bench()
        let write = bench.write(0)
        let bytes = UnsafeMutableRawBufferPointer(mutating: Bench.sector(write))
        bytes[300] ^= 1
        let view = bench.model.issueRead(reader: 0, range: 0..<1, holders: [0], now: bench.now)
        #expect(
            bench.model.checkRead(view, data: UnsafeRawBufferPointer(bytes), holders: [0])?.contains("torn") == true)
        let other = bench.model.issueRead(reader: 0, range: 1..<2, holders: [0], now: bench.now)
        #expect(bench.model.checkRead(other, data: Bench.sector(write), holders: [0]) != nil)
    }

    @Test("apart, each host has its own truth; declared in sync, that is noticed")
    func silentDivergence() {
        let bench = Bench()
        bench.setConnected(false)
        let left = bench.write(0)
        let right = bench.write(1)
        #expect(bench.problem(0, reading: left) == nil && bench.problem(0, reading: right) != nil)
        #expect(bench.problem(1, reading: right) == nil && bench.problem(1, reading: left) != nil)
        bench.setConnected(true)
        #expect(bench.model.declareInSync()?.contains("declared in sync") == true)
    }

    @Test("a resync that throws away an acknowledged write needs leave")
    func loss() {
        for isGranted in [false, true] {
            for wereApart in [false, true] {
                let bench = Bench()
                bench.setConnected(false)
                let left = bench.write(0)
                _ = bench.write(1)
                bench.model.wasPrimaryApart = [wereApart, wereApart]
                bench.model.discardGranted[1] = isGranted
                bench.setConnected(true)
                #expect((bench.model.finishResync(target: 1) == nil) == (isGranted && wereApart))
                #expect(bench.problem(1, reading: left) == nil)
            }
        }
    }

    @Test("a resync of what only the source wrote loses nothing")
    func properResync() {
        let bench = Bench()
        bench.setConnected(false)
        let left = bench.write(0)
        bench.setConnected(true)
        #expect(bench.model.finishResync(target: 1) == nil)
        #expect(bench.problem(1, reading: left) == nil)
        #expect(bench.problem(1, reading: 0) != nil)
    }

    @Test("without power a host may fall back to its last flush, not further")
    func powerFailure() {
        let bench = Bench()
        let flushed = bench.write(0)
        let flushIssued = bench.now + 1
        bench.now += 2
        bench.model.acknowledgeFlush(host: 0, issued: flushIssued, surety: bench.model.surety[0])
        let unflushed = bench.write(0)
        bench.model.crash(host: 0, losesCache: true, now: bench.now)
        #expect(bench.problem(0, reading: flushed) == nil)
        #expect(bench.problem(0, reading: unflushed) == nil)
        #expect(bench.problem(0, reading: 0) != nil)
        // The other host kept its power.
        #expect(bench.problem(1, reading: flushed) != nil)
    }

    @Test("a write with forced unit access is not lost without power")
    func forceUnitAccess() {
        let bench = Bench()
        let write = bench.issue(0)
        bench.acknowledge(write, isDurable: true)
        bench.model.crash(host: 0, losesCache: true, now: bench.now)
        #expect(bench.problem(0, reading: 0) != nil)
        #expect(bench.problem(0, reading: write) == nil)
    }

    @Test("a write that a crash cut off may have happened, until something newer is there")
    func cutOffWrite() {
        let bench = Bench()
        let base = bench.write(0)
        let cutOff = bench.issue(0)
        bench.model.crash(host: 0, losesCache: false, now: bench.now)
        bench.setConnected(false)
        #expect(bench.problem(1, reading: base) == nil)
        #expect(bench.problem(1, reading: cutOff) == nil)
        let newer = bench.write(1)
        #expect(bench.problem(1, reading: cutOff) != nil)
        #expect(bench.problem(1, reading: newer) == nil)
    }

    @Test("a write acknowledged while the connection broke is sure only where it was made")
    func writeAcrossDisconnect() {
        let bench = Bench()
        let write = bench.issue(0)
        bench.setConnected(false)
        bench.acknowledge(write)
        #expect(bench.problem(0, reading: 0) != nil)
        #expect(bench.problem(1, reading: 0) == nil)
        #expect(bench.problem(1, reading: write) == nil)
    }

    @Test("zeroes are as good as any other zeroes")
    func zeroes() {
        let bench = Bench()
        let zero = bench.issue(0, isZero: true)
        bench.acknowledge(zero)
        #expect(bench.problem(0, reading: 0) == nil)
        let data = bench.write(0)
        #expect(bench.problem(0, reading: 0) != nil)
        #expect(bench.problem(0, reading: data) == nil)
    }
}

@Suite("Tracked areas")
struct TrackedAreasTests {
    @Test("sectors and their numbers belong together, and nothing else has a number")
    func numbering() {
        var areas = TrackedAreas()
        areas.append(sector: 0, count: 3)
        areas.append(sector: 10, count: 5)
        areas.append(sector: 100, count: 1)
        #expect(areas.count == 9)
        for index in 0..<areas.count { #expect(areas.index(of: areas.sector(at: index)) == index) }
        for sector: UInt64 in [3, 9, 15, 99, 101] { #expect(areas.index(of: sector) == nil) }
    }
}
