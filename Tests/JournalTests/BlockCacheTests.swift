import EngineKit
import EngineSimulation
import Testing

@testable import Journal

struct BlockCacheTests {
    private func cache(_ fixture: JournalFixture, blocks: Int) -> BlockCache {
        BlockCache(device: fixture.device, blockSize: 1024, byteCountMax: blocks * 1024)
    }

    private func read(_ fixture: JournalFixture, _ cache: BlockCache, _ number: UInt64) throws -> MetadataBlock {
        try fixture.environment.wait { () async throws(BlockDeviceError) in try await cache.read(number) }
    }

    @Test("Readers of one block that come together cause one read")
    func coalesced() throws {
        let fixture = JournalFixture()
        fixture.device.put([UInt8](repeating: 3, count: 1024), at: 70)
        fixture.device.latency = .milliseconds(1)
        let cache = cache(fixture, blocks: 10)
        var blocks: [MetadataBlock] = []
        for _ in 0..<5 { fixture.environment.spawn { blocks.append(try! await cache.read(70)) } }
        fixture.environment.run(limit: .seconds(1))
        #expect(blocks.count == 5 && fixture.device.counts.reads == 1)
        #expect(blocks.allSatisfy { $0 === blocks[0] && $0.bytes[0] == 3 && $0.kind == 0 })
    }

    @Test("An error of the device reaches every reader, and the next one tries again")
    func error() throws {
        let fixture = JournalFixture()
        fixture.device.fault = { _ in 5 }
        let cache = cache(fixture, blocks: 10)
        var errors = 0
        for _ in 0..<3 { fixture.environment.spawn { do { _ = try await cache.read(70) } catch { errors += 1 } } }
        fixture.environment.run(limit: .seconds(1))
        #expect(errors == 3)
        fixture.device.fault = nil
        _ = try read(fixture, cache, 70)
    }

    @Test("Neighbours of a list are read with one transfer, in the order of the list")
    func bulk() throws {
        let fixture = JournalFixture()
        for number in 0..<64 as Range<UInt8> {
            fixture.device.put([UInt8](repeating: number, count: 1024), at: 100 + UInt64(number))
        }
        let cache = cache(fixture, blocks: 100)
        _ = try read(fixture, cache, 105)
        let numbers: [UInt64] = [130, 101, 100, 102, 105, 131, 101]
        let blocks = try fixture.environment.wait { () async throws(BlockDeviceError) in
            try await cache.read(numbers)
        }
        #expect(blocks.map(\.number) == numbers)
        #expect(blocks.map { UInt64($0.bytes[9]) + 100 } == numbers)
        #expect(fixture.device.counts.reads == 3)
    }

    @Test("Clean blocks go when the limit is reached, least recently used first; pinned and referenced ones stay")
    func eviction() throws {
        let fixture = JournalFixture()
        let cache = cache(fixture, blocks: 4)
        try read(fixture, cache, 10).pinCount += 1
        let held = try read(fixture, cache, 11)
        for number in 12...15 as ClosedRange<UInt64> { _ = try read(fixture, cache, number) }
        _ = cache.cached(13)
        for number in 16...17 as ClosedRange<UInt64> { _ = try read(fixture, cache, number) }
        #expect(cache.cached(10) != nil)
        #expect(cache.cached(11) === held)
        #expect(cache.cached(13) != nil)
        #expect(cache.cached(12) == nil && cache.cached(14) == nil)
        #expect(cache.blockCount <= 5)
        cache.cached(10)?.pinCount -= 1
        for number in 20...30 as ClosedRange<UInt64> { _ = try read(fixture, cache, number) }
        #expect(cache.cached(10) == nil && cache.cached(11) === held)
    }

    @Test("Changed blocks stay until they are in their places")
    func dirty() throws {
        let fixture = JournalFixture(cacheByteCount: 8 * 1024)
        let journal = try fixture.started()
        try fixture.change(journal, (0..<50).map { 5000 + $0 }, to: 1)
        #expect(fixture.cache.blockCount == 50)
        try fixture.commit(journal)
        #expect(fixture.cache.blockCount == 50)
        try fixture.flush(journal)
        #expect(fixture.cache.blockCount <= 9)
    }

    @Test("A reread brings what is on disk into the same object")
    func reread() throws {
        let fixture = JournalFixture()
        let cache = cache(fixture, blocks: 4)
        let block = try read(fixture, cache, 10)
        block.kind = 4
        fixture.device.put([UInt8](repeating: 9, count: 1024), at: 10)
        let again = try fixture.environment.wait { () async throws(BlockDeviceError) in try await cache.reread(10) }
        #expect(again === block && block.bytes[5] == 9 && block.kind == 0)
        fixture.device.put([UInt8](repeating: 8, count: 1024), at: 10)
        cache.forget(10)
        #expect(try read(fixture, cache, 10).bytes[5] == 8)
    }

    @Test("A block written through is on stable storage")
    func writeThrough() throws {
        let fixture = JournalFixture()
        let cache = cache(fixture, blocks: 4)
        let block = cache.fresh(10)
        block.bytes[3] = 7
        fixture.device.isRecording = true
        try fixture.environment.wait { () async throws(BlockDeviceError) in try await cache.writeThrough(block) }
        #expect(fixture.device.block(10)[3] == 7)
        guard case .write(10240, _, forceUnitAccess: true) = fixture.device.records[0] else {
            Issue.record("\(fixture.device.records)")
            return
        }
    }

    @Test("A block number beyond every device is an error")
    func beyond() {
        let fixture = JournalFixture()
        let cache = cache(fixture, blocks: 4)
        for number in [16384, UInt64.max / 1024, .max] {
            #expect(throws: BlockDeviceError(errno: 22)) { try read(fixture, cache, number) }
        }
    }
}
