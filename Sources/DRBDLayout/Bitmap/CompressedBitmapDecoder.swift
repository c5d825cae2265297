package import LayoutKit

/// Reads payloads of P_COMPRESSED_BITMAP. Spec: drbd-wire 10.3.
package enum CompressedBitmapDecoder {
    /// Calls `setRange` for each run of set bits of one payload.
    ///
    /// - Parameters:
    ///   - payload: the whole payload.
    ///   - position: first bit that the packet describes.
    ///   - bitCount: bits of the device; no run reaches beyond.
    /// - Returns: the bit after the last run; the transfer is complete when it equals `bitCount`.
    ///
    /// Throws for another code number, a code word that is cut off, a run beyond the end. `setRange` may have been
    /// called before; bits set in excess only cost a resync of equal blocks, so nothing has to be taken back.
    package static func decode(
        _ payload: UnsafeRawBufferPointer, from position: UInt64, bitCount: UInt64,
        setRange: (Range<UInt64>) -> Void
    ) throws(LayoutError) -> UInt64 {
        guard payload.count >= 2 else { throw .truncated(need: 2, have: payload.count) }
        let encoding = payload[U8(offset: 0)]
        guard encoding & 0x0f == 2 else {
            throw .badValue(field: "code of P_COMPRESSED_BITMAP", found: UInt64(encoding & 0x0f), expected: "2")
        }
        let code = payload.dropped(1)
        var reader = BitReader(code, padBits: Int(encoding >> 4 & 7))
        var isSet = encoding & 0x80 != 0
        var cursor = position
        while reader.validBits > 0 {
            guard let run = RunLengthCode.decode(reader.lookAhead, validBits: reader.validBits) else {
                throw .badLength(
                    of: "code of P_COMPRESSED_BITMAP", found: code.count, expected: "an end after a whole code word")
            }
            guard cursor <= bitCount, run.length <= bitCount - cursor else {
                throw .badValue(
                    field: "run of P_COMPRESSED_BITMAP", found: run.length,
                    expected: "at most \(bitCount - min(cursor, bitCount)) bits at \(cursor) of \(bitCount)")
            }
            let end = cursor + run.length
            if isSet { setRange(cursor..<end) }
            cursor = end
            isSet.toggle()
            reader.skip(run.bitCount)
        }
        return cursor
    }
}

/// Takes bits from bytes, low end first.
private struct BitReader {
    private let bytes: UnsafeRawBufferPointer
    private let bitCount: Int
    private var position = 0

    init(_ bytes: UnsafeRawBufferPointer, padBits: Int) {
        self.bytes = bytes
        bitCount = bytes.count * 8 - padBits
    }

    /// Bits that are left.
    var validBits: Int { bitCount - position }

    /// The next 64 bits, zeroes beyond the end of the bytes.
    var lookAhead: UInt64 {
        let start = position / 8
        let shift = position % 8
        guard start + 9 <= bytes.count else { return lookAheadAtEnd(start, shift) }
        let low = bytes[LE64(offset: start)] >> shift
        return shift == 0 ? low : low | UInt64(bytes[start + 8]) << (64 - shift)
    }

    private func lookAheadAtEnd(_ start: Int, _ shift: Int) -> UInt64 {
        var bits: UInt64 = 0
        for index in start..<min(start + 9, bytes.count) {
            let distance = (index - start) * 8 - shift
            bits |= distance >= 0 ? UInt64(bytes[index]) << distance : UInt64(bytes[index]) >> -distance
        }
        return bits
    }

    mutating func skip(_ count: Int) {
        position += count
    }
}
