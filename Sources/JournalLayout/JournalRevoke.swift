package import LayoutKit

/// A block of the log that forbids the replay of older images. Spec: ocfs2-disk 14.3.
///
/// Header; r_count (4 bytes at 12: bytes in use including these 16); block numbers of 4 bytes, or 8 with wide tags.
/// OCFS2's kernel never writes one; who finds one must honour it.
package enum JournalRevoke {
    private static let headByteCount = 16

    private enum Field {
        static let count = BE32(offset: 12)
        static let narrow = BE32(offset: 0)
        static let wide = BE64(offset: 0)
    }

    package static func blocks(
        decoding bytes: UnsafeRawBufferPointer, _ format: JournalTagFormat
    ) throws(LayoutError) -> [UInt64] {
        try LayoutError.require(headByteCount, of: bytes)
        let count = bytes[Field.count]
        guard count >= UInt32(headByteCount), UInt64(count) <= UInt64(bytes.count) else {
            throw .badValue(field: "r_count", found: UInt64(count), expected: "\(headByteCount)...\(bytes.count)")
        }
        let width = format == .wide ? 8 : 4
        return stride(from: headByteCount, through: Int(count) - width, by: width).map { offset in
            let raw = bytes.part(offset: offset, count: width)
            return format == .wide ? raw[Field.wide] : UInt64(raw[Field.narrow])
        }
    }

    /// Writes a whole revoke block; for tests. What does not fit is a bug of the caller.
    package static func encode(
        _ blocks: [UInt64], sequence: UInt32, _ format: JournalTagFormat, into out: UnsafeMutableRawBufferPointer
    ) {
        out.clear(count: out.count)
        JournalBlockHeader(.revoke, sequence: sequence).encode(into: out)
        let width = format == .wide ? 8 : 4
        out[Field.count] = UInt32(headByteCount + blocks.count * width)
        for (index, block) in blocks.enumerated() {
            let raw = out.part(offset: headByteCount + index * width, count: width)
            switch format {
            case .narrow: raw[Field.narrow] = UInt32(block)
            case .wide: raw[Field.wide] = block
            }
        }
    }
}
