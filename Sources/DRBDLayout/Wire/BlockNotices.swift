package import LayoutKit

/// P_OUT_OF_SYNC (drbd-wire 18) and P_RS_DEALLOCATED (drbd-wire 17.2): a range without data.
///
///     0: u64 sector   8: u32 size in bytes   12: u32 pad (garbage from kernel peers)
private enum NoticeField {
    static let sector = BE64(offset: 0), size = BE32(offset: 8), pad = BE32(offset: 12)
}

/// P_OUT_OF_SYNC: the sender changed this range and did not mirror it. Spec: drbd-wire 18.
package struct OutOfSync: FixedLayout, Equatable, Sendable {
    package static let byteCount = 16

    package var sector: UInt64
    /// Bytes.
    package var size: UInt32

    package init(sector: UInt64, size: UInt32) {
        self.sector = sector
        self.size = size
    }

    package init(decoding bytes: UnsafeRawBufferPointer) throws(LayoutError) {
        try Self.require(bytes)
        sector = bytes[NoticeField.sector]
        size = bytes[NoticeField.size]
    }

    package func encode(into out: UnsafeMutableRawBufferPointer) {
        out[NoticeField.sector] = sector
        out[NoticeField.size] = size
        out[NoticeField.pad] = 0
    }
}

/// P_RS_DEALLOCATED: the requested range reads as zeroes at the source. Spec: drbd-wire 17.2.
package struct ResyncDeallocated: FixedLayout, Equatable, Sendable {
    package static let byteCount = 16

    package var sector: UInt64
    /// Bytes.
    package var size: UInt32

    package init(sector: UInt64, size: UInt32) {
        self.sector = sector
        self.size = size
    }

    package init(decoding bytes: UnsafeRawBufferPointer) throws(LayoutError) {
        try Self.require(bytes)
        sector = bytes[NoticeField.sector]
        size = bytes[NoticeField.size]
    }

    package func encode(into out: UnsafeMutableRawBufferPointer) {
        out[NoticeField.sector] = sector
        out[NoticeField.size] = size
        out[NoticeField.pad] = 0
    }
}
