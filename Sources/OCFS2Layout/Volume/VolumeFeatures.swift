// The three feature words of the superblock. Spec: ocfs2-disk 2.4.

/// Features that a host may ignore.
package struct CompatibleFeatures: OptionSet, Hashable, Sendable {
    package let rawValue: UInt32

    package init(rawValue: UInt32) {
        self.rawValue = rawValue
    }

    /// Backup superblocks exist.
    package static let backupSuperblock = CompatibleFeatures(rawValue: 0x0001)
    /// The feature words of the journals' superblocks are valid.
    package static let strictJournalSuperblock = CompatibleFeatures(rawValue: 0x0002)
    /// What the format knows.
    package static let known: CompatibleFeatures = [.backupSuperblock, .strictJournalSuperblock]
}

/// Features that a host must know to mount.
@usableFromInline
package struct IncompatibleFeatures: OptionSet, Hashable, Sendable {
    @usableFromInline package let rawValue: UInt32

    @inlinable
    package init(rawValue: UInt32) {
        self.rawValue = rawValue
    }

    /// No filesystem: a heartbeat region only.
    @inlinable package static var heartbeatDevice: Self { Self(rawValue: 0x0002) }
    /// A tool's resize did not end.
    @inlinable package static var resizeInProgress: Self { Self(rawValue: 0x0004) }
    /// For one host: no cluster locks, no heartbeat, slot 0.
    @inlinable package static var localMount: Self { Self(rawValue: 0x0008) }
    @inlinable package static var sparseAllocation: Self { Self(rawValue: 0x0010) }
    /// tunefs.ocfs2 did not end.
    @inlinable package static var tuneInProgress: Self { Self(rawValue: 0x0020) }
    @inlinable package static var inlineData: Self { Self(rawValue: 0x0040) }
    /// The cluster stack is not o2cb; `s_cluster_info` is valid.
    @inlinable package static var userspaceStack: Self { Self(rawValue: 0x0080) }
    @inlinable package static var extendedSlotMap: Self { Self(rawValue: 0x0100) }
    @inlinable package static var xattr: Self { Self(rawValue: 0x0200) }
    @inlinable package static var indexedDirectories: Self { Self(rawValue: 0x0400) }
    @inlinable package static var metaecc: Self { Self(rawValue: 0x0800) }
    @inlinable package static var refcountTree: Self { Self(rawValue: 0x1000) }
    @inlinable package static var discontiguousGroups: Self { Self(rawValue: 0x2000) }
    /// `s_cluster_info` is valid, for o2cb too.
    @inlinable package static var clusterInfo: Self { Self(rawValue: 0x4000) }
    @inlinable package static var appendDirectIO: Self { Self(rawValue: 0x8000) }

    /// What Linux 6.1 mounts.
    package static let known = IncompatibleFeatures(rawValue: 0xffd8)
}

/// Features that a host must know to write.
@usableFromInline
package struct ReadOnlyCompatibleFeatures: OptionSet, Hashable, Sendable {
    @usableFromInline package let rawValue: UInt32

    @inlinable
    package init(rawValue: UInt32) {
        self.rawValue = rawValue
    }

    /// Extents may be unwritten.
    @inlinable package static var unwritten: Self { Self(rawValue: 0x0001) }
    @inlinable package static var userQuota: Self { Self(rawValue: 0x0002) }
    @inlinable package static var groupQuota: Self { Self(rawValue: 0x0004) }

    /// What Linux 6.1 knows.
    package static let known = ReadOnlyCompatibleFeatures(rawValue: 0x0007)
}

/// The feature words of one volume.
@usableFromInline
package struct VolumeFeatures: Hashable, Sendable {
    package var compatible: CompatibleFeatures
    @usableFromInline package var incompatible: IncompatibleFeatures
    @usableFromInline package var readOnlyCompatible: ReadOnlyCompatibleFeatures

    package init(
        compatible: CompatibleFeatures = [], incompatible: IncompatibleFeatures = [],
        readOnlyCompatible: ReadOnlyCompatibleFeatures = []
    ) {
        self.compatible = compatible
        self.incompatible = incompatible
        self.readOnlyCompatible = readOnlyCompatible
    }

    /// Whether metadata blocks carry checks.
    @inlinable package var hasMetaecc: Bool { incompatible.contains(.metaecc) }
    /// Whether `s_cluster_info` means something.
    @inlinable package var hasClusterInfo: Bool {
        !incompatible.isDisjoint(with: [.userspaceStack, .clusterInfo])
    }
    @inlinable package var hasIndexedDirectories: Bool { incompatible.contains(.indexedDirectories) }
    @inlinable package var hasInlineData: Bool { incompatible.contains(.inlineData) }
    @inlinable package var hasUnwrittenExtents: Bool { readOnlyCompatible.contains(.unwritten) }
    @inlinable package var isSparse: Bool { incompatible.contains(.sparseAllocation) }
    @inlinable package var isLocal: Bool { incompatible.contains(.localMount) }
}

// Names, as the tools print them.
extension VolumeFeatures {
    /// Name of a bit of the compatible word.
    package static func name(compatibleBit bit: UInt32) -> String? {
        switch bit {
        case 0x1: "backup-super"
        case 0x2: "strict-journal-super"
        default: nil
        }
    }

    /// Name of a bit of the incompatible word.
    package static func name(incompatibleBit bit: UInt32) -> String? {
        switch bit {
        case 0x0002: "heartbeat-device"
        case 0x0004: "aborted-resize"
        case 0x0008: "local"
        case 0x0010: "sparse"
        case 0x0020: "aborted-tunefs"
        case 0x0040: "inline-data"
        case 0x0080: "userspace-stack"
        case 0x0100: "extended-slotmap"
        case 0x0200: "xattr"
        case 0x0400: "indexed-dirs"
        case 0x0800: "metaecc"
        case 0x1000: "refcount"
        case 0x2000: "discontig-bg"
        case 0x4000: "clusterinfo"
        case 0x8000: "append-dio"
        default: nil
        }
    }

    /// Name of a bit of the read-only compatible word.
    package static func name(readOnlyCompatibleBit bit: UInt32) -> String? {
        switch bit {
        case 0x1: "unwritten"
        case 0x2: "usrquota"
        case 0x4: "grpquota"
        default: nil
        }
    }

    /// The names of all features that are set, in the order of words and bits; a bit without a name as its number.
    package var names: [String] {
        var names: [String] = []
        for bit in 0..<32 {
            let mask = UInt32(1) << UInt32(bit)
            guard compatible.rawValue & mask != 0 else { continue }
            names.append(Self.name(compatibleBit: mask) ?? "compat-" + String(mask, radix: 16))
        }
        for bit in 0..<32 {
            let mask = UInt32(1) << UInt32(bit)
            guard incompatible.rawValue & mask != 0 else { continue }
            names.append(Self.name(incompatibleBit: mask) ?? "incompat-" + String(mask, radix: 16))
        }
        for bit in 0..<32 {
            let mask = UInt32(1) << UInt32(bit)
            guard readOnlyCompatible.rawValue & mask != 0 else { continue }
            names.append(Self.name(readOnlyCompatibleBit: mask) ?? "ro-compat-" + String(mask, radix: 16))
        }
        return names
    }
}
