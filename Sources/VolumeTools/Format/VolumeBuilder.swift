import LayoutKit
import OCFS2Layout

/// Lays a volume out, in the order of mkfs.ocfs2, so that everything lies where it lies there.
/// Spec: ocfs2-disk-2 20.2.
struct VolumeBuilder {
    let format: VolumeFormat
    let identity: FormatIdentity
    var bitmap: ClusterBitmap
    var parameters: VolumeParameters
    var images: [VolumePlan.BlockImage] = []
    var cleared: [Range<UInt64>] = []

    /// First block of the group that holds the system inodes.
    private(set) var inodeGroup: UInt64 = 0
    /// Bits of that group.
    private(set) var inodeGroupBits = 0
    private(set) var systemFiles: [SystemFile] = []
    /// First clusters of the groups of each slot's extent_alloc.
    var extentGroups: [[UInt32]] = []
    /// nil while no directory has an index.
    var indexBlocks: IndexBlocks?

    /// An inode of the system directory with the space that it has so far.
    struct SystemFile {
        var inode: SystemInode
        /// nil for the global ones.
        var slot: Int?
        var block: UInt64
        /// Physical runs, in the order of the file.
        var runs: [Range<UInt32>] = []
        /// Bytes.
        var size: UInt64 = 0

        var name: String { slot.map { inode.name(slot: $0) } ?? inode.name }
        var clusters: UInt32 { runs.reduce(0) { $0 + UInt32($1.count) } }
    }

    init(_ format: VolumeFormat, _ identity: FormatIdentity) throws(FormatRefusal) {
        self.format = format
        self.identity = identity
        guard format.clusterCount > 64 else { throw FormatRefusal("The volume is too small.") }
        bitmap = ClusterBitmap(geometry: format.geometry, clusterCount: format.clusterCount)
        let incompatible = format.features.incompatible
        let isHashed = !incompatible.isDisjoint(with: [.xattr, .indexedDirectories])
        parameters = VolumeParameters(
            geometry: format.geometry, features: format.features, generation: identity.generation,
            clusterCount: format.clusterCount, slotCount: UInt16(format.slotCount),
            uuidHash: isHashed ? UUIDHash.compute(identity.uuid) : 0,
            indexSeed: incompatible.contains(.indexedDirectories) ? identity.indexSeed : IndexSeed(0, 0, 0),
            xattrInlineSize: incompatible.contains(.xattr) ? 256 : 0)
    }

    var geometry: VolumeGeometry { format.geometry }
    var hasInlineData: Bool { format.features.incompatible.contains(.inlineData) }
    var time: DiskTime { DiskTime(seconds: Int64(bitPattern: identity.time), nanoseconds: 0) }

    var superblock: Superblock {
        Superblock(
            parameters: parameters, uuid: identity.uuid, label: format.label, clusterInfo: format.clusterInfo,
            formatTime: identity.time)
    }

    /// The dinode of a global system inode.
    func block(of inode: SystemInode) -> UInt64 {
        file(inode).block
    }

    func file(_ inode: SystemInode, slot: Int? = nil) -> SystemFile {
        systemFiles[fileIndex(inode, slot)]
    }

    private func fileIndex(_ inode: SystemInode, _ slot: Int?) -> Int {
        guard let index = systemFiles.firstIndex(where: { $0.inode == inode && $0.slot == slot }) else {
            preconditionFailure("the volume has no \(inode)")
        }
        return index
    }

    // MARK: - Steps

    mutating func build() throws(FormatRefusal) {
        clearEnds()
        try takeInodeGroup()
        let rootRuns = hasInlineData ? [] : [try takeCluster()]
        let systemDirectory = try takeSystemDirectory()
        try give(.heartbeat, clusters: geometry.clusters(coveringBlocks: UInt64(HeartbeatRegion.fileBlocks)))
        var orphanRuns: [Range<UInt32>] = []
        if !hasInlineData {
            for _ in 0..<format.slotCount { orphanRuns.append(try takeCluster()) }
        }
        try takeBackups()
        for slot in 0..<format.slotCount {
            try give(.journal, slot: slot, clusters: UInt64(format.journalClusters), canSplit: true)
        }
        for _ in 0..<format.slotCount {
            var groups: [UInt32] = []
            for _ in 0..<format.extentGroupsPerSlot {
                groups.append(try bitmap.takeRun(geometry.suballocatorClustersPerGroup))
            }
            extentGroups.append(groups)
        }
        try takeSlotMap()
        try takeQuotaFiles()
        try takeIndexGroup()
        let lostAndFound = try takeLostAndFound()

        writeLeadingArea()
        writeDirectories(rootRuns, systemDirectory, orphanRuns, lostAndFound)
        writeAllocators(lostAndFound)
        writeFiles()
        for slot in 0..<format.slotCount { writeJournal(slot) }
        writeSlotMap()
        writeQuotaFiles()
        writeGlobalBitmap()
        writeInodeGroup()
    }

