import OCFS2Layout

// Rules that the kernel in front does not know, because it does not know these flags. Spec: ocfs2-disk 5.3.
extension Inode {
    /// Names may be added. Errors: `notFound` for a removed directory.
    func requireAddableNames() throws(FileSystemError) {
        guard isDirectory else { throw .notADirectory }
        guard attributes.linkCount > 0 else { throw .notFound }
        guard !attributes.attributeFlags.contains(.immutable) else { throw .notPermitted }
    }

    /// Names may be taken away or changed.
    func requireRemovableNames() throws(FileSystemError) {
        try requireAddableNames()
        guard !attributes.attributeFlags.contains(.appendOnly) else { throw .notPermitted }
    }

    /// A name of this inode may be made, taken away or changed.
    func requireMovable() throws(FileSystemError) {
        guard attributes.attributeFlags.isDisjoint(with: [.immutable, .appendOnly]) else { throw .notPermitted }
    }

    /// A directory's links are 2 and one for each directory in it. A count that was wrong on disk stays within bounds.
    func gainSubdirectory() {
        if attributes.linkCount < UInt32.max { attributes.linkCount += 1 }
    }

    func loseSubdirectory() {
        if attributes.linkCount > 2 { attributes.linkCount -= 1 }
    }

    /// Owner, mode, times and xattrs may be changed.
    func requireAlterable() throws(FileSystemError) {
        try requireMovable()
    }
}

extension MountedVolume {
    /// Waits until the change of a directory's names is durable if one of them asks for it (chattr +D, +S), or the mount
    /// (`dirsync`, `sync`).
    func syncIfAsked(_ directories: Inode...) async throws(FileSystemError) {
        let flags: DinodeAttributes = [.synchronous, .synchronousDirectory]
        guard
            options.isSynchronous || options.hasSynchronousDirectories
                || directories.contains(where: { !$0.attributes.attributeFlags.isDisjoint(with: flags) })
        else { return }
        try await commit()
    }

    /// Whether every change of the inode is to be durable when it returns (chattr +S, `sync`).
    func isSynchronous(_ inode: Inode) -> Bool {
        options.isSynchronous || inode.attributes.attributeFlags.contains(.synchronous)
    }

    /// Waits until the inode's attributes are durable if that is asked for.
    func syncAttributesIfAsked(_ inode: Inode) async throws(FileSystemError) {
        if isSynchronous(inode) { try await commit() }
    }

    /// As ``syncAttributesIfAsked(_:)`` for the contents and the size of a file. The caller holds no lock of it.
    func syncFileIfAsked(_ inode: Inode, dataOnly: Bool) async throws(FileSystemError) {
        if isSynchronous(inode) { try await inode.fileData.synchronize(dataOnly: dataOnly) }
    }

    /// Spec: ocfs2-disk-2 19 rule 6.
    package var linkCountMax: UInt32 { features.hasIndexedDirectories ? 0x7fff_ffff : 32000 }
}
