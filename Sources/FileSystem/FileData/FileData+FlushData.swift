internal import EngineKit
internal import Journal
internal import OCFS2Layout

// What goes to the device.
extension FileData {
    /// Completes the blocks that are written in part, and makes the list of transfers.
    func fill(_ plan: FlushPlan) async throws(FileSystemError) {
        let wholes = plan.ranges
        for (index, target) in plan.targets.enumerated() {
            if index % Self.stepsBetweenYields == Self.stepsBetweenYields - 1 { await volume.environment.yield() }
            for part in wholes.parts(in: target.range) {
                let place = target.place + (part.lowerBound - target.range.lowerBound)
                try await fill(part, at: place, isFresh: target.isFresh, plan)
            }
        }
    }

    /// Adds the transfers of one contiguous range.
    private func fill(
        _ range: Range<UInt64>, at place: UInt64, isFresh: Bool, _ plan: FlushPlan
    ) async throws(FileSystemError) {
        var start = range.lowerBound
        let size = UInt64(DirtyData.chunkByteCount)
        while start < range.upperBound {
            let index = start / size
            let part = start..<min(range.upperBound, (index + 1) * size)
            let partPlace = place + (start - range.lowerBound)
            start = part.upperBound
            // Bytes that are on disk and have to stay.
            let valid = isFresh || part.lowerBound >= storedSize ? 0 : storedSize
            guard let isWritten = writing?.ranges.overlaps(part), let gaps = writing?.ranges.gaps(in: part) else {
                return
            }
            if !isWritten, part.lowerBound >= valid {
                addZeroes(part, at: partPlace, plan)
                continue
            }
            let (slice, growth) = writing!.slice(of: part, pool)
            volume.writeBack.memoryChanged(by: growth)
            for gap in gaps {
                try await complete(gap, valid: valid, slice, from: part.lowerBound)
            }
            plan.transfers.append(
                BlockTransfer(.write(forceUnitAccess: false), at: partPlace, byteCount: slice.count, data: slice))
        }
    }

    /// Fills bytes of a block around those that are written: from disk below `valid`, zeroes behind.
    private func complete(
        _ gap: Range<UInt64>, valid: UInt64, _ slice: IOSlice, from start: UInt64
    ) async throws(FileSystemError) {
        let target = slice.part(offset: Int(gap.lowerBound - start), count: gap.count)
        guard gap.lowerBound < valid else { return target.clear() }
        // Only the blocks at the edges: what lies between is left out of the ranges to write.
        let buffer = pool.take(byteCount: gap.count + 2 * unit)
        let whole = IOSlice(buffer: buffer, offset: 0, count: buffer.capacity)
        try await readDisk(gap, into: whole)
        target.base.copyMemory(from: whole.base, byteCount: gap.count)
    }

    private func addZeroes(_ range: Range<UInt64>, at place: UInt64, _ plan: FlushPlan) {
        var done = 0
        while done < range.count {
            let count = min(range.count - done, volume.writeBack.zeroes.count)
            plan.transfers.append(
                BlockTransfer(
                    .write(forceUnitAccess: false), at: place + UInt64(done), byteCount: count,
                    data: volume.writeBack.zeroes.part(offset: 0, count: count)))
            done += count
        }
    }
}

// What goes to the journal.
extension FileData {
    /// Blocks of tree growth that `count` changes of the mapping may take.
    func extentBlocksNeeded(_ count: Int) -> Int {
        guard count > 0 else { return 0 }
        let records = 2 * count
        let list = inode.hasInlineData ? nil : inode.dinode.extentList
        let depth = list?.depth ?? 0
        // An xattr area may come into the dinode until then; a damaged list may be shorter than it should be.
        let most = geometry.dinodeExtentCapacity(xattrInlineSize: max(256, inode.dinode.xattrInlineSize))
        let capacity = min(list?.capacity ?? most, most)
        if depth == 0, (list?.count ?? 0) + records <= capacity { return 0 }
        return depth + 2 + records / 14 + 1
    }

    /// Maps what was written, stores size and times.
    func makeReachable(_ plan: FlushPlan, dataOnly: Bool) async throws(FileSystemError) {
        if plan.items.isEmpty, dataOnly, plan.size == storedSize, !isLeavingInline {
            if !plan.transfers.isEmpty { inPlaceWrites += 1 }
            volume.fileBecameDirty(inode)
            return
        }
        // They are reserved now, for one transaction after the other.
        plan.extentBlockPromises = []
        plan.items.sort { $0.clusters.lowerBound < $1.clusters.lowerBound }
        var rest = plan.items[...]
        repeat {
            let batch = rest.prefix(changesPerTransaction)
            let done = try await makeReachable(Array(batch), plan, isLast: batch.count == rest.count)
            rest = rest.dropFirst(done)
        } while !rest.isEmpty
    }

