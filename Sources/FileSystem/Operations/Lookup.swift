import EngineKit
import Journal
import OCFS2Layout

// Finding and listing names. What is returned is referenced: the caller balances by ``Inode/release()``.
extension MountedVolume {
    /// The root directory.
    package func rootDirectory() async throws(FileSystemError) -> Inode {
        try await inode(rootNumber)
    }

    /// The inode of a file handle, if it is still the one of `generation` (else `stale`).
    package func inode(_ number: UInt64, generation: UInt32) async throws(FileSystemError) -> Inode {
        guard number > 2, number < parameters.blockCount else { throw .stale }
        let found = try await inode(number)
        guard found.generation == generation, found.attributes.linkCount > 0, !found.isSystem || number == rootNumber
        else {
            found.release()
            throw .stale
        }
        return found
    }

    /// `.` and `..` work too. Errors: `notFound`, `notADirectory`.
    package func lookup(_ name: FileName, in directory: Inode) async throws(FileSystemError) -> Inode {
        let names = try Directory(directory)
        try await directory.lock(.shared)
        defer { directory.unlock(.shared) }
        if name == .dot {
            directory.retain()
            return directory
        }
        if name == .dotDot { return try await inode(try await names.parentNumber()) }
        guard let found = try await names.find(name) else { throw .notFound }
        await names.readAhead(from: found)
        let child = try await child(found, of: directory)
        do throws(FileSystemError) {
            try await directory.holdDentryLock(for: child)
        } catch {
            child.release()
            throw error
        }
        return child
    }

    /// The inode that an entry names; one that is not in use is damage to the directory.
    func child(_ found: Directory.Found, of directory: Inode) async throws(FileSystemError) -> Inode {
        guard found.number != directory.number, found.number < parameters.blockCount else {
            throw report(
                Corruption(
                    block: found.area.block.number, inode: directory.number, what: "an entry names \(found.number)"))
        }
        do throws(FileSystemError) {
            return try await inode(found.number)
        } catch .stale {
            throw report(
                Corruption(
                    block: found.area.block.number, inode: directory.number,
                    what: "an entry names \(found.number), which is not in use"))
        }
    }

    /// Calls `visitor` for each entry from `cookie` on until it says false (that entry is then not taken) or the end.
    package func readDirectory(
        _ directory: Inode, from cookie: DirectoryCookie, _ visitor: (DirectoryEntry) -> Bool
    ) async throws(FileSystemError) {
        let names = try Directory(directory)
        try await directory.locked(.shared) { () throws(FileSystemError) in
            try await names.forEach(from: cookie) { entry throws(FileSystemError) in visitor(entry) }
        }
        await noteAccess(directory)
    }

    /// As ``readDirectory(_:from:_:)`` with the inode of each entry (not of `.` and `..`).
    ///
    /// The visitor gets a reference with each inode; an inode that cannot be read is nil.
    package func readDirectoryWithInodes(
        _ directory: Inode, from cookie: DirectoryCookie,
        _ visitor: (DirectoryEntry, Inode?) async -> Bool
    ) async throws(FileSystemError) {
        let names = try Directory(directory)
        try await directory.locked(.shared) { () throws(FileSystemError) in
            try await names.forEach(from: cookie, readsInodes: locks.isLocal) { entry throws(FileSystemError) in
                await visitor(entry, await self.listed(entry, in: directory))
            }
        }
        await noteAccess(directory)
    }

    /// Whether the inode is in memory with its lock: a listing must not ask the cluster for the locks of ten thousand.
    private func isAtHand(_ number: UInt64) -> Bool {
        guard let inode = inodeTable[number], !inode.isGone, !inode.isDetached else { return false }
        return inode.metaLock.level >= .protectedRead && !inode.metaLock.isWantedElsewhere
    }

    /// The inode of a listed entry; nil for `.`, `..` and what cannot be read.
    private func listed(_ entry: DirectoryEntry, in directory: Inode) async -> Inode? {
        let isDots = entry.name.count <= 2 && entry.name.allSatisfy { $0 == 0x2E }
        guard !isDots, entry.number != directory.number, entry.number < parameters.blockCount else { return nil }
        guard locks.isLocal || isAtHand(entry.number) else { return nil }
        do throws(FileSystemError) {
            let child = try await inode(entry.number)
            do throws(FileSystemError) {
                try await directory.holdDentryLock(for: child)
            } catch {
                child.release()
                throw error
            }
            return child
        } catch {
            environment.log(.warning, "inode \(entry.number), listed in \(directory.number): \(error)")
            return nil
        }
    }
}
