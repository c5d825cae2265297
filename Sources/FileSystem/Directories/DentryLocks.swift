// N: one lock for each pair of a directory and an inode that has a name in it. Spec: ocfs2-cluster 9.
extension Inode {
    /// This host may remember the name from now on.
    func holdDentryLock(for child: Inode) async throws(FileSystemError) {
        guard let state = try dentryLockState() else { return }
        let lock: any ClusterLock
        if let known = state.dentryLocks[child.number] {
            lock = known
        } else {
            lock = volume.locks.lock(
                LockName(.dentry, block: child.number, generation: child.generation, parent: number), owner: nil)
            state.dentryLocks[child.number] = lock
        }
        guard lock.level == .null else { return }
        try await lock.acquire(.protectedRead)
        lock.release(.protectedRead)
    }

    /// Makes every other host forget the names that `child` has in this directory. The caller holds both metadata locks
    /// exclusively. Spec: ocfs2-cluster 7, 9.
    func expelDentries(of child: Inode) async throws(FileSystemError) {
        guard let state = try dentryLockState() else { return }
        let lock =
            state.dentryLocks[child.number]
            ?? volume.locks.lock(
                LockName(.dentry, block: child.number, generation: child.generation, parent: number), owner: nil)
        try await lock.acquire(.exclusive)
        lock.release(.exclusive)
        state.dentryLocks[child.number] = nil
        await lock.drop()
    }

    private func dentryLockState() throws(FileSystemError) -> DirectoryState? {
        volume.locks.isLocal ? nil : try Directory(self).state
    }
}
