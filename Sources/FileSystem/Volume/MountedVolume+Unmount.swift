internal import EngineKit
internal import Journal
internal import OCFS2Layout

extension MountedVolume {
    /// Writes everything back, gives the slot up and leaves the journal clean. Spec: ocfs2-disk-2 21.2.
    ///
    /// A mount that has stopped leaves its journal for the next one to replay.
    package func unmount() async {
        reportLongUnmount()
        defer { hasUnmounted = true }
        await tasks.wait()
        await unlockAllFiles()
        unmountStep = "data are written back, \(writeBack.byteCount) bytes"
        await flushAllData()
        unmountStep = "inodes are given up"
        await evictAll()
        unmountStep = "the last tasks"
        tasks.isClosing = true
        await tasks.wait()
        unmountStep = "space and journal"
        do throws(FileSystemError) {
            try await leave()
        } catch {
            stop("the unmount failed: \(error)")
        }
        for tree in refcountTrees.sorted(by: { $0.key < $1.key }) { await tree.value.drop() }
        for (_, inode) in systemInodes.sorted(by: { $0.value.number < $1.value.number }) { inode.release() }
        systemInodes = [:]
        await evictAll()
        await superblockLock.drop()
        await renameLock.drop()
    }

    private static let reportInterval = Duration.seconds(5)

    /// Says every few seconds what the unmount waits for.
    private func reportLongUnmount() {
        environment.call(at: environment.now + Self.reportInterval) { [weak self] in
            guard let self, !hasUnmounted else { return }
            environment.log(
                .warning,
                "the unmount waits (\(unmountStep)): \(tasks.running) tasks, \(inodeTable.unusedCount) unused inodes, "
                    + "journal: \(journal?.waits ?? "none")")
            reportLongUnmount()
        }
    }

    private func leave() async throws(FileSystemError) {
        guard let journal, let space, stopReason == nil else { return }
        guard !isFaulty else {
            // After errors=remount-ro: what was changed before is sound; the rest is left to the next mount.
            return try await checkpoint()
        }
        try await space.close()
        do throws(JournalError) {
            try await journal.stop()
        } catch {
            throw FileSystemError(error)
        }
        let own = try await SlotJournal(self, slot: slot)
        try await own.set(dirty: false)
        try await superblockLock.acquire(.exclusive)
        defer { superblockLock.release(.exclusive) }
        // Deviation: the kernel gives the slot up before the journal is clean; a crash between then leaves a dirty journal
        // that nobody owns.
        var slotMap = try await SlotMapFile(reading: self)
        try await slotMap.release(slot: slot)
        own.inode.metaLock.release(.exclusive)
        hasLeft = true
    }
}
