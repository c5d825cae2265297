// Steps of the wipe that other parts own. Each part replaces its function by its own and removes it here.
extension MountedVolume {
    /// Frees xattrs outside of the dinode (xattr part).
    package func wipeXattrs(of inode: Inode) async throws(FileSystemError) {
        fatalError("not built")
    }
}
