internal import EngineKit
internal import Journal
internal import LayoutKit
internal import OCFS2Layout

// Files that share clusters: copies before writing, counts down when clusters go. Spec: ocfs2-disk-2 17.2
extension FileData {
    /// Gives the file clusters of its own where it shares those of the range.
    func endSharing(of range: Range<UInt64>) async throws(FileSystemError) {
        await changeLock.lock(.exclusive)
        defer { changeLock.unlock(.exclusive) }
        try await endSharingChanging(of: range)
    }

    /// As ``endSharing(of:)`` for one who holds ``changeLock``.
    func endSharingChanging(of range: Range<UInt64>) async throws(FileSystemError) {
        guard inode.attributes.dynamicFeatures.contains(.hasRefcount), !range.isEmpty else { return }
        let clusters = clusters(of: range)
        var cpos = clusters.lowerBound
        while cpos < clusters.upperBound {
            let run = try await run(at: cpos)
            if let extent = run.extent, extent.isRefcounted {
                cpos = try await endSharing(of: piece(of: extent, around: cpos..<min(clusters.upperBound, run.end)))
            } else {
                cpos = run.end
            }
        }
    }

    /// The part of an extent that is copied at once: what is written, rounded to whole MiB of the file.
    private func piece(of extent: Extent, around clusters: Range<UInt64>) -> Extent {
        let unit = UInt64(max(1, (1 << 20) >> geometry.clusterSizeBits))
        let first = max(UInt64(extent.cpos), clusters.lowerBound / unit * unit)
        let end = min(extent.end, clusters.lowerBound / unit * unit + unit)
        return extent.part(first..<end, geometry)
    }

    /// Makes the first clusters of `shared` the file's own; returns the cluster behind them.
    private func endSharing(of shared: Extent) async throws(FileSystemError) -> UInt64 {
        try await volume.withRefcountTree(of: inode) { [self] tree, root throws(FileSystemError) in
            let cluster = geometry.cluster(ofBlock: shared.block)
            let record = try await tree.record(for: cluster, root)
            let end = min(shared.end, UInt64(shared.cpos) + (record.end - UInt64(cluster)))
            let part = shared.part(UInt64(shared.cpos)..<end, geometry)
            if record.count == 1 {
                try await change(part, tree, root, to: part.own, count: 0, nil)
                return part.end
            }
            let reserved = try await volume.reserveRun(atMost: Int(part.count), near: nil)
            let run = reserved.run
            let piece = part.part(UInt64(part.cpos)..<UInt64(part.cpos) + UInt64(run.count), geometry)
            do throws(FileSystemError) {
                let copy = geometry.firstBlock(ofCluster: run.cluster)
                if !piece.isUnwritten { try await copyClusters(piece, to: copy) }
                var own = piece.own
                own.block = copy
                try await change(piece, tree, root, to: own, count: record.count - 1, reserved)
            } catch {
                volume.cancelRun(reserved)
                throw error
            }
            return piece.end
        }
    }

    private func copyClusters(_ extent: Extent, to block: UInt64) async throws(FileSystemError) {
        let total = Int(extent.count) << geometry.clusterSizeBits
        let step = max(1 << 20, volume.clusterSize)
        let buffer = pool.take(byteCount: min(step, total))
        var done = 0
        while done < total {
            let slice = IOSlice(buffer: buffer, offset: 0, count: min(step, total - done))
            let source = geometry.byteOffset(ofBlock: extent.block) + UInt64(done)
            let target = geometry.byteOffset(ofBlock: block) + UInt64(done)
            try await volume.perform([BlockTransfer(.read, at: source, byteCount: slice.count, data: slice)])
            try await volume.perform([
                BlockTransfer(.write(forceUnitAccess: false), at: target, byteCount: slice.count, data: slice)
            ])
            done += slice.count
        }
    }

