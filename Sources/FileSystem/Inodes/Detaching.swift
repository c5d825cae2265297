internal import EngineKit

// Letting go of inodes that other hosts unlink. Spec: ocfs2-cluster 9, 10, 18.4.
extension MountedVolume {
    /// Another host takes a name of the inode away, and waits until this one has answered. If nobody has it open here, its
    /// open lock is given up, so that the other host can free it.
    func nameWasTaken(ofInode number: UInt64) async {
        guard let inode = inodeTable[number], !inode.isGone, !inode.isFixed, !inode.isNew else { return }
        inode.mayBeOrphaned = true
        await letGo(of: inode)
    }

    /// Gives the open lock of an inode up that nobody has open here. The next user takes it again, if the inode is still
    /// there.
    func letGo(of inode: Inode) async {
        guard !locks.isLocal, !inode.isGone, inode.openCount == 0, !inode.isDetached, !inode.isBeingWiped else {
            return
        }
        inode.isDetached = true
        inode.openLock.release(.protectedRead)
        await inode.openLock.drop()
    }

    /// The last handle of an inode was closed that another host may have unlinked: this host frees it then, or lets go of
    /// it for one that has it open still.
    func closedLast(_ inode: Inode) {
        guard inode.mayBeOrphaned, !inode.isDetached, !inode.isGone else { return }
        inode.retain()
        tasks.start(environment) { [self] in
            await wipe(inode)
            // One who frees nothing does not know whether it is an orphan.
            if isReadOnly || inode.attributes.linkCount == 0 { await letGo(of: inode) }
            inode.release()
        }
    }

    /// Another host has freed the inode: its block may be anything now.
    func becameStale(_ inode: Inode) {
        guard !inode.isGone else { return }
        // Its locks are given up with the last reference; perhaps that is this one.
        inodeTable.retain(inode)
        inode.isGone = true
        inodeTable.remove(inode)
        kernelCache?.becameStale(inode)
        inode.release()
    }
}
