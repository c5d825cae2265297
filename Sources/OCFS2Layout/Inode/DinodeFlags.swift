/// `i_flags` of a dinode. Spec: ocfs2-disk 5.1.
@usableFromInline
package struct DinodeFlags: OptionSet, Hashable, Sendable {
    @usableFromInline package let rawValue: UInt32

    @inlinable
    package init(rawValue: UInt32) {
        self.rawValue = rawValue
    }

    /// In use; cleared when the inode is freed.
    @inlinable package static var valid: Self { Self(rawValue: 0x0001) }
    /// Listed in the orphan directory of `i_orphaned_slot`.
    @inlinable package static var orphaned: Self { Self(rawValue: 0x0004) }
    @inlinable package static var system: Self { Self(rawValue: 0x0010) }
    @inlinable package static var superblock: Self { Self(rawValue: 0x0020) }
    @inlinable package static var localAlloc: Self { Self(rawValue: 0x0040) }
    /// `i_used` and `i_total` are valid.
    @inlinable package static var bitmap: Self { Self(rawValue: 0x0080) }
    @inlinable package static var journal: Self { Self(rawValue: 0x0100) }
    @inlinable package static var heartbeat: Self { Self(rawValue: 0x0200) }
    /// Holds a chain list.
    @inlinable package static var chain: Self { Self(rawValue: 0x0400) }
    /// Holds a truncate log.
    @inlinable package static var truncateLog: Self { Self(rawValue: 0x0800) }
    @inlinable package static var quota: Self { Self(rawValue: 0x1000) }
    /// An appending direct write is under way; listed as `dio-...` in an orphan directory.
    @inlinable package static var directIOOrphaned: Self { Self(rawValue: 0x2000) }
}

/// `i_dyn_features` of a dinode. Spec: ocfs2-disk 5.2.
@usableFromInline
package struct DynamicFeatures: OptionSet, Hashable, Sendable {
    @usableFromInline package let rawValue: UInt16

    @inlinable
    package init(rawValue: UInt16) {
        self.rawValue = rawValue
    }

    @inlinable package static var inlineData: Self { Self(rawValue: 0x0001) }
    /// Not cleared when the last xattr is removed.
    @inlinable package static var hasXattr: Self { Self(rawValue: 0x0002) }
    /// The last `i_xattr_inline_size` bytes of the block are an xattr area.
    @inlinable package static var inlineXattr: Self { Self(rawValue: 0x0004) }
    /// `i_dx_root` is valid.
    @inlinable package static var indexedDirectory: Self { Self(rawValue: 0x0008) }
    /// `i_refcount_loc` is valid.
    @inlinable package static var hasRefcount: Self { Self(rawValue: 0x0010) }
}

/// `i_attr` of a dinode: the attributes of chattr. Spec: ocfs2-disk 5.3.
@usableFromInline
package struct DinodeAttributes: OptionSet, Hashable, Sendable {
    @usableFromInline package let rawValue: UInt32

    @inlinable
    package init(rawValue: UInt32) {
        self.rawValue = rawValue
    }

    @inlinable package static var secureRemoval: Self { Self(rawValue: 0x01) }
    @inlinable package static var undelete: Self { Self(rawValue: 0x02) }
    @inlinable package static var compress: Self { Self(rawValue: 0x04) }
    @inlinable package static var synchronous: Self { Self(rawValue: 0x08) }
    @inlinable package static var immutable: Self { Self(rawValue: 0x10) }
    @inlinable package static var appendOnly: Self { Self(rawValue: 0x20) }
    @inlinable package static var noDump: Self { Self(rawValue: 0x40) }
    @inlinable package static var noAccessTime: Self { Self(rawValue: 0x80) }
    @inlinable package static var synchronousDirectory: Self { Self(rawValue: 0x10000) }
}

/// The type bits of `i_mode`, and the number of each type in directory entries. Spec: ocfs2-disk 8.1.
@usableFromInline
package enum FileType: UInt8, Hashable, Sendable, CaseIterable {
    case regular = 1
    case directory = 2
    case characterDevice = 3
    case blockDevice = 4
    case fifo = 5
    case socket = 6
    case symlink = 7

    /// From `i_mode`; nil when its type bits are none of POSIX.
    @inlinable
    package init?(mode: UInt16) {
        switch mode & 0o170000 {
        case 0o100000: self = .regular
        case 0o040000: self = .directory
        case 0o020000: self = .characterDevice
        case 0o060000: self = .blockDevice
        case 0o010000: self = .fifo
        case 0o140000: self = .socket
        case 0o120000: self = .symlink
        default: return nil
        }
    }

    /// The type bits in `i_mode`.
    @inlinable package var modeBits: UInt16 {
        switch self {
        case .regular: 0o100000
        case .directory: 0o040000
        case .characterDevice: 0o020000
        case .blockDevice: 0o060000
        case .fifo: 0o010000
        case .socket: 0o140000
        case .symlink: 0o120000
        }
    }
}
