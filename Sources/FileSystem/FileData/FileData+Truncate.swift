internal import EngineKit
internal import Journal
internal import OCFS2Layout

// Changing size and allocation. The caller holds the gate, W and M, exclusively.
extension FileData {
    /// truncate(2). Growth reaches the disk with the next flush, a cut at once. Spec: ocfs2-disk-2 19.8, 22.4
    func truncate(to newSize: UInt64) async throws(FileSystemError) {
        try volume.requireWritable()
        guard newSize <= sizeMax else { throw .fileTooLarge }
        if !volume.features.isSparse, newSize > size, newSize > UInt64(isInline ? inlineCapacity : 0) {
            try await leaveInline()
            return try await writeZeroes(size..<newSize)
        }
        await changeLock.lock(.exclusive)
        defer { changeLock.unlock(.exclusive) }
        if isInline {
            if newSize <= UInt64(inlineCapacity) { return try await truncateInline(to: newSize) }
            try await leaveInline()
        }
        if isLeavingInline { try await flushChanging() }
        guard newSize < size else {
            inode.attributes.size = newSize
            touch()
            volume.fileBecameDirty(inode)
            return
        }
        try await shrink(to: newSize)
    }

    private func truncateInline(to newSize: UInt64) async throws(FileSystemError) {
        try await changeInline { [self] data in
            let first = Int(min(newSize, size))
            UnsafeMutableRawBufferPointer(rebasing: data[first...]).initializeMemory(as: UInt8.self, repeating: 0)
            inode.attributes.size = newSize
        }
    }

    private func shrink(to newSize: UInt64) async throws(FileSystemError) {
        let cutsDisk = newSize < storedSize
        if cutsDisk {
            // Before anybody can store the new size: what lies behind it on disk has to be zero then.
            let clusterEnd = newSize.roundedUp(to: volume.clusterSize)
            try await zeroOnDisk(newSize..<min(clusterEnd, storedSize.roundedUp(to: unit)))
        }
        discardDirty(newSize..<UInt64.max)
        inode.attributes.size = newSize
        touch()
        if cutsDisk {
            try await volume.transaction(credits: Credits.inodeUpdate) { [self] handle throws(FileSystemError) in
                storeAttributes(size: newSize, handle)
            }
        } else {
            volume.fileBecameDirty(inode)
        }
        try await removeMapping(geometry.clusters(coveringBytes: newSize)..<UInt64(UInt32.max) + 1)
    }

    /// Forgets dirty bytes, and what was promised for clusters that lie behind the start.
    private func discardDirty(_ range: Range<UInt64>) {
        let before = dirty.memoryByteCount
        dirty.discard(range)
        volume.writeBack.memoryChanged(by: dirty.memoryByteCount - before)
        promisedClusters.remove(geometry.clusters(coveringBytes: range.lowerBound)..<UInt64.max)
        if dirty.isEmpty { forgetPromises() }
    }

    private func forgetPromises() {
        promisedClusters = RangeSet()
        for promise in promises { volume.giveBack(promise) }
        promises = []
        extentBlockPromises = []
    }

    /// Nobody will read the file any more: nothing is written.
    func discardAll() {
        guard writing == nil else { return }
        discardDirty(0..<UInt64.max)
        inode.attributes.size = storedSize
        attributesAreNewer = false
        isLeavingInline = false
    }

    /// Makes bytes of written extents zero on disk; holes and unwritten extents are that already. The caller holds
    /// ``changeLock``.
    func zeroOnDisk(_ range: Range<UInt64>) async throws(FileSystemError) {
        guard !range.isEmpty else { return }
        try await endSharingChanging(of: range)
        var transfers: [BlockTransfer] = []
        for piece in try await pieces(of: range) {
            guard case .written(let place) = piece.place else { continue }
            var start = piece.range.lowerBound
            while start < piece.range.upperBound {
                let end = min(piece.range.upperBound, start.roundedDown(to: 1 << 20) + (1 << 20))
                let whole = start.roundedDown(to: unit)..<end.roundedUp(to: unit)
                let slice = IOSlice(buffer: pool.take(byteCount: whole.count), offset: 0, count: whole.count)
                if whole != start..<end {
                    try await readDisk(whole, into: slice)
                }
                slice.part(offset: Int(start - whole.lowerBound), count: Int(end - start)).clear()
                // The block may begin before the piece, never before its cluster.
                let wholePlace = place + whole.lowerBound - piece.range.lowerBound
                transfers.append(
                    BlockTransfer(
                        .write(forceUnitAccess: false), at: wholePlace, byteCount: slice.count, data: slice))
                start = end
            }
        }
        try await volume.performInGroups(transfers)
        if !transfers.isEmpty { inPlaceWrites += 1 }
    }
}

