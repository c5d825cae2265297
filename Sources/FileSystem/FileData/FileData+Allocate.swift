internal import EngineKit
internal import Journal
internal import OCFS2Layout

// fallocate(2). The caller holds the gate, W and M, exclusively. Spec: ocfs2-disk-2 22
extension FileData {
    /// Gives every hole of the range unwritten clusters; the size grows unless it is to be kept.
    func allocate(_ range: Range<UInt64>, keepsSize: Bool) async throws(FileSystemError) {
        try volume.requireWritable()
        guard volume.features.hasUnwrittenExtents else { throw .notSupported }
        guard range.upperBound <= sizeMax else { throw .fileTooLarge }
        await changeLock.lock(.exclusive)
        defer { changeLock.unlock(.exclusive) }
        if isInline {
            if range.upperBound <= UInt64(inlineCapacity) {
                guard !keepsSize, range.upperBound > size else { return }
                return try await changeInline { [self] _ in inode.attributes.size = range.upperBound }
            }
            try await leaveInline()
        }
        try await flushChanging()
        try await fillHoles(clusters(of: range))
        if !keepsSize, range.upperBound > size { inode.attributes.size = range.upperBound }
        touch()
        try await flushChanging()
    }

    private func fillHoles(_ clusters: Range<UInt64>) async throws(FileSystemError) {
        var near: UInt32?
        var cpos = clusters.lowerBound
        while cpos < clusters.upperBound {
            let run = try await run(at: cpos)
            let end = min(run.end, clusters.upperBound)
            if let extent = run.extent {
                near = geometry.cluster(ofBlock: extent.block) + extent.count
            } else {
                near = try await mapUnwritten(cpos..<end, near: near)
            }
            cpos = end
        }
    }

    /// One transaction for each run of clusters that is found.
    private func mapUnwritten(_ clusters: Range<UInt64>, near: UInt32?) async throws(FileSystemError) -> UInt32? {
        var near = near
        var cpos = clusters.lowerBound
        while cpos < clusters.upperBound {
            let wanted = Int(min(clusters.upperBound - cpos, UInt64(ExtentRecord.leafClustersMax)))
            let reserved = try await volume.reserveRun(atMost: wanted, near: near)
            let run = reserved.run
            do throws(FileSystemError) {
                try await map(reserved, cpos: UInt32(cpos), flags: .unwritten)
            } catch {
                volume.cancelRun(reserved)
                throw error
            }
            cpos += UInt64(run.count)
            near = UInt32(exactly: run.end)
            await volume.environment.yield()
        }
        return near
    }

    /// Maps a reserved run. An error leaves it to the caller.
    private func map(_ reserved: ReservedRun, cpos: UInt32, flags: ExtentRecord.Flags) async throws(FileSystemError) {
        let run = reserved.run
        let reservation = try await volume.reserve(SpaceNeeds(metadataBlocks: tree.metadataNeeded()))
        defer { reservation.release() }
        await mappingLock.lock(.exclusive)
        defer { mappingLock.unlock(.exclusive) }
        let leavesHoles = try await tree.prepareChange(at: cpos, adding: 1, reservation)
        let credits =
            try await tree.changeCredits(at: cpos, adding: 1) + Credits.clusterAllocation + Credits.inodeUpdate
        try await tree.requireUnmapped(cpos: cpos, count: run.count)
        try await volume.transaction(credits: credits) { [self] handle throws(FileSystemError) in
            try await volume.commitRun(reserved, count: Int(run.count), handle)
            let block = geometry.firstBlock(ofCluster: run.cluster)
            try await tree.insert(
                Extent(cpos: cpos, count: run.count, block: block, flags: flags), reservation, handle)
            inode.storeAttributes(handle)
        }
        if leavesHoles { try await tree.endChange(at: cpos) }
        extents.forget(UInt64(cpos)..<UInt64(cpos) + UInt64(run.count))
    }

    /// Makes a range read as zeroes and frees its whole clusters, also those behind the end. The size stays.
    func punchHole(_ range: Range<UInt64>) async throws(FileSystemError) {
        try volume.requireWritable()
        guard volume.features.hasUnwrittenExtents else { throw .notSupported }
        await changeLock.lock(.exclusive)
        defer { changeLock.unlock(.exclusive) }
        if isInline {
            let part = range.clamped(to: 0..<size)
            guard !part.isEmpty else { return }
            return try await changeInline { data in
                UnsafeMutableRawBufferPointer(rebasing: data[Int(part.lowerBound)..<Int(part.upperBound)])
                    .initializeMemory(as: UInt8.self, repeating: 0)
            }
        }
        try await flushChanging()
        let first = range.lowerBound.roundedUp(to: volume.clusterSize)
        let last = range.upperBound.roundedDown(to: volume.clusterSize)
        let end = storedSize.roundedUp(to: unit)
        let edges = first <= last ? [range.lowerBound..<first, last..<range.upperBound] : [range]
        for edge in edges {
            let part = edge.clamped(to: 0..<end)
            if !part.isEmpty { try await zeroOnDisk(part) }
        }
        if first < last { try await removeMapping(clusters(of: first..<last)) }
        touch()
        try await volume.transaction(credits: Credits.inodeUpdate) { [self] handle throws(FileSystemError) in
            storeAttributes(size: size, handle)
        }
    }

    /// lseek(2) with `SEEK_DATA` and `SEEK_HOLE`. The caller holds M.
    func seek(from offset: UInt64, toData: Bool) async throws(FileSystemError) -> UInt64 {
        guard offset < size else { throw .noSuchRange }
        if isInline { return toData ? offset : size }
        try await flush()
        await mappingLock.lock(.shared)
        defer { mappingLock.unlock(.shared) }
        var offset = offset
        let end = size
        while offset < end {
            let piece = try await piece(at: offset, to: end)
            if case .written = piece.place {
                if toData { return offset }
            } else if !toData {
                return offset
            }
            offset = piece.range.upperBound
        }
        guard !toData else { throw .noSuchRange }
        return end
    }
}
