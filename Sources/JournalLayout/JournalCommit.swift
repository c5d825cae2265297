package import LayoutKit

/// The block that ends a transaction: with it all images count, without it none. Spec: ocfs2-disk 14.3.
///
/// Header; checksum fields (0x0C-0x2F, all zero); at 0x30 the time of the commit: seconds (8), nanoseconds (4).
package struct JournalCommit: Equatable, Sendable {
    package static let byteCount = 0x3C

    private enum Field {
        static let seconds = BE64(offset: 0x30)
        static let nanoseconds = BE32(offset: 0x38)
    }

    package var sequence: UInt32
    /// Since 1970, UTC.
    package var seconds: Int64
    package var nanoseconds: UInt32

    package init(sequence: UInt32, seconds: Int64, nanoseconds: UInt32) {
        self.sequence = sequence
        self.seconds = seconds
        self.nanoseconds = nanoseconds
    }

    package init(decoding bytes: UnsafeRawBufferPointer) throws(LayoutError) {
        try LayoutError.require(Self.byteCount, of: bytes)
        guard let header = JournalBlockHeader(decoding: bytes), header.type == .commit else {
            throw .badValue(
                field: "h_blocktype", found: UInt64(bytes[JournalBlockHeader.Field.type]), expected: "2 (commit)")
        }
        sequence = header.sequence
        seconds = Int64(bitPattern: bytes[Field.seconds])
        nanoseconds = bytes[Field.nanoseconds]
    }

    /// Writes a whole block.
    package func encode(into out: UnsafeMutableRawBufferPointer) {
        out.clear(count: out.count)
        JournalBlockHeader(.commit, sequence: sequence).encode(into: out)
        out[Field.seconds] = UInt64(bitPattern: seconds)
        out[Field.nanoseconds] = nanoseconds
    }
}
