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
                return inode
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
                if !inode.isSystem { inode.openLock.release(.protectedRead) }
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

    private func load(_ number: UInt64) async throws(FileSystemError) -> Inode {
        let inode = Inode(volume: self, block: try await dinodeBlock(number))
        do throws(FileSystemError) {
            // O is held as long as the inode is in memory: nobody frees it meanwhile. Spec: ocfs2-cluster 10.
            if !inode.isSystem { try await inode.openLock.acquire(.protectedRead) }
        } catch {
            inode.unpin()
            throw error
        }
        return inode
    }

    /// The checked block of a dinode in use. A block that was freed keeps its signature without ``DinodeFlags/valid``.
    private func dinodeBlock(_ number: UInt64) async throws(FileSystemError) -> MetadataBlock {
        guard number > 2, number < parameters.blockCount else { throw .stale }
        let block: MetadataBlock
        do throws(BlockDeviceError) {
            block = try await cache.read(number)
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
        let generation = inode.generation
        do throws(BlockDeviceError) {
            _ = try await cache.reread(inode.number)
        } catch {
            throw .device(error)
        }
        try recheck(inode)
        guard inode.generation == generation else { throw .stale }
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
    ) async throws(FileSystemError) -> Inode {
        let block = freshBlock(claimed.number, .dinode)
        handle.modify(block)
        DinodeView(block.bytes).initialize(
            DinodeView.Origin(
                block: claimed.number, generation: nextGeneration, suballocation: claimed.place, mode: mode, user: uid,
                group: gid, linkCount: linkCount, flags: flags, time: DiskTime(environment.wallTime)),
            parameters)
        let inode = Inode(volume: self, block: block)
        inodeTable.insert(inode)
        // Nobody else can know the inode: these are granted without waiting. Spec: ocfs2-cluster 7, create.
        try await inode.openLock.acquire(.protectedRead)
        return inode
    }
}
