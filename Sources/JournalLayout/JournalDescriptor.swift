internal import LayoutKit

/// How wide a tag is. Spec: ocfs2-disk 14.3.
package enum JournalTagFormat: Sendable {
    /// 8 bytes, block numbers of 32 bits.
    case narrow
    /// 12 bytes, block numbers of 64 bits.
    case wide

    package var byteCount: Int { self == .narrow ? 8 : 12 }

    /// What this code puts into one descriptor: as many as the kernel, which closes it when fewer than a tag and a UUID
    /// are left. 58 for 512-byte blocks and narrow tags, 81 for 1024 and wide.
    package func tagsPerDescriptor(blockSize: Int) -> Int {
        (blockSize - JournalDescriptor.overheadByteCount) / byteCount
    }
}

/// One image in the log, as its descriptor names it. Spec: ocfs2-disk 14.3.
///
/// | offset | size | name | meaning |
/// |---|---|---|---|
/// | 0 | 4 | t_blocknr | where the image belongs, block of the volume |
/// | 4 | 2 | t_checksum | 0 |
/// | 6 | 2 | t_flags | ``Flags`` |
/// | 8 | 4 | t_blocknr_high | wide tags only |
package struct JournalTag: Equatable, Sendable {
    package struct Flags: OptionSet, Hashable, Sendable {
        package let rawValue: UInt16

        package init(rawValue: UInt16) {
            self.rawValue = rawValue
        }

        /// The block began with the journal's magic; the image has four zeroes there.
        package static let escaped = Flags(rawValue: 1)
        /// No UUID follows the tag.
        package static let sameUUID = Flags(rawValue: 2)
        package static let deleted = Flags(rawValue: 4)
        package static let last = Flags(rawValue: 8)
    }

    package var block: UInt64
    package var flags: Flags

    package init(block: UInt64, flags: Flags = []) {
        self.block = block
        self.flags = flags
    }
}

/// A block of the log that names the images in the blocks behind it. Spec: ocfs2-disk 14.3.
package enum JournalDescriptor {
    private static let uuidByteCount = 16
    /// Header, UUID, and the 16 bytes that the kernel leaves free at the end.
    static let overheadByteCount = JournalBlockHeader.byteCount + uuidByteCount + 16

    private enum Field {
        static let block = BE32(offset: 0)
        static let checksum = BE16(offset: 4)
        static let flags = BE16(offset: 6)
        static let blockHigh = BE32(offset: 8)
    }

    /// The tags up to the one that is marked as the last, or up to the end of the block.
    package static func tags(decoding bytes: UnsafeRawBufferPointer, _ format: JournalTagFormat) -> [JournalTag] {
        var tags: [JournalTag] = []
        var offset = JournalBlockHeader.byteCount
        while offset + format.byteCount <= bytes.count {
            let raw = bytes.part(offset: offset, count: format.byteCount)
            var block = UInt64(raw[Field.block])
            if format == .wide { block |= UInt64(raw[Field.blockHigh]) << 32 }
            let flags = JournalTag.Flags(rawValue: raw[Field.flags])
            tags.append(JournalTag(block: block, flags: flags))
            if flags.contains(.last) { break }
            offset += format.byteCount + (flags.contains(.sameUUID) ? 0 : uuidByteCount)
        }
        return tags
    }

    /// Writes a whole descriptor. The flags about the UUID and the end are set here; more tags than
    /// ``JournalTagFormat/tagsPerDescriptor(blockSize:)`` or none, and numbers that do not fit, are bugs of the caller.
    package static func encode(
        _ tags: some Collection<JournalTag>, sequence: UInt32, _ format: JournalTagFormat,
        into out: UnsafeMutableRawBufferPointer
    ) {
        precondition(
            !tags.isEmpty && tags.count <= format.tagsPerDescriptor(blockSize: out.count),
            "\(tags.count) tags for one descriptor")
        out.clear(count: out.count)
        JournalBlockHeader(.descriptor, sequence: sequence).encode(into: out)
        var offset = JournalBlockHeader.byteCount
        var left = tags.count
        for tag in tags {
            left -= 1
            var flags = tag.flags.subtracting([.sameUUID, .last])
            let isFirst = offset == JournalBlockHeader.byteCount
            if !isFirst { flags.insert(.sameUUID) }
            if left == 0 { flags.insert(.last) }
            let raw = out.part(offset: offset, count: format.byteCount)
            raw[Field.block] = UInt32(truncatingIfNeeded: tag.block)
            raw[Field.flags] = flags.rawValue
            switch format {
            case .narrow: precondition(tag.block <= UInt64(UInt32.max), "block \(tag.block) needs wide tags")
            case .wide: raw[Field.blockHigh] = UInt32(truncatingIfNeeded: tag.block >> 32)
            }
            offset += format.byteCount + (isFirst ? uuidByteCount : 0)
        }
    }
}
