internal import EngineKit

/// Bytes of a file that are newer than what is on disk.
///
///     file     |........ chunk 0 ........|........ chunk 1 ........|
///     pieces      [   ]   [ ]            [            ][ ]
///     dirty        ####   ##             ###########   ##
///
/// The file is cut in chunks of 256 KiB, each of which has pieces of memory: from a page on, as long as they have to be,
/// in order and apart. What is written behind a piece makes it longer (twice as long, so that small writes copy each
/// byte about once), so a file written from its start has one piece for each chunk; what is written elsewhere takes a
/// page.
struct DirtyData {
    /// Memory for a part of a chunk.
    private struct Piece {
        /// Within the chunk, of a page.
        var start: Int
        /// Bytes that it stands for; the buffer may be longer.
        var count: Int
        var buffer: IOBuffer

        var end: Int { start + count }

        /// Where the byte of the chunk is.
        func place(_ offset: Int) -> UnsafeMutableRawPointer { buffer.base + (offset - start) }
    }

    static let chunkByteCount = 256 << 10
    private static let pageByteCount = IOBuffer.alignment

    private var chunks: [UInt64: [Piece]] = [:]
    /// Dirty bytes of the file.
    private(set) var ranges = RangeSet()
    /// Memory of all buffers.
    private(set) var memoryByteCount = 0

    var isEmpty: Bool { ranges.isEmpty }

    /// Puts bytes into the chunks.
    mutating func write(_ bytes: UnsafeRawBufferPointer, at offset: UInt64, _ pool: IOBufferPool) {
        guard !bytes.isEmpty else { return }
        Self.forEachChunk(offset..<offset + UInt64(bytes.count)) { chunk, part, fromStart in
            let piece = piece(covering: part, of: chunk, pool)
            piece.place(part.lowerBound).copyMemory(from: bytes.baseAddress! + fromStart, byteCount: part.count)
        }
        ranges.insert(offset..<offset + UInt64(bytes.count))
    }

    /// Forgets a range of the file.
    mutating func discard(_ range: Range<UInt64>) {
        let parts = ranges.parts(in: range)
        ranges.remove(range)
        for part in parts {
            Self.forEachChunk(part) { chunk, inChunk, _ in
                let start = chunk * UInt64(Self.chunkByteCount)
                chunks[chunk]?.removeAll { piece in
                    guard piece.start < inChunk.upperBound, piece.end > inChunk.lowerBound,
                        !ranges.overlaps(start + UInt64(piece.start)..<start + UInt64(piece.end))
                    else { return false }
                    memoryByteCount -= piece.buffer.capacity
                    return true
                }
                if chunks[chunk]?.isEmpty == true { chunks[chunk] = nil }
            }
        }
    }

    /// Copies the dirty bytes of a range over `target`, which holds the bytes of the file from `offset` on.
    func copy(over target: UnsafeMutableRawBufferPointer, from offset: UInt64) {
        guard !target.isEmpty, !ranges.isEmpty else { return }
        for part in ranges.parts(in: offset..<offset + UInt64(target.count)) {
            forEachRun(part) { bytes, fromStart in
                let place = Int(part.lowerBound - offset) + fromStart
                (target.baseAddress! + place).copyMemory(from: bytes.baseAddress!, byteCount: bytes.count)
            }
        }
    }

    /// The memory of a range within one chunk, dirty or not, and how many bytes of memory it took in addition.
    mutating func slice(of range: Range<UInt64>, _ pool: IOBufferPool) -> (slice: IOSlice, growth: Int) {
        let before = memoryByteCount
        let chunk = range.lowerBound / UInt64(Self.chunkByteCount)
        let start = Int(range.lowerBound - chunk * UInt64(Self.chunkByteCount))
        let piece = piece(covering: start..<start + range.count, of: chunk, pool)
        return (
            IOSlice(buffer: piece.buffer, offset: start - piece.start, count: range.count), memoryByteCount - before
        )
    }

    /// Adds what `older` has and this one has not: as if this had been written after that.
    mutating func addOlder(_ older: DirtyData, _ pool: IOBufferPool) {
        for range in older.ranges.ranges {
            for gap in ranges.gaps(in: range) {
                older.forEachRun(gap) { bytes, fromStart in write(bytes, at: gap.lowerBound + UInt64(fromStart), pool) }
            }
        }
    }
}

// Pieces.
extension DirtyData {
    /// The piece that has all bytes of a part of a chunk; made, made longer, or joined of several.
    private mutating func piece(covering part: Range<Int>, of chunk: UInt64, _ pool: IOBufferPool) -> Piece {
        let lower = part.lowerBound & ~(Self.pageByteCount - 1)
        let upper = (part.upperBound + Self.pageByteCount - 1) & ~(Self.pageByteCount - 1)
        let pieces = chunks[chunk] ?? []
        // One that ends where the part begins takes it on.
        let first = pieces.firstIndex { $0.end >= lower } ?? pieces.count
        if first < pieces.count, pieces[first].start <= lower, pieces[first].end >= upper { return pieces[first] }
        let next = pieces[first...].firstIndex { $0.start >= upper } ?? pieces.count
        let start = first < next ? min(lower, pieces[first].start) : lower
        let end = first < next ? max(upper, pieces[next - 1].end) : upper
        let limit = next < pieces.count ? pieces[next].start : Self.chunkByteCount
        let wanted = 1 << (Int.bitWidth - (end - start - 1).leadingZeroBitCount)
        let buffer = pool.take(byteCount: min(wanted, Self.chunkByteCount))
        let made = Piece(start: start, count: min(buffer.capacity, limit - start), buffer: buffer)
        for old in pieces[first..<next] {
            made.place(old.start).copyMemory(from: old.buffer.base, byteCount: old.count)
            memoryByteCount -= old.buffer.capacity
        }
        memoryByteCount += buffer.capacity
        chunks[chunk, default: []].replaceSubrange(first..<next, with: CollectionOfOne(made))
        return made
    }

    /// The memory of a range that is dirty, run by run: the bytes, and how far they are from the range's start.
    private func forEachRun(_ range: Range<UInt64>, _ body: (UnsafeRawBufferPointer, Int) -> Void) {
        Self.forEachChunk(range) { chunk, part, fromStart in
            for piece in chunks[chunk] ?? [] where piece.start < part.upperBound && piece.end > part.lowerBound {
                let run = part.clamped(to: piece.start..<piece.end)
                body(
                    UnsafeRawBufferPointer(start: piece.place(run.lowerBound), count: run.count),
                    fromStart + run.lowerBound - part.lowerBound)
            }
        }
    }

    /// Cuts a range at chunk boundaries: the chunk, the part of it, and how far that is from the range's start.
    private static func forEachChunk(_ range: Range<UInt64>, _ body: (UInt64, Range<Int>, Int) -> Void) {
        let size = UInt64(chunkByteCount)
        var start = range.lowerBound
        while start < range.upperBound {
            let chunk = start / size
            let end = min(range.upperBound, (chunk + 1) * size)
            body(chunk, Int(start - chunk * size)..<Int(end - chunk * size), Int(start - range.lowerBound))
            start = end
        }
    }
}
