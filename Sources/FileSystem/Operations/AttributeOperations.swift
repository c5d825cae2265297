/// Attributes of inodes, flags, and the volume's figures.
extension MountedVolume {
    package func attributes(of inode: Inode) async throws(FileSystemError) -> NodeAttributes {
        throw .notSupported
    }

    /// Answers with what the attributes are afterwards.
    ///
    /// The size goes through the file's data (`truncate`); the rest is one transaction. Errors: `notPermitted` for
    /// immutable and append-only files.
    package func setAttributes(
        of inode: Inode, to change: AttributeChange, caller: Caller
    ) async throws(FileSystemError) -> NodeAttributes {
        throw .notSupported
    }

    package func statistics() async throws(FileSystemError) -> VolumeStatistics {
        throw .notSupported
    }

    /// `FS_IOC_GETFLAGS`: the bits of ext2. Spec: ocfs2-disk 5.3.
    package func inodeFlags(of inode: Inode) async throws(FileSystemError) -> UInt32 {
        throw .notSupported
    }

    /// `FS_IOC_SETFLAGS`. Immutable and append-only need a privileged caller, the others the owner.
    package func setInodeFlags(
        of inode: Inode, to flags: UInt32, caller: Caller
    ) async throws(FileSystemError) {
        throw .notSupported
    }
}
