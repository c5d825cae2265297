package import LayoutKit

/// P_DATA_REQUEST, P_RS_DATA_REQUEST, P_RS_THIN_REQ, P_CSUM_RS_REQUEST, P_OV_REQUEST, P_OV_REPLY: a range of the
/// device. Spec: drbd-wire 11.1.
///
///     0: u64 sector   8: u64 block_id   16: u32 size   20: u32 pad (garbage from kernel peers)
///
/// A digest follows in P_CSUM_RS_REQUEST and P_OV_REPLY.
package struct BlockRequest: FixedLayout, Equatable, Sendable {
    package static let byteCount = 24

    private enum Field {
        static let sector = BE64(offset: 0), blockID = LE64(offset: 8), size = BE32(offset: 16), pad = BE32(offset: 20)
    }

    package var sector: UInt64
    /// Cookie of the requester, echoed byte for byte; ``WireConstants/resyncBlockID`` in resync and verify. Read and
    /// written in one fixed byte order, so the number has no meaning beyond identity.
    package var blockID: UInt64
    /// Bytes, a multiple of 512.
    package var size: UInt32

    package init(sector: UInt64, blockID: UInt64 = WireConstants.resyncBlockID, size: UInt32) {
        self.sector = sector
        self.blockID = blockID
        self.size = size
    }

    package init(decoding bytes: UnsafeRawBufferPointer) throws(LayoutError) {
        try Self.require(bytes)
        sector = bytes[Field.sector]
        blockID = bytes[Field.blockID]
        size = bytes[Field.size]
    }

    package func encode(into out: UnsafeMutableRawBufferPointer) {
        out[Field.sector] = sector
        out[Field.blockID] = blockID
        out[Field.size] = size
        out[Field.pad] = 0
    }
}

/// Checks of ranges that a peer names. Spec: drbd-wire 11.2, 12.1, 15, 16.
package enum WireRange {
    /// Throws unless `byteCount` is a multiple of 512 in 1...`byteCountMax` and the range ends inside the device.
    /// No sum here can run over, whatever the peer sent.
    package static func check(
        sector: UInt64, byteCount: UInt32, byteCountMax: Int, capacitySectors: UInt64
    ) throws(LayoutError) {
        guard byteCount > 0, byteCount % 512 == 0, Int(byteCount) <= byteCountMax else {
            throw .badValue(
                field: "size", found: UInt64(byteCount), expected: "a multiple of 512 from 512 to \(byteCountMax)")
        }
        let sectors = UInt64(byteCount / 512)
        guard sectors <= capacitySectors, sector <= capacitySectors - sectors else {
            throw .badValue(
                field: "sector", found: sector, expected: "a range of \(sectors) sectors within \(capacitySectors)")
        }
    }
}
