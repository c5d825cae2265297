package import EngineKit
package import Journal
package import OCFS2Layout

/// A file, directory or other object of the volume in memory. There is at most one for a block number.
///
/// The dinode's block stays in memory as long as the object. ``attributes`` is the one decoded copy: change it, then
/// ``storeAttributes(_:)``; everything else of the dinode is patched in ``block``.
package final class Inode {
    package unowned let volume: MountedVolume
    /// Block of the dinode.
    package let number: UInt64
    package let block: MetadataBlock
    /// Of this incarnation.
    package var generation: UInt32 { fatalError("not built") }
    package var attributes: InodeAttributes

    /// Excludes tasks of this host from each other; taken before any cluster lock.
    package let gate = AsyncReadWriteLock()
    /// M: metadata and data.
    package let metaLock: any ClusterLock
    /// W: writers of files.
    package let readWriteLock: any ClusterLock
    /// O: this host knows the inode.
    package let openLock: any ClusterLock

    /// Open files of it on this host. An inode without links is wiped when the last reference goes.
    package var openCount = 0
    /// What the data part keeps in memory.
    package var data: FileData?
    /// What the directory part keeps in memory.
    package var directory: DirectoryState?

    init(
        volume: MountedVolume, block: MetadataBlock, attributes: InodeAttributes, metaLock: any ClusterLock,
        readWriteLock: any ClusterLock, openLock: any ClusterLock
    ) {
        self.volume = volume
        number = block.number
        self.block = block
        self.attributes = attributes
        self.metaLock = metaLock
        self.readWriteLock = readWriteLock
        self.openLock = openLock
    }

    /// Encodes ``attributes`` into the dinode, as part of the transaction. 1 credit.
    package func storeAttributes(_ handle: JournalHandle) {
        fatalError("not built")
    }

    /// One more reference.
    package func retain() {
        fatalError("not built")
    }

    /// One reference less. The last one of an inode without links starts its wipe as a task of its own.
    package func release() {
        fatalError("not built")
    }
}

extension Inode {
    package var fileType: FileType? { FileType(mode: attributes.mode) }
    package var isDirectory: Bool { fileType == .directory }
    package var isRegular: Bool { fileType == .regular }
    package var isSymlink: Bool { fileType == .symlink }
    package var hasInlineData: Bool { attributes.dynamicFeatures.contains(.inlineData) }
    package var isIndexed: Bool { attributes.dynamicFeatures.contains(.indexedDirectory) }
    /// A system file, or the root directory.
    package var isSystem: Bool { attributes.flags.contains(.system) }
    /// The dinode for reading and patching.
    package var dinode: DinodeView { DinodeView(block.bytes) }
}
