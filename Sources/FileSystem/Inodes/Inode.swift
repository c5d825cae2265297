package import EngineKit
package import Journal
internal import LayoutKit
package import OCFS2Layout

/// A file, directory or other object of the volume in memory. There is at most one for a block number.
///
/// The dinode's block stays in memory as long as the object. ``attributes`` is the one decoded copy: change it, then
/// ``storeAttributes(_:)``; everything else of the dinode is patched in ``block``.
package final class Inode {
    package unowned let volume: MountedVolume
    /// Block of the dinode.
    package let number: UInt64
    /// Of this incarnation; the block may become another inode one day.
    package let generation: UInt32
    package let block: MetadataBlock
    /// A system file or the root directory: never freed, so that it needs no open lock.
    let isFixed: Bool
    package var attributes: InodeAttributes

    /// Excludes tasks of this host from each other; taken before any cluster lock.
    package let gate = AsyncReadWriteLock()
    /// M: metadata and data.
    package let metaLock: any ClusterLock
    /// W: writers of files.
    package let readWriteLock: any ClusterLock
    /// O: this host knows the inode.
    package let openLock: any ClusterLock

    /// Open files of it on this host.
    package var openCount = 0
    /// Since when no other host can have changed it, by ``BlockCache/clock``: older blocks of it are read again.
    var validSince: UInt64 = 0
    /// Made by this host, and its metadata lock has not been asked for yet: there is nothing newer anywhere.
    var isNew = false
    /// Another host took a name away, perhaps the last one: whoever closes it last looks whether it has to be freed.
    /// Spec: ocfs2-cluster 10.
    var mayBeOrphaned = false
    /// The open lock was given up, so that another host can free the inode; taken again by the next user.
    var isDetached = false
    /// Directories under whose dentry locks it was found.
    var namingDirectories: Set<UInt64> = []
    /// What the data part keeps in memory.
    package var data: FileData?
    /// What the directory part keeps in memory.
    package var directory: DirectoryState?

    /// See ``InodeTable``.
    var referenceCount = 0
    var lastUse: UInt64 = 0
    /// The wipe has begun, or the inode was freed: nobody gets it any more.
    var isGone = false
    /// The wipe looks whether it can be done, or is under way.
    var isBeingWiped = false
    /// A wipe was tried and must not be done now: not again before somebody else has used the inode.
    var isWipeRefused = false

    /// `block` holds a validated dinode.
    init(volume: MountedVolume, block: MetadataBlock, locks: InodeLocks, isFixed: Bool) {
        self.volume = volume
        self.block = block
        self.isFixed = isFixed
        number = block.number
        generation = block.bytes[Dinode.Field.generation]
        attributes = InodeAttributes(DinodeView(block.bytes), volume.features)
        metaLock = locks.meta
        openLock = locks.open
        readWriteLock = volume.locks.lock(
            LockName(.readWrite, block: number, generation: generation), owner: nil)
        block.pinCount += 1
        metaLock.owner = self
    }

    /// The object leaves memory.
    func unpin() {
        block.pinCount -= 1
    }

    /// Encodes ``attributes`` into the dinode, as part of the transaction. 1 credit.
    package func storeAttributes(_ handle: JournalHandle) {
        handle.modify(block)
        attributes.store(into: dinode)
        // Bytes that are not on disk yet must not become part of the file by a crash.
        if let data { dinode.size = min(data.storedSize, attributes.size) }
    }

    /// Decodes the attributes again: the dinode was read again, or patched by others.
    func refreshAttributes() {
        attributes = InodeAttributes(dinode, volume.features)
    }
}

extension Inode {
    /// nil only while a dinode is torn down; a validated one has a type.
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