    /// One transaction: `old` becomes `new` (nil: is unmapped), its clusters are counted `count` times from now on, and
    /// freed at 0 unless the file keeps them.
    private func change(
        _ old: Extent, _ refcounts: RefcountTree, _ root: MetadataBlock, to new: Extent?, count: UInt32,
        _ reserved: ReservedRun?
    ) async throws(FileSystemError) {
        let run = ClusterRun(cluster: geometry.cluster(ofBlock: old.block), count: old.count)
        let room = try await volume.prepareToFree(1)
        defer { room.release() }
        try await tree.requireChangeable(old)
        let more = try await tree.recordsAdded(replacing: old)
        let adding = new == nil ? max(0, more - 1) : more
        // Whoever takes clusters away has to do without where that is possible, so that a full volume can be emptied.
        let blocks =
            try await (adding > 0 ? tree.metadataNeeded() : 0) + refcounts.metadataNeeded(for: run, to: count, root)
        let reservation = try await volume.reserve(SpaceNeeds(metadataBlocks: blocks))
        defer { reservation.release() }
        let locks = try await tree.lockForRemoving()
        defer { locks.release() }
        let moreLocks = try await refcounts.lockForRemoving(of: run, root)
        defer { moreLocks.release() }
        await mappingLock.lock(.exclusive)
        defer { mappingLock.unlock(.exclusive) }
        let leavesHoles = try await tree.prepareChange(at: old.cpos, adding: adding, reservation)
        let credits =
            try await tree.changeCredits(at: old.cpos, adding: adding) + refcounts.credits(root)
            + Credits.clusterAllocation
            + Credits.clusterFree + Credits.inodeUpdate
        try await volume.transaction(credits: credits) { [self] handle throws(FileSystemError) in
            if let reserved { try await volume.commitRun(reserved, count: Int(run.count), handle) }
            if let new {
                try await tree.replace(new, reservation, handle)
            } else {
                try await tree.remove(cpos: old.cpos, count: old.count, locks, reservation, handle)
            }
            try await refcounts.setCount(of: run, to: count, root, moreLocks, reservation, handle)
            if count == 0, new == nil { try await volume.freeClusters(run, handle) }
            inode.storeAttributes(handle)
        }
        if leavesHoles { try await tree.endChange(at: old.cpos) }
        extents.forget(UInt64(old.cpos)..<old.end)
    }

    /// Unmaps the end of a part of a shared extent, as far as it is counted by one record; its clusters are freed when
    /// nobody else has them. The caller holds ``changeLock`` and repeats.
    func removeShared(_ part: Extent) async throws(FileSystemError) {
        try await volume.withRefcountTree(of: inode) { [self] tree, root throws(FileSystemError) in
            let first = geometry.cluster(ofBlock: part.block)
            let record = try await tree.record(for: first + part.count - 1, root)
            let skipped = record.start > UInt64(first) ? record.start - UInt64(first) : 0
            let piece = part.part(UInt64(part.cpos) + skipped..<part.end, geometry)
            try await change(piece, tree, root, to: nil, count: record.count - 1, nil)
        }
    }
}

extension Extent {
    /// The part that maps these logical clusters, which lie within it.
    func part(_ clusters: Range<UInt64>, _ geometry: VolumeGeometry) -> Extent {
        let skipped = clusters.lowerBound - UInt64(cpos)
        return Extent(
            cpos: UInt32(clusters.lowerBound), count: UInt32(clusters.count),
            block: block + (skipped << UInt64(geometry.blocksPerClusterBits)), flags: flags)
    }

    /// The same extent, not shared.
    var own: Extent {
        var extent = self
        extent.flags.remove(.refcounted)
        return extent
    }
}

extension MountedVolume {
    /// Leaves the refcount tree, of which the inode has no extent any more. The last one frees it.
    /// Spec: ocfs2-disk-2 17.2, 22.7 step 4
    package func detachRefcountTree(of inode: Inode) async throws(FileSystemError) {
        guard inode.attributes.dynamicFeatures.contains(.hasRefcount) else { return }
        try await withRefcountTree(of: inode) { tree, root throws(FileSystemError) in
            let place = RefcountBlock.suballocation(UnsafeRawBufferPointer(root.bytes))
            let lock = try await lockForFreeing(place, root.number)
            defer { lock.release() }
            let count = root.bytes[RefcountBlock.Field.inodeCount]
            let credits = Credits.inodeUpdate + 1 + Credits.suballocationFree
            try await transaction(credits: credits) { handle throws(FileSystemError) in
                handle.modify(root)
                root.bytes[RefcountBlock.Field.inodeCount] = count > 0 ? count - 1 : 0
                inode.attributes.dynamicFeatures.remove(.hasRefcount)
                handle.modify(inode.block)
                inode.block.bytes[Dinode.Field.refcountRoot] = 0
                inode.storeAttributes(handle)
                if count <= 1 { try await freeMetadataBlock(place, root.number, handle) }
            }
            if count <= 1 { tree.hasEnded = true }
        }
    }
}
