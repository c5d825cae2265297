import EngineKit
import Journal
import LayoutKit
import OCFS2Layout

// New objects with names. What is returned is referenced: the caller balances by ``Inode/release()``.
// Spec: ocfs2-disk-2 22.1, 22.2.
extension MountedVolume {
    /// A regular file. Errors: `alreadyExists`.
    package func createFile(
        _ name: FileName, in directory: Inode, _ new: NewNode
    ) async throws(FileSystemError) -> Inode {
        try await create(name, in: directory, new, .plain(.regular))
    }

    /// A device, fifo, socket or regular file, by the type bits of `new.mode`.
    ///
    /// - Parameter deviceNumber: as in `stat`, 32 bits in the kernel's encoding; 0 unless a device is made.
    package func makeNode(
        _ name: FileName, in directory: Inode, _ new: NewNode, deviceNumber: UInt32
    ) async throws(FileSystemError) -> Inode {
        guard let type = new.mode & FileMode.typeMask == 0 ? .regular : FileType(mode: new.mode) else {
            throw .invalidArgument
        }
        switch type {
        case .characterDevice, .blockDevice:
            return try await create(name, in: directory, new, .device(type, number: deviceNumber))
        case .regular, .fifo, .socket: return try await create(name, in: directory, new, .plain(type))
        case .directory, .symlink: throw .invalidArgument
        }
    }

    package func makeDirectory(
        _ name: FileName, in directory: Inode, _ new: NewNode
    ) async throws(FileSystemError) -> Inode {
        try await create(name, in: directory, new, .directory)
    }

    /// - Parameter target: 1 ... 4095 bytes, no NUL.
    package func makeSymbolicLink(
        _ name: FileName, in directory: Inode, target: [UInt8], _ new: NewNode
    ) async throws(FileSystemError) -> Inode {
        guard !target.isEmpty, !target.contains(0) else { throw .invalidArgument }
        guard target.count <= NewContent.targetByteCountMax else { throw .nameTooLong }
        return try await create(name, in: directory, new, .symlink(target))
    }

    private func create(
        _ name: FileName, in directory: Inode, _ new: NewNode, _ content: NewContent
    ) async throws(FileSystemError) -> Inode {
        try await retryingForSpace { () async throws(FileSystemError) in
            try await self.createOnce(name, in: directory, new, content)
        }
    }

    private func createOnce(
        _ name: FileName, in directory: Inode, _ new: NewNode, _ content: NewContent
    ) async throws(FileSystemError) -> Inode {
        try requireWritable()
        let names = try Directory(directory)
        guard !name.isDotOrDotDot else { throw .alreadyExists }
        try await directory.lock(.exclusive)
        defer { directory.unlock(.exclusive) }
        try directory.requireAddableNames()
        if content.type == .directory, directory.attributes.linkCount >= linkCountMax { throw .tooManyLinks }
        if try await names.find(name) != nil { throw .alreadyExists }
        let birth = try await Birth(new, content, in: directory)
        let insertion = try await names.planInsertion(of: name)
        let reservation = try await reserve(birth.needs)
        defer { reservation.release() }
        let credits = birth.credits + Directory.insertionCredits
        let child = try await transaction(credits: credits) { handle throws(FileSystemError) in
            let claimed = try await reservation.claimInode(near: directory, handle)
            let child = try await birth.carryOut(claimed, reservation, handle)
            if content.type == .directory { directory.gainSubdirectory() }
            try names.carryOut(insertion, number: child.number, type: content.type, handle)
            return child
        }
        do throws(FileSystemError) {
            try await takeLocks(ofNew: child)
            try await directory.holdDentryLock(for: child)
            try await syncIfAsked(directory)
        } catch {
            child.release()
            throw error
        }
        return child
    }

    /// A regular file without a name (`O_TMPFILE`): gone with its last reference unless it is linked before.
    ///
    /// The kernel's driver has no such call; on disk it is an orphan as any other.
    package func makeTemporaryFile(in directory: Inode, _ new: NewNode) async throws(FileSystemError) -> Inode {
        try await retryingForSpace { () async throws(FileSystemError) in
            for _ in 0..<DirectoryIndex.splitsMax {
                if let inode = try await self.tryTemporaryFile(in: directory, new) { return inode }
            }
            throw .noSpace
        }
    }

    /// nil: the orphan directory had no room, and has more now.
    private func tryTemporaryFile(
        in directory: Inode, _ new: NewNode
    ) async throws(FileSystemError) -> Inode? {
        try requireWritable()
        try await directory.lock(.exclusive)
        defer { directory.unlock(.exclusive) }
        try directory.requireAddableNames()
        let birth = try await Birth(new, .plain(.regular), in: directory)
        let orphanage = try await Orphanage.prepare(self)
        defer { orphanage.release() }
        var needs = birth.needs
        needs.metadataBlocks += orphanage.needs.metadataBlocks
        needs.clusters += orphanage.needs.clusters
        let reservation = try await reserve(needs)
        defer { reservation.release() }
        let credits = birth.credits + Credits.inodeUpdate + (try await orphanage.credits())
        let made = try await transaction(credits: credits) { handle throws(FileSystemError) -> Inode? in
            let claimed = try await reservation.claimInode(near: directory, handle)
            guard try await orphanage.makeRoom(forInode: claimed.number, reservation, handle) else {
                let allocator = try await self.allocator(.inodeAlloc, claimed.place)
                try await allocator.release(claimed.place, claimed.number, handle)
                return nil
            }
            let child = try await birth.carryOut(claimed, reservation, handle)
            try await orphanage.take(child, handle)
            return child
        }
        guard let child = made else { return nil }
        do throws(FileSystemError) {
            try await takeLocks(ofNew: child)
        } catch {
            child.release()
            throw error
        }
        return child
    }
}
