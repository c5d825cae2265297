internal import EngineKit
internal import Journal
internal import OCFS2Layout

// Writing into the cache.
extension FileData {
    /// The largest size that a file can have. Spec: ocfs2-disk 1
    var sizeMax: UInt64 {
        min(UInt64(Int64.max), UInt64(UInt32.max) << UInt64(geometry.clusterSizeBits))
    }

    /// Takes over the bytes; the disk gets them at the next flush. The caller holds M exclusively.
    func write(_ source: IOSlice, at offset: UInt64) async throws(FileSystemError) {
        guard source.count > 0 else { return }
        await cacheLock.lock(.exclusive)
        defer { cacheLock.unlock(.exclusive) }
        let (end, overflow) = offset.addingReportingOverflow(UInt64(source.count))
        guard !overflow, end <= sizeMax else { throw .fileTooLarge }
        try volume.requireWritable()
        if try await writeInline(source, at: offset) { return }
        if !volume.features.isSparse, offset > size { try await writeZeroes(size..<offset) }
        try await writeCached(source, at: offset)
    }

    /// Volumes without holes: growth is written. Spec: ocfs2-disk-2 19.7
    func writeZeroes(_ range: Range<UInt64>) async throws(FileSystemError) {
        let zeroes = volume.writeBack.zeroes
        var offset = range.lowerBound
        while offset < range.upperBound {
            let count = Int(min(UInt64(zeroes.count), range.upperBound - offset))
            try await writeCached(zeroes.part(offset: 0, count: count), at: offset)
            offset += UInt64(count)
        }
    }

    private func writeCached(_ source: IOSlice, at offset: UInt64) async throws(FileSystemError) {
        let end = offset + UInt64(source.count)
        let range = offset..<end
        if inode.attributes.dynamicFeatures.contains(.hasRefcount) { try await endSharing(of: range) }
        try await promiseClusters(for: range)
        let before = dirty.memoryByteCount
        dirty.write(UnsafeRawBufferPointer(source.bytes), at: offset, pool)
        volume.writeBack.memoryChanged(by: dirty.memoryByteCount - before)
        if end > size { inode.attributes.size = end }
        touch()
        volume.fileBecameDirty(inode)
        try await keepLimits()
    }

    /// Makes sure that every cluster of the range is mapped, or promised and noted as needed.
    func promiseClusters(for range: Range<UInt64>) async throws(FileSystemError) {
        let clusters = clusters(of: range)
        var needed: [Range<UInt64>] = []
        var count: UInt64 = 0
        for gap in promisedClusters.gaps(in: clusters) {
            var cpos = gap.lowerBound
            while cpos < gap.upperBound {
                let run: ExtentMap.Run
                if let known = extents.run(at: cpos) { run = known } else { run = try await readRun(at: cpos) }
                let part = cpos..<min(run.end, gap.upperBound)
                if run.extent == nil {
                    for part in writingClusters.gaps(in: part) {
                        needed.append(part)
                        count += UInt64(part.count)
                    }
                }
                cpos = part.upperBound
            }
        }
        guard count > 0 else { return }
        try await promise(count)
        try await promiseExtentBlocks(for: promisedClusters.ranges.count + needed.count)
        // The second wait may have let a flush take what the first one got.
        try await promise(count)
        for part in needed { promisedClusters.insert(part) }
    }

    private func readRun(at cpos: UInt64) async throws(FileSystemError) -> ExtentMap.Run {
        await mappingLock.lock(.shared)
        defer { mappingLock.unlock(.shared) }
        return try await run(at: cpos)
    }

    /// Gets promises for `count` clusters more than are needed so far.
    private func promise(_ count: UInt64) async throws(FileSystemError) {
        // Again after each wait: a flush may have taken what was promised before.
        while true {
            let promised = promises.reduce(0) { $0 + $1.clusters }
            let missing = Int(promisedClusters.count + count) - promised
            guard missing > 0 else { return }
            // Ahead, so that small writes do not ask each time; what is left over goes back at the flush. Never more
            // than the file has waiting already: thousands of small files must not fill a volume with promises.
            let ahead = min(Int(promisedClusters.count), 256, (1 << 20) >> geometry.clusterSizeBits)
            do {
                promises.append(try await volume.promise(clusters: missing + ahead))
            } catch {
                guard error == .noSpace, ahead > 0 else { throw error }
                promises.append(try await volume.promise(clusters: missing))
            }
        }
    }

