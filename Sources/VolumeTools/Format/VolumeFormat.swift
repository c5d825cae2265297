internal import LayoutKit
package import OCFS2Layout

/// Everything about a volume to be made that does not depend on chance. Spec: ocfs2-disk-2 20.1.
package struct VolumeFormat: Equatable, Sendable {
    package let geometry: VolumeGeometry
    package let clusterCount: UInt32
    package let slotCount: Int
    package let features: VolumeFeatures
    package let label: String
    package let clusterInfo: Superblock.ClusterInfo?
    /// Clusters of each journal.
    package let journalClusters: UInt32
    package let has64BitJournal: Bool
    /// Groups of each slot's extent_alloc that are made at once.
    package let extentGroupsPerSlot: Int
    package let hasBackupSuperblocks: Bool

    package var blockCount: UInt64 { geometry.blocks(inClusters: clusterCount) }
    package var byteCount: UInt64 { UInt64(clusterCount) << UInt64(geometry.clusterSizeBits) }
    package var groupCount: UInt32 { geometry.clusterGroupCount(clusters: clusterCount) }
    /// Bytes of a new suballocator group.
    package var suballocatorGroupByteCount: UInt64 {
        UInt64(geometry.suballocatorClustersPerGroup) << UInt64(geometry.clusterSizeBits)
    }
}

extension VolumeFormat {
    private static let mebibyte: UInt64 = 1 << 20
    private static let gibibyte: UInt64 = 1 << 30

    /// Chooses what the user left open, for a device of `deviceByteCount` bytes whose logical blocks have `sectorSize`
    /// bytes. Throws what cannot be done.
    package init(
        _ options: FormatOptions, deviceByteCount: UInt64, sectorSize: Int = 512
    ) throws(FormatRefusal) {
        let requested = try Self.requestedByteCount(options, deviceByteCount)
        let blockSize = try Self.blockSize(options, requested, sectorSize)
        var byteCount = requested
        if let blocks = options.blockCount {
            byteCount = blocks * UInt64(blockSize)
            guard byteCount <= deviceByteCount else {
                throw FormatRefusal(
                    "\(blocks) blocks were specified and this is greater than the "
                        + "\(deviceByteCount / UInt64(blockSize)) blocks that make up the device.")
            }
        }
        let clusterSize = try Self.clusterSize(options, byteCount, blockSize)
        let geometry: VolumeGeometry
        do throws(LayoutError) {
            geometry = try VolumeGeometry(
                blockSizeBits: blockSize.trailingZeroBitCount, clusterSizeBits: clusterSize.trailingZeroBitCount)
        } catch {
            throw FormatRefusal("\(error)")
        }
        let clusters = byteCount / UInt64(clusterSize)
        guard clusters <= UInt64(UInt32.max) - 1 else {
            throw FormatRefusal("\(clusters) clusters are too many: specify a larger cluster size (-C).")
        }
        byteCount = clusters * UInt64(clusterSize)
        let slots = try Self.slots(options, byteCount)
        let journal = try Self.journalByteCount(options, geometry, blockCount: byteCount / UInt64(blockSize), slots)
        self.geometry = geometry
        clusterCount = UInt32(clusters)
        slotCount = slots
        label = options.label
        (features, clusterInfo) = try Self.features(options)
        journalClusters = UInt32(geometry.clusters(coveringBytes: journal))
        has64BitJournal = options.has64BitJournal
        extentGroupsPerSlot = Self.extentGroups(options, geometry, byteCount, slots)
        hasBackupSuperblocks = options.hasBackupSuperblocks && features.compatible.contains(.backupSuperblock)
        guard options.label.utf8.count < 64 else {
            throw FormatRefusal("Volume label too long: must be less than 64 characters")
        }
    }

    /// The size that defaults are chosen by: a count of blocks without a block size means blocks of 4096 here, and then
    /// blocks of the size that was chosen, as mkfs.ocfs2 does it (seen).
    private static func requestedByteCount(
        _ options: FormatOptions, _ deviceByteCount: UInt64
    ) throws(FormatRefusal) -> UInt64 {
        guard let blocks = options.blockCount else { return deviceByteCount }
        let (bytes, overflow) = blocks.multipliedReportingOverflow(by: UInt64(options.blockSize ?? 4096))
        guard !overflow, bytes < 1 << 62 else { throw FormatRefusal("\(blocks) blocks are too many.") }
        return bytes
    }

    private static func blockSize(
        _ options: FormatOptions, _ byteCount: UInt64, _ sectorSize: Int
    ) throws(FormatRefusal) -> Int {
        guard sectorSize <= 4096 else {
            throw FormatRefusal("The device's sectors of \(sectorSize) bytes are too large.")
        }
        if let size = options.blockSize {
            guard size >= 512, size <= 4096, size.nonzeroBitCount == 1 else {
                throw FormatRefusal("Specify a blocksize between 512 and 4096 in powers of 2")
            }
            guard size >= sectorSize else {
                throw FormatRefusal("the block device has larger sectors (\(sectorSize)) than the block size \(size)")
            }
            return size
        }
        let size =
            byteCount <= 3 * mebibyte ? 512 : byteCount < 512 * mebibyte ? 1024 : byteCount < gibibyte ? 2048 : 4096
        return max(size, sectorSize)
    }