    private mutating func clearEnds() {
        let mebibyte: UInt64 = 1 << 20
        cleared.append(0..<min(mebibyte, format.byteCount))
        cleared.append(max(format.byteCount, mebibyte) - mebibyte..<format.byteCount)
    }

    /// The group of global_inode_alloc: room for 32 slots at least. Its bits are handed out in the order of the table.
    private mutating func takeInodeGroup() throws(FormatRefusal) {
        let blocks = UInt64(13 + 8 * max(32, format.slotCount))
        let clusters = geometry.clusters(coveringBlocks: blocks)
        let first = try bitmap.takeRun(Int(clusters))
        inodeGroup = geometry.firstBlock(ofCluster: first)
        inodeGroupBits = Int(geometry.blocks(inClusters: UInt32(clusters)))
        parameters.rootBlock = inodeGroup + 1
        parameters.systemDirectoryBlock = inodeGroup + 2
        for inode in SystemInode.allCases where inode.exists(format.features) {
            for slot in inode.isPerSlot ? (0..<format.slotCount).map(Optional.some) : [nil] {
                systemFiles.append(
                    SystemFile(inode: inode, slot: slot, block: inodeGroup + 3 + UInt64(systemFiles.count)))
            }
        }
    }

    mutating func takeCluster() throws(FormatRefusal) -> Range<UInt32> {
        let first = try bitmap.takeRun(1)
        return first..<first + 1
    }

    /// Room for the entries of the system directory, unless they fit its dinode.
    private mutating func takeSystemDirectory() throws(FormatRefusal) -> Range<UInt32>? {
        let bytes = 52 * (7 + 8 * format.slotCount)
        if hasInlineData, bytes <= geometry.inlineDataCapacity { return nil }
        let clusters = geometry.clusters(coveringBytes: UInt64(bytes))
        let first = try bitmap.takeRun(Int(clusters))
        return first..<first + UInt32(clusters)
    }

    /// Space for a system file, whose size becomes all of it.
    mutating func give(
        _ inode: SystemInode, slot: Int? = nil, clusters: UInt64, canSplit: Bool = false
    ) throws(FormatRefusal) {
        let index = fileIndex(inode, slot)
        if canSplit {
            systemFiles[index].runs = try bitmap.takeRuns(UInt32(clusters))
        } else {
            let first = try bitmap.takeRun(Int(clusters))
            systemFiles[index].runs = [first..<first + UInt32(clusters)]
        }
        systemFiles[index].size = clusters << UInt64(geometry.clusterSizeBits)
    }

    /// More space for a system file.
    mutating func extend(_ inode: SystemInode, clusters: UInt64) throws(FormatRefusal) {
        let index = fileIndex(inode, nil)
        systemFiles[index].runs += try bitmap.takeRuns(UInt32(clusters))
    }

    mutating func setSize(_ inode: SystemInode, slot: Int?, _ size: UInt64) {
        systemFiles[fileIndex(inode, slot)].size = size
    }

    private mutating func takeBackups() throws(FormatRefusal) {
        guard format.hasBackupSuperblocks else { return }
        for block in Superblock.backupBlocks(geometry: geometry, blockCount: format.blockCount) {
            let cluster = geometry.cluster(ofBlock: block)
            bitmap.take(cluster..<cluster + 1)
            clear(cluster..<cluster + 1)
        }
    }

    private mutating func takeSlotMap() throws(FormatRefusal) {
        let entry = SlotMap.Form(format.features).entryByteCount
        try give(.slotMap, clusters: geometry.clusters(coveringBytes: UInt64(255 * entry)))
    }

