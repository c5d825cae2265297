package import LayoutKit

/// What a log may hold beyond the first version of the format. Spec: ocfs2-disk 14.2.
package struct JournalFeatures: OptionSet, Hashable, Sendable {
    package let rawValue: UInt32

    package init(rawValue: UInt32) {
        self.rawValue = rawValue
    }

    package static let revoke = JournalFeatures(rawValue: 0x1)
    /// Tags and revoke records carry 64-bit block numbers (mkfs `-J block64`).
    package static let wideBlockNumbers = JournalFeatures(rawValue: 0x2)
    /// Commit blocks may reach the disk before what they commit (mount option `journal_async_commit`).
    package static let asynchronousCommit = JournalFeatures(rawValue: 0x4)
    package static let checksumV2 = JournalFeatures(rawValue: 0x8)
    package static let checksumV3 = JournalFeatures(rawValue: 0x10)
    package static let fastCommit = JournalFeatures(rawValue: 0x20)

    /// What is read and written here. A log with anything else is refused.
    package static let served: JournalFeatures = [.revoke, .wideBlockNumbers]

    /// The names of mke2fs and debugfs for the set bits.
    package var names: [String] {
        let known: [(JournalFeatures, String)] = [
            (.revoke, "revoke"), (.wideBlockNumbers, "64bit"), (.asynchronousCommit, "async-commit"),
            (.checksumV2, "checksum-v2"), (.checksumV3, "checksum-v3"), (.fastCommit, "fast-commit"),
        ]
        var names = known.filter { contains($0.0) }.map(\.1)
        let rest = rawValue & ~0x3f
        if rest != 0 { names.append(hexadecimal(UInt64(rest))) }
        return names
    }
}

