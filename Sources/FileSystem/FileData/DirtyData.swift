internal import EngineKit

/// Bytes of a file that are newer than what is on disk, in chunks of 256 KiB.
///
///     file     |........ chunk 0 ........|........ chunk 1 ........|
///     dirty        ####      #########################
///
/// A chunk's buffer holds its bytes at their own places and is no larger than it has to be: a small file takes a page.
struct DirtyData {
    /// 256 KiB of the file, aligned.
    final class Chunk {
        fileprivate(set) var buffer: IOBuffer

        fileprivate init(_ buffer: IOBuffer) {
            self.buffer = buffer
        }

        /// Room for the first `count` bytes; the contents stay.
        func grow(to count: Int, _ pool: IOBufferPool) {
            guard count > buffer.capacity else { return }
            let wanted = min(DirtyData.chunkByteCount, 1 << (Int.bitWidth - (count - 1).leadingZeroBitCount))
            let larger = pool.take(byteCount: wanted)
            larger.base.copyMemory(from: buffer.base, byteCount: buffer.capacity)
            buffer = larger
        }
    }

    static let chunkByteCount = 256 << 10

    private(set) var chunks: [UInt64: Chunk] = [:]
    /// Dirty bytes of the file.
    private(set) var ranges = RangeSet()
    /// Memory of all buffers.
    private(set) var memoryByteCount = 0

    var isEmpty: Bool { ranges.isEmpty }

    /// Puts bytes into the chunks.
    mutating func write(_ bytes: UnsafeRawBufferPointer, at offset: UInt64, _ pool: IOBufferPool) {
        guard !bytes.isEmpty else { return }
        forEachPiece(offset..<offset + UInt64(bytes.count)) { index, inChunk, fromStart in
            let chunk = chunk(index, room: inChunk.upperBound, pool)
            (chunk.buffer.base + inChunk.lowerBound).copyMemory(
                from: bytes.baseAddress! + fromStart, byteCount: inChunk.count)
        }
        ranges.insert(offset..<offset + UInt64(bytes.count))
    }

    private mutating func chunk(_ index: UInt64, room: Int, _ pool: IOBufferPool) -> Chunk {
        if let chunk = chunks[index] {
            let before = chunk.buffer.capacity
            chunk.grow(to: room, pool)
            memoryByteCount += chunk.buffer.capacity - before
            return chunk
        }
        let wanted = max(IOBuffer.alignment, 1 << (Int.bitWidth - (room - 1).leadingZeroBitCount))
        let chunk = Chunk(pool.take(byteCount: min(wanted, Self.chunkByteCount)))
        memoryByteCount += chunk.buffer.capacity
        chunks[index] = chunk
        return chunk
    }

    /// Forgets a range of the file.
    mutating func discard(_ range: Range<UInt64>) {
        let parts = ranges.parts(in: range)
        ranges.remove(range)
        let size = UInt64(Self.chunkByteCount)
        for part in parts {
            for index in part.lowerBound / size...(part.upperBound - 1) / size {
                guard let chunk = chunks[index], !ranges.overlaps(index * size..<(index + 1) * size) else { continue }
                memoryByteCount -= chunk.buffer.capacity
                chunks[index] = nil
            }
        }
    }

    /// Copies the dirty bytes of a range over `target`, which holds the bytes of the file from `offset` on.
    func copy(over target: UnsafeMutableRawBufferPointer, from offset: UInt64) {
        guard !target.isEmpty, !ranges.isEmpty else { return }
        for part in ranges.parts(in: offset..<offset + UInt64(target.count)) {
            forEachPiece(part) { index, inChunk, fromStart in
                guard let chunk = chunks[index] else { return }
                let place = Int(part.lowerBound - offset) + fromStart
                (target.baseAddress! + place).copyMemory(
                    from: chunk.buffer.base + inChunk.lowerBound, byteCount: inChunk.count)
            }
        }
    }

    /// The memory of a range within one chunk, dirty or not, and how many bytes of memory it took in addition.
    mutating func slice(of range: Range<UInt64>, _ pool: IOBufferPool) -> (slice: IOSlice, growth: Int) {
        let before = memoryByteCount
        let index = range.lowerBound / UInt64(Self.chunkByteCount)
        let start = Int(range.lowerBound - index * UInt64(Self.chunkByteCount))
        let chunk = chunk(index, room: start + range.count, pool)
        return (IOSlice(buffer: chunk.buffer, offset: start, count: range.count), memoryByteCount - before)
    }

    /// Adds what `older` has and this one has not: as if this had been written after that.
    mutating func addOlder(_ older: DirtyData, _ pool: IOBufferPool) {
        for range in older.ranges.ranges {
            for gap in ranges.gaps(in: range) {
                older.forEachPiece(gap) { index, inChunk, fromStart in
                    guard let chunk = older.chunks[index] else { return }
                    write(
                        UnsafeRawBufferPointer(start: chunk.buffer.base + inChunk.lowerBound, count: inChunk.count),
                        at: gap.lowerBound + UInt64(fromStart), pool)
                }
            }
        }
    }

    /// Cuts a range at chunk boundaries: the chunk, the range in it, and how far the piece is from the start.
    func forEachPiece(_ range: Range<UInt64>, _ body: (UInt64, Range<Int>, Int) -> Void) {
        let size = UInt64(Self.chunkByteCount)
        var start = range.lowerBound
        while start < range.upperBound {
            let index = start / size
            let end = min(range.upperBound, (index + 1) * size)
            body(index, Int(start - index * size)..<Int(end - index * size), Int(start - range.lowerBound))
            start = end
        }
    }
}
