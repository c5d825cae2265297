/// How many bits, words and packets a device's bitmap has. Spec: drbd-wire 10.2, drbd-disk-and-state 6.
///
/// Bit b covers the sectors 8b to 8b + 7 and is bit b mod 8 of byte b div 8. On the wire the bytes are filled up to
/// 64-bit words; bits beyond the last one are 0.
package struct BitmapGeometry: Hashable, Sendable {
    /// Bits of the device.
    package let bitCount: UInt64

    package init(bitCount: UInt64) {
        self.bitCount = bitCount
    }

    package init(deviceSectors: UInt64) {
        bitCount = deviceSectors / 8 + (deviceSectors % 8 == 0 ? 0 : 1)
    }

    /// 64-bit words that travel.
    package var wordCount: UInt64 { bitCount / 64 + (bitCount % 64 == 0 ? 0 : 1) }

    /// Words that the next P_BITMAP at word `position` carries: exactly this many, by sender and receiver alike. 0 is
    /// the empty packet that ends a transfer of plain words.
    package func packetWordCount(at position: UInt64, headerByteCount: Int) -> Int {
        let room = UInt64((WireConstants.bitmapPacketByteCountMax - headerByteCount) / 8)
        return position >= wordCount ? 0 : Int(min(room, wordCount - position))
    }

    /// Where the bits continue after plain words up to word `position`.
    package func bitPosition(afterWord position: UInt64) -> UInt64 {
        let (bits, overflow) = position.multipliedReportingOverflow(by: 64)
        return overflow ? bitCount : min(bits, bitCount)
    }

    /// Bits of the word at `position` that belong to the device; the others must be 0.
    package func validBits(ofWord position: UInt64) -> UInt64 {
        guard position < wordCount else { return 0 }
        let rest = bitCount - position * 64
        return rest >= 64 ? .max : (1 << rest) - 1
    }
}
