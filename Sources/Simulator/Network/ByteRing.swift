/// Bytes in the order in which they came; taken from the front.
struct ByteRing {
    private var bytes: [UInt8] = []
    private var start = 0

    var count: Int { bytes.count - start }

    mutating func append(_ source: UnsafeRawBufferPointer) {
        if start > 65536, start * 2 > bytes.count {
            bytes.removeFirst(start)
            start = 0
        }
        bytes.append(contentsOf: source)
    }

    /// Moves the first bytes to `target`, as many as fit there.
    mutating func take(into target: UnsafeMutableRawBufferPointer) {
        let taken = target.count
        precondition(taken <= count, "took \(taken) of \(count) bytes")
        bytes.withUnsafeBytes { source in
            target.copyMemory(from: UnsafeRawBufferPointer(rebasing: source[start..<start + taken]))
        }
        start += taken
        if start == bytes.count { removeAll() }
    }

    mutating func removeAll() {
        bytes.removeAll(keepingCapacity: true)
        start = 0
    }

    /// Drops the last bytes.
    mutating func removeLast(_ dropped: Int) {
        precondition(dropped <= count, "dropped \(dropped) of \(count) bytes")
        bytes.removeLast(dropped)
        if start == bytes.count { removeAll() }
    }
}
