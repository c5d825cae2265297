/// The `ecc` half of the block check: the exclusive or of the code positions of all data bits that are 1.
/// Spec: ocfs2-disk 15.
///
/// Data bits stand at the code positions 1, 2, 3, ... that are no powers of two: between the powers 2^m and 2^(m+1),
/// position p holds data bit p - m - 2. So a run of code words of 64 positions is the block shifted by a constant
/// number of bits, and a whole word costs one exclusive or for the six low bits of the positions and one parity for the
/// high ones.
enum HammingParity {
    /// Over `bytes`; at most 8192 of them, so that every position fits 16 bits.
    static func compute(_ bytes: UnsafeRawBufferPointer) -> UInt16 {
        precondition(bytes.count <= 8192 - 64, "the parity word has 16 bits")
        let bitCount = bytes.count * 8
        // Positions 3 to 63 hold the data bits 0 to 56.
        var result = 0
        for bit in 0..<min(57, bitCount) where bytes[bit >> 3] & (1 << UInt8(bit & 7)) != 0 {
            result ^= position(ofBit: bit)
        }
        var lowBits: UInt64 = 0
        var power = 6
        while (1 << power) - power - 1 < bitCount {
            let end = min(1 << (power + 1), bitCount + power + 2)
            var base = 1 << power
            // The first position of the run is the power of two itself: no data.
            var word = loadBits(bytes, at: base - power - 2) & ~1
            while true {
                if base + 64 > end { word &= (1 << UInt64(end - base)) - 1 }
                lowBits ^= word
                if word.nonzeroBitCount & 1 == 1 { result ^= base }
                base += 64
                guard base < end else { break }
                word = loadBits(bytes, at: base - power - 2)
            }
            power += 1
        }
        while lowBits != 0 {
            result ^= lowBits.trailingZeroBitCount
            lowBits &= lowBits &- 1
        }
        return UInt16(truncatingIfNeeded: result)
    }

    /// Code position of a data bit.
    static func position(ofBit bit: Int) -> Int {
        // The largest power of two at or below the position is found by trying: it differs from the bit number by at
        // most its exponent plus two.
        var power = 1
        while (1 << (power + 1)) - power - 2 <= bit { power += 1 }
        return bit + power + 2
    }

    /// Data bit at a code position; nil for the powers of two and for 0, which hold none.
    static func bit(atPosition position: Int) -> Int? {
        guard position > 2, position & (position - 1) != 0 else { return nil }
        let power = Int.bitWidth - 1 - position.leadingZeroBitCount
        return position - power - 2
    }

    /// 64 bits from the data bit `bit` on; zeroes behind the end.
    @inline(__always)
    private static func loadBits(_ bytes: UnsafeRawBufferPointer, at bit: Int) -> UInt64 {
        let offset = bit >> 3
        let shift = UInt64(bit & 7)
        if offset + 9 <= bytes.count {
            let low = UInt64(littleEndian: bytes.loadUnaligned(fromByteOffset: offset, as: UInt64.self))
            return shift == 0 ? low : low >> shift | UInt64(bytes[offset + 8]) << (64 - shift)
        }
        var word: UInt64 = 0
        for index in 0..<9 where offset + index < bytes.count {
            let byte = UInt64(bytes[offset + index])
            let place = index * 8 - Int(shift)
            word |= place >= 0 ? byte << UInt64(place) : byte >> UInt64(-place)
        }
        return word
    }
}
