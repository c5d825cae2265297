internal import LayoutKit
package import OCFS2Layout

/// What chance and the clock give to a volume.
package struct FormatIdentity: Equatable, Sendable {
    package var uuid: FixedBytes16
    /// `i_fs_generation`.
    package var generation: UInt32
    package var indexSeed: IndexSeed
    /// Seconds.
    package var time: UInt64

    package init(uuid: FixedBytes16, generation: UInt32, indexSeed: IndexSeed, time: UInt64) {
        self.uuid = uuid
        self.generation = generation
        self.indexSeed = indexSeed
        self.time = time
    }
}

/// Every block that makes a new volume, worked out in memory. Nothing here touches a device.
///
/// The layout is that of mkfs.ocfs2, block for block. Spec: ocfs2-disk-2 20.2.
package struct VolumePlan: Sendable {
    package let format: VolumeFormat
    package let superblock: Superblock
    /// What must read as zeroes before anything else is written: byte ranges.
    package let cleared: [Range<UInt64>]
    let images: [BlockImage]
    let bitmap: ClusterBitmap
    let globalBitmapBlock: UInt64

    /// Bytes for one or more blocks.
    struct BlockImage: Sendable {
        var block: UInt64
        var bytes: [UInt8]
    }

    /// Works the volume out. Throws when it is too small for what it shall hold.
    package init(_ format: VolumeFormat, _ identity: FormatIdentity) throws(FormatRefusal) {
        var builder = try VolumeBuilder(format, identity)
        try builder.build()
        self.format = format
        superblock = builder.superblock
        cleared = builder.cleared
        images = builder.images
        bitmap = builder.bitmap
        globalBitmapBlock = builder.block(of: .globalBitmap)
    }

    /// The parameters that the blocks were made with.
    package var parameters: VolumeParameters { superblock.parameters }
    /// Backup superblocks, in blocks.
    package var backups: [UInt64] {
        format.hasBackupSuperblocks
            ? Superblock.backupBlocks(geometry: format.geometry, blockCount: format.blockCount) : []
    }

    /// Calls `body` with everything to be written but the superblock and its backups, which come last: then a device
    /// whose formatting did not end holds no volume.
    package func forEachImage<Failure: Error>(
        _ body: (_ byteOffset: UInt64, _ bytes: [UInt8]) throws(Failure) -> Void
    ) throws(Failure) {
        let geometry = format.geometry
        for image in images {
            try body(geometry.byteOffset(ofBlock: image.block), image.bytes)
        }
        for group in 0..<format.groupCount {
            let block = geometry.descriptorBlock(ofClusterGroup: group)
            try body(geometry.byteOffset(ofBlock: block), groupDescriptor(group))
        }
    }

    /// Calls `body` with the backups of the superblock and with the superblock.
    package func forEachSuperblock<Failure: Error>(
        _ body: (_ byteOffset: UInt64, _ bytes: [UInt8]) throws(Failure) -> Void
    ) throws(Failure) {
        for block in backups + [Superblock.blockNumber] {
            var copy = superblock
            copy.block = block
            var bytes = [UInt8](repeating: 0, count: format.geometry.blockSize)
            bytes.withUnsafeMutableBytes { copy.encode(into: $0) }
            try body(format.geometry.byteOffset(ofBlock: block), bytes)
        }
    }

    /// A group of the global bitmap: group g is in chain g mod `cl_count`. Spec: ocfs2-disk 9.3.
    private func groupDescriptor(_ group: UInt32) -> [UInt8] {
        let geometry = format.geometry
        let chains = UInt32(geometry.chainCapacity)
        let next = group + chains < format.groupCount ? geometry.descriptorBlock(ofClusterGroup: group + chains) : 0
        let bits = bitmap.bits(ofGroup: group)
        var bytes = [UInt8](repeating: 0, count: geometry.blockSize)
        bytes.withUnsafeMutableBytes { block in
            GroupDescriptor.initialize(
                block,
                GroupDescriptor.Origin(
                    block: geometry.descriptorBlock(ofClusterGroup: group), parent: globalBitmapBlock,
                    chain: UInt16(group % chains), bits: bits, bitmapSize: geometry.clusterGroupBitmapSize,
                    nextGroup: next), parameters)
            block.part(offset: GroupDescriptor.bitmapOffset, count: geometry.clusterGroupBitmapSize)
                .copyBytes(from: bitmap.bytes(ofGroup: group))
            block[GroupDescriptor.Field.freeBits] = UInt16(bits - bitmap.used(inGroup: group))
            if format.features.hasMetaecc { BlockCheck.store(into: block, at: BlockCheck.groupOffset) }
        }
        return bytes
    }
}
