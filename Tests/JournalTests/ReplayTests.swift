import EngineKit
import EngineSimulation
import JournalLayout
import LayoutKit
import Testing

@testable import Journal

/// Logs built by hand, as another implementation might leave them.
struct ReplayTests {
    /// Log blocks from position 1 on; the superblock expects `sequence` there.
    private func fixture(
        _ blocks: [[UInt8]], sequence: UInt32 = 10, start: UInt32 = 1, features: JournalFeatures = []
    ) -> JournalFixture {
        let fixture = JournalFixture(features: features)
        put(blocks, into: fixture, at: start)
        setTail(fixture, start: start, sequence: sequence, features: features)
        return fixture
    }

    private func setTail(_ fixture: JournalFixture, start: UInt32, sequence: UInt32, features: JournalFeatures) {
        var block = fixture.device.block(600)
        block.withUnsafeMutableBytes {
            $0[JournalSuperblock.Field.start] = start
            $0[JournalSuperblock.Field.sequence] = sequence
        }
        fixture.device.put(block, at: 600)
    }

    private func put(_ blocks: [[UInt8]], into fixture: JournalFixture, at start: UInt32) {
        for (index, block) in blocks.enumerated() {
            let position = (start - 1 + UInt32(index)) % 1023 + 1
            fixture.device.put(block, at: position < 700 ? 600 + UInt64(position) : 4000 + UInt64(position) - 700)
        }
    }

    private func descriptor(_ sequence: UInt32, _ blocks: [UInt64], _ format: JournalTagFormat = .narrow) -> [UInt8] {
        made { JournalDescriptor.encode(blocks.map { JournalTag(block: $0) }, sequence: sequence, format, into: $0) }
    }

    private func commit(_ sequence: UInt32) -> [UInt8] {
        made { JournalCommit(sequence: sequence, seconds: 1, nanoseconds: 2).encode(into: $0) }
    }

    private func revoke(_ sequence: UInt32, _ blocks: [UInt64], _ format: JournalTagFormat = .narrow) -> [UInt8] {
        made { JournalRevoke.encode(blocks, sequence: sequence, format, into: $0) }
    }

    private func image(_ value: UInt8) -> [UInt8] { [UInt8](repeating: value, count: 1024) }

    private func made(_ body: (UnsafeMutableRawBufferPointer) -> Void) -> [UInt8] {
        var bytes = [UInt8](repeating: 0, count: 1024)
        bytes.withUnsafeMutableBytes(body)
        return bytes
    }

    private func first(_ fixture: JournalFixture, _ block: UInt64) -> UInt8 { fixture.device.block(block)[0] }

    @Test("Committed transactions are replayed in order, the one without a commit block is not")
    func basic() throws {
        let fixture = fixture([
            descriptor(10, [20, 21]), image(1), image(2), commit(10),
            descriptor(11, [21, 22]), image(3), image(4), commit(11),
            descriptor(12, [20]), image(9),
        ])
        #expect(try fixture.replay() == 2)
        #expect([20, 21, 22].map { first(fixture, $0) } == [1, 3, 4])
        let superblock = try fixture.superblock()
        // The last committed is 11; 12 must not be used again.
        #expect(superblock.start == 0 && superblock.sequence == 13)
        #expect(try fixture.replay() == 0)
        #expect(try fixture.superblock().sequence == 14)
    }

    @Test("The images are on stable storage before the log is emptied")
    func order() throws {
        let fixture = fixture([descriptor(10, [20, 21]), image(1), image(2), commit(10)])
        fixture.device.isRecording = true
        try fixture.replay()
        let kinds = fixture.device.records.map { record in
            switch record {
            case .flush: "flush"
            case .write(let offset, let bytes, let isForced):
                "\(offset / 1024)+\(bytes.count / 1024)\(isForced ? "!" : "")"
            }
        }
        #expect(kinds == ["20+2", "flush", "600+1!"])
    }

    @Test("A log that wraps is followed around its end and across the file's extents")
    func wrap() throws {
        var blocks: [[UInt8]] = []
        for sequence in 10..<20 as Range<UInt32> {
            let targets = (0..<100).map { 8000 + UInt64(sequence) * 100 + $0 }
            blocks.append(descriptor(sequence, targets))
            blocks += targets.map { image(UInt8(truncatingIfNeeded: $0)) }
            blocks.append(commit(sequence))
        }
        let fixture = fixture(blocks, start: 500)
        #expect(try fixture.replay() == 10)
        for target in 9000..<10000 as Range<UInt64> {
            #expect(first(fixture, target) == UInt8(truncatingIfNeeded: target))
        }
    }

