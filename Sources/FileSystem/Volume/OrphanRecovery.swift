internal import EngineKit
internal import Journal
internal import LayoutKit
internal import OCFS2Layout

// Orphan directories of slots whose host is gone. Spec: ocfs2-disk-2 21.4.
extension MountedVolume {
    /// Wipes what is left in the orphan directory of a slot, and ends direct writes that were under way.
    ///
    /// A read-only mount leaves them to the others.
    ///
    /// - Parameter isScan: the slot may belong to a host that lives, and that ends its direct writes itself.
    func recoverOrphans(slot: Int, isScan: Bool = false) async {
        guard !isReadOnly else { return }
        do throws(FileSystemError) {
            let directory = try await orphanDirectory(slot: slot)
            let entries = try await directory.gate.with(.shared) {
                () async throws(FileSystemError) -> [LinearDirectory.Entry] in
                try await directory.metaLock.with(.protectedRead) { () async throws(FileSystemError) in
                    try await LinearDirectory(directory).entries()
                }
            }
            for entry in entries where !(isScan && entry.isDirectWrite) {
                try requireWritable()
                await recover(entry, in: directory)
            }
        } catch {
            environment.log(.warning, "the orphan directory of slot \(slot) could not be worked off: \(error)")
        }
    }

    private static var orphanScanInterval: Duration { .seconds(300) }

    /// Looks for orphans that nobody freed, now and then: a host that had one open may have gone without a word, or there
    /// was no space for what freeing it takes.
    ///
    /// Deviation: the kernel's hosts take turns by the lock P, so that one of them scans in each period. Here each host
    /// scans; whoever comes second finds nothing.
    func scheduleOrphanScan() {
        let jitter = Duration.milliseconds(Int64(environment.random.next(below: 5000)))
        environment.call(at: environment.now + Self.orphanScanInterval + jitter) { [weak self] in
            guard let self, !tasks.isClosing, !isReadOnly, !hasLeft else { return }
            tasks.start(environment) { [self] in
                for slot in 0..<Int(parameters.slotCount) { await recoverOrphans(slot: slot, isScan: true) }
                scheduleOrphanScan()
            }
        }
    }

    private func recover(_ entry: LinearDirectory.Entry, in directory: Inode) async {
        let name = String(decoding: entry.name, as: UTF8.self)
        do throws(FileSystemError) {
            let inode = try await inode(entry.number)
            defer { inode.release() }
            if name == OrphanName.name(inode: entry.number, isDirectIO: true) {
                try await endDirectWrite(inode, name, directory)
            } else if name != OrphanName.name(inode: entry.number) {
                throw report(
                    Corruption(
                        block: directory.number, inode: directory.number,
                        what: "the entry of orphan \(entry.number) is \(name)"))
            } else if inode.attributes.linkCount == 0, inode.referenceCount == 1 || !locks.isLocal {
                // What the kernel remembers here does not count, only who has it open.
                inode.mayBeOrphaned = !locks.isLocal
                await wipe(inode)
                // Another host has it open: that one frees it, when nobody else knows the inode.
                await letGo(of: inode)
            }
        } catch {
            environment.log(.warning, "orphan \(name) could not be freed: \(error)")
        }
    }

    /// Cuts what a direct write allocated beyond the end, and takes the inode out of the orphan directory. Does nothing when
    /// somebody else has done it meanwhile: another host, or the writer, whose slot was free when the recovery began.
    /// Spec: ocfs2-disk 12.3.
    private func endDirectWrite(_ inode: Inode, _ name: String, _ directory: Inode) async throws(FileSystemError) {
        await inode.gate.lock(.exclusive)
        defer { inode.gate.unlock(.exclusive) }
        try await inode.readWriteLock.acquire(.exclusive)
        defer { inode.readWriteLock.release(.exclusive) }
        try await inode.metaLock.acquire(.exclusive)
        defer { inode.metaLock.release(.exclusive) }
        let isUnderWay = inode.attributes.flags.contains(.directIOOrphaned)
        if isUnderWay { try await truncateData(of: inode, toByteCount: inode.attributes.size) }
        await directory.gate.lock(.exclusive)
        defer { directory.gate.unlock(.exclusive) }
        try await directory.metaLock.acquire(.exclusive)
        defer { directory.metaLock.release(.exclusive) }
        guard let entry = try await planOrphanRemoval(ifListed: name, in: directory) else {
            guard isUnderWay else { return }
            throw missingOrphan(name, in: directory)
        }
        let credits = Credits.orphanEntry + Credits.inodeUpdate
        try await transaction(credits: credits) { handle async throws(FileSystemError) in
            try entry.carryOut(handle)
            guard isUnderWay else { return }
            inode.attributes.flags.remove(.directIOOrphaned)
            inode.storeAttributes(handle)
            inode.block.bytes[Dinode.Field.directIOOrphanedSlot] = 0
        }
    }
}

extension LinearDirectory.Entry {
    /// Of an inode that a direct write makes longer, in an orphan directory.
    fileprivate var isDirectWrite: Bool {
        name.withUnsafeBytes { OrphanName.decode($0)?.isDirectIO ?? false }
    }
}
