import LayoutKit

/// What the magic number of a superblock says. Spec: drbd-disk-and-state 3.
package enum MetadataVersion: UInt32, CaseIterable, Sendable {
    /// 0.7: 32-bit generation counters; cannot be attached.
    case version07 = 0x8374_026a
    /// 8.x as the tools write it.
    case version08 = 0x8374_026b
    /// 8.4 as a running node writes it, and leaves it: the activity log may have to be applied.
    case version08Unclean = 0x8374_026c
    /// 9.
    case version09 = 0x8374_026d

    /// Where the magic lies in the block, in every version.
    private static let field = BE32(offset: 60)

    /// The version of the superblock in `block`; nil when it holds none.
    package static func recognise(_ block: UnsafeRawBufferPointer) -> MetadataVersion? {
        guard block.count >= MetadataSuperblock.byteCount else { return nil }
        return MetadataVersion(rawValue: block[field])
    }

    /// As the tools call it.
    package var name: String {
        switch self {
        case .version07: "v07"
        case .version08, .version08Unclean: "v08"
        case .version09: "v09"
        }
    }
}