    @Test("A log without room for its transactions ends instead of going round for ever")
    func endless() throws {
        // Empty transactions of one number after the other would fill it; the same descriptor again and again too.
        let fixture = fixture((0..<1023).map { commit(10 + UInt32($0)) })
        #expect(try fixture.replay() == 1023)
        let other = self.fixture((0..<1023).map { _ in descriptor(10, (0..<120).map { 20 + $0 }) })
        #expect(try other.replay() == 0)
    }

    @Test("64-bit tags are honoured")
    func wide() throws {
        let fixture = fixture(
            [descriptor(10, [20, 21], .wide), image(1), image(2), commit(10)], features: .wideBlockNumbers)
        #expect(try fixture.replay() == 1)
        #expect([20, 21].map { first(fixture, $0) } == [1, 2])
    }

    @Test("A revoked block is not brought back by its own or an older transaction, but by a newer one")
    func revokes() throws {
        let fixture = fixture(
            [
                descriptor(10, [20, 21, 22]), image(1), image(2), image(3), commit(10),
                revoke(11, [20, 21]), descriptor(11, [21]), image(4), commit(11),
                descriptor(12, [20]), image(5), commit(12),
                revoke(13, [22]),
            ], features: .revoke)
        #expect(try fixture.replay() == 3)
        #expect([20, 21, 22].map { first(fixture, $0) } == [5, 0, 3])
    }

    @Test("Numbers of transactions run over")
    func runOver() throws {
        let fixture = fixture(
            [
                descriptor(.max, [20]), image(1), commit(.max), revoke(0, [20]), commit(0),
                descriptor(1, [21]), image(2), commit(1),
            ], sequence: .max)
        #expect(try fixture.replay() == 3)
        #expect([20, 21].map { first(fixture, $0) } == [0, 2])
        #expect(try fixture.superblock().sequence == 3)
    }

    @Test("What the cache has of a replayed block becomes the replayed contents")
    func cached() throws {
        let fixture = fixture([descriptor(10, [20]), image(7), commit(10)])
        let block = try fixture.environment.wait { [cache = fixture.cache] () async throws(BlockDeviceError) in
            try await cache.read(20)
        }
        block.kind = 3
        try fixture.replay()
        #expect(block.bytes[0] == 7 && block.kind == 0)
    }

    @Test("Nothing is replayed when an image belongs nowhere, into the journal, or over a change of this host")
    func hostileTargets() throws {
        for target in [16384, 0xFFFF_FFFF, 700, 4001] as [UInt64] {
            let fixture = fixture([descriptor(10, [20, target]), image(1), image(2), commit(10)])
            #expect(throws: JournalError.self) { try fixture.replay() }
            #expect(first(fixture, 20) == 0)
        }
    }

    @Test("A superblock that cannot be is an error that names the block and the field")
    func hostileSuperblock() throws {
        for (field, value) in [
            (JournalSuperblock.Field.blockSize, 4096), (JournalSuperblock.Field.blockCount, 5000),
            (JournalSuperblock.Field.start, 1024), (JournalSuperblock.Field.incompatible, 0x10),
        ] as [(BE32, UInt32)] {
            let fixture = fixture([])
            var block = fixture.device.block(600)
            block.withUnsafeMutableBytes { $0[field] = value }
            fixture.device.put(block, at: 600)
            let error = #expect(throws: JournalError.self) { try fixture.replay() }
            #expect("\(error!)".contains("block 600"))
        }
    }

    @Test("Extents of the journal file beyond the device are an error")
    func hostileRuns() {
        for runs in [
            [Journal.Run(block: 16000, blockCount: 1024)], [Journal.Run(block: .max, blockCount: 2)],
            [Journal.Run(block: 0, blockCount: 0)], [],
        ] {
            let good = JournalFixture()
            let fixture = JournalFixture(runs: runs, device: good.device)
            #expect(throws: JournalError.self) { try fixture.replay() }
        }
    }
}
