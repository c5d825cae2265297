/// The inodes of the system directory, in the order of their entries. Spec: ocfs2-disk 4.
package enum SystemInode: Int, CaseIterable, Hashable, Sendable {
    case badBlocks = 0
    case globalInodeAlloc
    case slotMap
    case heartbeat
    case globalBitmap
    case userQuota
    case groupQuota
    case orphanDirectory
    case extentAlloc
    case inodeAlloc
    case journal
    case localAlloc
    case truncateLog
    case localUserQuota
    case localGroupQuota

    /// Whether every slot has one of its own.
    package var isPerSlot: Bool { rawValue >= SystemInode.orphanDirectory.rawValue }

    private var stem: String {
        switch self {
        case .badBlocks: "bad_blocks"
        case .globalInodeAlloc: "global_inode_alloc"
        case .slotMap: "slot_map"
        case .heartbeat: "heartbeat"
        case .globalBitmap: "global_bitmap"
        case .userQuota, .localUserQuota: "aquota.user"
        case .groupQuota, .localGroupQuota: "aquota.group"
        case .orphanDirectory: "orphan_dir"
        case .extentAlloc: "extent_alloc"
        case .inodeAlloc: "inode_alloc"
        case .journal: "journal"
        case .localAlloc: "local_alloc"
        case .truncateLog: "truncate_log"
        }
    }

    /// The name of a global inode.
    package var name: String {
        precondition(!isPerSlot, "\(stem) has a name for each slot")
        return stem
    }

    /// The name of the slot's inode: four decimal digits.
    package func name(slot: Int) -> String {
        precondition(isPerSlot, "\(stem) belongs to no slot")
        let digits = String(slot)
        return stem + ":" + String(repeating: "0", count: max(0, 4 - digits.count)) + digits
    }

    /// `i_mode`.
    package var mode: UInt16 { self == .orphanDirectory ? 0o040755 : 0o100644 }

    /// `i_flags`.
    package var flags: DinodeFlags {
        switch self {
        case .badBlocks, .slotMap, .orphanDirectory: [.valid, .system]
        case .globalInodeAlloc, .globalBitmap, .extentAlloc, .inodeAlloc: [.valid, .system, .bitmap, .chain]
        case .heartbeat: [.valid, .system, .heartbeat]
        case .userQuota, .groupQuota, .localUserQuota, .localGroupQuota: [.valid, .system, .quota]
        case .journal: [.valid, .system, .journal]
        case .localAlloc: [.valid, .system, .bitmap, .localAlloc]
        case .truncateLog: [.valid, .system, .truncateLog]
        }
    }

    /// Whether a volume with these features has the inode.
    package func exists(_ features: VolumeFeatures) -> Bool {
        switch self {
        case .userQuota, .localUserQuota: features.readOnlyCompatible.contains(.userQuota)
        case .groupQuota, .localGroupQuota: features.readOnlyCompatible.contains(.groupQuota)
        default: true
        }
    }
}
