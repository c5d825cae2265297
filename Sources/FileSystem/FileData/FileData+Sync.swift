internal import EngineKit
internal import Journal
internal import OCFS2Layout

extension FileData {
    /// fsync(2), fdatasync(2): everything that was written is on stable storage afterwards.
    ///
    /// Errors: also that of an earlier flush which nobody was told.
    func synchronize(dataOnly: Bool) async throws(FileSystemError) {
        try await flush(dataOnly: dataOnly)
        if let failure {
            self.failure = nil
            throw failure
        }
        let written = inPlaceWrites
        let hadUnstableData = stableInPlaceWrites < written
        try await volume.commit(inode.block.transaction)
        guard hadUnstableData else { return }
        // Nothing in the journal waited for the data, so that its commit may be from before. Others who ask meanwhile
        // flush as well: only a flush that has ended counts.
        do throws(BlockDeviceError) {
            try await volume.device.flush()
        } catch {
            throw .device(error)
        }
        stableInPlaceWrites = max(stableInPlaceWrites, written)
    }

    /// Overwrites bytes in place, without the cache.
    ///
    /// - Returns: false if the cache has to be taken: not aligned, not allocated and written, shared, or at the end.
    func writeDirectly(_ source: IOSlice, at offset: UInt64) async throws(FileSystemError) -> Bool {
        let sector = UInt64(volume.device.sectorByteCount)
        let end = offset + UInt64(source.count)
        guard offset % sector == 0, end % sector == 0, UInt(bitPattern: source.base) % 512 == 0, end <= storedSize,
            !inode.hasInlineData
        else { return false }
        await mappingLock.lock(.shared)
        defer { mappingLock.unlock(.shared) }
        // A flush completes blocks: it must not put back what is overwritten here.
        let blocks = offset.roundedDown(to: unit)..<end.roundedUp(to: unit)
        guard end <= storedSize, !dirty.ranges.overlaps(blocks), !(writing?.ranges.overlaps(blocks) ?? false) else {
            return false
        }
        // Growth rewrites the block of the old end, which is in no dirty range. The gate keeps the size as it is.
        let isGrowing = writing != nil || size > storedSize
        if isGrowing, blocks.upperBound > storedSize.roundedDown(to: unit) { return false }
        var transfers: [BlockTransfer] = []
        for piece in try await pieces(of: offset..<end) {
            guard case .written(let place) = piece.place, !piece.isRefcounted else { return false }
            let part = source.part(offset: Int(piece.range.lowerBound - offset), count: piece.range.count)
            transfers.append(
                BlockTransfer(.write(forceUnitAccess: false), at: place, byteCount: part.count, data: part))
        }
        try await volume.perform(transfers)
        inPlaceWrites += 1
        touch()
        volume.fileBecameDirty(inode)
        return true
    }
}