/// Block 0 of a journal file, big-endian. Spec: ocfs2-disk 14.2.
///
/// | offset | size | name | meaning |
/// |---|---|---|---|
/// | 0x00 | 12 | header | type 4, sequence 0 |
/// | 0x0C | 4 | s_blocksize | the volume's block size in bytes |
/// | 0x10 | 4 | s_maxlen | blocks of the journal file |
/// | 0x14 | 4 | s_first | first block of the log: 1, or 2 with blocks of 512 bytes |
/// | 0x18 | 4 | s_sequence | transaction expected at s_start |
/// | 0x1C | 4 | s_start | log block of the oldest transaction; 0: the log is empty |
/// | 0x20 | 4 | s_errno | a saved error, 0 |
/// | 0x24 | 4 | s_feature_compat | 1: checksums in commit blocks |
/// | 0x28 | 4 | s_feature_incompat | ``JournalFeatures`` |
/// | 0x2C | 4 | s_feature_ro_compat | 0 |
/// | 0x30 | 16 | s_uuid | of the volume |
/// | 0x40 | 4 | s_nr_users | 1 |
///
/// Everything else is zero when made, and kept when rewritten: ``encode(into:)`` patches.
package struct JournalSuperblock: Equatable, Sendable {
    package static let byteCount = 0x44

    package enum Field {
        package static let blockSize = BE32(offset: 0x0C)
        package static let blockCount = BE32(offset: 0x10)
        package static let first = BE32(offset: 0x14)
        package static let sequence = BE32(offset: 0x18)
        package static let start = BE32(offset: 0x1C)
        package static let savedError = BE32(offset: 0x20)
        package static let compatible = BE32(offset: 0x24)
        package static let incompatible = BE32(offset: 0x28)
        package static let readOnlyCompatible = BE32(offset: 0x2C)
        package static let uuid = ByteField(offset: 0x30, count: 16)
        package static let userCount = BE32(offset: 0x40)
    }

    package var blockSize: UInt32
    package var blockCount: UInt32
    /// First block of the log.
    package var first: UInt32
    /// The transaction expected at ``start``; with an empty log, the last number that must not be used again.
    package var sequence: UInt32
    /// Log block of the oldest transaction that may not be in its place yet; 0: none.
    package var start: UInt32
    package var savedError: UInt32 = 0
    package var compatible: UInt32 = 0
    package var features: JournalFeatures = []
    package var readOnlyCompatible: UInt32 = 0
    package var uuid: [UInt8]
    package var userCount: UInt32 = 1

    /// The superblock as mkfs writes it, with a log of zeroes behind it.
    package init(blockSize: UInt32, blockCount: UInt32, uuid: [UInt8], features: JournalFeatures = []) {
        precondition(uuid.count == Field.uuid.count, "a UUID has 16 bytes")
        self.blockSize = blockSize
        self.blockCount = blockCount
        first = blockSize == 512 ? 2 : 1
        sequence = 1
        start = 1
        self.uuid = uuid
        self.features = features
    }

    package init(decoding bytes: UnsafeRawBufferPointer) throws(LayoutError) {
        try LayoutError.require(Self.byteCount, of: bytes)
        guard let header = JournalBlockHeader(decoding: bytes) else {
            throw .badMagic(
                found: UInt64(bytes[JournalBlockHeader.Field.magic]), expected: UInt64(JournalBlockHeader.magic))
        }
        guard header.type == .superblock else {
            throw .badValue(field: "h_blocktype", found: UInt64(header.rawType), expected: "4 (superblock)")
        }
        blockSize = bytes[Field.blockSize]
        blockCount = bytes[Field.blockCount]
        first = bytes[Field.first]
        sequence = bytes[Field.sequence]
        start = bytes[Field.start]
        savedError = bytes[Field.savedError]
        compatible = bytes[Field.compatible]
        features = JournalFeatures(rawValue: bytes[Field.incompatible])
        readOnlyCompatible = bytes[Field.readOnlyCompatible]
        uuid = Array(bytes[Field.uuid])
        userCount = bytes[Field.userCount]
    }

    /// Sets the fields; other bytes stay as they are. A shorter buffer is a bug of the caller.
    package func encode(into out: UnsafeMutableRawBufferPointer) {
        JournalBlockHeader(.superblock, sequence: 0).encode(into: out)
        out[Field.blockSize] = blockSize
        out[Field.blockCount] = blockCount
        out[Field.first] = first
        out[Field.sequence] = sequence
        out[Field.start] = start
        out[Field.savedError] = savedError
        out[Field.compatible] = compatible
        out[Field.incompatible] = features.rawValue
        out[Field.readOnlyCompatible] = readOnlyCompatible
        out.part(offset: Field.uuid.offset, count: Field.uuid.count).copyBytes(from: uuid)
        out[Field.userCount] = userCount
    }

    package var tagFormat: JournalTagFormat { features.contains(.wideBlockNumbers) ? .wide : .narrow }

    /// Throws unless a log of these dimensions can lie in a journal file of `blockCount` blocks.
    package func check(blockSize: Int, blockCount fileBlockCount: UInt64) throws(LayoutError) {
        guard self.blockSize == UInt32(blockSize) else {
            throw .badValue(field: "s_blocksize", found: UInt64(self.blockSize), expected: "\(blockSize)")
        }
        guard blockCount >= Self.blockCountMin, UInt64(blockCount) <= fileBlockCount else {
            throw .badValue(
                field: "s_maxlen", found: UInt64(blockCount), expected: "\(Self.blockCountMin)...\(fileBlockCount)")
        }
        guard first >= 1, first <= 2 else {
            throw .badValue(field: "s_first", found: UInt64(first), expected: "1...2")
        }
        guard start < blockCount else {
            throw .badValue(field: "s_start", found: UInt64(start), expected: "below \(blockCount)")
        }
        let unknown = features.subtracting(.served)
        guard unknown.isEmpty else {
            throw .badValue(
                field: "s_feature_incompat", found: UInt64(features.rawValue),
                expected: "no \(unknown.names.joined(separator: ", "))")
        }
        guard readOnlyCompatible == 0 else {
            throw .badValue(field: "s_feature_ro_compat", found: UInt64(readOnlyCompatible), expected: "0")
        }
    }

    /// The kernel refuses smaller ones. Spec: ocfs2-disk 14.1.
    package static let blockCountMin: UInt32 = 1024
}
