public import LayoutKit

/// The superblock: block 2, a dinode with the signature `OCFSV2` whose last 0x140 of 512 bytes describe the volume.
/// Spec: ocfs2-disk 2.
///
///     offset  size  field
///     0x00    8     i_signature
///     0x08    4     i_generation = i_fs_generation
///     0x0c    2     i_suballoc_slot 0xffff
///     0x0e    2     i_suballoc_bit 0xffff
///     0x14    4     i_clusters: clusters of the volume
///     0x2c    4     i_flags VALID|SYSTEM|SUPER_BLOCK
///     0x38    8     i_ctime
///     0x40    8     i_mtime
///     0x50    8     i_blkno: own block, also in backups
///     0x60    4     i_fs_generation
///     0x80    8     i_check
///     0xc0    2     s_major_rev_level 0
///     0xc2    2     s_minor_rev_level 90
///     0xc6    2     s_max_mnt_count 20
///     0xc8    2     s_state
///     0xd0    8     s_lastcheck, seconds
///     0xdc    12    feature words: compat, incompat, ro_compat
///     0xe8    8     s_root_blkno
///     0xf0    8     s_system_dir_blkno
///     0xf8    4     s_blocksize_bits
///     0xfc    4     s_clustersize_bits
///     0x100   2     s_max_slots
///     0x102   2     s_tunefs_flag
///     0x104   4     s_uuid_hash
///     0x108   8     s_first_cluster_group
///     0x110   64    s_label
///     0x150   16    s_uuid
///     0x160   4     ci_stack
///     0x164   1     ci_stackflags
///     0x168   16    ci_cluster: garbage behind the NUL
///     0x178   2     s_xattr_inline_size
///     0x17c   12    s_dx_seed
@usableFromInline
package struct Superblock: Equatable, Sendable {
    /// The part of the block that holds fields.
    package static let byteCount = 512
    /// Block of the first superblock, whatever the block size.
    package static let blockNumber: UInt64 = 2

    @usableFromInline
    package enum Field {
        @inlinable package static var majorRevision: LE16 { LE16(offset: 0xc0) }
        @inlinable package static var minorRevision: LE16 { LE16(offset: 0xc2) }
        @inlinable package static var mountCount: LE16 { LE16(offset: 0xc4) }
        @inlinable package static var mountCountMax: LE16 { LE16(offset: 0xc6) }
        @inlinable package static var state: LE16 { LE16(offset: 0xc8) }
        @inlinable package static var lastCheck: LE64 { LE64(offset: 0xd0) }
        @inlinable package static var compatible: LE32 { LE32(offset: 0xdc) }
        @inlinable package static var incompatible: LE32 { LE32(offset: 0xe0) }
        @inlinable package static var readOnlyCompatible: LE32 { LE32(offset: 0xe4) }
        @inlinable package static var root: LE64 { LE64(offset: 0xe8) }
        @inlinable package static var systemDirectory: LE64 { LE64(offset: 0xf0) }
        @inlinable package static var blockSizeBits: LE32 { LE32(offset: 0xf8) }
        @inlinable package static var clusterSizeBits: LE32 { LE32(offset: 0xfc) }
        @inlinable package static var slotCount: LE16 { LE16(offset: 0x100) }
        @inlinable package static var tunefsFlag: LE16 { LE16(offset: 0x102) }
        @inlinable package static var uuidHash: LE32 { LE32(offset: 0x104) }
        @inlinable package static var firstClusterGroup: LE64 { LE64(offset: 0x108) }
        @inlinable package static var label: ByteField { ByteField(offset: 0x110, count: 64) }
        @inlinable package static var uuidOffset: Int { 0x150 }
        @inlinable package static var stack: ByteField { ByteField(offset: 0x160, count: 4) }
        @inlinable package static var stackFlags: U8 { U8(offset: 0x164) }
        @inlinable package static var clusterName: ByteField { ByteField(offset: 0x168, count: 16) }
        @inlinable package static var xattrInlineSize: LE16 { LE16(offset: 0x178) }
        @inlinable package static var indexSeed0: LE32 { LE32(offset: 0x17c) }
        @inlinable package static var indexSeed1: LE32 { LE32(offset: 0x180) }
        @inlinable package static var indexSeed2: LE32 { LE32(offset: 0x184) }
    }

    /// The cluster stack and the cluster that a volume belongs to.
    package struct ClusterInfo: Hashable, Sendable {
        /// Four characters: `o2cb`, `pcmk`, `cman`.
        package var stack: String
        /// Global heartbeat of o2cb.
        package var hasGlobalHeartbeat: Bool
        /// At most 16 bytes.
        package var clusterName: String

        package init(stack: String, hasGlobalHeartbeat: Bool = false, clusterName: String) {
            self.stack = stack
            self.hasGlobalHeartbeat = hasGlobalHeartbeat
            self.clusterName = clusterName
        }
    }

    package var parameters: VolumeParameters
    /// Own block: 2, or that of a backup.
    package var block: UInt64
    package var uuid: FixedBytes16
    /// Up to the NUL; bytes that are no UTF-8 come out as U+FFFD.
    package var label: String
    /// nil when no feature says that it is valid.
    package var clusterInfo: ClusterInfo?
    /// Seconds; ctime and mtime of the superblock.
    package var formatTime: UInt64
    /// Seconds.
    package var lastCheck: UInt64
    /// Bit 0: errors were found.
    package var state: UInt16
    /// Tools' work that did not end.
    package var tunefsFlag: UInt16

    package init(
        parameters: VolumeParameters, uuid: FixedBytes16, label: String, clusterInfo: ClusterInfo?, formatTime: UInt64
    ) {
        self.parameters = parameters
        block = Self.blockNumber
        self.uuid = uuid
        self.label = label
        self.clusterInfo = clusterInfo
        self.formatTime = formatTime
        lastCheck = formatTime
        state = 0
        tunefsFlag = 0
    }
}

