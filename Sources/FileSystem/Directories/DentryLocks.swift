// N: one lock for each pair of a directory and an inode that has a name in it. Spec: ocfs2-cluster 9.

/// The dentry lock of an inode in a directory, and what this host does when another host takes the names away.
final class DentryLock: ClusterLockOwner {
    let lock: any ClusterLock
    private unowned let volume: MountedVolume
    private let directory: UInt64
    private let child: UInt64
    /// Of the child: a later inode of this number has a lock object of its own, though of the same name.
    let generation: UInt32

    init(_ directory: Inode, _ child: Inode) {
        volume = directory.volume
        self.directory = directory.number
        self.child = child.number
        generation = child.generation
        lock = volume.locks.lock(
            LockName(.dentry, block: child.number, generation: child.generation, parent: directory.number), owner: nil)
        lock.owner = self
    }

    func refresh(_ lock: any ClusterLock, from value: LockValueBlock?) async throws(FileSystemError) {}

    func prepareToLower(
        _ lock: any ClusterLock, from held: LockLevel, to level: LockLevel
    ) async throws(FileSystemError) {
        guard level == .null, lock.isWantedElsewhere else { return }
        volume.kernelCache?.namesWereTaken(of: child, in: directory)
        await volume.nameWasTaken(ofInode: child)
    }

    func value(of lock: any ClusterLock) -> LockValueBlock? { nil }
}

extension Inode {
    /// This host may remember the name from now on.
    func holdDentryLock(for child: Inode) async throws(FileSystemError) {
        guard let state = try dentryLockState() else { return }
        let dentry: DentryLock
        if let known = state.dentryLocks[child.number], known.generation == child.generation {
            dentry = known
        } else {
            let old = state.dentryLocks[child.number]
            dentry = DentryLock(self, child)
            state.dentryLocks[child.number] = dentry
            child.namingDirectories.insert(number)
            await old?.lock.drop()
        }
        guard dentry.lock.level == .null else { return }
        try await dentry.lock.acquire(.protectedRead)
        dentry.lock.release(.protectedRead)
    }

    /// Makes every other host forget the names that `child` has in this directory. The caller holds both metadata locks
    /// exclusively. Spec: ocfs2-cluster 7, 9.
    func expelDentries(of child: Inode) async throws(FileSystemError) {
        guard let state = try dentryLockState() else { return }
        let known = state.dentryLocks[child.number]
        let dentry = known.flatMap { $0.generation == child.generation ? $0 : nil } ?? DentryLock(self, child)
        try await dentry.lock.acquire(.exclusive)
        dentry.lock.release(.exclusive)
        state.dentryLocks[child.number] = nil
        child.namingDirectories.remove(number)
        await dentry.lock.drop()
        if dentry !== known { await known?.lock.drop() }
    }

    private func dentryLockState() throws(FileSystemError) -> DirectoryState? {
        volume.locks.isLocal ? nil : try Directory(self).state
    }
}

extension MountedVolume {
    /// An inode leaves memory: its own names, and those below it.
    func giveUpDentryLocks(of inode: Inode) async {
        for number in inode.namingDirectories.sorted() {
            guard let state = inodeTable[number]?.directory,
                state.dentryLocks[inode.number]?.generation == inode.generation
            else { continue }
            await state.dentryLocks.removeValue(forKey: inode.number)?.lock.drop()
        }
        inode.namingDirectories = []
        guard let state = inode.directory else { return }
        for number in state.dentryLocks.keys.sorted() {
            inodeTable[number]?.namingDirectories.remove(inode.number)
            await state.dentryLocks.removeValue(forKey: number)?.lock.drop()
        }
    }
}
