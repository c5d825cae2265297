internal import EngineKit

/// Received bytes that were not understood yet: headers, options, small payloads.
///
/// ```
/// 0 ........ start ======== end .......... capacity
///            waiting bytes      the next window
/// ```
/// Bytes move only in ``window(limit:)``: between that call and ``filled(_:)`` the kernel may be writing.
struct StagingBuffer {
    /// One option of the largest size, or about 15 requests of 4 KiB, in one receive.
    static let capacity = 68 << 10

    private let buffer = IOBuffer(byteCount: capacity)
    private var start = 0
    private var end = 0

    var count: Int { end - start }
    var isEmpty: Bool { start == end }

    /// The waiting bytes.
    var bytes: UnsafeRawBufferPointer {
        UnsafeRawBufferPointer(start: buffer.base + start, count: count)
    }

    /// Where the next bytes go, at most `limit` of them.
    mutating func window(limit: Int) -> UnsafeMutableRawBufferPointer {
        if start > 0 {
            buffer.base.copyMemory(from: buffer.base + start, byteCount: count)
            end = count
            start = 0
        }
        return UnsafeMutableRawBufferPointer(start: buffer.base + end, count: min(limit, Self.capacity - end))
    }

    mutating func filled(_ count: Int) {
        precondition(count <= Self.capacity - end, "received more than the window")
        end += count
    }

    mutating func drop(_ count: Int) {
        precondition(count <= self.count, "dropped more than is there")
        start += count
    }

    mutating func dropAll() {
        start = end
    }
}
