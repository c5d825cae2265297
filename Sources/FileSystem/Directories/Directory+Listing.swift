import EngineKit
import Journal
import LayoutKit
import OCFS2Layout

extension Directory {
    /// Calls `visitor` for each entry from `cookie` on until it says false or the end.
    ///
    /// A block is walked from its start, because the place that the cookie names may have become the middle of an
    /// entry.
    ///
    /// - Parameter readsInodes: the visitor will load the inodes: those of a block are read at once before.
    func forEach(
        from cookie: DirectoryCookie, readsInodes: Bool = false,
        _ visitor: (DirectoryEntry) async throws(FileSystemError) -> Bool
    ) async throws(FileSystemError) {
        let areaSize = isInline ? UInt64(max(1, inlineArea().byteCount)) : UInt64(volume.blockSize)
        var index = cookie.byteOffset / areaSize
        var start = Int(cookie.byteOffset % areaSize)
        while true {
            let areas = try await areas(from: index, atMost: Self.readAheadBlockCount)
            if areas.isEmpty { return }
            for area in areas {
                if readsInodes { await readInodes(of: area, from: start) }
                guard try await visit(area, at: index * areaSize, size: areaSize, from: start, visitor) else { return }
                start = 0
                index += 1
            }
        }
    }

    /// - Parameters:
    ///   - base: offset of the area in the directory.
    ///   - size: from one area to the next.
    private func visit(
        _ area: EntryArea, at base: UInt64, size: UInt64, from start: Int,
        _ visitor: (DirectoryEntry) async throws(FileSystemError) -> Bool
    ) async throws(FileSystemError) -> Bool {
        var offset = 0
        while offset < area.byteCount {
            let entry = try area.entry(at: offset)
            let end = entry.end
            if entry.isUsed, offset >= start {
                let next = end >= area.byteCount ? base + size : base + UInt64(end)
                let listed = DirectoryEntry(
                    number: entry.inode, type: entry.type, name: area.view.name(of: entry),
                    next: DirectoryCookie(byteOffset: next))
                guard try await visitor(listed) else { return false }
            }
            offset = end
        }
        return true
    }

    /// Entries behind a name that was looked up whose inodes are read with its own.
    private static let lookupReadAheadCount = 16

    /// Before the inode of an entry is loaded: those of the entries behind it are read with it when somebody looks up one
    /// name after the other, as find and tar do.
    ///
    /// Only for a host that is alone: others would have to read them again under their locks.
    func readAhead(from found: Found) async {
        guard volume.locks.isLocal, volume.cache.cached(found.number) == nil else { return }
        let (block, offset) = state.lastMiss
        state.lastMiss = (found.area.block.number, found.entry.offset)
        guard block == found.area.block.number, offset < found.entry.offset else { return }
        await readInodes(of: found.area, from: found.entry.offset, atMost: Self.lookupReadAheadCount)
    }

    /// Brings the dinodes that an area names into memory with few reads. What fails here fails again for the visitor.
    private func readInodes(of area: EntryArea, from start: Int, atMost most: Int = .max) async {
        var numbers: [UInt64] = []
        do throws(FileSystemError) {
            try area.check { () throws(LayoutError) in
                try area.view.forEach { entry in
                    let isKnown = volume.cache.cached(entry.inode) != nil
                    if entry.isUsed, entry.offset >= start, !isKnown, entry.inode < volume.parameters.blockCount {
                        numbers.append(entry.inode)
                    }
                    return numbers.count < most
                }
            }
        } catch {
            return
        }
        guard numbers.count > 1 else { return }
        do throws(BlockDeviceError) {
            _ = try await volume.cache.read(numbers)
        } catch {
            volume.environment.log(.debug, "inodes named in \(inode.number) could not be read ahead: \(error)")
        }
    }
}
