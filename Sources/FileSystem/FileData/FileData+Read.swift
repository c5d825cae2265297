internal import EngineKit
internal import OCFS2Layout

// Reading. What a read costs when the mapping is known and nothing is dirty: no allocation but the transfer, no copy.
extension FileData {
    /// Fills `target` from `offset` on; fewer bytes only at the end of the file. The caller holds M.
    func read(at offset: UInt64, into target: IOSlice) async throws(FileSystemError) -> Int {
        await mappingLock.lock(.shared)
        defer { mappingLock.unlock(.shared) }
        let size = size
        guard offset < size, target.count > 0 else { return 0 }
        let count = Int(min(UInt64(target.count), size - offset))
        let range = offset..<offset + UInt64(count)
        if isInline {
            readInline(range, into: target)
            return count
        }
        if dirty.ranges.contains(range) {
            dirty.copy(over: target.part(offset: 0, count: count).bytes, from: offset)
            return count
        }
        // A flush may end while the disk is read: what is newer than the disk now is kept until the bytes are here.
        let newer = hasDirtyData ? (writing, dirty) : nil
        try await readDisk(range, into: target)
        let bytes = target.part(offset: 0, count: count).bytes
        if let newer {
            newer.0?.copy(over: bytes, from: offset)
            newer.1.copy(over: bytes, from: offset)
        }
        writing?.copy(over: bytes, from: offset)
        dirty.copy(over: bytes, from: offset)
        return count
    }

    /// What is on disk of a range, zeroes behind the stored size. `target` may be longer; what is behind the range in it is
    /// undefined afterwards.
    func readDisk(_ range: Range<UInt64>, into target: IOSlice) async throws(FileSystemError) {
        let sector = volume.device.sectorByteCount
        let count = range.count
        let aligned = range.lowerBound.roundedDown(to: sector)..<range.upperBound.roundedUp(to: sector)
        let isAligned =
            aligned.lowerBound == range.lowerBound && aligned.count <= target.count
            && UInt(bitPattern: target.base) % 512 == 0
        if isAligned {
            try await readAligned(aligned, into: target.part(offset: 0, count: aligned.count))
        } else {
            let buffer = pool.take(byteCount: aligned.count)
            try await readAligned(aligned, into: IOSlice(buffer: buffer, offset: 0, count: aligned.count))
            target.base.copyMemory(
                from: buffer.base + Int(range.lowerBound - aligned.lowerBound), byteCount: count)
        }
        if range.upperBound > storedSize {
            let first = range.lowerBound >= storedSize ? 0 : Int(storedSize - range.lowerBound)
            target.part(offset: first, count: count - first).clear()
        }
    }

    private func readAligned(_ range: Range<UInt64>, into target: IOSlice) async throws(FileSystemError) {
        var transfers: [BlockTransfer] = []
        var offset = range.lowerBound
        while offset < range.upperBound {
            let piece: FilePiece
            if let known = knownPiece(at: offset, to: range.upperBound) {
                piece = known
            } else {
                piece = try await self.piece(at: offset, to: range.upperBound)
            }
            let part = target.part(offset: Int(offset - range.lowerBound), count: piece.range.count)
            if case .written(let place) = piece.place {
                transfers.append(BlockTransfer(.read, at: place, byteCount: part.count, data: part))
            } else {
                part.clear()
            }
            offset = piece.range.upperBound
        }
        try await volume.perform(transfers)
    }

    /// Bytes of the dinode. Spec: ocfs2-disk 7.1
    private func readInline(_ range: Range<UInt64>, into target: IOSlice) {
        let data = inode.dinode.inlineData
        let available = min(UInt64(data.count), range.upperBound)
        target.part(offset: 0, count: range.count).clear()
        guard available > range.lowerBound else { return }
        target.base.copyMemory(
            from: data.baseAddress! + Int(range.lowerBound), byteCount: Int(available - range.lowerBound))
    }
}

extension IOSlice {
    /// Makes all bytes zero.
    func clear() {
        bytes.initializeMemory(as: UInt8.self, repeating: 0)
    }
}

extension MountedVolume {
    /// I/O of data.
    func perform(_ transfers: [BlockTransfer]) async throws(FileSystemError) {
        do throws(BlockDeviceError) {
            if transfers.count == 1 {
                try await device.perform(transfers[0])
            } else {
                try await device.perform(transfers)
            }
        } catch {
            throw .device(error)
        }
    }
}
