internal import EngineKit
internal import Journal
internal import LayoutKit
internal import OCFS2Layout

extension MountedVolume {
    /// Space in clusters. Clusters of the own window and of the truncate log count as free: they are this host's to
    /// use.
    ///
    /// There is no limit of inodes but space, so their numbers are those of clusters, as the kernel's driver has it.
    package func statistics() async throws(FileSystemError) -> VolumeStatistics {
        let bitmap = try await systemInode(.globalBitmap)
        try await bitmap.metaLock.acquire(.protectedRead)
        defer { bitmap.metaLock.release(.protectedRead) }
        let total = bitmap.block.bytes[Dinode.Field.bitsTotal], used = bitmap.block.bytes[Dinode.Field.bitsUsed]
        var free = total > used ? Int(total - used) : 0
        if let space { free = space.available + space.truncateLog.clusters }
        return VolumeStatistics(
            blockSize: UInt32(clusterSize), blockCount: UInt64(total), freeBlockCount: UInt64(free),
            inodeCount: UInt64(total), freeInodeCount: UInt64(free))
    }
}
