internal import EngineKit
internal import Journal
internal import OCFS2Layout

// What hosts that are gone left behind, after their logs were brought to their places. Spec: ocfs2-disk-2 21.3.
extension MountedVolume {
    /// Closes windows, empties truncate logs and frees slots of hosts that are gone; starts what may take long.
    ///
    /// Deviation: the kernel clears a foreign window and truncate log on disk, frees the slot, and gives the clusters back
    /// later: a crash between leaks them. Here they go back in transactions of the own journal, and the slot is freed (and
    /// its journal marked clean) when those are in their places.
    func finishRecovery(_ journals: [SlotJournal], _ slotMap: inout SlotMapFile) async throws(FileSystemError) {
        guard let space else { return }
        var gone: [SlotJournal] = []
        for journal in journals where journal.slot == slot || isAlone {
            let window = try await systemInode(.localAlloc, slot: journal.slot)
            try await closeLocalAlloc(window)
            guard journal.slot != slot else { continue }
            let log = try await TruncateLogFile(self, space.bitmap, slot: journal.slot)
            while log.count > 0 { try await log.flush() }
            if journal.isDirty || slotMap.map.nodes[journal.slot] != nil { gone.append(journal) }
        }
        if !gone.isEmpty { try await checkpoint() }
        for journal in gone {
            if journal.isDirty { try await journal.set(dirty: false, countsRecovery: true) }
            if slotMap.map.nodes[journal.slot] != nil { try await slotMap.release(slot: journal.slot) }
            environment.log(.notice, "slot \(journal.slot) is recovered")
        }
        let slots = journals.map(\.slot).filter { $0 == slot || isAlone }
        tasks.start(environment) { [self] in
            if space.truncateLog.count > 0 {
                do throws(FileSystemError) {
                    try await space.truncateLog.flush()
                } catch {
                    environment.log(.warning, "the truncate log could not be flushed: \(error)")
                }
            }
            for slot in slots { await recoverOrphans(slot: slot) }
        }
    }
}
