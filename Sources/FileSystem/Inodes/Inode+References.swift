internal import EngineKit

extension Inode {
    /// One more reference.
    package func retain() {
        volume.inodeTable.retain(self)
    }

    /// One reference less. The last one of an inode without links starts its wipe as a task of its own.
    package func release() {
        if volume.inodeTable.release(self) { volume.lastReferenceEnded(self) }
    }
}

extension MountedVolume {
    func lastReferenceEnded(_ inode: Inode) {
        if inode.isGone {
            inodeTable.remove(inode)
            tasks.start(environment) { [self] in await giveUpLocks(of: inode) }
            return
        }
        if inode.attributes.linkCount == 0 || inode.mayBeOrphaned, !inode.isSystem, !inode.isDetached, !isReadOnly,
            !inode.isWipeRefused
        {
            inodeTable.retainEnding(inode)
            tasks.start(environment) { [self] in
                await wipe(inode)
                inode.release()
            }
            return
        }
        // Found by number, or by a name of which no other host would tell that it is taken away: kept, it could not be freed.
        if !locks.isLocal, !inode.isFixed, !inode.isDetached, inode.namingDirectories.isEmpty {
            inodeTable.retainEnding(inode)
            tasks.start(environment) { [self] in await evict(inode) }
            return
        }
        inodeTable.keep(inode)
        while let oldest = inodeTable.takeOldest() {
            tasks.start(environment) { [self] in await evict(oldest) }
        }
    }

    /// Takes an unused inode out of memory. The caller's reference ends.
    ///
    /// - Parameter isLast: the mount ends: what cannot be written is lost.
    private func evict(_ inode: Inode, isLast: Bool = false) async {
        // Whoever uses it meanwhile may make it dirty again, and then has a reference.
        for _ in 0..<8 {
            guard let data = inode.data, data.needsFlush, inode.referenceCount == 1 else { break }
            do throws(FileSystemError) {
                try await data.flush()
            } catch {
                environment.log(.error, "inode \(inode.number): its data could not be written: \(error)")
                if isLast { break }
                if inodeTable.release(inode) { inodeTable.keep(inode) }
                return
            }
        }
        guard inodeTable.release(inode) else { return }
        let number = inode.number
        inodeTable.remove(inode)
        inodeTable.beginLoading(number)
        await giveUpLocks(of: inode)
        inodeTable.endLoading(number, nil)
    }

    /// Spec: ocfs2-cluster 15, order of an inode's locks.
    func giveUpLocks(of inode: Inode) async {
        await giveUpDentryLocks(of: inode)
        if !inode.isFixed, !inode.isDetached {
            inode.isDetached = true
            inode.openLock.release(.protectedRead)
        }
        await inode.openLock.drop()
        await inode.metaLock.drop()
        await inode.readWriteLock.drop()
    }

    /// Takes every inode out of memory that nobody uses. The mount ends.
    func evictAll() async {
        // Giving locks back costs messages: many at a time.
        let evictions = BackgroundTasks()
        for _ in 0..<(locks.isLocal ? 1 : 64) {
            evictions.start(environment) { [self] in
                while let oldest = inodeTable.takeOldest(above: 0) { await evict(oldest, isLast: true) }
            }
        }
        await evictions.wait()
    }
}
