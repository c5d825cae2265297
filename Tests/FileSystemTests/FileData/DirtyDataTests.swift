import EngineKit
import Testing

@testable import FileSystem

@Suite("dirty data")
struct DirtyDataTests {
    private func bytes(_ value: UInt8, _ count: Int) -> [UInt8] { [UInt8](repeating: value, count: count) }

    @Test("what was written last is read, through random writes, cuts and older data behind newer")
    func likeAnArray() {
        let size = 2 * DirtyData.chunkByteCount
        let pool = IOBufferPool()
        let random = SeededRandom(seed: 11)
        for round in 0..<8 {
            var data = DirtyData(), older = DirtyData()
            var expected = [UInt8?](repeating: nil, count: size)
            var below = expected
            for step in 1..<50 {
                let start = Int(random.next(below: UInt64(size - 1)))
                let longest = [100, 5000, 100_000][Int(random.next(below: 3))]
                let count = 1 + Int(random.next(below: UInt64(min(longest, size - start))))
                let value = UInt8(truncatingIfNeeded: round + step)
                let range = start..<start + count
                switch random.next(below: 5) {
                case 0:
                    data.discard(UInt64(start)..<UInt64(start + count))
                    expected.replaceSubrange(range, with: repeatElement(nil, count: count))
                case 1:
                    bytes(value, count).withUnsafeBytes { older.write($0, at: UInt64(start), pool) }
                    below.replaceSubrange(range, with: repeatElement(UInt8?.some(value), count: count))
                default:
                    bytes(value, count).withUnsafeBytes { data.write($0, at: UInt64(start), pool) }
                    expected.replaceSubrange(range, with: repeatElement(UInt8?.some(value), count: count))
                }
            }
            data.addOlder(older, pool)
            for index in 0..<size where expected[index] == nil { expected[index] = below[index] }
            var read = bytes(0xee, size)
            read.withUnsafeMutableBytes { data.copy(over: $0, from: 0) }
            #expect(read == expected.map { $0 ?? 0xee }, "round \(round)")
            #expect(data.ranges.count == UInt64(expected.count(where: { $0 != nil })))
        }
    }

    @Test("scattered pages take a page each, a file written in order one piece for each chunk")
    func memory() {
        let pool = IOBufferPool()
        var scattered = DirtyData()
        for index in 0..<64 {
            bytes(1, 4096).withUnsafeBytes { scattered.write($0, at: UInt64(index * 40_960), pool) }
        }
        #expect(scattered.memoryByteCount == 64 * 4096)
        var inOrder = DirtyData()
        for index in 0..<256 {
            bytes(2, 4096).withUnsafeBytes { inOrder.write($0, at: UInt64(index * 4096), pool) }
        }
        #expect(inOrder.memoryByteCount == 1 << 20)
        let (slice, growth) = inOrder.slice(of: 0..<UInt64(DirtyData.chunkByteCount), pool)
        #expect(growth == 0)
        #expect(slice.bytes.allSatisfy { $0 == 2 })
        inOrder.discard(0..<2 << 20)
        #expect(inOrder.memoryByteCount == 0)
    }

    @Test("a slice joins what lies in pieces, and leaves the bytes that others hold")
    func slices() {
        let pool = IOBufferPool()
        var data = DirtyData()
        bytes(1, 4096).withUnsafeBytes { data.write($0, at: 8192, pool) }
        let (first, _) = data.slice(of: 8192..<12288, pool)
        bytes(2, 4096).withUnsafeBytes { data.write($0, at: 0, pool) }
        let (all, growth) = data.slice(of: 0..<12288, pool)
        #expect(growth > 0)
        #expect(all.part(offset: 0, count: 4096).bytes.allSatisfy { $0 == 2 })
        #expect(all.part(offset: 8192, count: 4096).bytes.allSatisfy { $0 == 1 })
        #expect(first.bytes.allSatisfy { $0 == 1 })
    }
}
