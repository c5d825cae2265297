public import LayoutKit

/// A dinode: one block for each inode; the inode's number is the block's number. Spec: ocfs2-disk 5.
///
///     offset  size  field
///     0x00    8     i_signature            0x58    8     i_last_eb_blk
///     0x08    4     i_generation           0x60    4     i_fs_generation
///     0x0c    2     i_suballoc_slot        0x64    4     i_atime_nsec
///     0x0e    2     i_suballoc_bit         0x68    4     i_ctime_nsec
///     0x10    2     i_links_count_hi       0x6c    4     i_mtime_nsec
///     0x12    2     i_xattr_inline_size    0x70    4     i_attr
///     0x14    4     i_clusters             0x74    2     i_orphaned_slot
///     0x18    4     i_uid                  0x76    2     i_dyn_features
///     0x1c    4     i_gid                  0x78    8     i_xattr_loc
///     0x20    8     i_size                 0x80    8     i_check
///     0x28    2     i_mode                 0x88    8     i_dx_root
///     0x2a    2     i_links_count          0x90    8     i_refcount_loc
///     0x2c    4     i_flags                0x98    8     i_suballoc_loc
///     0x30    8     i_atime                0xa0    2     i_dio_orphaned_slot
///     0x38    8     i_ctime                0xa2    22    reserved
///     0x40    8     i_mtime                0xb8    8     id1: device number, bitmap totals, or journal state
///     0x48    8     i_dtime                0xc0          id2: what the flags say, see `Content`
///     0x50    8     i_blkno
///
/// Dinodes are patched in place: `block[Dinode.Field.size] = 4096`.
@usableFromInline
package enum Dinode {
    @usableFromInline
    package enum Field {
        @inlinable package static var signature: LE64 { LE64(offset: 0x00) }
        @inlinable package static var generation: LE32 { LE32(offset: 0x08) }
        @inlinable package static var suballocSlot: LE16 { LE16(offset: 0x0c) }
        @inlinable package static var suballocBit: LE16 { LE16(offset: 0x0e) }
        @inlinable package static var linkCountHigh: LE16 { LE16(offset: 0x10) }
        /// Meaningful only with ``DynamicFeatures/inlineXattr``.
        @inlinable package static var xattrInlineSize: LE16 { LE16(offset: 0x12) }
        @inlinable package static var clusters: LE32 { LE32(offset: 0x14) }
        @inlinable package static var user: LE32 { LE32(offset: 0x18) }
        @inlinable package static var group: LE32 { LE32(offset: 0x1c) }
        /// Bytes.
        @inlinable package static var size: LE64 { LE64(offset: 0x20) }
        @inlinable package static var mode: LE16 { LE16(offset: 0x28) }
        @inlinable package static var linkCount: LE16 { LE16(offset: 0x2a) }
        @inlinable package static var flags: LE32 { LE32(offset: 0x2c) }
        /// Seconds, signed.
        @inlinable package static var accessTime: LE64 { LE64(offset: 0x30) }
        @inlinable package static var changeTime: LE64 { LE64(offset: 0x38) }
        @inlinable package static var modificationTime: LE64 { LE64(offset: 0x40) }
        /// 0 while alive.
        @inlinable package static var deletionTime: LE64 { LE64(offset: 0x48) }
        @inlinable package static var block: LE64 { LE64(offset: 0x50) }
        /// Rightmost leaf of the data tree; 0 at depth 0.
        @inlinable package static var lastExtentBlock: LE64 { LE64(offset: 0x58) }
        @inlinable package static var volumeGeneration: LE32 { LE32(offset: 0x60) }
        @inlinable package static var accessTimeNanoseconds: LE32 { LE32(offset: 0x64) }
        @inlinable package static var changeTimeNanoseconds: LE32 { LE32(offset: 0x68) }
        @inlinable package static var modificationTimeNanoseconds: LE32 { LE32(offset: 0x6c) }
        @inlinable package static var attributes: LE32 { LE32(offset: 0x70) }
        /// Valid only with ``DinodeFlags/orphaned``.
        @inlinable package static var orphanedSlot: LE16 { LE16(offset: 0x74) }
        @inlinable package static var dynamicFeatures: LE16 { LE16(offset: 0x76) }
        /// External xattr block, 0: none.
        @inlinable package static var xattrBlock: LE64 { LE64(offset: 0x78) }
        @inlinable package static var indexRoot: LE64 { LE64(offset: 0x88) }
        @inlinable package static var refcountRoot: LE64 { LE64(offset: 0x90) }
        @inlinable package static var suballocGroup: LE64 { LE64(offset: 0x98) }
        /// Valid only with ``DinodeFlags/directIOOrphaned``.
        @inlinable package static var directIOOrphanedSlot: LE16 { LE16(offset: 0xa0) }
        /// Devices. Zero in every other inode that is no system inode.
        @inlinable package static var deviceNumber: LE64 { LE64(offset: 0xb8) }
        /// Bitmap inodes: bits in use.
        @inlinable package static var bitsUsed: LE32 { LE32(offset: 0xb8) }
        @inlinable package static var bitsTotal: LE32 { LE32(offset: 0xbc) }
        /// Journal inodes: bit 0, a host runs on this slot or crashed there.
        @inlinable package static var journalFlags: LE32 { LE32(offset: 0xb8) }
        /// Journal inodes: replays so far.
        @inlinable package static var recoveryGeneration: LE32 { LE32(offset: 0xbc) }
        /// Inline data: capacity in bytes (`id_count`).
        @inlinable package static var inlineCount: LE16 { LE16(offset: 0xc0) }
    }

    /// Offset of the part that depends on the kind of the inode.
    @inlinable package static var contentOffset: Int { 0xc0 }
    /// Offset of inline data.
    @inlinable package static var inlineDataOffset: Int { 0xc8 }
    /// ``Field/journalFlags``: the journal may have to be replayed.
    @inlinable package static var journalDirty: UInt32 { 1 }
}

