internal import EngineKit
internal import Journal
internal import LayoutKit
internal import OCFS2Layout

// Freeing inodes that have no links. Spec: ocfs2-disk-2 22.7, ocfs2-cluster 10.
extension MountedVolume {
    /// Frees the inode and everything it has, unless somebody still uses it: then the last user's release comes back here,
    /// or another host does it. The caller has the only reference.
    func wipe(_ inode: Inode) async {
        wipesRunning += 1
        defer { wipesRunning -= 1 }
        await inode.gate.lock(.exclusive)
        defer { inode.gate.unlock(.exclusive) }
        // The kernel may remember an inode for hours that another host has unlinked: what counts then is that nobody has it
        // open.
        let isUnused = inode.referenceCount == 1 || (inode.mayBeOrphaned && inode.openCount == 0)
        guard isUnused, inode.attributes.linkCount == 0 || inode.mayBeOrphaned, !inode.isGone, !inode.isDetached,
            !isReadOnly
        else { return }
        inode.isBeingWiped = true
        defer { inode.isBeingWiped = false }
        // Not an orphan (a damaged volume), known to another host, or it fails: the next mount tries again. Whoever came to
        // use it meanwhile tries once more at the end.
        defer { inode.isWipeRefused = !inode.isGone && inode.referenceCount == 1 }
        do throws(FileSystemError) {
            try await wipeLocked(inode)
        } catch {
            environment.log(.warning, "inode \(inode.number) could not be freed: \(error)")
        }
    }

    private func wipeLocked(_ inode: Inode) async throws(FileSystemError) {
        try await inode.metaLock.acquire(.exclusive)
        defer { inode.metaLock.release(.exclusive) }
        inode.mayBeOrphaned = false
        let flags = inode.attributes.flags
        guard inode.attributes.linkCount == 0, inode.openCount == 0 || inode.referenceCount == 1,
            flags.contains(.orphaned), !flags.contains(.directIOOrphaned),
            inode.block.bytes[Dinode.Field.deletionTime] == 0
        else { return }
        // Nobody else knows the inode: the one proof that it may be freed.
        guard try await inode.openLock.tryAcquire(.exclusive) else { return }
        defer { inode.openLock.release(.exclusive) }
        try await requireOrphanEntry(of: inode)
        inode.isGone = true
        if inode.attributes.clusters > 0 || inode.data != nil { try await wipeData(of: inode) }
        if inode.isIndexed { try await wipeDirectoryIndex(of: inode) }
        if inode.attributes.dynamicFeatures.contains(.hasXattr) { try await wipeXattrs(of: inode) }
        if inode.attributes.dynamicFeatures.contains(.hasRefcount) { try await detachRefcountTree(of: inode) }
        try await freeDinode(inode)
    }

    /// The last transaction of a wipe: orphan entry, flags and bit go together.
    private func freeDinode(_ inode: Inode) async throws(FileSystemError) {
        let slot = Int(inode.block.bytes[Dinode.Field.orphanedSlot])
        let directory = try await orphanDirectory(slot: slot)
        await directory.gate.lock(.exclusive)
        defer { directory.gate.unlock(.exclusive) }
        try await directory.metaLock.acquire(.exclusive)
        defer { directory.metaLock.release(.exclusive) }
        let place = inode.dinode.suballocation
        let lock = try await lockForFreeing(.inodeAlloc, place, inode.number)
        defer { lock.release() }
        let allocator = try await allocator(.inodeAlloc, place)
        let entry = try await planOrphanRemoval(named: OrphanName.name(inode: inode.number), from: directory)
        let credits = Credits.orphanEntry + 2 * Credits.inodeUpdate + Credits.suballocationFree
        try await transaction(credits: credits) { handle async throws(FileSystemError) in
            try entry.carryOut(handle)
            if inode.isDirectory, directory.attributes.linkCount > 2 {
                directory.attributes.linkCount -= 1
                directory.storeAttributes(handle)
            }
            inode.attributes.flags.subtract([.valid, .orphaned])
            inode.storeAttributes(handle)
            inode.block.bytes[Dinode.Field.deletionTime] = UInt64(bitPattern: environment.wallTime.seconds)
            try await allocator.release(place, inode.number, handle)
            // From here on the block may become another inode.
            inodeTable.remove(inode)
        }
    }
}
