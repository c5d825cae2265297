/// Bytes on their way into one stream socket: small pieces are copied, payload is referenced.
///
/// The engine appends packets; the owner of the socket (reactor or simulator) takes segments from the front and
/// reports how much the socket took. A packet costs one small copy and no allocation once the arena has grown.
package struct OutputQueue {
    private enum Segment {
        /// Bytes of the arena, counted from the arena's first byte ever.
        case copied(start: Int, count: Int)
        case referenced(IOSlice)
    }

    private var segments: [Segment] = []
    private var firstSegment = 0
    /// Bytes of the first segment that are gone already.
    private var consumedOfFirst = 0
    private var arena: [UInt8] = []
    /// How many bytes were dropped from the front of the arena since it was empty.
    private var droppedFromArena = 0

    /// Sent bytes that the arena keeps before it is compacted, so that a queue that is never empty stays bounded.
    private static let wasteMax = 64 << 10

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
        let offset = arena.count
        let start = droppedFromArena + offset
        arena.append(contentsOf: repeatElement(0, count: count))
        arena.withUnsafeMutableBytes { write(UnsafeMutableRawBufferPointer(rebasing: $0[offset..<offset + count])) }
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

    /// Calls `body` with the waiting pieces from the front, at most `limit` of them. The pointers live as long as the
    /// call. Allocates nothing.
    package func withSegments<Result>(
        limit: Int, _ body: (UnsafeBufferPointer<UnsafeRawBufferPointer>) -> Result
    ) -> Result {
        let waiting = segments[firstSegment...].prefix(limit)
        return arena.withUnsafeBytes { arenaBytes in
            withUnsafeTemporaryAllocation(of: UnsafeRawBufferPointer.self, capacity: waiting.count) { pieces in
                var skip = consumedOfFirst
                for (index, segment) in waiting.enumerated() {
                    let piece: UnsafeRawBufferPointer
                    switch segment {
                    case .copied(let start, let count):
                        let offset = start - droppedFromArena
                        piece = UnsafeRawBufferPointer(rebasing: arenaBytes[offset + skip..<offset + count])
                    case .referenced(let slice):
                        piece = UnsafeRawBufferPointer(rebasing: UnsafeRawBufferPointer(slice.bytes)[skip...])
                    }
                    pieces.initializeElement(at: index, to: piece)
                    skip = 0
                }
                return body(UnsafeBufferPointer(pieces))
            }
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
                break
            }
            left -= size
            consumedOfFirst = 0
            // Release the payload now, not when the array is compacted.
            if case .referenced = segments[firstSegment] { segments[firstSegment] = .copied(start: 0, count: 0) }
            firstSegment += 1
        }
        if byteCount == 0 {
            segments.removeAll(keepingCapacity: true)
            arena.removeAll(keepingCapacity: true)
            droppedFromArena = 0
            firstSegment = 0
        } else if firstSegment > 1024 || arena.count > Self.wasteMax {
            compact()
        }
    }

    /// Forgets what was sent. Cost: the bytes that wait; called after as many were sent, or rarely.
    private mutating func compact() {
        segments.removeFirst(firstSegment)
        firstSegment = 0
        let firstCopied = segments.lazy.compactMap { segment -> Int? in
            if case .copied(let start, _) = segment { start } else { nil }
        }.first
        let sent = (firstCopied ?? droppedFromArena + arena.count) - droppedFromArena
        guard sent > Self.wasteMax / 2 else { return }
        arena.removeFirst(sent)
        droppedFromArena += sent
    }

    private func size(of segment: Segment) -> Int {
        switch segment {
        case .copied(_, let count): count
        case .referenced(let slice): slice.count
        }
    }
}
