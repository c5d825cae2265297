package import LayoutKit

/// What a control block of the log is. Spec: ocfs2-disk 14.3.
package enum JournalBlockType: UInt32, Sendable {
    case descriptor = 1
    case commit = 2
    /// Of version 1; OCFS2 never had it.
    case oldSuperblock = 3
    case superblock = 4
    case revoke = 5
}

/// The first 12 bytes of every control block of the log, big-endian. Spec: ocfs2-disk 14.3.
///
/// | offset | size | name | meaning |
/// |---|---|---|---|
/// | 0 | 4 | h_magic | 0xC03B3998 |
/// | 4 | 4 | h_blocktype | ``JournalBlockType`` |
/// | 8 | 4 | h_sequence | the transaction; 0 in the superblock |
package struct JournalBlockHeader: Equatable, Sendable {
    package static let byteCount = 12
    package static let magic: UInt32 = 0xC03B_3998

    package enum Field {
        package static let magic = BE32(offset: 0)
        package static let type = BE32(offset: 4)
        package static let sequence = BE32(offset: 8)
    }

    /// The raw number: an unknown type ends the log as a missing magic does.
    package var rawType: UInt32
    package var sequence: UInt32

    package var type: JournalBlockType? { JournalBlockType(rawValue: rawType) }

    package init(_ type: JournalBlockType, sequence: UInt32) {
        rawType = type.rawValue
        self.sequence = sequence
    }

    /// nil when the bytes are no control block.
    package init?(decoding bytes: UnsafeRawBufferPointer) {
        guard bytes.count >= Self.byteCount, bytes[Field.magic] == Self.magic else { return nil }
        rawType = bytes[Field.type]
        sequence = bytes[Field.sequence]
    }

    package func encode(into out: UnsafeMutableRawBufferPointer) {
        out[Field.magic] = Self.magic
        out[Field.type] = rawType
        out[Field.sequence] = sequence
    }
}
