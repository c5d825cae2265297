import EngineKit
import Journal
import LayoutKit
import OCFS2Layout

// Names of what exists: one more, one less. Spec: ocfs2-disk-2 22.5, 22.6.
extension MountedVolume {
    /// One more name for `inode`, which is no directory. One that never had a name (``makeTemporaryFile(in:_:)``) gets
    /// its first.
    package func link(_ inode: Inode, to name: FileName, in directory: Inode) async throws(FileSystemError) {
        try await retryingForSpace { () async throws(FileSystemError) in
            try await self.linkOnce(inode, to: name, in: directory)
        }
    }

    private func linkOnce(_ inode: Inode, to name: FileName, in directory: Inode) async throws(FileSystemError) {
        try requireWritable()
        let names = try Directory(directory)
        guard !name.isDotOrDotDot else { throw .alreadyExists }
        guard !inode.isDirectory else { throw .notPermitted }
        try await directory.lock(.exclusive)
        defer { directory.unlock(.exclusive) }
        try directory.requireAddableNames()
        try await inode.lock(.exclusive)
        defer { inode.unlock(.exclusive) }
        try inode.requireMovable()
        let isOrphan = inode.attributes.flags.contains(.orphaned)
        guard inode.attributes.linkCount > 0 || isOrphan else { throw .notFound }
        guard inode.attributes.linkCount < linkCountMax else { throw .tooManyLinks }
        if try await names.find(name) != nil { throw .alreadyExists }
        let insertion = try await names.planInsertion(of: name)
        let orphanDirectory = isOrphan ? try await lockedOrphanDirectory(of: inode) : nil
        defer { orphanDirectory?.unlock(.exclusive) }
        var orphanEntry: OrphanRemoval?
        if let orphanDirectory {
            orphanEntry = try await planOrphanRemoval(
                named: OrphanName.name(inode: inode.number), from: orphanDirectory)
        }
        let credits = Directory.insertionCredits + Credits.inodeUpdate + (isOrphan ? Credits.orphanEntry : 0)
        try await transaction(credits: credits) { [orphanEntry] handle throws(FileSystemError) in
            if let orphanEntry {
                try orphanEntry.carryOut(handle)
                inode.attributes.flags.remove(.orphaned)
            }
            inode.attributes.linkCount += 1
            inode.attributes.changeTime = self.environment.wallTime
            inode.storeAttributes(handle)
            try names.carryOut(insertion, number: inode.number, type: inode.fileType ?? .regular, handle)
        }
        // An orphan that nobody has open is passed over when files are written back.
        if isOrphan, let data = inode.data, data.needsFlush { fileBecameDirty(inode) }
        try await directory.holdDentryLock(for: inode)
        try await syncIfAsked(directory)
    }

    /// The orphan directory that lists the inode, locked exclusively.
    private func lockedOrphanDirectory(of inode: Inode) async throws(FileSystemError) -> Inode {
        let slot = Int(inode.block.bytes[Dinode.Field.orphanedSlot])
        let directory = try await orphanDirectory(slot: slot)
        try await directory.lock(.exclusive)
        return directory
    }

    /// Errors: `isADirectory`.
    package func unlink(_ name: FileName, in directory: Inode) async throws(FileSystemError) {
        try await retryingForSpace { () async throws(FileSystemError) in
            try await self.remove(name, in: directory, isDirectory: false)
        }
    }

    /// Errors: `notADirectory`, `directoryNotEmpty`.
    package func removeDirectory(_ name: FileName, in directory: Inode) async throws(FileSystemError) {
        guard name != .dot else { throw .invalidArgument }
        guard name != .dotDot else { throw .directoryNotEmpty }
        try await retryingForSpace { () async throws(FileSystemError) in
            try await self.remove(name, in: directory, isDirectory: true)
        }
    }

    private func remove(
        _ name: FileName, in directory: Inode, isDirectory: Bool
    ) async throws(FileSystemError) {
        try requireWritable()
        let names = try Directory(directory)
        guard !name.isDotOrDotDot else { throw .isADirectory }
        try await directory.lock(.exclusive)
        defer { directory.unlock(.exclusive) }
        try directory.requireRemovableNames()
        guard let found = try await names.find(name) else { throw .notFound }
        let child = try await child(found, of: directory)
        defer { child.release() }
        guard child.isDirectory == isDirectory else { throw isDirectory ? .notADirectory : .isADirectory }
        try await requireParent(of: child, is: directory)
        try await child.lock(.exclusive)
        defer { child.unlock(.exclusive) }
        try await requireParent(ofLocked: child, is: directory)
        try child.requireMovable()
        if isDirectory, !(try await Directory(child).isEmpty()) { throw .directoryNotEmpty }
        try await directory.expelDentries(of: child)
        let isLast = isDirectory || child.attributes.linkCount <= 1
        let orphanage = isLast ? try await Orphanage.prepare(toTake: child) : nil
        defer { orphanage?.release() }
        let removal = try await names.planRemoval(of: name)
        let credits = Directory.removalCredits + Credits.inodeUpdate + (isLast ? Credits.orphanEntry : 0)
        try await transaction(credits: credits) { handle throws(FileSystemError) in
            try names.carryOut(removal, handle)
            if isDirectory {
                directory.loseSubdirectory()
                directory.storeAttributes(handle)
            }
            try await self.dropLink(of: child, orphanage, handle)
        }
        try await syncIfAsked(directory)
    }

    /// One link less; the last one with `orphanage`.
    ///
    /// Deviation: the change time is set, as POSIX asks. The kernel's driver leaves it (spec: ocfs2-disk-2 19 rule 4).
    func dropLink(
        of child: Inode, _ orphanage: Orphanage?, _ handle: JournalHandle
    ) async throws(FileSystemError) {
        child.attributes.changeTime = environment.wallTime
        if let orphanage {
            try await orphanage.take(child, handle)
        } else {
            child.attributes.linkCount -= 1
            child.storeAttributes(handle)
        }
    }

    /// A directory has one name. One that says it is somewhere else could lie above `directory`, whose lock is held: a
    /// loop, and waiting for its lock would never end. So this is asked before, unless somebody is just changing the
    /// child; and again behind its lock (``requireParent(ofLocked:is:)``).
    func requireParent(of child: Inode, is directory: Inode) async throws(FileSystemError) {
        guard child.isDirectory, child.gate.tryLock(.shared) else { return }
        defer { child.gate.unlock(.shared) }
        try await child.metaLock.acquire(.protectedRead)
        defer { child.metaLock.release(.protectedRead) }
        try await requireParent(ofLocked: child, is: directory)
    }

    /// As ``requireParent(of:is:)`` for one who holds the child's lock.
    func requireParent(ofLocked child: Inode, is directory: Inode) async throws(FileSystemError) {
        guard child.isDirectory else { return }
        let parent = try await Directory(child).parentNumber()
        guard parent == directory.number else {
            throw report(
                Corruption(
                    block: child.number, inode: child.number,
                    what: "\"..\" is \(parent), but the directory has a name in \(directory.number)"))
        }
    }
}
