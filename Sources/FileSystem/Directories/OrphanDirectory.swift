import Journal
import LayoutKit
import OCFS2Layout

/// The orphan directory of this host's slot, locked for one more entry. Spec: ocfs2-disk 12.
///
/// An inode without names is listed here from the transaction that takes its last name on, until it is wiped: so a crash
/// leaks nothing. Released after the handle has ended, always.
struct Orphanage {
    let inode: Inode
    private let directory: Directory
    private let insertion: Directory.Insertion?

    /// Locks it and makes room for the inode's entry.
    static func prepare(toTake orphan: Inode) async throws(FileSystemError) -> Orphanage {
        try await prepare(toTake: orphan.number, orphan.volume)
    }

    static func prepare(toTake number: UInt64, _ volume: MountedVolume) async throws(FileSystemError) -> Orphanage {
        let inode = try await volume.orphanDirectory(slot: volume.slot)
        try await inode.lock(.exclusive)
        do throws(FileSystemError) {
            let directory = try Directory(inode)
            return Orphanage(
                inode: inode, directory: directory,
                insertion: try await directory.planInsertion(of: FileName(orphan: number)))
        } catch {
            inode.unlock(.exclusive)
            throw error
        }
    }

    /// Takes the inode, whose last name goes (or which never had one). Stores its attributes: no links.
    ///
    /// ``Credits/orphanEntry`` credits, and one for the inode.
    func take(_ orphan: Inode, _ handle: JournalHandle) throws(FileSystemError) {
        guard let insertion else { return }
        try directory.carryOut(insertion, number: orphan.number, type: orphan.fileType ?? .regular, handle)
        if orphan.isDirectory {
            inode.attributes.linkCount += 1
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

extension MountedVolume {
    /// Removes the inode's entry from an orphan directory, whose lock the caller holds exclusively. For a directory the
    /// orphan directory's link count goes down as well. ``Credits/orphanEntry`` credits.
    ///
    /// - Parameter name: as it stands in the directory: 16 hexadecimal digits, with `dio-` before them or not.
    package func removeOrphanEntry(
        named name: String, from directory: Inode, _ handle: JournalHandle
    ) async throws(FileSystemError) {
        let names = try Directory(directory)
        let name = FileName(unchecked: Array(name.utf8))
        guard let found = try await names.find(name) else { throw .notFound }
        let removal = try await names.planRemoval(of: name)
        if found.entry.type == .directory, directory.attributes.linkCount > 2 {
            directory.attributes.linkCount -= 1
        }
        try names.carryOut(removal, handle)
    }
}

extension FileName {
    /// Of an inode in an orphan directory. Spec: ocfs2-disk 12.1.
    init(orphan number: UInt64) {
        self.init(unchecked: Array(OrphanName.name(inode: number).utf8))
    }
}
