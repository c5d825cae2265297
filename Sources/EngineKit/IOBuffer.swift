#if canImport(Glibc)
    internal import Glibc
#endif

/// Memory for payload: starts at a page boundary, so that it can go to an O_DIRECT file without a copy.
///
/// Owned by the thread of one reactor (or by the simulator). Another thread may fill or read the bytes while an
/// operation is under way, but it never retains the object.
package final class IOBuffer {
    /// The first byte; page-aligned.
    package let base: UnsafeMutableRawPointer
    /// Size in bytes, a multiple of ``alignment``.
    package let capacity: Int

    private let pool: IOBufferPool?

    /// Page size that O_DIRECT and FUSE work with.
    package static let alignment = 4096

    /// A buffer of its own, at least `byteCount` bytes long, not initialised.
    package convenience init(byteCount: Int) {
        let capacity = IOBuffer.roundedUp(byteCount)
        self.init(base: IOBuffer.allocate(capacity), capacity: capacity, pool: nil)
    }

    fileprivate init(base: UnsafeMutableRawPointer, capacity: Int, pool: IOBufferPool?) {
        self.base = base
        self.capacity = capacity
        self.pool = pool
    }

    deinit {
        if let pool {
            pool.takeBack(base, capacity: capacity)
        } else {
            free(base)
        }
    }

    fileprivate static func roundedUp(_ byteCount: Int) -> Int {
        precondition(byteCount >= 0, "negative buffer size \(byteCount)")
        return max(alignment, (byteCount + alignment - 1) & ~(alignment - 1))
    }

    fileprivate static func allocate(_ byteCount: Int) -> UnsafeMutableRawPointer {
        var pointer: UnsafeMutableRawPointer?
        let status = posix_memalign(&pointer, alignment, byteCount)
        guard status == 0, let pointer else { fatalError("no memory for a buffer of \(byteCount) bytes") }
        return pointer
    }
}

/// A part of an ``IOBuffer``; keeps the buffer alive.
package struct IOSlice {
    package let buffer: IOBuffer
    /// First byte of the part, counted from the buffer's start.
    package let offset: Int
    /// Length in bytes.
    package let count: Int

    package init(buffer: IOBuffer, offset: Int, count: Int) {
        precondition(
            offset >= 0 && count >= 0 && count <= buffer.capacity - offset,
            "slice \(offset)+\(count) leaves a buffer of \(buffer.capacity) bytes")
        self.buffer = buffer
        self.offset = offset
        self.count = count
    }

    package var base: UnsafeMutableRawPointer { buffer.base + offset }

    package var bytes: UnsafeMutableRawBufferPointer {
        UnsafeMutableRawBufferPointer(start: base, count: count)
    }

    /// The part of this part that starts at `offset` (relative) and is `count` bytes long.
    package func part(offset: Int, count: Int) -> IOSlice {
        precondition(offset >= 0 && count >= 0 && count <= self.count - offset, "part leaves its slice")
        return IOSlice(buffer: buffer, offset: self.offset + offset, count: count)
    }
}

/// Keeps freed buffers for the next user, by size class (powers of two of pages, up to 1 MiB).
///
/// Not thread-safe: one pool for each reactor thread, buffers die on that thread. What is kept is bounded by
/// `bytesKeptMax`; more is given back to the system.
package final class IOBufferPool {
    private var free: [[UnsafeMutableRawPointer]]
    private var bytesKept = 0
    private let bytesKeptMax: Int

    private static let classCount = 9

    package init(bytesKeptMax: Int = 16 << 20) {
        self.bytesKeptMax = bytesKeptMax
        free = Array(repeating: [], count: Self.classCount)
    }

    deinit {
        for list in free {
            for base in list { Glibc.free(base) }
        }
    }

    /// A buffer of at least `byteCount` bytes, not initialised.
    package func take(byteCount: Int) -> IOBuffer {
        guard let index = Self.sizeClass(byteCount) else {
            return IOBuffer(byteCount: byteCount)
        }
        let capacity = IOBuffer.alignment << index
        if let base = free[index].popLast() {
            bytesKept -= capacity
            return IOBuffer(base: base, capacity: capacity, pool: self)
        }
        return IOBuffer(base: IOBuffer.allocate(capacity), capacity: capacity, pool: self)
    }

    fileprivate func takeBack(_ base: UnsafeMutableRawPointer, capacity: Int) {
        guard let index = Self.sizeClass(capacity), bytesKept + capacity <= bytesKeptMax else {
            Glibc.free(base)
            return
        }
        bytesKept += capacity
        free[index].append(base)
    }

    /// The smallest class that holds `byteCount` bytes; nil above the largest.
    private static func sizeClass(_ byteCount: Int) -> Int? {
        let pages = max(1, (byteCount + IOBuffer.alignment - 1) / IOBuffer.alignment)
        let index = Int.bitWidth - (pages - 1).leadingZeroBitCount
        return index < classCount ? index : nil
    }
}
