package import Journal

// Steps of the wipe that other parts own. Each part replaces its function by its own and removes it here.
extension MountedVolume {
    /// Frees all data of the inode (extents part).
    package func wipeData(of inode: Inode) async throws(FileSystemError) {
        fatalError("not built")
    }

    /// Frees the index of a directory (names part).
    package func wipeDirectoryIndex(of inode: Inode) async throws(FileSystemError) {
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

    /// Removes the inode's entry from an orphan directory (names part). ``Credits/orphanEntry`` credits.
    ///
    /// - Parameter name: as it stands in the directory: 16 hexadecimal digits, with `dio-` before them or not.
    package func removeOrphanEntry(
        named name: String, from directory: Inode, _ handle: JournalHandle
    ) async throws(FileSystemError) {
        fatalError("not built")
    }
}