extension Superblock {
    /// Reads the superblock that lies in `bytes`, a whole block, or at least its first 512 bytes. `block` is the number
    /// it was read from. Makes the checks 2 of ocfs2-disk 2.3; features are not judged.
    package init(decoding bytes: UnsafeRawBufferPointer, block: UInt64 = blockNumber) throws(LayoutError) {
        try LayoutError.require(Self.byteCount, of: bytes)
        try FixedSignature.superblock.require(bytes, at: Dinode.Field.signature)
        let major = bytes[Field.majorRevision], minor = bytes[Field.minorRevision]
        guard major == 0, minor == 90 else {
            throw .badValue(field: "revision", found: UInt64(major) << 16 | UInt64(minor), expected: "0.90")
        }
        let geometry = try VolumeGeometry(
            blockSizeBits: Int(bytes[Field.blockSizeBits]), clusterSizeBits: Int(bytes[Field.clusterSizeBits]))
        try requireEqual("i_blkno", bytes[Dinode.Field.block], block)
        let slots = bytes[Field.slotCount]
        guard (1...255).contains(slots) else {
            throw .badValue(field: "s_max_slots", found: UInt64(slots), expected: "1 to 255")
        }
        let features = VolumeFeatures(
            compatible: CompatibleFeatures(rawValue: bytes[Field.compatible]),
            incompatible: IncompatibleFeatures(rawValue: bytes[Field.incompatible]),
            readOnlyCompatible: ReadOnlyCompatibleFeatures(rawValue: bytes[Field.readOnlyCompatible]))
        parameters = VolumeParameters(
            geometry: geometry, features: features, generation: bytes[Dinode.Field.volumeGeneration],
            clusterCount: bytes[Dinode.Field.clusters], slotCount: slots, rootBlock: bytes[Field.root],
            systemDirectoryBlock: bytes[Field.systemDirectory], firstClusterGroup: bytes[Field.firstClusterGroup],
            uuidHash: bytes[Field.uuidHash],
            indexSeed: IndexSeed(bytes[Field.indexSeed0], bytes[Field.indexSeed1], bytes[Field.indexSeed2]),
            xattrInlineSize: bytes[Field.xattrInlineSize])
        self.block = block
        uuid = FixedBytes16(bytes, at: Field.uuidOffset)
        label = Self.text(bytes[Field.label])
        clusterInfo = try Self.clusterInfo(bytes, features)
        formatTime = bytes[Dinode.Field.changeTime]
        lastCheck = bytes[Field.lastCheck]
        state = bytes[Field.state]
        tunefsFlag = bytes[Field.tunefsFlag]
        try requireRange()
    }

    private func requireRange() throws(LayoutError) {
        // A cluster count of 0 leaves no block that could be the root directory.
        try parameters.requireMetadataBlock("s_root_blkno", parameters.rootBlock)
        try parameters.requireMetadataBlock("s_system_dir_blkno", parameters.systemDirectoryBlock)
        try parameters.requireMetadataBlock("s_first_cluster_group", parameters.firstClusterGroup)
    }

    private static func clusterInfo(
        _ bytes: UnsafeRawBufferPointer, _ features: VolumeFeatures
    ) throws(LayoutError) -> ClusterInfo? {
        guard features.hasClusterInfo else { return nil }
        let stack = bytes[Field.stack]
        guard !stack.contains(0) else { throw .badText(field: "ci_stack", reason: "not four characters") }
        let flags = features.incompatible.contains(.clusterInfo) ? bytes[Field.stackFlags] : 0
        return ClusterInfo(
            stack: text(stack), hasGlobalHeartbeat: flags & 1 != 0, clusterName: text(bytes[Field.clusterName]))
    }

    /// Up to the first NUL: what follows it is garbage.
    private static func text(_ bytes: UnsafeRawBufferPointer) -> String {
        String(decoding: bytes[..<(bytes.firstIndex(of: 0) ?? bytes.endIndex)], as: UTF8.self)
    }
}

