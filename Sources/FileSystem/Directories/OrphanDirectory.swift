import EngineKit
import Journal
import LayoutKit
import OCFS2Layout

/// The orphan directory of this host's slot, locked for one more entry. Spec: ocfs2-disk 12.
///
/// An inode without names is listed here from the transaction that takes its last name on, until it is wiped: so a
/// crash leaks nothing. Released after the handle has ended, always.
struct Orphanage {
    let inode: Inode
    private let directory: Directory
    private let space: Directory.Space

    /// Locks it and makes room for one entry. All names in it have one length.
    static func prepare(_ volume: MountedVolume) async throws(FileSystemError) -> Orphanage {
        let inode = try await volume.orphanDirectory(slot: volume.slot)
        try await inode.lock(.exclusive)
        do throws(FileSystemError) {
            let directory = try Directory(inode)
            let space = try await directory.planSpace(forName: FileName.orphanByteCount)
            return Orphanage(inode: inode, directory: directory, space: space)
        } catch {
            inode.unlock(.exclusive)
            throw error
        }
    }

    /// As ``prepare(_:)`` for an inode that exists: also its place in the index is made.
    static func prepare(toTake orphan: Inode) async throws(FileSystemError) -> Orphanage {
        let orphanage = try await prepare(orphan.volume)
        guard let index = orphanage.space.index else { return orphanage }
        do throws(FileSystemError) {
            _ = try await index.leafWithRoom(for: index.hash(of: FileName(orphan: orphan.number)))
        } catch {
            orphanage.release()
            throw error
        }
        return orphanage
    }

    /// What ``makeRoom(forInode:_:_:)`` and ``take(_:_:)`` take for an inode that was not there when the orphanage was
    /// prepared.
    var needs: SpaceNeeds { space.index?.growthNeeds() ?? SpaceNeeds() }
    func credits() async throws(FileSystemError) -> Int {
        Credits.orphanEntry + (try await space.index?.growthCredits() ?? 0)
    }

    /// Makes the place in the index for an inode that was not there when the orphanage was prepared.
    ///
    /// false: one step was not enough. Nothing but the index was changed, and it is whole: to be tried again by another
    /// handle.
    ///
    /// - Parameter reservation: with ``needs`` in it; the handle has ``credits()``.
    func makeRoom(
        forInode number: UInt64, _ reservation: Reservation, _ handle: JournalHandle
    ) async throws(FileSystemError) -> Bool {
        guard let index = space.index else { return true }
        let hash = index.hash(of: FileName(orphan: number))
        let leaf = try await index.leaf(for: hash)
        guard leaf.entries.isFull else { return true }
        guard index.mayMakeRoom(in: leaf, for: hash) else { return false }
        try await index.makeRoom(in: leaf, for: hash, reservation, handle)
        return try await !index.leaf(for: hash).entries.isFull
    }

    /// Takes the inode, whose last name goes (or which never had one). Stores its attributes: no links. Its place in the
    /// index was made before.
    ///
    /// ``Credits/orphanEntry`` credits, and one for the inode.
    func take(_ orphan: Inode, _ handle: JournalHandle) async throws(FileSystemError) {
        let name = FileName(orphan: orphan.number)
        var place: (LeafPlace, NameHash)?
        if let index = space.index {
            let hash = index.hash(of: name)
            let leaf = try await index.leaf(for: hash)
            precondition(!leaf.entries.isFull, "the room that was planned for an orphan is gone")
            place = (leaf, hash)
        }
        try directory.carryOut(
            Directory.Insertion(name: name, space: space, leaf: place), number: orphan.number,
            type: orphan.fileType ?? .regular, handle)
        if orphan.isDirectory {
            inode.gainSubdirectory()
            inode.storeAttributes(handle)
        }
        orphan.attributes.linkCount = 0
        orphan.attributes.flags.insert(.orphaned)
        orphan.block.bytes[Dinode.Field.orphanedSlot] = UInt16(truncatingIfNeeded: orphan.volume.slot)
        orphan.storeAttributes(handle)
    }

    func release() {
        inode.unlock(.exclusive)
    }
}

/// An entry that leaves an orphan directory.
struct OrphanRemoval {
    fileprivate let directory: Directory
    fileprivate let removal: Directory.Removal

    /// ``Credits/orphanEntry`` credits. The link count that a removed directory gave the orphan directory is the caller's.
    func carryOut(_ handle: JournalHandle) throws(FileSystemError) {
        try directory.carryOut(removal, handle)
    }
}

extension MountedVolume {
    /// Finds an entry of an orphan directory, whose lock the caller holds exclusively until the entry is removed. Before
    /// the handle: an entry that is not there is damage to the volume, and no reason to end the mount's writing.
    ///
    /// - Parameter name: as it stands in the directory: 16 hexadecimal digits, with `dio-` before them or not.
    func planOrphanRemoval(named name: String, from directory: Inode) async throws(FileSystemError) -> OrphanRemoval {
        guard let removal = try await planOrphanRemoval(ifListed: name, in: directory) else {
            throw missingOrphan(name, in: directory)
        }
        return removal
    }

    /// As ``planOrphanRemoval(named:from:)``, but nil for an entry that is not there.
    func planOrphanRemoval(
        ifListed name: String, in directory: Inode
    ) async throws(FileSystemError) -> OrphanRemoval? {
        let names = try Directory(directory)
        do throws(FileSystemError) {
            return OrphanRemoval(
                directory: names, removal: try await names.planRemoval(of: FileName(unchecked: Array(name.utf8))))
        } catch .notFound {
            return nil
        }
    }

    /// Throws unless the inode, which is marked as an orphan, is listed as one too.
    func requireOrphanEntry(of inode: Inode) async throws(FileSystemError) {
        let directory = try await orphanDirectory(slot: Int(inode.block.bytes[Dinode.Field.orphanedSlot]))
        try await directory.lock(.shared)
        defer { directory.unlock(.shared) }
        let name = FileName(orphan: inode.number)
        if try await Directory(directory).find(name) == nil {
            throw missingOrphan(OrphanName.name(inode: inode.number), in: directory)
        }
    }

    func missingOrphan(_ name: String, in directory: Inode) -> FileSystemError {
        report(
            Corruption(
                block: directory.number, inode: directory.number,
                what: "orphan \(name) has no entry in the orphan directory"))
    }
}

extension FileName {
    static let orphanByteCount = 16

    /// Of an inode in an orphan directory. Spec: ocfs2-disk 12.1.
    init(orphan number: UInt64) {
        self.init(unchecked: Array(OrphanName.name(inode: number).utf8))
    }
}
