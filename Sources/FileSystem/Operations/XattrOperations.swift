/// Extended attributes by their full names (`user.comment`). Spec: ocfs2-disk 16.
extension MountedVolume {
    /// `XATTR_CREATE`, `XATTR_REPLACE` of setxattr(2).
    package enum XattrMode: Equatable, Sendable {
        case createOrReplace
        /// `alreadyExists` if it is there.
        case create
        /// `noAttribute` if it is not there.
        case replace
    }

    /// Errors: `noAttribute`, `notSupported` for names of no class that the format has.
    package func xattr(_ name: [UInt8], of inode: Inode) async throws(FileSystemError) -> [UInt8] {
        throw .notSupported
    }

    /// The names one after the other, each with a NUL behind it.
    package func xattrNames(of inode: Inode, caller: Caller) async throws(FileSystemError) -> [UInt8] {
        throw .notSupported
    }

    /// - Parameter dropsSetGroupID: an ACL change takes away the set-group-ID bit (FUSE's ACL_KILL_SGID).
    package func setXattr(
        _ name: [UInt8], of inode: Inode, to value: [UInt8], _ mode: XattrMode, caller: Caller,
        dropsSetGroupID: Bool = false
    ) async throws(FileSystemError) {
        throw .notSupported
    }

    package func removeXattr(_ name: [UInt8], of inode: Inode, caller: Caller) async throws(FileSystemError) {
        throw .notSupported
    }
}