    mutating func clear(_ clusters: Range<UInt32>) {
        let shift = UInt64(geometry.clusterSizeBits)
        cleared.append(UInt64(clusters.lowerBound) << shift..<UInt64(clusters.upperBound) << shift)
    }

    // MARK: - Blocks

    /// Adds a block that `fill` makes; with metaecc its check is stored at `check`.
    mutating func add(_ block: UInt64, check: Int?, _ fill: (UnsafeMutableRawBufferPointer) -> Void) {
        var bytes = [UInt8](repeating: 0, count: geometry.blockSize)
        bytes.withUnsafeMutableBytes { buffer in
            fill(buffer)
            if let check, format.features.hasMetaecc { BlockCheck.store(into: buffer, at: check) }
        }
        images.append(VolumePlan.BlockImage(block: block, bytes: bytes))
    }

    /// Adds the dinode of a system inode.
    mutating func addSystemInode(
        _ block: UInt64, mode: UInt16, links: UInt32 = 1, flags: DinodeFlags,
        _ fill: (DinodeView) -> Void
    ) {
        let origin = DinodeView.Origin(
            block: block, generation: identity.generation,
            suballocation: Suballocation(
                slot: Suballocation.globalSlot, bit: UInt16(block - inodeGroup), group: 0),
            mode: mode, linkCount: links, flags: flags, time: time)
        let parameters = parameters
        add(block, check: BlockCheck.dinodeOffset) { bytes in
            let dinode = DinodeView(bytes)
            dinode.initialize(origin, parameters)
            fill(dinode)
        }
    }

    /// Writes size, clusters and extents of a file.
    static func fillExtents(_ dinode: DinodeView, _ runs: [Range<UInt32>], size: UInt64, _ geometry: VolumeGeometry) {
        dinode.size = size
        var cpos: UInt32 = 0
        for run in runs {
            // A run is shorter than a group, whose bits fit a record's length.
            dinode.extentList.insert(
                ExtentRecord(
                    cpos: cpos, clusters: UInt32(run.count), block: geometry.firstBlock(ofCluster: run.lowerBound)),
                at: dinode.extentList.count)
            cpos += UInt32(run.count)
        }
        dinode.clusters = cpos
    }

    /// The two blocks that an OCFS1 driver looks at: no volume of its own. Spec: ocfs2-disk 2.1.
    private mutating func writeLeadingArea() {
        var bytes = [UInt8](repeating: 2, count: 2 * geometry.blockSize)
        for offset in [0x08, 0x88, 0x230, 0x284] {
            bytes.replaceSubrange(offset..<offset + 24, with: Array("this is an ocfs2 volume\0".utf8))
        }
        images.append(VolumePlan.BlockImage(block: 0, bytes: bytes))
    }

    /// Files whose dinode holds nothing but an extent list, and those without content.
    private mutating func writeFiles() {
        let geometry = geometry
        for file in systemFiles {
            switch file.inode {
            case .badBlocks, .slotMap, .heartbeat, .journal, .userQuota, .groupQuota, .localUserQuota,
                .localGroupQuota:
                addSystemInode(file.block, mode: file.inode.mode, flags: file.inode.flags) {
                    Self.fillExtents($0, file.runs, size: file.size, geometry)
                }
            case .localAlloc:
                addSystemInode(file.block, mode: file.inode.mode, flags: file.inode.flags) {
                    LocalAlloc.initialize($0.bytes, geometry)
                }
            case .truncateLog:
                addSystemInode(file.block, mode: file.inode.mode, flags: file.inode.flags) {
                    TruncateLog.initialize($0.bytes, geometry)
                }
            case .globalInodeAlloc, .globalBitmap, .orphanDirectory, .extentAlloc, .inodeAlloc:
                continue
            }
        }
        for run in file(.heartbeat).runs { clear(run) }
    }

    private mutating func writeSlotMap() {
        let file = file(.slotMap)
        for run in file.runs { clear(run) }
        guard SlotMap.Form(format.features) == .old else { return }
        images.append(
            VolumePlan.BlockImage(
                block: geometry.firstBlock(ofCluster: file.runs[0].lowerBound),
                bytes: [UInt8](repeating: 0xff, count: Int(file.size))))
    }
}
