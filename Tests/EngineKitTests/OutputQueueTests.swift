import EngineKit
import Testing

@Suite("Output queue")
struct OutputQueueTests {
    @Test("Bytes leave in the order they came, whatever pieces the socket takes", arguments: 1...6)
    func keepsOrder(seed: UInt64) {
        let random = SeededRandom(seed: seed)
        var queue = OutputQueue()
        var sent: [UInt8] = []
        var received: [UInt8] = []
        for _ in 0..<300 {
            let bytes = (0..<Int(random.next(below: 1000))).map { _ in UInt8(truncatingIfNeeded: random.next()) }
            sent += bytes
            if random.next(below: 3) == 0, !bytes.isEmpty {
                let buffer = IOBuffer(byteCount: bytes.count)
                buffer.base.copyMemory(from: bytes, byteCount: bytes.count)
                queue.append(IOSlice(buffer: buffer, offset: 0, count: bytes.count))
            } else {
                bytes.withUnsafeBytes { queue.append($0) }
            }
            let taken = Int(random.next(below: UInt64(queue.byteCount + 1)))
            received += Self.front(of: queue, taken)
            queue.consume(taken)
        }
        received += Self.front(of: queue, queue.byteCount)
        #expect(received == sent)
        #expect(queue.totalAppended == UInt64(sent.count))
    }

    @Test("A queue that is never empty keeps its payload no longer than needed")
    func releasesPayload() {
        var queue = OutputQueue()
        weak var first: IOBuffer?
        do {
            let buffer = IOBuffer(byteCount: 4096)
            first = buffer
            queue.append(IOSlice(buffer: buffer, offset: 0, count: 4096))
        }
        queue.append(count: 16) { $0.initializeMemory(as: UInt8.self, repeating: 7) }
        #expect(first != nil)
        queue.consume(4096)
        #expect(first == nil)
        #expect(queue.byteCount == 16)
    }

    private static func front(of queue: OutputQueue, _ count: Int) -> [UInt8] {
        queue.withSegments(limit: .max) { pieces in Array(pieces.flatMap { Array($0) }.prefix(count)) }
    }
}
