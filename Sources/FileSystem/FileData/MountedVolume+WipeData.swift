internal import EngineKit
internal import Journal
internal import OCFS2Layout

extension MountedVolume {
    /// Frees all clusters of the inode's data, whatever its type. Spec: ocfs2-disk-2 22.7
    package func wipeData(of inode: Inode) async throws(FileSystemError) {
        if let data = inode.data {
            await data.changeLock.with(.exclusive) { data.discardAll() }
        }
        guard inode.dinode.content == .extentList, inode.dinode.extentList.count > 0 else { return }
        try await transaction(credits: Credits.inodeUpdate) { handle throws(FileSystemError) in
            inode.attributes.size = 0
            inode.data?.setStoredSize(0)
            inode.storeAttributes(handle)
        }
        try await truncateData(of: inode, toByteCount: 0)
    }

    /// Cuts allocation behind `byteCount`, without changing what is before. For recovery and wipe.
    package func truncateData(of inode: Inode, toByteCount byteCount: UInt64) async throws(FileSystemError) {
        guard inode.dinode.content == .extentList else { return }
        let first = geometry.clusters(coveringBytes: byteCount)
        guard first <= UInt64(UInt32.max) else { return }
        let data = inode.fileData
        await data.changeLock.lock(.exclusive)
        defer { data.changeLock.unlock(.exclusive) }
        try await data.removeMapping(first..<UInt64(UInt32.max) + 1)
    }
}
