/// Makes resync requests of the set bits: runs of them, as long as size and place allow.
/// Spec: drbd-disk-and-state 19.2, drbd-wire 11.2.
///
/// For each request ask for the ``candidate(in:)``, lock its 16 MiB extent, then ``form(from:in:limits:budget:)``. If
/// the extent cannot be locked stop for this tick; the candidate stays the next one.
package struct ResyncRequestFormer: Equatable, Sendable {
    package struct Request: Equatable, Sendable {
        package var sector: UInt64
        /// A multiple of 4096, but for the last block of the device.
        package var byteCount: Int
        package var blockCount: Int
    }

    package struct Limits: Equatable, Sendable {
        /// Largest request of the device and the wire in bytes.
        package var byteCountMax: Int
        /// Requests stop at this size, in bytes; 0: no such size.
        package var discardGranularity: Int

        package init(byteCountMax: Int, discardGranularity: Int = 0) {
            self.byteCountMax = byteCountMax
            self.discardGranularity = discardGranularity
        }
    }

    private static let blockByteCount = 4096

    /// The bit from which on the next set one is looked for.
    package var position: Int

    package init(position: Int = 0) {
        self.position = position
    }

    /// The bit that the next request begins with; nil at the end of the bitmap.
    package mutating func candidate(in bitmap: Bitmap) -> Int? {
        let bit = bitmap.nextSetBit(from: position)
        position = bit ?? bitmap.bitCount
        return bit
    }

    /// The request that begins with `bit`, and the position after it.
    ///
    /// - Parameter budget: blocks that are left in this tick, above 0. A request that was ended by the budget is one
    ///   block longer than it, as those of kernels are.
    package mutating func form(
        from bit: Int, in bitmap: Bitmap, limits: Limits, budget: inout Int
    ) -> Request {
        precondition(budget > 0, "no budget for a request")
        var count = 1
        while count <= budget, Self.mayGrow(from: bit, count: count, limits), continues(bit + count, in: bitmap) {
            count += 1
        }
        budget -= count
        position = bit + count
        let sector = UInt64(bit) * Bitmap.sectorsPerBit
        let sectors = min(UInt64(count) * Bitmap.sectorsPerBit, bitmap.sectorCount - sector)
        return Request(sector: sector, byteCount: Int(sectors) * 512, blockCount: count)
    }

    /// Whether a request of `count` blocks at `bit` may get one more. A size above a power of two of blocks needs a
    /// start at a multiple of the next one.
    private static func mayGrow(from bit: Int, count: Int, _ limits: Limits) -> Bool {
        let byteCount = count * blockByteCount
        guard byteCount + blockByteCount <= limits.byteCountMax, byteCount != limits.discardGranularity else {
            return false
        }
        let nextPowerOfTwo = 1 << (Int.bitWidth - count.leadingZeroBitCount)
        return bit % nextPowerOfTwo == 0
    }

    /// Whether the block at `next` is out of sync and in the same extent as the one before.
    private func continues(_ next: Int, in bitmap: Bitmap) -> Bool {
        next < bitmap.bitCount && next % Bitmap.bitsPerExtent != 0 && bitmap.isSet(next)
    }
}
