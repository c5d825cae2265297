internal import Journal
internal import LayoutKit
internal import OCFS2Layout

// What an inode does when its metadata lock comes and goes. Spec: ocfs2-cluster 3, 4.
extension Inode: ClusterLockOwner {
    /// Another host may have changed everything: the dinode is read again now, the other blocks when they are needed.
    ///
    /// Deviation: the kernel takes the attributes from a valid value block and reads the dinode later. The disk has the
    /// same (it was brought there before the lock was given up) and is local.
    package func refresh(_ lock: any ClusterLock, from value: LockValueBlock?) async throws(FileSystemError) {
        // A host alone is the only one that changes the volume.
        guard !volume.locks.isLocal, lock === metaLock else { return }
        validSince = volume.cache.advanceClock()
        if isNew {
            isNew = false
            return
        }
        try await reattach()
        do throws(FileSystemError) {
            try await volume.reload(self)
        } catch .stale {
            volume.becameStale(self)
            throw .stale
        }
        data?.forget()
        directory?.forget()
        if self === volume.space?.bitmap.inode { volume.space?.bitmap.forget() }
    }

    /// The open lock again, after it was given up; the metadata lock is held. Whoever wants to free the inode holds that
    /// one exclusively, so nobody is in the way.
    private func reattach() async throws(FileSystemError) {
        guard isDetached, !isFixed else { return }
        isDetached = false
        do throws(FileSystemError) {
            try await openLock.acquire(.protectedRead)
        } catch {
            isDetached = true
            throw error
        }
    }

    /// Makes sure that nobody frees the inode. Errors: `stale` when somebody has.
    func attach() async throws(FileSystemError) {
        guard isDetached else { return }
        try await metaLock.acquire(.protectedRead)
        defer { metaLock.release(.protectedRead) }
        guard !isGone else { throw .stale }
        try await reattach()
    }

    package func prepareToLower(
        _ lock: any ClusterLock, from held: LockLevel, to level: LockLevel
    ) async throws(FileSystemError) {
        guard lock === metaLock, !volume.locks.isLocal else { return }
        try await volume.kernelCache?.recall(self, to: level)
        // What was freed belongs to the allocators now, whose locks see to it.
        guard held == .exclusive, !isGone, !volume.hasLeft else { return }
        if let data { try await data.flush() }
        if self === volume.space?.bitmap.inode { try await volume.keepPromises() }
        // All that was changed under the lock has to be in its place: others read the disk, not our journal.
        try await volume.checkpoint()
    }

    /// What a kernel's host takes the attributes from without reading the dinode. Spec: ocfs2-cluster 5.1.
    package func value(of lock: any ClusterLock) -> LockValueBlock? {
        guard lock === metaLock else { return nil }
        // Of what is gone nothing is said, and of more links than fit nothing either: the dinode is read then.
        guard !isGone, attributes.linkCount <= UInt32(UInt16.max) else { return LockValueBlock() }
        var bytes = [UInt8](repeating: 0, count: LockValueBlock.byteCount)
        bytes.withUnsafeMutableBytes { InodeValueBlock(attributes, generation: generation).encode(into: $0) }
        return LockValueBlock(bytes: bytes)
    }
}

extension InodeValueBlock {
    init(_ attributes: InodeAttributes, generation: UInt32) {
        self.init(
            dynamicFeatures: attributes.dynamicFeatures.rawValue, clusters: attributes.clusters, uid: attributes.uid,
            gid: attributes.gid, accessTime: DiskTime(attributes.accessTime),
            changeTime: DiskTime(attributes.changeTime),
            modificationTime: DiskTime(attributes.modificationTime), size: attributes.size, mode: attributes.mode,
            linkCount: UInt16(clamping: attributes.linkCount), flags: attributes.attributeFlags.rawValue,
            generation: generation)
    }
}
