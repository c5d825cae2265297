internal import EngineKit
internal import Journal
internal import OCFS2Layout

// What hosts that are gone left behind, after their logs were brought to their places. Spec: ocfs2-disk-2 21.3.
extension MountedVolume {
    /// The own slot after a crash: its window is closed, and what may take long is started: also for the orphans of `free`
    /// slots, which nobody else would look at.
    func finishOwnRecovery(freeSlots: [Int]) async throws(FileSystemError) {
        guard let space else { return }
        try await closeLocalAlloc(try await systemInode(.localAlloc, slot: slot))
        tasks.start(environment) { [self] in
            if space.truncateLog.count > 0 {
                do throws(FileSystemError) {
                    try await space.truncateLog.flush()
                } catch {
                    environment.log(.warning, "the truncate log could not be flushed: \(error)")
                }
            }
            for slot in [slot] + freeSlots { await recoverOrphans(slot: slot) }
        }
    }

    /// Closes windows, empties truncate logs and frees slots of hosts that are gone; starts what may take long. The caller
    /// holds the superblock lock, and those of the journals.
    ///
    /// Deviation: the kernel clears a foreign window and truncate log on disk, frees the slot, and gives the clusters back
    /// later: a crash between leaks them. Here they go back in transactions of the own journal, and the slot is freed (and
    /// its journal marked clean) when those are in their places.
    func finishRecovery(of gone: [SlotJournal], _ slotMap: inout SlotMapFile) async throws(FileSystemError) {
        guard let space, !gone.isEmpty else { return }
        for journal in gone {
            let window = try await systemInode(.localAlloc, slot: journal.slot)
            try await rereadUnlocked(window)
            try await closeLocalAlloc(window)
            try await rereadUnlocked(try await systemInode(.truncateLog, slot: journal.slot))
            let log = try await TruncateLogFile(self, space.bitmap, slot: journal.slot)
            while log.count > 0 { try await log.flush() }
        }
        try await checkpoint()
        for journal in gone {
            if journal.isDirty { try await journal.set(dirty: false, countsRecovery: true) }
            if slotMap.map.nodes[journal.slot] != nil { try await slotMap.release(slot: journal.slot) }
            environment.log(.notice, "slot \(journal.slot) is recovered")
        }
        let slots = gone.map(\.slot)
        tasks.start(environment) { [self] in
            for slot in slots { await recoverOrphans(slot: slot) }
        }
    }

    /// System files that belong to a slot have no lock that would tell when they changed.
    private func rereadUnlocked(_ inode: Inode) async throws(FileSystemError) {
        guard !locks.isLocal else { return }
        inode.validSince = cache.advanceClock()
        try await reload(inode)
    }
}
