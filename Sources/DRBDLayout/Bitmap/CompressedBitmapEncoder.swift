import LayoutKit

/// A bitmap that can be told run by run.
package protocol BitRunSource {
    /// Bits of the device.
    var bitCount: UInt64 { get }
    /// Whether the bit at `position`, below ``bitCount``, is set.
    func isSet(_ position: UInt64) -> Bool
    /// The first bit from `position` on whose value is `value`; ``bitCount`` when there is none.
    func firstBit(_ value: Bool, from position: UInt64) -> UInt64
}

/// Writes payloads of P_COMPRESSED_BITMAP. Spec: drbd-wire 10.3, 10.4.
///
///     0: u8 encoding: bits 0-3 code number 2, bits 4-6 unused bits of the last byte, bit 7 first run is of set bits
///     1: code, run by run
package enum CompressedBitmapEncoder {
    /// What one packet covers.
    package struct Result: Equatable, Sendable {
        /// Size of the payload.
        package var byteCount: Int
        /// Where the next packet starts.
        package var nextPosition: UInt64

        package init(byteCount: Int, nextPosition: UInt64) {
            self.byteCount = byteCount
            self.nextPosition = nextPosition
        }
    }

    /// Encodes the runs from `position`, which is below the bit count, until the end or until `out` is full.
    ///
    /// Nil when the code is longer than the plain bits it stands for: then a plain packet is sent, from the 64-bit
    /// word that contains `position`. `out` has room for at least one longest code word (9 bytes).
    package static func encode(
        _ source: some BitRunSource, from position: UInt64, into out: UnsafeMutableRawBufferPointer
    ) -> Result? {
        let bitCount = source.bitCount
        precondition(position < bitCount, "nothing to encode at \(position) of \(bitCount)")
        precondition(out.count >= 9, "a payload of \(out.count) bytes cannot hold every run")
        var writer = BitWriter(out.dropped(1))
        let startsSet = source.isSet(position)
        var isSet = startsSet
        var cursor = position
        while cursor < bitCount {
            let end = source.firstBit(!isSet, from: cursor)
            precondition(end > cursor && end <= bitCount, "run from \(cursor) to \(end)")
            guard writer.append(RunLengthCode.word(for: end - cursor)) else { break }
            cursor = end
            isSet.toggle()
        }
        let codeBytes = writer.finish()
        guard cursor - position >= 8 * UInt64(codeBytes) else { return nil }
        let encoding = UInt8(2 | writer.padBits << 4) | (startsSet ? 0x80 : 0)
        out[U8(offset: 0)] = encoding
        return Result(byteCount: 1 + codeBytes, nextPosition: cursor)
    }
}

/// Fills bytes with bits, low end first.
private struct BitWriter {
    private let out: UnsafeMutableRawBufferPointer
    private var bitCount = 0
    /// Bits that do not fill a byte yet.
    private var pending: UInt64 = 0
    private var pendingBits = 0
    private var byteCount = 0

    init(_ out: UnsafeMutableRawBufferPointer) {
        self.out = out
    }

    /// Unused bits of the last byte.
    var padBits: Int { (8 - bitCount % 8) % 8 }

    /// False when the word does not fit; nothing is written then.
    mutating func append(_ word: RunLengthCode.Word) -> Bool {
        guard bitCount + word.bitCount <= out.count * 8 else { return false }
        bitCount += word.bitCount
        var bits = word.bits
        var left = word.bitCount
        while left > 0 {
            let taken = min(left, 8 - pendingBits)
            pending |= (bits & ((1 << taken) - 1)) << pendingBits
            pendingBits += taken
            bits >>= taken
            left -= taken
            if pendingBits == 8 { flush() }
        }
        return true
    }

    /// Bytes written, the last one filled up with zeroes.
    mutating func finish() -> Int {
        if pendingBits > 0 { flush() }
        return byteCount
    }

    private mutating func flush() {
        out[U8(offset: byteCount)] = UInt8(truncatingIfNeeded: pending)
        byteCount += 1
        pending = 0
        pendingBits = 0
    }
}
