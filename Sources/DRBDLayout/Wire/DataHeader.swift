package import LayoutKit

/// Properties of a write. Spec: drbd-wire 12.1.
@usableFromInline
package struct DataFlags: OptionSet, Hashable, Sendable {
    @usableFromInline package let rawValue: UInt32

    @inlinable
    package init(rawValue: UInt32) {
        self.rawValue = rawValue
    }

    /// A hint: somebody waits for this write.
    @inlinable package static var readWriteSync: DataFlags { DataFlags(rawValue: 0x002) }
    /// The write may clear bits; set in resync states.
    @inlinable package static var maySetInSync: DataFlags { DataFlags(rawValue: 0x004) }
    @inlinable package static var forceUnitAccess: DataFlags { DataFlags(rawValue: 0x010) }
    /// Flush before the write.
    @inlinable package static var flush: DataFlags { DataFlags(rawValue: 0x020) }
    @inlinable package static var discard: DataFlags { DataFlags(rawValue: 0x040) }
    /// The sender wants P_RECV_ACK; from version 100 on.
    @inlinable package static var sendReceiveAck: DataFlags { DataFlags(rawValue: 0x080) }
    /// The sender wants P_WRITE_ACK; from version 100 on.
    @inlinable package static var sendWriteAck: DataFlags { DataFlags(rawValue: 0x100) }
    @inlinable package static var writeSame: DataFlags { DataFlags(rawValue: 0x200) }
    @inlinable package static var zeroes: DataFlags { DataFlags(rawValue: 0x400) }
}

/// Fixed part of P_DATA, P_DATA_REPLY and P_RS_DATA_REPLY. Spec: drbd-wire 12.1, 19.
///
///     0: u64 sector   8: u64 block_id   16: u32 seq_num   20: u32 dp_flags
///     24: digest, when the sender uses a data-integrity algorithm   then: data
package struct DataHeader: FixedLayout, Equatable, Sendable {
    package static let byteCount = 24

    private enum Field {
        static let sector = BE64(offset: 0), blockID = LE64(offset: 8), sequence = BE32(offset: 16)
        static let flags = BE32(offset: 20)
    }

    package var sector: UInt64
    /// Cookie of the writer or reader, echoed byte for byte; see ``BlockRequest/blockID``.
    package var blockID: UInt64
    /// Numbers writes and acknowledgements of a volume together; 0 in replies. Spec: drbd-wire 14.1.
    package var sequence: UInt32
    package var flags: DataFlags

    package init(sector: UInt64, blockID: UInt64, sequence: UInt32 = 0, flags: DataFlags = []) {
        self.sector = sector
        self.blockID = blockID
        self.sequence = sequence
        self.flags = flags
    }

    package init(decoding bytes: UnsafeRawBufferPointer) throws(LayoutError) {
        try Self.require(bytes)
        sector = bytes[Field.sector]
        blockID = bytes[Field.blockID]
        sequence = bytes[Field.sequence]
        flags = DataFlags(rawValue: bytes[Field.flags])
    }

    package func encode(into out: UnsafeMutableRawBufferPointer) {
        out[Field.sector] = sector
        out[Field.blockID] = blockID
        out[Field.sequence] = sequence
        out[Field.flags] = flags.rawValue
    }

    /// Bytes of data in a packet whose payload has `length` bytes; throws when they are no multiple of 512 or more
    /// than a request may have. 0 is possible: the receiver decides whether an empty write is legal.
    package static func dataByteCount(
        length: UInt32, digestByteCount: Int, dialect: WireDialect
    ) throws(LayoutError) -> Int {
        let count = Int(length) - byteCount - digestByteCount
        guard count >= 0 else {
            throw .truncated(need: byteCount + digestByteCount, have: Int(length))
        }
        guard count % 512 == 0, count <= dialect.requestByteCountMax else {
            throw .badLength(
                of: "data", found: count, expected: "a multiple of 512 up to \(dialect.requestByteCountMax)")
        }
        return count
    }
}

/// P_TRIM and P_ZEROES: a write without data. Spec: drbd-wire 16.
///
///     0: as P_DATA   24: u32 size in bytes
package struct TrimRequest: FixedLayout, Equatable, Sendable {
    package static let byteCount = 28

    private static let size = BE32(offset: 24)

    package var header: DataHeader
    /// Bytes, a multiple of 512.
    package var size: UInt32

    package init(header: DataHeader, size: UInt32) {
        self.header = header
        self.size = size
    }

    package init(decoding bytes: UnsafeRawBufferPointer) throws(LayoutError) {
        try Self.require(bytes)
        header = try DataHeader(decoding: bytes)
        size = bytes[Self.size]
    }

    package func encode(into out: UnsafeMutableRawBufferPointer) {
        header.encode(into: out)
        out[Self.size] = size
    }
}
