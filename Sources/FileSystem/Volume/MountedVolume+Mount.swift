package import EngineKit
internal import Journal
internal import OCFS2Layout

extension MountedVolume {
    /// Metadata blocks that are kept in memory, in bytes.
    private static let cacheByteCount = 64 << 20

    /// Mounts the volume on the device. Spec: ocfs2-disk-2 21.1.
    ///
    /// A volume that a host alone mounts read-only takes no slot; logs of dirty journals are brought to their places, which
    /// needs a device that can be written. A member of a cluster takes its slot also then: it recovers members that die.
    /// Spec: ocfs2-cluster 17.
    ///
    /// - Parameter nodeNumber: this host's number in the cluster; 0 for a host alone.
    package static func mount(
        device: any BlockDevice, environment: any EngineEnvironment, locks: any LockService, options: MountOptions,
        nodeNumber: UInt32
    ) async throws(MountError) -> MountedVolume {
        let superblock = try await VolumeProbe.superblock(of: device)
        try VolumeProbe.requireMountable(superblock, on: device, options)
        let cache = BlockCache(
            device: device, blockSize: superblock.parameters.blockSize, byteCountMax: cacheByteCount)
        let volume = MountedVolume(
            device: device, environment: environment, locks: locks, options: options, cache: cache,
            superblock: superblock, nodeNumber: nodeNumber)
        try await mounting { () async throws(FileSystemError) in try await volume.loadSystemDirectory() }
        try await volume.requireSolitude()
        do throws(MountError) {
            if volume.isReadOnly, volume.isAlone || device.isReadOnly {
                try await volume.startReading()
            } else {
                try await volume.startWriting()
            }
        } catch {
            // What was begun is left to the next mount, as after a crash.
            volume.stop("the mount failed: \(error)")
            throw error
        }
        return volume
    }

    /// Nobody else can write: whatever other hosts left undone may be done.
    var isAlone: Bool { locks.isLocal || features.isLocal }

    // MARK: Read-only

    /// Spec: ocfs2-cluster 17. The dirty flags stay, so that the next writer does what else there is to recover.
    private func startReading() async throws(MountError) {
        // The journals of other hosts may be in use.
        guard isAlone else { return }
        for slot in 0..<Int(parameters.slotCount) {
            let journal = try await Self.mounting { () async throws(FileSystemError) in
                try await SlotJournal(self, slot: slot)
            }
            guard journal.isDirty else { continue }
            guard !device.isReadOnly else { throw .dirtyJournal(slot: slot) }
            try await journal.replay()
        }
        try await recheckInodes()
    }

    // MARK: Writing

    private func startWriting() async throws(MountError) {
        try await Self.mounting { () async throws(FileSystemError) in try await superblockLock.acquire(.exclusive) }
        defer { superblockLock.release(.exclusive) }
        var slotMap = try await Self.mounting { () async throws(FileSystemError) in try await SlotMapFile(reading: self)
        }
        slot = try chooseSlot(slotMap.map)
        try await Self.mounting { () async throws(FileSystemError) in
            try await slotMap.occupy(slot: slot, node: nodeNumber)
        }
        let journals = try await replayJournals()
        try await recheckInodes()
        try await startJournal(journals[slot])
        try await Self.mounting { () async throws(FileSystemError) in
            space = try await SpaceBook(self)
            let free = slotMap.map.nodes.indices.filter { slotMap.map.nodes[$0] == nil && $0 != slot }
            try await finishOwnRecovery(freeSlots: free)
            if isAlone {
                let gone = journals.filter {
                    $0.slot != slot && ($0.isDirty || slotMap.map.nodes[$0.slot] != nil)
                }
                try await finishRecovery(of: gone, &slotMap)
            } else {
                try await recoverDeadSlots(&slotMap)
            }
        }
        startRecovery()
        scheduleOrphanScan()
    }

    /// Spec: ocfs2-disk-2 21.1 step 3.
    private func chooseSlot(_ map: SlotMap) throws(MountError) -> Int {
        if features.isLocal { return 0 }
        if let own = map.slot(ofNode: nodeNumber) { return own }
        if let wanted = options.preferredSlot, map.nodes.indices.contains(wanted), map.nodes[wanted] == nil {
            return wanted
        }
        guard let free = map.nodes.firstIndex(of: nil) else {
            // A host alone knows that all the others are gone: one slot is as good as another after its recovery.
            guard isAlone else { throw .noFreeSlot }
            return 0
        }
        return free
    }

    /// Takes the own journal and brings the logs of dirty ones to their places.
    private func replayJournals() async throws(MountError) -> [SlotJournal] {
        var journals: [SlotJournal] = []
        for slot in 0..<Int(parameters.slotCount) {
            let journal = try await Self.mounting { () async throws(FileSystemError) in
                let journal = try await SlotJournal(self, slot: slot)
                // The proof of life of the slot: held until the unmount.
                if slot == self.slot { try await journal.inode.metaLock.acquire(.exclusive) }
                return journal
            }
            journals.append(journal)
            guard slot == self.slot || isAlone, journal.isDirty else { continue }
            environment.log(.notice, "the journal of slot \(slot) is dirty: recovering")
            try await journal.replay()
        }
        return journals
    }

    /// Replayed blocks may be dinodes in memory.
    private func recheckInodes() async throws(MountError) {
        for inode in inodeTable.all {
            try await Self.mounting { () async throws(FileSystemError) in try self.recheck(inode) }
        }
    }

    /// Spec: ocfs2-disk 14.6.
    private func startJournal(_ own: SlotJournal) async throws(MountError) {
        var journalOptions = Journal.Options()
        journalOptions.commitInterval = .seconds(max(1, options.commitSeconds))
        try await Self.mounting { () async throws(FileSystemError) in
            let journal = Journal(
                cache: cache, runs: try await own.runs(), options: journalOptions, sealer: sealer,
                environment: environment)
            journal.onAbort = { [weak self] error in self?.stop("the journal ended: \(error)") }
            do throws(JournalError) {
                try await journal.start()
            } catch {
                throw FileSystemError(error)
            }
            try await own.set(dirty: true, countsRecovery: own.isDirty)
            self.journal = journal
        }
    }

    private static func mounting<Result>(
        _ body: () async throws(FileSystemError) -> Result
    ) async throws(MountError) -> Result {
        do throws(FileSystemError) {
            return try await body()
        } catch {
            throw MountError(error)
        }
    }
}