    private static func clusterSize(
        _ options: FormatOptions, _ byteCount: UInt64, _ blockSize: Int
    ) throws(FormatRefusal) -> Int {
        if let size = options.clusterSize {
            guard size >= 4096, size <= 1 << 20, size.nonzeroBitCount == 1 else {
                throw FormatRefusal("Specify a clustersize between 4096 and 1048576 in powers of 2")
            }
            return size
        }
        switch options.usage {
        case .datafiles, .vmstore:
            guard byteCount >= 2 * gibibyte else {
                throw FormatRefusal("Selected file system type requires a device of at least 2 gigabytes")
            }
            return byteCount < 64 * gibibyte
                ? 128 << 10
                : byteCount < 96 * gibibyte
                    ? 256 << 10 : byteCount < 128 * gibibyte ? 512 << 10 : 1 << 20
        case .mail, nil:
            var size = 4096
            while size < 1 << 20, byteCount / UInt64(size) > UInt64(UInt32.max) - 1 { size *= 2 }
            return size
        }
    }

    private static func slots(_ options: FormatOptions, _ byteCount: UInt64) throws(FormatRefusal) -> Int {
        if let slots = options.slots {
            guard slots >= 1 else { throw FormatRefusal("Initial node slots must be at least 1") }
            guard slots <= 255 else { throw FormatRefusal("Initial node slots must be no more than 255") }
            return slots
        }
        if options.isLocal { return 1 }
        return byteCount < 2 * gibibyte
            ? 2 : byteCount < 10 * gibibyte ? 4 : byteCount < 1024 * gibibyte ? 8 : 16
    }

    private static func journalByteCount(
        _ options: FormatOptions, _ geometry: VolumeGeometry, blockCount: UInt64, _ slots: Int
    ) throws(FormatRefusal) -> UInt64 {
        let blockSize = UInt64(geometry.blockSize)
        let clusterSize = UInt64(geometry.clusterSize)
        var bytes: UInt64
        if let wanted = options.journalByteCount {
            guard wanted >= 4 * mebibyte else {
                throw FormatRefusal("Invalid journal size: \(wanted)\nSize must be greater than \(4 * mebibyte) bytes")
            }
            bytes = wanted
        } else {
            bytes = blockSize * defaultJournalBlocks(options.usage, blockCount)
            if options.usage == nil, blockCount < 32768 { bytes = 4 * mebibyte }
        }
        bytes = max((bytes + clusterSize - 1) / clusterSize * clusterSize, 9 * clusterSize)
        let (all, overflow) = (bytes / blockSize).multipliedReportingOverflow(by: UInt64(slots))
        guard !overflow, all + 1024 <= blockCount, bytes / clusterSize < UInt64(UInt32.max) else {
            throw FormatRefusal("Journal size too big for filesystem.")
        }
        return bytes
    }

    private static func defaultJournalBlocks(_ usage: FormatOptions.Usage?, _ blockCount: UInt64) -> UInt64 {
        switch usage {
        case nil:
            blockCount < 262_144 ? 4096 : min(65536, max(16384, blockCount / 160))
        case .datafiles:
            8192
        case .mail:
            blockCount < 262_144 ? 16384 : blockCount < 524_288 ? 32768 : 65536
        case .vmstore:
            blockCount < 262_144 ? 8192 : blockCount < 524_288 ? 16384 : 32768
        }
    }

    /// Enough for 0.1 % of the volume (0.3 % where large files are expected), unless that is more than 5 %.
    private static func extentGroups(
        _ options: FormatOptions, _ geometry: VolumeGeometry, _ byteCount: UInt64, _ slots: Int
    ) -> Int {
        let perMille: UInt64 = options.usage == .datafiles || options.usage == .vmstore ? 3 : 1
        let step = UInt64(slots * geometry.suballocatorClustersPerGroup * geometry.clusterSize)
        let wanted = byteCount / 1000 * perMille
        let groups = max(1, (wanted + step - 1) / step)
        return Int(groups * step > byteCount / 20 ? groups - 1 : groups)
    }

    private static func features(
        _ options: FormatOptions
    ) throws(FormatRefusal) -> (VolumeFeatures, Superblock.ClusterInfo?) {
        var features = try FeatureChoice.resolve(level: options.featureLevel, changes: options.features)
        if options.isLocal { features.incompatible.insert(.localMount) }
        if !options.hasBackupSuperblocks { features.compatible.remove(.backupSuperblock) }
        guard options.clusterStack != nil || options.clusterName != nil else { return (features, nil) }
        guard let stack = options.clusterStack else {
            throw FormatRefusal("Cluster stack is invalid ; missing cluster stack")
        }
        guard let name = options.clusterName, !name.isEmpty else {
            throw FormatRefusal("Cluster name is invalid ; missing cluster name")
        }
        guard ["o2cb", "pcmk", "cman"].contains(stack) else {
            throw FormatRefusal("Cluster stack is invalid ; unknown cluster stack '\(stack)'")
        }
        guard name.utf8.count <= 16, stack != "o2cb" || name.utf8.allSatisfy(isAlphanumeric) else {
            throw FormatRefusal("Cluster name is invalid ; max 16 alpha-numeric characters")
        }
        features.incompatible.formUnion(stack == "o2cb" ? .clusterInfo : .userspaceStack)
        features.incompatible.insert(.extendedSlotMap)
        return (features, Superblock.ClusterInfo(stack: stack, clusterName: name))
    }

    private static func isAlphanumeric(_ byte: UInt8) -> Bool {
        switch byte {
        case 0x30...0x39, 0x41...0x5a, 0x61...0x7a: true
        default: false
        }
    }
}
