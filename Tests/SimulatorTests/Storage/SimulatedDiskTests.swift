import EngineKit
import Replication
import Simulator
import Testing

/// A disk whose operations are completed by hand.
private struct Bench {
    let disk: SimulatedDisk
    private var count: UInt64 = 0

    init(hasVolatileCache: Bool = true, seed: UInt64 = 1) {
        var character = SimulatedDisk.Character()
        character.hasVolatileCache = hasVolatileCache
        disk = SimulatedDisk(
            byteCount: 1 << 20, character: character, random: SimulationRandom(seed: seed, stream: 0))
    }

    mutating func submit(_ kind: DiskOperation.Kind, _ offset: Int, _ byteCount: Int, _ data: IOSlice? = nil) -> Int {
        count += 1
        let device = BackingDeviceID(volume: VolumeNumber(0), part: .data)
        let operation = DiskOperation(
            id: OperationID(count), device: device, kind: kind, offset: UInt64(offset), byteCount: byteCount,
            data: data)
        return disk.submit(operation).ticket
    }

    static func data(_ byte: UInt8, _ byteCount: Int) -> IOSlice {
        let buffer = IOBuffer(byteCount: byteCount)
        buffer.base.initializeMemory(as: UInt8.self, repeating: byte, count: byteCount)
        return IOSlice(buffer: buffer, offset: 0, count: byteCount)
    }

    @discardableResult
    mutating func write(
        _ byte: UInt8, at offset: Int, _ byteCount: Int, flushBefore: Bool = false, forceUnitAccess: Bool = false
    ) -> Int32 {
        let kind = DiskOperation.Kind.write(flushBefore: flushBefore, forceUnitAccess: forceUnitAccess)
        return disk.complete(submit(kind, offset, byteCount, Self.data(byte, byteCount)))
    }

    mutating func flush() { _ = disk.complete(submit(.flush, 0, 0)) }

    /// First byte of each sector.
    func sectors(_ offset: Int, _ byteCount: Int) -> [UInt8] {
        let bytes = disk.contents(offset: offset, count: byteCount)
        return stride(from: 0, to: byteCount, by: 512).map { bytes[$0] }
    }
}

@Suite("Simulated disk")
struct SimulatedDiskTests {
    @Test("a flushed write survives a power failure, one completed after the flush was sent does not")
    func flush() {
        var bench = Bench()
        bench.write(1, at: 0, 4096)
        let flush = bench.submit(.flush, 0, 0)
        bench.write(2, at: 4096, 4096)
        _ = bench.disk.complete(flush)
        bench.disk.powerFailure(.nothingReached)
        #expect(bench.sectors(0, 4096) == Array(repeating: 1, count: 8))
        #expect(bench.sectors(4096, 4096) == Array(repeating: 0, count: 8))
    }

    @Test("a write with forced unit access survives, and nothing older comes back in its place")
    func forceUnitAccess() {
        var bench = Bench()
        bench.write(1, at: 0, 4096)
        bench.write(2, at: 512, 512, forceUnitAccess: true)
        bench.disk.powerFailure(.nothingReached)
        #expect(bench.sectors(0, 1536) == [0, 2, 0])
    }

    @Test("a write with a flush before makes what was completed earlier durable")
    func flushBefore() {
        var bench = Bench()
        bench.write(1, at: 0, 512)
        bench.write(2, at: 4096, 512, flushBefore: true)
        bench.disk.powerFailure(.nothingReached)
        #expect(bench.sectors(0, 512) == [1])
        #expect(bench.sectors(4096, 512) == [0])
    }

