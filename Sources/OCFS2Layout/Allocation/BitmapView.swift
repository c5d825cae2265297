public import LayoutKit

/// A bitmap where it lies: bit n is bit n % 8 of byte n / 8; 1 = in use. Spec: ocfs2-disk 1.
///
/// Does not own the bytes. Every operation works on words of 64 bits; bits outside of ``bitCount`` trap.
@usableFromInline
package struct BitmapView {
    @usableFromInline package let bytes: UnsafeMutableRawBufferPointer
    /// Bits that count; the bytes may hold more.
    @usableFromInline package let bitCount: Int

    @inlinable
    package init(_ bytes: UnsafeMutableRawBufferPointer, bitCount: Int) {
        precondition(bitCount >= 0 && bitCount <= bytes.count &* 8, "\(bitCount) bits in \(bytes.count) bytes")
        self.bytes = bytes
        self.bitCount = bitCount
    }

    /// For reading only.
    @inlinable
    package init(reading bytes: UnsafeRawBufferPointer, bitCount: Int) {
        self.init(UnsafeMutableRawBufferPointer(mutating: bytes), bitCount: bitCount)
    }

    @inlinable
    package subscript(bit: Int) -> Bool {
        precondition(bit >= 0 && bit < bitCount, "bit \(bit) of \(bitCount)")
        return bytes[U8(offset: bit >> 3)] & (1 &<< UInt8(bit & 7)) != 0
    }

    /// The 64 bits from bit `64 * index` on; what lies behind the bytes comes out as in use.
    @inlinable @inline(__always)
    func word(_ index: Int) -> UInt64 {
        let offset = index &* 8
        if offset &+ 8 <= bytes.count { return bytes[LE64(offset: offset)] }
        var word = UInt64.max
        var place: UInt64 = 0
        for byte in offset..<max(offset, bytes.count) {
            word = word & ~(0xff &<< place) | UInt64(bytes[U8(offset: byte)]) &<< place
            place &+= 8
        }
        return word
    }

    /// The first bit of `range` that is 0; nil when all are in use. With `other`, bits that are 0 in both.
    @inlinable
    package func firstFree(in range: Range<Int>, with other: BitmapView? = nil) -> Int? {
        next(in: range, flippedBy: .max, with: other)
    }

    /// The first bit of `range` that is 1. With `other`, bits that are 1 in either.
    @inlinable
    package func firstUsed(in range: Range<Int>, with other: BitmapView? = nil) -> Int? {
        next(in: range, flippedBy: 0, with: other)
    }

    @inlinable
    func next(in range: Range<Int>, flippedBy flip: UInt64, with other: BitmapView?) -> Int? {
        precondition(range.lowerBound >= 0 && range.upperBound <= bitCount, "bits \(range) of \(bitCount)")
        if let other { precondition(range.upperBound <= other.bitCount, "bits \(range) of the other bitmap") }
        guard !range.isEmpty else { return nil }
        let last = (range.upperBound &- 1) >> 6
        var index = range.lowerBound >> 6
        var mask = UInt64.max &<< UInt64(range.lowerBound & 63)
        while index <= last {
            var bits = word(index)
            if let other { bits |= other.word(index) }
            let found = (bits ^ flip) & mask
            if found != 0 {
                let bit = index &* 64 &+ found.trailingZeroBitCount
                return bit < range.upperBound ? bit : nil
            }
            mask = .max
            index &+= 1
        }
        return nil
    }

    /// Bits of `range` that are 1.
    package func usedCount(in range: Range<Int>) -> Int {
        precondition(range.lowerBound >= 0 && range.upperBound <= bitCount, "bits \(range) of \(bitCount)")
        var count = 0
        forEachWord(of: range) { index, mask in count += (word(index) & mask).nonzeroBitCount }
        return count
    }

    /// Whether all bits of `range` are 0.
    package func isFree(_ range: Range<Int>) -> Bool { firstUsed(in: range) == nil }
    /// Whether all bits of `range` are 1.
    package func isUsed(_ range: Range<Int>) -> Bool { firstFree(in: range) == nil }

    package func set(_ range: Range<Int>) {
        change(range, to: .max)
    }

    package func clear(_ range: Range<Int>) {
        change(range, to: 0)
    }

    private func change(_ range: Range<Int>, to value: UInt64) {
        precondition(range.lowerBound >= 0 && range.upperBound <= bitCount, "bits \(range) of \(bitCount)")
        forEachWord(of: range) { index, mask in
            let offset = index * 8
            if offset + 8 <= bytes.count {
                let field = LE64(offset: offset)
                bytes[field] = bytes[field] & ~mask | value & mask
                return
            }
            for byte in offset..<bytes.count {
                let shift = UInt64((byte - offset) * 8)
                let part = UInt8(truncatingIfNeeded: mask >> shift)
                let field = U8(offset: byte)
                bytes[field] = bytes[field] & ~part | UInt8(truncatingIfNeeded: value) & part
            }
        }
    }

    @inline(__always)
    private func forEachWord(of range: Range<Int>, _ body: (_ index: Int, _ mask: UInt64) -> Void) {
        guard !range.isEmpty else { return }
        let first = range.lowerBound >> 6, last = (range.upperBound - 1) >> 6
        for index in first...last {
            var mask = UInt64.max
            if index == first { mask <<= UInt64(range.lowerBound & 63) }
            if index == last, range.upperBound & 63 != 0 { mask &= (1 << UInt64(range.upperBound & 63)) - 1 }
            body(index, mask)
        }
    }
}

// Searching for runs. Spec: ocfs2-disk 9.5 rule 1.
extension BitmapView {
    /// The first run of `wanted` free bits in `range`; failing that the longest run, if it has `minimum` bits. Never
    /// longer than `wanted`. With `committed`, the bitmap as of the last commit, bits must be free in both: what was
    /// freed since must not be handed out yet.
    package func findRun(
        wanted: Int, minimum: Int = 1, in range: Range<Int>, committed: BitmapView? = nil
    ) -> Range<Int>? {
        precondition(wanted >= minimum && minimum >= 1, "a run of \(minimum) to \(wanted) bits")
        var best: Range<Int>?
        var start = range.lowerBound
        while let first = firstFree(in: start..<range.upperBound, with: committed) {
            let limit = min(range.upperBound, first + wanted)
            let end = firstUsed(in: first..<limit, with: committed) ?? limit
            if end - first == wanted { return first..<end }
            if end - first >= minimum, end - first > best?.count ?? 0 { best = first..<end }
            start = end
        }
        return best
    }
}