// Taking clusters away.
extension FileData {
    /// Changes of the mapping in one transaction.
    private static let removalsPerTransaction = 16

    /// Unmaps and frees all clusters of the range, from its end to its start. The caller holds ``changeLock``.
    func removeMapping(_ clusters: Range<UInt64>) async throws(FileSystemError) {
        guard !inode.hasInlineData, !clusters.isEmpty else { return }
        while let part = try await lastMapped(in: clusters) {
            if part.isRefcounted {
                try await removeShared(part)
            } else {
                try await removeSome(of: clusters, first: part)
            }
            await volume.environment.yield()
        }
    }

    /// The part of the last extent that lies in the range.
    private func lastMapped(in clusters: Range<UInt64>) async throws(FileSystemError) -> Extent? {
        let last = UInt32(clamping: clusters.upperBound - 1)
        guard let extent = try await tree.extent(atOrBefore: last), extent.end > clusters.lowerBound else { return nil }
        let cpos = max(UInt64(extent.cpos), clusters.lowerBound)
        let end = min(extent.end, clusters.upperBound)
        let skipped = cpos - UInt64(extent.cpos)
        return Extent(
            cpos: UInt32(cpos), count: UInt32(end - cpos),
            block: extent.block + (skipped << UInt64(geometry.blocksPerClusterBits)), flags: extent.flags)
    }

    private func removeSome(of clusters: Range<UInt64>, first: Extent) async throws(FileSystemError) {
        let count = Self.removalsPerTransaction
        let room = try await volume.prepareToFree(count)
        defer { room.release() }
        // One more record at most: when all of the range lies in the middle of one extent. Everything else has to do
        // without, so that a full volume can be emptied.
        var reservation: Reservation?
        let isDividing = try await tree.recordsAdded(replacing: first) == 2
        if isDividing {
            reservation = try await volume.reserve(SpaceNeeds(metadataBlocks: tree.metadataNeeded()))
        }
        defer { reservation?.release() }
        let locks = try await tree.lockForRemoving()
        defer { locks.release() }
        await mappingLock.lock(.exclusive)
        defer { mappingLock.unlock(.exclusive) }
        let adding = isDividing ? 1 : 0
        let leavesHoles = try await tree.prepareChange(at: first.cpos, adding: adding, reservation)
        let credits =
            try await tree.changeCredits(at: first.cpos, adding: adding)
            + count * (2 + 2 * tree.depth) + Credits.clusterFree + Credits.inodeUpdate
        try await tree.requireChangeable(first)
        var failure: FileSystemError?
        try await volume.transaction(credits: credits) { [self] handle throws(FileSystemError) in
            var part: Extent? = first
            var done = 0
            while let extent = part, done < count, !extent.isRefcounted {
                if done > 0, await !mayRemove(extent, locks, handle) { break }
                try await tree.remove(cpos: extent.cpos, count: extent.count, locks, reservation, handle)
                try await volume.freeClusters(
                    ClusterRun(cluster: geometry.cluster(ofBlock: extent.block), count: extent.count), handle)
                extents.forget(UInt64(extent.cpos)..<extent.end)
                done += 1
                do throws(FileSystemError) {
                    part = try await lastMapped(in: clusters)
                } catch {
                    // What was done so far is whole.
                    failure = error
                    part = nil
                }
            }
            inode.storeAttributes(handle)
        }
        if leavesHoles { try await tree.endChange(at: UInt32(clamping: clusters.lowerBound)) }
        if let failure { throw failure }
    }
}

extension FileData {
    /// Whether the locks and the transaction take one more removal, and the dinode. Where damage is in the way, the next
    /// transaction does not begin.
    private func mayRemove(_ extent: Extent, _ locks: RemovalLocks, _ handle: JournalHandle) async -> Bool {
        do throws(FileSystemError) {
            guard try await tree.mayRemove(with: locks) else { return false }
            try await tree.requireChangeable(extent)
            let credits = try await tree.changeCredits(at: extent.cpos, adding: 0)
            return handle.ensure(credits: credits + Credits.clusterFree + Credits.inodeUpdate)
        } catch {
            return false
        }
    }
}
