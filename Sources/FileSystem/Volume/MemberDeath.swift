internal import EngineKit
internal import OCFS2Layout

// Another member of the cluster died while this host has the volume mounted. Spec: ocfs2-cluster 16.
extension MountedVolume {
    /// A member died: until what is in its journal is in place, no metadata lock is given to anybody here. Comes before the
    /// lock manager touches the member's locks, perhaps more than once for one death.
    package func memberDied(_ node: UInt32) {
        guard !locks.isLocal, node != nodeNumber, stopReason == nil, !hasLeft else { return }
        deadMembers.insert(node)
        // The recovery itself needs the journals of the others; they are only ever locked for this.
        locks.freeze(except: Set(journalLockNames))
        startRecovery()
    }

    /// This host must not write any more: every operation fails from now on.
    package func fence(_ reason: String) {
        locks.fence(reason)
        stop(reason)
        // Others may change what the kernel remembers.
        kernelCache?.forgetEverything(pages: true)
    }

    /// How long it may be open whether this host goes on before the kernel's caches are given up: most verdicts come
    /// sooner. Much less than the other host waits before it goes on alone.
    private static var recallDelay: Duration { .milliseconds(300) }
    private static var recallInterval: Duration { .milliseconds(100) }

    /// It is open whether this host may go on, and the other one may change everything: until ``resume()`` nothing is read
    /// or changed here, and what the kernel remembers is taken back, so that nobody reads what was.
    package func suspend() {
        guard !locks.isLocal, !isSuspended else { return }
        isSuspended = true
        locks.suspend()
        suspensionCount += 1
        let number = suspensionCount
        tasks.start(environment) { [self] in
            let isNeeded = { [self] in isSuspended && suspensionCount == number && stopReason == nil && !hasLeft }
            await environment.sleep(until: environment.now + Self.recallDelay)
            if isNeeded() { kernelCache?.forgetEverything(pages: false) }
            while isNeeded() {
                // Again and again: requests that held a lock when it began may still bring pages.
                await kernelCache?.recallPages(while: isNeeded)
                await environment.sleep(until: environment.now + Self.recallInterval)
            }
        }
    }

    /// This host goes on.
    package func resume() {
        guard isSuspended else { return }
        isSuspended = false
        locks.resume()
    }

    private var journalLockNames: [LockName] {
        (0..<Int(parameters.slotCount)).compactMap { slot in
            systemNumbers[SystemFile(.journal, slot: slot)].map {
                LockName(.metadata, block: $0, generation: parameters.generation)
            }
        }
    }

    /// What died before the mount was complete waits for it.
    func startRecovery() {
        guard !isRecovering, isReadyToRecover, !deadMembers.isEmpty else { return }
        isRecovering = true
        tasks.start(environment) { [self] in
            await recoverMembers()
            isRecovering = false
            startRecovery()
        }
    }

    private var isReadyToRecover: Bool { space != nil && stopReason == nil }

    private func recoverMembers() async {
        do throws(FileSystemError) {
            // One survivor at a time; who comes second finds the slot free.
            try await superblockLock.acquire(.exclusive)
            defer { superblockLock.release(.exclusive) }
            try await recoverDeadMembers()
        } catch {
            // What a dead member had changed may be missing on the disk: nothing may be used that it protected.
            fence("the journal of a dead member cannot be recovered (\(error)): unmount, and run fsck.ocfs2")
        }
    }

    private func recoverDeadMembers() async throws(FileSystemError) {
        var slotMap = try await SlotMapFile(reading: self)
        var gone: [SlotJournal] = []
        defer { for journal in gone { journal.inode.metaLock.release(.exclusive) } }
        while let node = deadMembers.min() {
            if let slot = slotMap.map.slot(ofNode: node), slot != self.slot {
                environment.log(.notice, "node \(node) died with slot \(slot): recovering")
                let journal = try await SlotJournal(self, slot: slot)
                try await journal.inode.metaLock.acquire(.exclusive)
                gone.append(journal)
                try await replay(journal)
            } else {
                environment.log(.notice, "node \(node) died; it has no slot any more")
            }
            deadMembers.remove(node)
        }
        locks.thaw()
        try await finishRecovery(of: gone, &slotMap)
    }

    private func replay(_ journal: SlotJournal) async throws(FileSystemError) {
        guard journal.isDirty else { return }
        do throws(MountError) {
            try await journal.replay()
        } catch {
            throw .aborted("slot \(journal.slot): \(error)")
        }
    }

    /// At the mount: members of the slot map that nobody knows. Holding the lock of its journal is a slot's sign of life.
    /// The caller holds the superblock lock. Spec: ocfs2-cluster 14 step 10.
    ///
    /// Deviation: also journals that are dirty though their slot is free, which the kernel leaves until somebody takes the
    /// slot.
    func recoverDeadSlots(_ slotMap: inout SlotMapFile) async throws(FileSystemError) {
        var gone: [SlotJournal] = []
        defer { for journal in gone { journal.inode.metaLock.release(.exclusive) } }
        for slot in 0..<Int(parameters.slotCount) where slot != self.slot {
            let journal = try await SlotJournal(self, slot: slot)
            guard try await journal.inode.metaLock.tryAcquire(.exclusive) else { continue }
            guard journal.isDirty || slotMap.map.nodes[slot] != nil else {
                journal.inode.metaLock.release(.exclusive)
                continue
            }
            environment.log(.notice, "nobody uses slot \(slot) any more, but it was not left cleanly: recovering")
            gone.append(journal)
            try await replay(journal)
        }
        try await finishRecovery(of: gone, &slotMap)
    }
}
