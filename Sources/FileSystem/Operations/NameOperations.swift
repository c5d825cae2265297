/// Operations on names. What they return is referenced: the caller balances by ``Inode/release()``.
///
/// Every operation takes the locks it needs itself. Spec: ocfs2-cluster 7.
extension MountedVolume {
    /// The root directory.
    package func rootDirectory() async throws(FileSystemError) -> Inode {
        throw .notSupported
    }

    /// The inode of a file handle, if it is still the one of `generation` (else `stale`).
    package func inode(_ number: UInt64, generation: UInt32) async throws(FileSystemError) -> Inode {
        throw .notSupported
    }

    /// `.` and `..` work too. Errors: `notFound`, `notADirectory`.
    package func lookup(_ name: FileName, in directory: Inode) async throws(FileSystemError) -> Inode {
        throw .notSupported
    }

    /// A regular file. Errors: `alreadyExists`.
    package func createFile(
        _ name: FileName, in directory: Inode, _ new: NewNode
    ) async throws(FileSystemError) -> Inode {
        throw .notSupported
    }

    /// A device, fifo, socket or regular file, by the type bits of `new.mode`.
    ///
    /// - Parameter deviceNumber: as in `stat`, 32 bits in the kernel's encoding; 0 unless a device is made.
    package func makeNode(
        _ name: FileName, in directory: Inode, _ new: NewNode, deviceNumber: UInt32
    ) async throws(FileSystemError) -> Inode {
        throw .notSupported
    }

    package func makeDirectory(
        _ name: FileName, in directory: Inode, _ new: NewNode
    ) async throws(FileSystemError) -> Inode {
        throw .notSupported
    }

    /// - Parameter target: 1 ... 4095 bytes, no NUL.
    package func makeSymbolicLink(
        _ name: FileName, in directory: Inode, target: [UInt8], _ new: NewNode
    ) async throws(FileSystemError) -> Inode {
        throw .notSupported
    }

    /// A regular file without a name (`O_TMPFILE`): gone with its last close unless it is linked before.
    package func makeTemporaryFile(in directory: Inode, _ new: NewNode) async throws(FileSystemError) -> Inode {
        throw .notSupported
    }

    package func readLink(_ inode: Inode) async throws(FileSystemError) -> [UInt8] {
        throw .notSupported
    }

    /// One more name for `inode`.
    package func link(_ inode: Inode, to name: FileName, in directory: Inode) async throws(FileSystemError) {
        throw .notSupported
    }

    /// Errors: `isADirectory`.
    package func unlink(_ name: FileName, in directory: Inode) async throws(FileSystemError) {
        throw .notSupported
    }

    /// Errors: `notADirectory`, `directoryNotEmpty`.
    package func removeDirectory(_ name: FileName, in directory: Inode) async throws(FileSystemError) {
        throw .notSupported
    }

    package func rename(
        _ name: FileName, in directory: Inode, to newName: FileName, in newDirectory: Inode, _ mode: RenameMode
    ) async throws(FileSystemError) {
        throw .notSupported
    }

    /// Calls `visitor` for each entry from `cookie` on until it says false (that entry is then not taken) or the end.
    package func readDirectory(
        _ directory: Inode, from cookie: DirectoryCookie, _ visitor: (DirectoryEntry) -> Bool
    ) async throws(FileSystemError) {
        throw .notSupported
    }

    /// As ``readDirectory(_:from:_:)`` with the inode of each entry (not of `.` and `..`).
    ///
    /// The visitor gets a reference with each inode; an inode that cannot be read is nil.
    package func readDirectoryWithInodes(
        _ directory: Inode, from cookie: DirectoryCookie,
        _ visitor: (DirectoryEntry, Inode?) async -> Bool
    ) async throws(FileSystemError) {
        throw .notSupported
    }
}

/// What rename does with a name that is there already.
package enum RenameMode: Equatable, Sendable {
    case replace
    /// `RENAME_NOREPLACE`: `alreadyExists`.
    case noReplace
    /// `RENAME_EXCHANGE`: both names change places, in one transaction.
    case exchange
}