    @Test("a write under way whose flush did not happen leaves nothing behind", arguments: 1...20)
    func flushBeforeUnderWay(seed: UInt64) {
        var bench = Bench(seed: seed)
        bench.write(1, at: 0, 512)
        _ = bench.submit(.write(flushBefore: true, forceUnitAccess: true), 4096, 512, Bench.data(2, 512))
        bench.disk.powerFailure(.someSectors(percent: 50))
        if bench.sectors(4096, 512) == [2] { #expect(bench.sectors(0, 512) == [1]) }
    }

    @Test("torn writes leave each sector old or new")
    func torn() {
        var bench = Bench()
        bench.write(1, at: 0, 65536)
        bench.flush()
        bench.write(2, at: 0, 65536)
        bench.disk.powerFailure(.someSectors(percent: 50))
        let sectors = bench.sectors(0, 65536)
        #expect(Set(sectors) == [1, 2])
    }

    @Test("a sector falls back past several unflushed writes, never to one before the flush")
    func fallBack() {
        var seen: Set<UInt8> = []
        for seed in 1...60 {
            var bench = Bench(seed: UInt64(seed))
            for byte: UInt8 in 1...2 { bench.write(byte, at: 0, 512) }
            bench.flush()
            for byte: UInt8 in 3...4 { bench.write(byte, at: 0, 512) }
            bench.disk.powerFailure(.someWrites(percent: 50))
            seen.formUnion(bench.sectors(0, 512))
        }
        #expect(seen == [2, 3, 4])
    }

    @Test("without a volatile cache a completed write survives and only what is under way is in doubt")
    func safeCache() {
        var bench = Bench(hasVolatileCache: false)
        bench.write(1, at: 0, 4096)
        _ = bench.submit(.write(flushBefore: false, forceUnitAccess: false), 4096, 4096, Bench.data(2, 4096))
        bench.disk.powerFailure(.nothingReached)
        #expect(bench.sectors(0, 8192) == Array(repeating: 1, count: 8) + Array(repeating: 0, count: 8))
    }

    @Test("the kill of a program keeps what was completed and may keep what was under way")
    func kill() {
        var bench = Bench()
        bench.write(1, at: 0, 512)
        _ = bench.submit(.write(flushBefore: false, forceUnitAccess: false), 512, 512, Bench.data(2, 512))
        bench.disk.crashOfProgram(.everythingReached)
        #expect(bench.sectors(0, 1024) == [1, 2])
    }

    @Test("discards and zeroes read as zeroes")
    func zeroes() {
        var bench = Bench()
        bench.write(9, at: 0, 12288)
        _ = bench.disk.complete(bench.submit(.discard, 512, 4096))
        _ = bench.disk.complete(bench.submit(.writeZeroes(mayUnmap: false), 8192, 512))
        let expected: [UInt8] = [9] + Array(repeating: 0, count: 8) + Array(repeating: 9, count: 7) + [0]
        #expect(bench.sectors(0, 8704) == expected)
    }
}

@Suite("Disk faults")
struct DiskFaultTests {
    @Test("an unreadable range fails reads that touch it, and no others")
    func unreadable() {
        var bench = Bench()
        bench.disk.faults.unreadable = 4096..<4608
        let target = Bench.data(0, 4096)
        #expect(bench.disk.complete(bench.submit(.read, 0, 4096, target)) == 0)
        #expect(bench.disk.complete(bench.submit(.read, 1024, 4096, target)) == 5)
        #expect(bench.write(1, at: 4096, 512) == 0)
        #expect(bench.disk.errorCount == 1)
    }

    @Test("an unwritable disk fails writes and flushes, and may keep parts of the writes")
    func unwritable() {
        var bench = Bench()
        bench.disk.faults.unwritable = 0..<Int.max
        #expect(bench.write(1, at: 0, 65536) == 5)
        #expect(bench.disk.complete(bench.submit(.flush, 0, 0)) == 5)
        #expect(Set(bench.sectors(0, 65536)) == [0, 1])
    }

    @Test("a failed flush loses a part of what was completed, and the next one does not bring it back")
    func failedFlush() {
        var bench = Bench()
        for block in 0..<64 { bench.write(1, at: block * 4096, 4096) }
        bench.disk.faults.unwritable = 0..<Int.max
        #expect(bench.disk.complete(bench.submit(.flush, 0, 0)) == 5)
        #expect(bench.disk.cacheLossCount == 1)
        bench.disk.faults.unwritable = nil
        #expect(bench.disk.complete(bench.submit(.flush, 0, 0)) == 0)
        let left = bench.sectors(0, 64 * 4096).filter { $0 == 1 }.count
        #expect(left > 64 && left < 448)
    }

    @Test("a full filesystem takes writes only where something is stored")
    func full() {
        var bench = Bench()
        bench.write(1, at: 0, 4096)
        bench.disk.faults.isFull = true
        #expect(bench.write(2, at: 0, 4096) == 0)
        #expect(bench.write(3, at: 4096, 4096) == 28)
    }

    @Test("a slow disk takes longer")
    func slow() {
        let operation = DiskOperation(
            id: OperationID(1), device: BackingDeviceID(volume: VolumeNumber(0), part: .data), kind: .flush,
            offset: 0, byteCount: 0)
        let usual = Bench().disk.submit(operation).latency
        let bench = Bench()
        bench.disk.faults.slowness = 100
        #expect(bench.disk.submit(operation).latency == 100 * usual)
    }
}
