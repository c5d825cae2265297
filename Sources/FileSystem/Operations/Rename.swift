import EngineKit
import Journal
import OCFS2Layout

/// What rename does with a name that is there already.
package enum RenameMode: Equatable, Sendable {
    case replace
    /// `RENAME_NOREPLACE`: `alreadyExists`.
    case noReplace
    /// `RENAME_EXCHANGE`: both names change places, in one transaction.
    case exchange
}

extension MountedVolume {
    /// Gives the object another name, in the same directory or another, replacing what has that name if `mode` says so.
    ///
    /// One transaction: after a crash the object has one of the two names, never none.
    ///
    /// Locks: between directories first the cluster's rename lock, so that no directory moves meanwhile; then both
    /// directories, ancestor first, else lower block first; then source and target. Spec: ocfs2-cluster 6, 7.
    package func rename(
        _ name: FileName, in directory: Inode, to newName: FileName, in newDirectory: Inode, _ mode: RenameMode
    ) async throws(FileSystemError) {
        try await retryingForSpace { () async throws(FileSystemError) in
            try await self.renameOnce(name, in: directory, to: newName, in: newDirectory, mode)
        }
    }

    private func renameOnce(
        _ name: FileName, in directory: Inode, to newName: FileName, in newDirectory: Inode, _ mode: RenameMode
    ) async throws(FileSystemError) {
        try requireWritable()
        let from = try Directory(directory), to = try Directory(newDirectory)
        guard !name.isDotOrDotDot, !newName.isDotOrDotDot else { throw mode == .noReplace ? .alreadyExists : .busy }
        if directory === newDirectory {
            try await directory.locked(.exclusive) { () throws(FileSystemError) in
                try await Renaming(from: from, name: name, to: to, newName: newName, mode: mode).run()
            }
            return try await syncIfAsked(directory)
        }
        await renameGate.lock(.exclusive)
        defer { renameGate.unlock(.exclusive) }
        try await renameLock.acquire(.exclusive)
        defer { renameLock.release(.exclusive) }
        let ancestors = try await pathUp(from: directory), newAncestors = try await pathUp(from: newDirectory)
        let isNewFirst =
            ancestors.contains(newDirectory.number)
            || (!newAncestors.contains(directory.number) && newDirectory.number < directory.number)
        let first = isNewFirst ? newDirectory : directory, second = isNewFirst ? directory : newDirectory
        try await first.lock(.exclusive)
        defer { first.unlock(.exclusive) }
        try await second.lock(.exclusive)
        defer { second.unlock(.exclusive) }
        try await Renaming(
            from: from, name: name, to: to, newName: newName, mode: mode, ancestors: ancestors,
            newAncestors: newAncestors
        ).run()
        try await syncIfAsked(directory, newDirectory)
    }

    /// Deeper is a loop.
    private static let depthMax = 1 << 16

    /// The directory and all directories above it, the root last. No directory moves meanwhile: the caller holds the
    /// rename lock.
    private func pathUp(from directory: Inode) async throws(FileSystemError) -> [UInt64] {
        var numbers: [UInt64] = []
        var current = directory
        current.retain()
        defer { current.release() }
        while true {
            guard numbers.count < Self.depthMax else {
                throw report(
                    Corruption(block: directory.number, inode: directory.number, what: "its path has no end"))
            }
            numbers.append(current.number)
            if current.number == rootNumber { return numbers }
            let names = try Directory(current)
            let parent = try await current.locked(.shared) { () throws(FileSystemError) in
                try await names.parentNumber()
            }
            guard parent != current.number, parent < parameters.blockCount else {
                throw report(Corruption(block: current.number, inode: current.number, what: "\"..\" is \(parent)"))
            }
            let next = try await inode(parent)
            current.release()
            current = next
        }
    }
}

/// One rename. The directories are locked.
private struct Renaming {
    let from: Directory
    let name: FileName
    let to: Directory
    let newName: FileName
    let mode: RenameMode
    /// Of both directories, each with itself; empty if they are one.
    var ancestors: [UInt64] = []
    var newAncestors: [UInt64] = []

    var volume: MountedVolume { from.volume }
    var isMove: Bool { from.inode !== to.inode }

    func run() async throws(FileSystemError) {
        try from.inode.requireRemovableNames()
        try to.inode.requireAddableNames()
        guard let source = try await from.find(name) else { throw .notFound }
        let target = try await to.find(newName)
        if mode == .noReplace, target != nil { throw .alreadyExists }
        if mode == .exchange, target == nil { throw .notFound }
        // Two names of one inode: nothing to do, says POSIX.
        if let target, target.number == source.number { return }
        // No waiting for the lock of what lies above a directory that is locked.
        if newAncestors.contains(source.number) { throw .invalidArgument }
        if let target, ancestors.contains(target.number) {
            throw mode == .exchange ? .invalidArgument : .directoryNotEmpty
        }
        let child = try await volume.child(source, of: from.inode)
        defer { child.release() }
        try await volume.requireParent(of: child, is: from.inode)
        try child.requireMovable()
        guard let target else {
            try await child.locked(.exclusive) { () throws(FileSystemError) in
                try await self.volume.requireParent(ofLocked: child, is: self.from.inode)
                try await self.move(child)
            }
            return
        }
        let other = try await volume.child(target, of: to.inode)
        defer { other.release() }
        try await volume.requireParent(of: other, is: to.inode)
        try to.inode.requireRemovableNames()
        try other.requireMovable()
        try await lockBoth(child, other) { () throws(FileSystemError) in
            try await self.volume.requireParent(ofLocked: child, is: self.from.inode)
            try await self.volume.requireParent(ofLocked: other, is: self.to.inode)
            if mode == .exchange {
                try await self.exchange(child, other)
            } else {
                try await self.replace(child, over: other)
            }
        }
    }

