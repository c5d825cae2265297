// Steps of the wipe that other parts own. Each part replaces its function by its own and removes it here.
extension MountedVolume {
    /// Frees all data of the inode (extents part).
    package func wipeData(of inode: Inode) async throws(FileSystemError) {
        fatalError("not built")
    }

    /// Frees xattrs outside of the dinode (xattr part).
    package func wipeXattrs(of inode: Inode) async throws(FileSystemError) {
        fatalError("not built")
    }

    /// Leaves the refcount tree (extents part).
    package func detachRefcountTree(of inode: Inode) async throws(FileSystemError) {
        fatalError("not built")
    }

    /// Cuts allocation beyond `byteCount`, without changing what is before (extents part).
    package func truncateData(of inode: Inode, toByteCount byteCount: UInt64) async throws(FileSystemError) {
        fatalError("not built")
    }
}