    /// Gets promises of the extent blocks that `changes` changes of the mapping may take, so that the flush finds them.
    private func promiseExtentBlocks(for changes: Int) async throws(FileSystemError) {
        let needed = extentBlocksNeeded(changes)
        let promised = extentBlockPromises.reduce(0) { $0 + $1.count }
        guard needed > promised else { return }
        // In growing steps, so that scattered writes do not ask each time.
        do {
            let more = max(needed - promised, promised / 2)
            extentBlockPromises.append(try await volume.promiseExtentBlocks(more))
        } catch {
            guard error == .noSpace, promised / 2 > needed - promised else { throw error }
            extentBlockPromises.append(try await volume.promiseExtentBlocks(needed - promised))
        }
    }

    /// Starts to write back what is too much, and waits if the disk cannot follow.
    private func keepLimits() async throws(FileSystemError) {
        let total = volume.writeBack.byteCount
        if total >= WriteBack.byteCountMax / 2 { volume.startWriteBack() }
        if total >= WriteBack.byteCountMax { return try await flush() }
        guard dirty.memoryByteCount >= WriteBack.fileByteCountMax, writing == nil, !changeLock.isHeldExclusively else {
            return
        }
        inode.retain()
        volume.tasks.start(volume.environment) { [self] in
            await flushInBackground()
            inode.release()
        }
    }
}

// Contents in the dinode. Spec: ocfs2-disk 7.1
extension FileData {
    /// Bytes that the dinode can hold.
    var inlineCapacity: Int {
        if inode.hasInlineData { return inode.dinode.inlineData.count }
        return geometry.inlineDataCapacity - inode.dinode.xattrInlineSize
    }

    /// Whether a file without content may begin in the dinode.
    private var mayBecomeInline: Bool {
        volume.features.hasInlineData && inode.attributes.clusters == 0 && size == 0 && storedSize == 0
            && !hasDirtyData && !isLeavingInline && !inode.hasInlineData && inode.dinode.extentList.depth == 0
    }

    /// Writes into the dinode if the content fits there; else the content leaves the dinode.
    ///
    /// - Returns: whether it was written.
    private func writeInline(_ source: IOSlice, at offset: UInt64) async throws(FileSystemError) -> Bool {
        guard isInline || mayBecomeInline else { return false }
        guard offset + UInt64(source.count) <= UInt64(inlineCapacity) else {
            if isInline { try await leaveInline() }
            return false
        }
        await changeLock.lock(.exclusive)
        defer { changeLock.unlock(.exclusive) }
        try await changeInline { [self] data in
            (data.baseAddress! + Int(offset)).copyMemory(from: source.base, byteCount: source.count)
            inode.attributes.size = max(size, offset + UInt64(source.count))
        }
        return true
    }

    /// Changes inline bytes and size in one transaction; makes the file inline if it is not.
    func changeInline(_ body: @escaping (UnsafeMutableRawBufferPointer) -> Void) async throws(FileSystemError) {
        try await volume.transaction(credits: Credits.inodeUpdate) { [self] handle throws(FileSystemError) in
            handle.modify(inode.block)
            if !inode.hasInlineData {
                inode.dinode.beginInlineData(geometry)
                inode.attributes.dynamicFeatures.insert(.inlineData)
                extents.forgetAll()
            }
            body(inode.dinode.inlineData)
            touch()
            storeAttributes(size: size, handle)
        }
    }

    /// Takes the content out of the dinode into the cache. The next flush gives it clusters.
    func leaveInline() async throws(FileSystemError) {
        guard isInline else { return }
        let count = Int(min(size, UInt64(inode.dinode.inlineData.count)))
        if count > 0 {
            try await promiseClusters(for: 0..<UInt64(count))
            let data = UnsafeRawBufferPointer(inode.dinode.inlineData)
            let before = dirty.memoryByteCount
            dirty.write(UnsafeRawBufferPointer(rebasing: data[..<count]), at: 0, pool)
            volume.writeBack.memoryChanged(by: dirty.memoryByteCount - before)
        }
        isLeavingInline = true
        volume.fileBecameDirty(inode)
    }
}