    private func lockBoth(
        _ child: Inode, _ other: Inode, _ body: () async throws(FileSystemError) -> Void
    ) async throws(FileSystemError) {
        let first = child.number < other.number ? child : other, second = first === child ? other : child
        try await first.lock(.exclusive)
        defer { first.unlock(.exclusive) }
        try await second.lock(.exclusive)
        defer { second.unlock(.exclusive) }
        try await body()
    }

    /// Blocks changed besides the names: both directories, the inode, and its first block for `..`.
    private static let childCredits = 4

    // MARK: The three kinds

    /// Nobody has the new name.
    private func move(_ child: Inode) async throws(FileSystemError) {
        if child.isDirectory, isMove, to.inode.attributes.linkCount >= volume.linkCountMax { throw .tooManyLinks }
        try await from.inode.expelDentries(of: child)
        let insertion = try await to.planInsertion(of: newName)
        let removal = try await from.planRemoval(of: name)
        let dots = try await parentEntry(of: child)
        let credits = Directory.insertionCredits + Directory.removalCredits + Self.childCredits
        try await volume.transaction(credits: credits) { handle throws(FileSystemError) in
            self.setParent(of: child, dots, from: from, to: to, handle)
            try self.to.carryOut(insertion, number: child.number, type: child.fileType ?? .regular, handle)
            try self.from.carryOut(removal, handle)
            self.changed(child, handle)
        }
        try await to.inode.holdDentryLock(for: child)
    }

    /// `other` loses the new name.
    private func replace(_ child: Inode, over other: Inode) async throws(FileSystemError) {
        guard child.isDirectory == other.isDirectory else {
            throw child.isDirectory ? .notADirectory : .isADirectory
        }
        if other.isDirectory, !(try await Directory(other).isEmpty()) { throw .directoryNotEmpty }
        try await from.inode.expelDentries(of: child)
        try await to.inode.expelDentries(of: other)
        let isLast = other.isDirectory || other.attributes.linkCount <= 1
        let orphanage = isLast ? try await Orphanage.prepare(toTake: other) : nil
        defer { orphanage?.release() }
        guard let target = try await to.find(newName) else { throw .notFound }
        let removal = try await from.planRemoval(of: name)
        let dots = try await parentEntry(of: child)
        let credits = 2 + Directory.removalCredits + 2 * Self.childCredits + (isLast ? Credits.orphanEntry : 0)
        try await volume.transaction(credits: credits) { handle throws(FileSystemError) in
            self.setParent(of: child, dots, from: from, to: to, handle)
            if other.isDirectory { self.to.inode.loseSubdirectory() }
            self.to.retarget(target, to: child.number, type: child.fileType ?? .regular, handle)
            try self.from.carryOut(removal, handle)
            self.changed(child, handle)
            try await self.volume.dropLink(of: other, orphanage, handle)
        }
        try await to.inode.holdDentryLock(for: child)
    }

    private func exchange(_ child: Inode, _ other: Inode) async throws(FileSystemError) {
        if isMove, child.isDirectory != other.isDirectory {
            let gaining = child.isDirectory ? to.inode : from.inode
            if gaining.attributes.linkCount >= volume.linkCountMax { throw .tooManyLinks }
        }
        try await from.inode.expelDentries(of: child)
        try await to.inode.expelDentries(of: other)
        guard let source = try await from.find(name), let target = try await to.find(newName) else {
            throw .notFound
        }
        let dots = try await parentEntry(of: child), otherDots = try await parentEntry(of: other)
        try await volume.transaction(credits: 4 + 2 * Self.childCredits) { handle throws(FileSystemError) in
            self.setParent(of: child, dots, from: from, to: to, handle)
            self.setParent(of: other, otherDots, from: to, to: from, handle)
            self.from.retarget(source, to: other.number, type: other.fileType ?? .regular, handle)
            self.to.retarget(target, to: child.number, type: child.fileType ?? .regular, handle)
            self.changed(child, handle)
            self.changed(other, handle)
        }
        try await to.inode.holdDentryLock(for: child)
        try await from.inode.holdDentryLock(for: other)
    }

    // MARK: Steps

    /// `..` of a directory that gets another parent; nil: nothing to change.
    private func parentEntry(of child: Inode) async throws(FileSystemError) -> Directory.Found? {
        guard isMove, child.isDirectory else { return nil }
        return try await Directory(child).parentEntry()
    }

    /// A moved directory: `..`, and the links of both parents (stored with the change of their names).
    private func setParent(
        of child: Inode, _ dots: Directory.Found?, from: Directory, to: Directory, _ handle: JournalHandle
    ) {
        guard let dots else { return }
        dots.area.view.retarget(dots.entry, inode: to.inode.number, type: .directory)
        handle.modify(dots.area.block)
        from.inode.loseSubdirectory()
        to.inode.gainSubdirectory()
    }

    private func changed(_ child: Inode, _ handle: JournalHandle) {
        child.attributes.changeTime = volume.environment.wallTime
        child.storeAttributes(handle)
    }
}
