package import LayoutKit

// What a dinode must satisfy to be used: what Linux 6.1 checks when it reads one. A peer that finds less goes
// read-only, so nothing else may ever be written. Spec: ocfs2-disk 5.5.
extension Dinode {
    /// Checks the dinode that was read from `block`. The block check was verified before, see ``BlockCheck``.
    ///
    /// Throws the first field that is wrong. A dinode without ``DinodeFlags/valid`` is wrong too: it was freed.
    package static func validate(
        _ bytes: UnsafeRawBufferPointer, block: UInt64, _ parameters: VolumeParameters
    ) throws(LayoutError) {
        try parameters.requireBlock(bytes)
        try FixedSignature.dinode.require(bytes, at: Field.signature)
        try requireEqual("i_blkno", bytes[Field.block], block)
        let flags = DinodeFlags(rawValue: bytes[Field.flags])
        guard flags.contains(.valid) else {
            throw .badValue(field: "i_flags", found: UInt64(flags.rawValue), expected: "a valid inode")
        }
        try requireEqual("i_fs_generation", UInt64(bytes[Field.volumeGeneration]), UInt64(parameters.generation))
        guard let type = FileType(mode: bytes[Field.mode]) else {
            throw .badValue(field: "i_mode", found: UInt64(bytes[Field.mode]), expected: "a POSIX file type")
        }
        if !flags.contains(.system), type != .characterDevice, type != .blockDevice {
            try requireEqual("i_rdev", bytes[Field.deviceNumber], 0)
        }
        try validateSize(bytes, type, flags, parameters)
        try parameters.requireSlot("i_suballoc_slot", bytes[Field.suballocSlot], orGlobal: true)
        if flags.contains(.orphaned) {
            try parameters.requireSlot("i_orphaned_slot", bytes[Field.orphanedSlot])
        }
        if flags.contains(.directIOOrphaned) {
            try parameters.requireSlot("i_dio_orphaned_slot", bytes[Field.directIOOrphanedSlot])
        }
        let features = DynamicFeatures(rawValue: bytes[Field.dynamicFeatures])
        if features.contains(.hasRefcount) {
            try parameters.requireMetadataBlock("i_refcount_loc", bytes[Field.refcountRoot])
        }
        try validateContent(bytes, features, parameters)
    }

    /// Data without clusters must be inline, or a hole of a sparse file.
    private static func validateSize(
        _ bytes: UnsafeRawBufferPointer, _ type: FileType, _ flags: DinodeFlags, _ parameters: VolumeParameters
    ) throws(LayoutError) {
        let size = bytes[Field.size]
        guard size <= UInt64(Int64.max) else {
            throw .badValue(field: "i_size", found: size, expected: "below 2^63")
        }
        let isInline = DynamicFeatures(rawValue: bytes[Field.dynamicFeatures]).contains(.inlineData)
        guard !isInline, !flags.contains(.system), size > 0, bytes[Field.clusters] == 0 else { return }
        guard type == .directory || (type == .regular && !parameters.features.isSparse) else { return }
        throw .badValue(field: "i_clusters", found: 0, expected: "more than 0 for \(size) bytes")
    }

    private static func validateContent(
        _ bytes: UnsafeRawBufferPointer, _ features: DynamicFeatures, _ parameters: VolumeParameters
    ) throws(LayoutError) {
        let geometry = parameters.geometry
        var xattrSize = 0
        if features.contains(.inlineXattr) {
            xattrSize = Int(bytes[Field.xattrInlineSize])
            // Less than a header, or more than the space behind the content's own header, cannot be an area.
            guard xattrSize >= 16, xattrSize <= geometry.inlineDataCapacity - 8 else {
                throw .badValue(
                    field: "i_xattr_inline_size", found: UInt64(xattrSize),
                    expected: "16 to \(geometry.inlineDataCapacity - 8)")
            }
        }
        switch content(of: bytes) {
        case .superblock:
            break
        case .localAlloc:
            try LocalAlloc.validate(bytes, parameters)
        case .truncateLog:
            try TruncateLog.validate(bytes, parameters)
        case .chainList:
            try ChainList.validate(bytes, parameters)
        case .inlineData:
            try requireEqual("i_clusters of inline data", UInt64(bytes[Field.clusters]), 0)
            let count = UInt64(bytes[Field.inlineCount])
            try requireAtMost("id_count", count, UInt64(geometry.inlineDataCapacity - xattrSize))
            try requireAtMost("i_size of inline data", bytes[Field.size], count)
        case .symlink:
            try validateFastSymlink(bytes, geometry)
        case .extentList:
            try ExtentListView.validate(
                bytes, offset: contentOffset, capacity: geometry.dinodeExtentCapacity, isCapacityExact: false)
        }
    }

    private static func validateFastSymlink(
        _ bytes: UnsafeRawBufferPointer, _ geometry: VolumeGeometry
    ) throws(LayoutError) {
        let size = bytes[Field.size]
        try requireAtMost("i_size of a symlink", size, UInt64(geometry.fastSymlinkCapacity - 1))
        let text = bytes.part(offset: contentOffset, count: Int(size) + 1)
        let end = text.firstIndex(of: 0) ?? -1
        guard end == Int(size) else {
            throw .badValue(
                field: "i_size of a symlink", found: size, expected: end < 0 ? "the length of the text" : "\(end)")
        }
    }
}