extension Superblock {
    /// Writes the whole block, `blockSize` bytes, with its check if the volume has them.
    package func encode(into out: UnsafeMutableRawBufferPointer) {
        let geometry = parameters.geometry
        out.clear(count: geometry.blockSize)
        out[Dinode.Field.signature] = FixedSignature.superblock.rawValue
        out[Dinode.Field.generation] = parameters.generation
        out[Dinode.Field.suballocSlot] = 0xffff
        out[Dinode.Field.suballocBit] = 0xffff
        out[Dinode.Field.clusters] = parameters.clusterCount
        out[Dinode.Field.flags] = DinodeFlags([.valid, .system, .superblock]).rawValue
        out[Dinode.Field.changeTime] = formatTime
        out[Dinode.Field.modificationTime] = formatTime
        out[Dinode.Field.block] = block
        out[Dinode.Field.volumeGeneration] = parameters.generation
        out[Field.minorRevision] = 90
        out[Field.mountCountMax] = 20
        out[Field.state] = state
        out[Field.lastCheck] = lastCheck
        out[Field.compatible] = parameters.features.compatible.rawValue
        out[Field.incompatible] = parameters.features.incompatible.rawValue
        out[Field.readOnlyCompatible] = parameters.features.readOnlyCompatible.rawValue
        out[Field.root] = parameters.rootBlock
        out[Field.systemDirectory] = parameters.systemDirectoryBlock
        out[Field.blockSizeBits] = UInt32(geometry.blockSizeBits)
        out[Field.clusterSizeBits] = UInt32(geometry.clusterSizeBits)
        out[Field.slotCount] = parameters.slotCount
        out[Field.tunefsFlag] = tunefsFlag
        out[Field.uuidHash] = parameters.uuidHash
        out[Field.firstClusterGroup] = parameters.firstClusterGroup
        setText(Field.label, label, limit: 63, in: out)
        uuid.store(into: out, at: Field.uuidOffset)
        if let clusterInfo {
            setText(Field.stack, clusterInfo.stack, limit: 4, in: out)
            out[Field.stackFlags] = clusterInfo.hasGlobalHeartbeat ? 1 : 0
            setText(Field.clusterName, clusterInfo.clusterName, limit: 16, in: out)
        }
        out[Field.xattrInlineSize] = parameters.xattrInlineSize
        out[Field.indexSeed0] = parameters.indexSeed.first
        out[Field.indexSeed1] = parameters.indexSeed.second
        out[Field.indexSeed2] = parameters.indexSeed.third
        if parameters.features.hasMetaecc {
            BlockCheck.store(into: out.part(offset: 0, count: geometry.blockSize), at: BlockCheck.dinodeOffset)
        }
    }

    /// A longer text is a bug of the caller.
    private func setText(_ field: ByteField, _ text: String, limit: Int, in out: UnsafeMutableRawBufferPointer) {
        precondition(text.utf8.count <= limit, "\(text) is longer than \(limit) bytes")
        out.part(offset: field.offset, count: field.count).copyBytes(from: text.utf8)
    }
}

// Finding it. Spec: ocfs2-disk 2.1, 2.6.
extension Superblock {
    /// The block sizes in the order in which a volume is probed.
    package static let probedBlockSizes = [512, 1024, 2048, 4096]

    /// Byte offsets of backup superblocks: 1 GiB, 4 GiB, ... 1 TiB.
    package static let backupOffsets: [UInt64] = (0..<6).map { 1 << (30 + 2 * $0) }

    /// Blocks of the backups that a volume of this many blocks has.
    package static func backupBlocks(geometry: VolumeGeometry, blockCount: UInt64) -> [UInt64] {
        backupOffsets.map { $0 >> UInt64(geometry.blockSizeBits) }.filter { $0 < blockCount }
    }

    /// Looks for a superblock in the first bytes of a device (12288 bytes hold it at every block size). nil: no OCFS2
    /// volume. Throws what is wrong with the first superblock that has the signature, when no other one is right.
    package static func probe(_ start: UnsafeRawBufferPointer) throws(LayoutError) -> Superblock? {
        var failure: LayoutError?
        for blockSize in probedBlockSizes where start.count >= 3 * blockSize {
            let block = start.part(offset: 2 * blockSize, count: blockSize)
            guard block[Dinode.Field.signature] == FixedSignature.superblock.rawValue else { continue }
            do throws(LayoutError) {
                return try probed(block, blockSize: blockSize)
            } catch {
                failure = failure ?? error
            }
        }
        if let failure { throw failure }
        return nil
    }

    private static func probed(
        _ block: UnsafeRawBufferPointer, blockSize: Int
    ) throws(LayoutError) -> Superblock {
        let superblock = try Superblock(decoding: block)
        try requireEqual("block size", UInt64(superblock.parameters.blockSize), UInt64(blockSize))
        if superblock.parameters.features.hasMetaecc, !BlockCheck.isRight(block, at: BlockCheck.dinodeOffset) {
            let stored = BlockCheck(of: block, at: BlockCheck.dinodeOffset)
            let computed = BlockCheck.compute(block, at: BlockCheck.dinodeOffset)
            throw .badChecksum(of: "superblock", found: UInt64(stored.crc), expected: UInt64(computed.crc))
        }
        return superblock
    }
}
