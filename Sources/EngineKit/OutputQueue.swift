/// Bytes on their way into one stream socket: small pieces are copied, payload is referenced.
///
/// The engine appends packets; the owner of the socket (reactor or simulator) takes segments from the front and
/// reports how much the socket took. A packet costs one small copy and no allocation once the arena has grown.
package struct OutputQueue {
    private enum Segment {
        /// A range of the arena.
        case copied(start: Int, count: Int)
        case referenced(IOSlice)
    }

    private var segments: [Segment] = []
    private var firstSegment = 0
    /// Bytes of the first segment that are gone already.
    private var consumedOfFirst = 0
    private var arena: [UInt8] = []

    /// Bytes that wait.
    package private(set) var byteCount = 0
    /// All bytes that were ever appended; for "has this packet left" questions.
    package private(set) var totalAppended: UInt64 = 0

    package init() {}

    package var isEmpty: Bool { byteCount == 0 }
    /// All bytes that the socket has taken.
    package var totalConsumed: UInt64 { totalAppended - UInt64(byteCount) }

    /// Appends a copy of `count` bytes that `write` fills in.
    package mutating func append(count: Int, _ write: (UnsafeMutableRawBufferPointer) -> Void) {
        guard count > 0 else { return }
        let start = arena.count
        arena.append(contentsOf: repeatElement(0, count: count))
        arena.withUnsafeMutableBytes { write(UnsafeMutableRawBufferPointer(rebasing: $0[start..<start + count])) }
        if case .copied(let lastStart, let lastCount)? = segments.last, segments.count > firstSegment,
            lastStart + lastCount == start
        {
            segments[segments.count - 1] = .copied(start: lastStart, count: lastCount + count)
        } else {
            segments.append(.copied(start: start, count: count))
        }
        byteCount += count
        totalAppended += UInt64(count)
    }

    /// Appends a copy of `bytes`.
    package mutating func append(_ bytes: UnsafeRawBufferPointer) {
        append(count: bytes.count) { $0.copyMemory(from: bytes) }
    }

    /// Appends payload by reference; the buffer must not change until it was sent.
    package mutating func append(_ slice: IOSlice) {
        guard slice.count > 0 else { return }
        segments.append(.referenced(slice))
        byteCount += slice.count
        totalAppended += UInt64(slice.count)
    }

    /// Calls `body` with each waiting piece from the front, at most `limit` pieces. The pointers live as long as the
    /// call of the outer function.
    package func withSegments<Result>(
        limit: Int, _ body: ([UnsafeRawBufferPointer]) -> Result
    ) -> Result {
        arena.withUnsafeBytes { arenaBytes in
            var pieces: [UnsafeRawBufferPointer] = []
            pieces.reserveCapacity(min(limit, segments.count - firstSegment))
            var skip = consumedOfFirst
            for segment in segments[firstSegment...].prefix(limit) {
                switch segment {
                case .copied(let start, let count):
                    pieces.append(UnsafeRawBufferPointer(rebasing: arenaBytes[start + skip..<start + count]))
                case .referenced(let slice):
                    pieces.append(UnsafeRawBufferPointer(rebasing: UnsafeRawBufferPointer(slice.bytes)[skip...]))
                }
                skip = 0
            }
            return body(pieces)
        }
    }

    /// Drops `count` bytes from the front: the socket took them.
    package mutating func consume(_ count: Int) {
        precondition(count >= 0 && count <= byteCount, "consumed \(count) of \(byteCount) bytes")
        byteCount -= count
        var left = count
        while left > 0 {
            let size = size(of: segments[firstSegment]) - consumedOfFirst
            if left < size {
                consumedOfFirst += left
                return
            }
            left -= size
            consumedOfFirst = 0
            // Release the payload now, not when the array is compacted.
            segments[firstSegment] = .copied(start: 0, count: 0)
            firstSegment += 1
        }
        if byteCount == 0 {
            segments.removeAll(keepingCapacity: true)
            arena.removeAll(keepingCapacity: true)
            firstSegment = 0
        } else if firstSegment > 1024 {
            segments.removeFirst(firstSegment)
            firstSegment = 0
        }
    }

    private func size(of segment: Segment) -> Int {
        switch segment {
        case .copied(_, let count): count
        case .referenced(let slice): slice.count
        }
    }
}
