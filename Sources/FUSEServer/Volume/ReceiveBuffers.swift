internal import EngineKit
internal import FUSELayout

/// Where requests are read to.
///
/// A request is read so that its two heads (40 + 40 bytes) end at a page boundary. The data of a large WRITE stay where
/// they are, page-aligned, and the buffer goes with them; small data are copied, since a buffer for each would cost more.
///
/// ```
///            4016      4056      4096                         4096 + 1 MiB
///   | unused | header  | WRITE   | data, at most 1 MiB ...     |
///            ^ window
/// ```
///
/// Buffers that went with data come back by themselves: the list here finds those that nobody else holds any more. So a
/// busy writer touches the same memory again and again, and no page faults come with a WRITE. Spec: fuse 6.
struct ReceiveBuffers {
    static let pageByteCount = 4096
    /// Header and second header in front of a WRITE's data.
    static let headByteCount = FUSERequestHeader.byteCount + FUSETransferRequest.byteCount
    static let dataByteCountMax = 1 << 20
    static let start = pageByteCount - headByteCount
    static let windowByteCount = headByteCount + dataByteCountMax
    /// From this size on the data of a WRITE take the buffer with them.
    static let handOverByteCount = 64 << 10
    /// Buffers kept for the next large WRITE.
    private static let keptMax = 16

    private(set) var current: IOBuffer
    private var others: [IOBuffer] = []

    init() {
        current = Self.make()
    }

    private static func make() -> IOBuffer {
        IOBuffer(byteCount: pageByteCount + dataByteCountMax)
    }

    var window: UnsafeMutableRawBufferPointer {
        UnsafeMutableRawBufferPointer(start: current.base + Self.start, count: Self.windowByteCount)
    }

    /// The data of the WRITE in the window, page-aligned, in a slice that outlives the next receive.
    mutating func takeData(_ count: Int, pool: IOBufferPool) -> IOSlice {
        guard count >= Self.handOverByteCount else {
            let slice = IOSlice(buffer: pool.take(byteCount: count), offset: 0, count: count)
            slice.bytes.copyMemory(
                from: UnsafeRawBufferPointer(start: current.base + Self.pageByteCount, count: count))
            return slice
        }
        let slice = IOSlice(buffer: current, offset: Self.pageByteCount, count: count)
        let given = current
        current = takeFree() ?? Self.make()
        if others.count < Self.keptMax { others.append(given) }
        return slice
    }

    private mutating func takeFree() -> IOBuffer? {
        for index in others.indices where isKnownUniquelyReferenced(&others[index]) {
            return others.remove(at: index)
        }
        return nil
    }
}
