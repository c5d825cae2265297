package import LayoutKit

/// The acknowledgements of the meta socket: P_RECV_ACK, P_WRITE_ACK, P_RS_WRITE_ACK, P_SUPERSEDED, P_NEG_ACK,
/// P_NEG_DREPLY, P_NEG_RS_DREPLY, P_OV_RESULT, P_RS_IS_IN_SYNC, P_RS_CANCEL, P_RETRY_WRITE. Spec: drbd-wire 11.1, 12.2.
///
///     0: u64 sector   8: u64 block_id   16: u32 size   20: u32 seq_num
package struct BlockAck: FixedLayout, Equatable, Sendable {
    package static let byteCount = 24

    private enum Field {
        static let sector = BE64(offset: 0), blockID = LE64(offset: 8), size = BE32(offset: 16)
        static let sequence = BE32(offset: 20)
    }

    package var sector: UInt64
    /// The cookie of the request, byte for byte; garbage in P_RS_IS_IN_SYNC; the outcome in P_OV_RESULT.
    package var blockID: UInt64
    /// Bytes.
    package var size: UInt32
    /// Next number of the acknowledging node's counter of the volume. Spec: drbd-wire 14.1.
    package var sequence: UInt32

    package init(sector: UInt64, blockID: UInt64, size: UInt32, sequence: UInt32) {
        self.sector = sector
        self.blockID = blockID
        self.size = size
        self.sequence = sequence
    }

    package init(decoding bytes: UnsafeRawBufferPointer) throws(LayoutError) {
        try Self.require(bytes)
        sector = bytes[Field.sector]
        blockID = bytes[Field.blockID]
        size = bytes[Field.size]
        sequence = bytes[Field.sequence]
    }

    package func encode(into out: UnsafeMutableRawBufferPointer) {
        out[Field.sector] = sector
        out[Field.blockID] = blockID
        out[Field.size] = size
        out[Field.sequence] = sequence
    }
}

/// What P_OV_RESULT says: the one packet whose `block_id` is a big-endian number. Spec: drbd-wire 17.3.
package enum VerifyResult: UInt64, Sendable {
    case inSync = 4711
    case outOfSync = 4712

    /// The number as ``BlockAck/blockID`` holds it.
    package var blockID: UInt64 { rawValue.byteSwapped }

    /// Throws when the acknowledgement carries neither number.
    package init(_ ack: BlockAck) throws(LayoutError) {
        let number = ack.blockID.byteSwapped
        guard let result = VerifyResult(rawValue: number) else {
            throw .badValue(field: "block_id of P_OV_RESULT", found: number, expected: "4711 or 4712")
        }
        self = result
    }
}