    /// How many changes of the mapping fit half of what the journal takes at once; 1 to 32.
    private var changesPerTransaction: Int {
        var count = 32
        let most = (volume.journal?.creditsMax ?? 0) / 2
        while count > 1, credits(count) > most { count /= 2 }
        return count
    }

    /// Blocks that `count` changes of the mapping may touch, without those of the tree that were there.
    private func credits(_ count: Int) -> Int {
        Credits.inodeUpdate + (Credits.clusterAllocation + 2) * count + 3 * extentBlocksNeeded(count) + 4
    }

    /// One transaction with as many of the changes as it takes: at least the first one. Returns how many.
    private func makeReachable(
        _ items: [FlushPlan.Item], _ plan: FlushPlan, isLast: Bool
    ) async throws(FileSystemError) -> Int {
        let blocks = extentBlocksNeeded(items.count)
        let reservation = try await volume.reserve(SpaceNeeds(metadataBlocks: blocks))
        defer { reservation.release() }
        await mappingLock.lock(.exclusive)
        defer { mappingLock.unlock(.exclusive) }
        var credits = credits(items.count)
        var leavesHoles = false
        let cpos = UInt32(clamping: items.first?.clusters.lowerBound ?? 0)
        if let first = items.first, !inode.hasInlineData {
            let adding = try await recordsAdded(by: first)
            leavesHoles = try await tree.prepareChange(at: cpos, adding: adding, reservation)
            credits += try await tree.changeCredits(at: cpos, adding: adding)
        }
        if !inode.hasInlineData { for item in items { try await requireChangeable(item) } }
        let done = try await volume.transaction(credits: credits) { [self] handle throws(FileSystemError) in
            if isLeavingInline { beginExtents(handle) }
            var done = 0
            for item in items {
                if done > 0, try await !mayChange(at: item.clusters.lowerBound, handle) { return done }
                try await apply(item, plan, reservation, handle)
                done += 1
            }
            if isLast { storeAttributes(size: plan.size, handle) }
            return done
        }
        if leavesHoles { try await tree.endChange(at: cpos) }
        return done
    }

    private func recordsAdded(by item: FlushPlan.Item) async throws(FileSystemError) -> Int {
        switch item {
        case .map: 1
        case .markWritten(let extent): try await tree.recordsAdded(replacing: extent)
        }
    }

    /// Before the handle: what the tree says now has to be what the plan was made of.
    private func requireChangeable(_ item: FlushPlan.Item) async throws(FileSystemError) {
        switch item {
        case .map(_, let run, let cpos): try await tree.requireUnmapped(cpos: cpos, count: run.count)
        case .markWritten(let extent): try await tree.requireMapped(extent)
        }
    }

    /// Whether the transaction takes one more change of the mapping there, and the dinode.
    private func mayChange(at cpos: UInt64, _ handle: JournalHandle) async throws(FileSystemError) -> Bool {
        let credits = try await tree.changeCredits(at: UInt32(clamping: cpos))
        return handle.ensure(credits: credits + Credits.clusterAllocation + Credits.inodeUpdate)
    }

    private func apply(
        _ item: FlushPlan.Item, _ plan: FlushPlan, _ reservation: Reservation, _ handle: JournalHandle
    ) async throws(FileSystemError) {
        switch item {
        case .map(let reserved, let run, let cpos):
            try await volume.commitRun(reserved, count: Int(run.count), handle)
            plan.didCommit(reserved)
            let block = geometry.firstBlock(ofCluster: run.cluster)
            try await tree.insert(Extent(cpos: cpos, count: run.count, block: block), reservation, handle)
        case .markWritten(let extent):
            try await tree.replace(extent, reservation, handle)
        }
        extents.forget(item.clusters)
    }

    /// Makes room for extents where inline data was. Spec: ocfs2-disk 7.1
    func beginExtents(_ handle: JournalHandle) {
        handle.modify(inode.block)
        inode.dinode.beginExtentList(geometry)
        inode.attributes.dynamicFeatures.remove(.inlineData)
        isLeavingInline = false
        extents.forgetAll()
    }

    /// Stores the attributes, with a size whose bytes are on disk.
    func storeAttributes(size: UInt64, _ handle: JournalHandle) {
        setStoredSize(size)
        attributesAreNewer = false
        // The commit flushes the device before it is valid.
        stableInPlaceWrites = inPlaceWrites
        inode.storeAttributes(handle)
    }
}

extension MountedVolume {
    /// Carries out many transfers, so many at a time that others get their turn.
    func performInGroups(_ transfers: [BlockTransfer]) async throws(FileSystemError) {
        var rest = transfers[...]
        while !rest.isEmpty {
            let group = rest.prefix(64)
            rest = rest.dropFirst(group.count)
            try await perform(Array(group))
        }
    }
}
