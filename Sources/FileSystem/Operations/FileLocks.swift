/// Whose flock(2) lock it is: an open file of an inode.
struct FileLockKey: Hashable {
    var inode: UInt64
    var owner: UInt64
}

/// A lock that is held.
struct FileLock {
    var lock: any ClusterLock
    var level: LockLevel

    /// Gives it up altogether.
    func end() async {
        lock.release(level)
        await lock.drop()
    }
}

// flock(2) among the hosts of a cluster: each open file has a lock of its own, which is never cached, and competes with
// those of this host as with those of others. Spec: ocfs2-cluster 12.
extension MountedVolume {
    /// Other hosts can have locks on the same files.
    package var sharesFileLocks: Bool { !locks.isLocal && !options.hasLocalFileLocks }

    /// Takes the lock for `owner`, shared or exclusive; a former one is given up first, as flock(2) says.
    ///
    /// Errors: `wouldBlock` instead of waiting.
    package func lockFile(
        _ inode: Inode, owner: UInt64, isExclusive: Bool, mayWait: Bool
    ) async throws(FileSystemError) {
        await unlockFile(inode, owner: owner)
        let name = LockName(.flock, block: inode.number, generation: inode.generation)
        let lock = locks.lock(name, owner: nil)
        let level: LockLevel = isExclusive ? .exclusive : .protectedRead
        var isGranted = false
        do throws(FileSystemError) {
            if mayWait {
                try await lock.acquire(level)
                isGranted = true
            } else {
                isGranted = try await lock.tryAcquire(level)
            }
        } catch {
            await lock.drop()
            throw error
        }
        guard isGranted else {
            await lock.drop()
            throw .wouldBlock
        }
        // Two requests of one owner at a time: the later one counts.
        await unlockFile(inode, owner: owner)
        fileLocks[FileLockKey(inode: inode.number, owner: owner)] = FileLock(lock: lock, level: level)
    }

    /// Nothing happens if `owner` has none.
    package func unlockFile(_ inode: Inode, owner: UInt64) async {
        await fileLocks.removeValue(forKey: FileLockKey(inode: inode.number, owner: owner))?.end()
    }

    /// The mount ends.
    func unlockAllFiles() async {
        let all = fileLocks.sorted { ($0.key.inode, $0.key.owner) < ($1.key.inode, $1.key.owner) }
        fileLocks = [:]
        for (_, held) in all { await held.end() }
    }
}
