package import LayoutKit

/// The check of a metadata block (metaecc): a checksum, and a parity that finds one flipped bit. Spec: ocfs2-disk 15.
///
///     offset  size  field
///     0       4     bc_crc32e: CRC-32 from all ones, not inverted at the end
///     4       2     bc_ecc
///     6       2     reserved, 0
///
/// Both are computed over the whole block with these 8 bytes taken as zero.
@usableFromInline
package struct BlockCheck: Hashable, Sendable {
    package static let byteCount = 8

    package var crc: UInt32
    package var parity: UInt16

    package init(crc: UInt32, parity: UInt16) {
        self.crc = crc
        self.parity = parity
    }

    /// The stored check. `offset` must leave 8 bytes.
    package init(of bytes: UnsafeRawBufferPointer, at offset: Int) {
        crc = bytes[LE32(offset: offset)]
        parity = bytes[LE16(offset: offset + 4)]
    }

    /// What ``verify(_:at:)`` found.
    package enum Outcome: Hashable, Sendable {
        case good
        /// One bit was flipped and is right again, in memory.
        case corrected(bit: Int)
    }
}

// Where the check lies. Spec: ocfs2-disk 15.
extension BlockCheck {
    /// Offset in dinodes and in the superblock.
    @inlinable package static var dinodeOffset: Int { 0x80 }
    /// Offset in extent blocks, dx roots and dx leaves.
    @inlinable package static var treeOffset: Int { 0x08 }
    @inlinable package static var groupOffset: Int { 0x30 }
    @inlinable package static var xattrBlockOffset: Int { 0x18 }
    @inlinable package static var refcountOffset: Int { 0x20 }
    /// Offset in the 4096 bytes of an xattr bucket.
    @inlinable package static var bucketOffset: Int { 0x08 }

    /// Offset in directory blocks and quota blocks: the last 8 bytes.
    @inlinable
    package static func trailerOffset(blockSize: Int) -> Int { blockSize - 8 }
}

extension BlockCheck {
    /// The check of `bytes`, whose field at `offset` counts as zero.
    package static func compute(_ bytes: UnsafeRawBufferPointer, at offset: Int) -> BlockCheck {
        BlockCheck(crc: crc(bytes, at: offset), parity: parity(bytes, at: offset))
    }

    /// Computes the check and writes it into its field. The last change of a block before it is written.
    package static func store(into bytes: UnsafeMutableRawBufferPointer, at offset: Int) {
        let check = compute(UnsafeRawBufferPointer(bytes), at: offset)
        bytes[LE32(offset: offset)] = check.crc
        bytes[LE16(offset: offset + 4)] = check.parity
        bytes[LE16(offset: offset + 6)] = 0
    }

    /// Whether the stored checksum is right; nothing is corrected.
    package static func isRight(_ bytes: UnsafeRawBufferPointer, at offset: Int) -> Bool {
        crc(bytes, at: offset) == bytes[LE32(offset: offset)]
    }

    /// Compares the stored check with the block; flips the one bit back that the parity names, if that makes the
    /// checksum right.
    ///
    /// Throws ``LayoutError/badChecksum(of:found:expected:)`` when it does not; the bytes are then as they were.
    package static func verify(
        _ bytes: UnsafeMutableRawBufferPointer, at offset: Int
    ) throws(LayoutError) -> Outcome {
        let stored = BlockCheck(of: UnsafeRawBufferPointer(bytes), at: offset)
        let found = crc(UnsafeRawBufferPointer(bytes), at: offset)
        if found == stored.crc { return .good }
        let failure = LayoutError.badChecksum(
            of: "metadata block", found: UInt64(stored.crc), expected: UInt64(found))
        let position = Int(parity(UnsafeRawBufferPointer(bytes), at: offset) ^ stored.parity)
        guard let bit = HammingParity.bit(atPosition: position), bit < bytes.count * 8 else { throw failure }
        let byte = U8(offset: bit >> 3)
        let mask = UInt8(1) << UInt8(bit & 7)
        bytes[byte] ^= mask
        guard crc(UnsafeRawBufferPointer(bytes), at: offset) == stored.crc else {
            bytes[byte] ^= mask
            throw failure
        }
        return .corrected(bit: bit)
    }

    private static func crc(_ bytes: UnsafeRawBufferPointer, at offset: Int) -> UInt32 {
        let before = CRC32.update(~0, with: bytes.part(offset: 0, count: offset))
        return CRC32.update(CRC32.updateOverZeroField(before), with: bytes.dropped(offset + byteCount))
    }

    /// The parity is linear: what the field itself adds is taken away.
    private static func parity(_ bytes: UnsafeRawBufferPointer, at offset: Int) -> UInt16 {
        var parity = HammingParity.compute(bytes)
        var field = bytes[LE64(offset: offset)]
        while field != 0 {
            let bit = offset * 8 + field.trailingZeroBitCount
            parity ^= UInt16(truncatingIfNeeded: HammingParity.position(ofBit: bit))
            field &= field &- 1
        }
        return parity
    }
}
