internal import EngineKit
package import Journal
internal import LayoutKit
package import OCFS2Layout

extension MountedVolume {
    /// The inode, loaded and with one more reference: balance with ``Inode/release()``.
    ///
    /// Throws `stale` when the block is no inode in use, and `corrupt` for files of the system directory, which no name of
    /// a user leads to.
    package func inode(_ number: UInt64) async throws(FileSystemError) -> Inode {
        let inode = try await anyInode(number)
        guard inode.isSystem, number != rootNumber else { return inode }
        inode.release()
        throw report(Corruption(block: number, inode: number, what: "a system file is named like a user's"))
    }

    /// As ``inode(_:)``, system files included.
    func anyInode(_ number: UInt64) async throws(FileSystemError) -> Inode {
        while true {
            if let inode = inodeTable[number] {
                if inode.isGone { throw .stale }
                inode.isWipeRefused = false
                inodeTable.retain(inode)
                if try await attach(inode) { return inode }
                continue
            }
            guard inodeTable.isLoading(number) else { break }
            await inodeTable.loaded.wait()
        }
        inodeTable.beginLoading(number)
        do throws(FileSystemError) {
            let inode = try await load(number)
            guard inodeTable[number] == nil else {
                // The block became a new inode meanwhile: who asked for it means an older one.
                inode.unpin()
                await giveUpLocks(of: inode)
                throw FileSystemError.stale
            }
            inodeTable.endLoading(number, inode)
            return inode
        } catch {
            inodeTable.endLoading(number, nil)
            throw error
        }
    }

    /// The inode if it is in memory, with one more reference.
    package func inodeInMemory(_ number: UInt64) -> Inode? {
        guard let inode = inodeTable[number], !inode.isGone else { return nil }
        inodeTable.retain(inode)
        return inode
    }

    /// The caller's new reference ends if the answer is false or an error: another host has freed the inode, and its block
    /// may be another inode now.
    private func attach(_ inode: Inode) async throws(FileSystemError) -> Bool {
        guard inode.isDetached, !inode.isNew else { return true }
        do throws(FileSystemError) {
            try await inode.attach()
            return true
        } catch .stale {
            inode.release()
            return false
        } catch {
            inode.release()
            throw error
        }
    }

    private func load(_ number: UInt64) async throws(FileSystemError) -> Inode {
        guard number > 2, number < parameters.blockCount else { throw .stale }
        let isFixed = isFixed(number)
        let held = InodeLocks(self, number, isFixed: isFixed)
        do throws(FileSystemError) {
            // Nobody needs locks to know where the system files are; what they say is read anew under their locks.
            if isFixed { return Inode(volume: self, block: try await dinodeBlock(number), locks: held, isFixed: true) }
            // O is held as long as the inode is in memory: nobody frees it meanwhile. Spec: ocfs2-cluster 10.
            try await held.open.acquire(.protectedRead)
            do throws(FileSystemError) {
                return try await held.meta.with(.protectedRead) { () async throws(FileSystemError) in
                    let age = locks.isLocal ? 0 : cache.advanceClock()
                    let block = try await dinodeBlock(number, notOlderThan: age)
                    let inode = Inode(volume: self, block: block, locks: held, isFixed: false)
                    inode.validSince = age
                    return inode
                }
            } catch {
                held.open.release(.protectedRead)
                throw error
            }
        } catch {
            await held.open.drop()
            await held.meta.drop()
            throw error
        }
    }

    /// Of the system directory, or the root directory: never freed, and named differently in the cluster.
    private func isFixed(_ number: UInt64) -> Bool {
        number == rootNumber || number == parameters.systemDirectoryBlock || systemFileNumbers.contains(number)
    }

    /// The checked block of a dinode in use. A block that was freed keeps its signature without ``DinodeFlags/valid``.
    private func dinodeBlock(
        _ number: UInt64, notOlderThan age: UInt64 = 0
    ) async throws(FileSystemError) -> MetadataBlock {
        let block: MetadataBlock
        do throws(BlockDeviceError) {
            block = try await cache.read(number, notOlderThan: age)
        } catch {
            throw .device(error)
        }
        let isDinode = block.bytes[Dinode.Field.signature] == FixedSignature.dinode.rawValue
        if isDinode, !DinodeFlags(rawValue: block.bytes[Dinode.Field.flags]).contains(.valid) { throw .stale }
        if block.kind != BlockKind.dinode.rawValue { try verify(block, .dinode, for: nil) }
        return block
    }

    /// Reads the dinode of an inode in memory again.
    func reload(_ inode: Inode) async throws(FileSystemError) {
        do throws(BlockDeviceError) {
            _ = try await cache.read(inode.number, notOlderThan: inode.validSince)
        } catch {
            throw .device(error)
        }
        let type = inode.fileType
        // Checked before, and after the check: a freed block may already be something else than a dinode.
        guard inode.block.bytes[Dinode.Field.signature] == FixedSignature.dinode.rawValue,
            inode.block.bytes[Dinode.Field.generation] == inode.generation
        else { throw .stale }
        try recheck(inode)
        guard inode.fileType == type else { throw .stale }
    }

    /// Checks the dinode again if it came from disk again.
    func recheck(_ inode: Inode) throws(FileSystemError) {
        guard inode.block.kind == 0 else { return }
        guard inode.dinode.flags.contains(.valid) else { throw .stale }
        try verify(inode.block, .dinode, for: inode)
        inode.refreshAttributes()
    }

    /// The generation for the next new inode or refcount tree. Spec: ocfs2-disk-2 19.1.
    package var nextGeneration: UInt32 {
        lastGeneration &+= 1
        return lastGeneration
    }

    /// Writes a new dinode into a claimed block as part of `handle` and returns its inode with one reference. 1 credit.
    ///
    /// The dinode has an empty extent list; times are now.
    package func makeInode(
        _ claimed: ClaimedBlock, mode: UInt16, uid: UInt32, gid: UInt32, linkCount: UInt32, flags: DinodeFlags = .valid,
        _ handle: JournalHandle
    ) -> Inode {
        let block = freshBlock(claimed.number, .dinode)
        handle.modify(block)
        DinodeView(block.bytes).initialize(
            DinodeView.Origin(
                block: claimed.number, generation: nextGeneration, suballocation: claimed.place, mode: mode, user: uid,
                group: gid, linkCount: linkCount, flags: flags, time: DiskTime(environment.wallTime)),
            parameters)
        let inode = Inode(
            volume: self, block: block, locks: InodeLocks(self, claimed.number, isFixed: false), isFixed: false)
        inode.isNew = true
        inode.isDetached = true
        inode.validSince = cache.clock
        inodeTable.insert(inode)
        return inode
    }

    /// Takes the locks of an inode that was made by a transaction which has ended: they cost messages, for which no handle
    /// waits. Nobody else can know the inode, since its directory is locked. Spec: ocfs2-cluster 7, create.
    func takeLocks(ofNew inode: Inode) async throws(FileSystemError) {
        try await inode.openLock.acquire(.protectedRead)
        inode.isDetached = false
        try await inode.metaLock.acquire(.exclusive)
        inode.metaLock.release(.exclusive)
    }
}