extension Dinode {
    /// What lies at ``contentOffset``. Spec: ocfs2-disk 5.4.
    @usableFromInline
    package enum Content: Hashable, Sendable {
        case superblock
        case localAlloc
        case chainList
        case truncateLog
        case inlineData
        /// The target's text.
        case symlink
        /// Also of devices, fifos and sockets, whose list is empty.
        case extentList
    }

    /// Selected by flags, type and cluster count; the first that fits in the order of the table.
    @inlinable
    package static func content(of bytes: UnsafeRawBufferPointer) -> Content {
        let flags = DinodeFlags(rawValue: bytes[Field.flags])
        if !flags.isDisjoint(with: [.superblock, .localAlloc, .chain, .truncateLog]) {
            if flags.contains(.superblock) { return .superblock }
            if flags.contains(.localAlloc) { return .localAlloc }
            return flags.contains(.chain) ? .chainList : .truncateLog
        }
        if DynamicFeatures(rawValue: bytes[Field.dynamicFeatures]).contains(.inlineData) { return .inlineData }
        if FileType(mode: bytes[Field.mode]) == .symlink && bytes[Field.clusters] == 0 { return .symlink }
        return .extentList
    }
}

/// A device number as `i_rdev` holds it. Spec: ocfs2-disk-2 19.5.
package struct DeviceNumber: Hashable, Sendable {
    package var major: UInt32
    package var minor: UInt32

    package init(major: UInt32, minor: UInt32) {
        self.major = major
        self.minor = minor
    }

    package init(encoded: UInt64) {
        major = UInt32(truncatingIfNeeded: encoded >> 8) & 0xfff
        minor = UInt32(truncatingIfNeeded: encoded) & 0xff | UInt32(truncatingIfNeeded: encoded >> 12) & 0xfff00
    }

    package var encoded: UInt64 {
        UInt64(minor & 0xff) | UInt64(major) << 8 | UInt64(minor & ~0xff) << 12
    }
}
