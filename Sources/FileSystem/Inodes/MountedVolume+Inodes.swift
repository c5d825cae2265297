package import Journal
package import OCFS2Layout

extension MountedVolume {
    /// The inode, loaded and with one more reference: balance with ``Inode/release()``.
    ///
    /// Throws `stale` when the block is no inode in use.
    package func inode(_ number: UInt64) async throws(FileSystemError) -> Inode {
        fatalError("not built")
    }

    /// Makes the inode of a dinode that was just written to a claimed block inside `handle`; one reference.
    package func adoptNewInode(_ block: MetadataBlock) async throws(FileSystemError) -> Inode {
        fatalError("not built")
    }

    /// The generation for the next new inode or refcount tree. Spec: ocfs2-disk-2 19.1.
    package var nextGeneration: UInt32 {
        fatalError("not built")
    }

    /// Writes a new dinode into a claimed block as part of `handle` and returns its inode with one reference. 1 credit.
    ///
    /// The dinode has an empty extent list; times are now; flags `valid`.
    package func makeInode(
        _ claimed: ClaimedBlock, mode: UInt16, uid: UInt32, gid: UInt32, linkCount: UInt32, flags: DinodeFlags = .valid,
        _ handle: JournalHandle
    ) async throws(FileSystemError) -> Inode {
        fatalError("not built")
    }

    /// The orphan directory of a slot; not to be released.
    package func orphanDirectory(slot: Int) async throws(FileSystemError) -> Inode {
        fatalError("not built")
    }
}
