import Journal
import LayoutKit
import OCFS2Layout

extension Directory {
    /// A name to be removed, and where.
    struct Removal {
        let name: FileName
        let area: EntryArea
        let index: (root: MetadataBlock, leaf: LeafPlace, hash: NameHash)?
    }

    /// Blocks that a removal changes: dinode, data block, dx root, leaf.
    static let removalCredits = 4

    /// Errors: `notFound`.
    func planRemoval(of name: FileName) async throws(FileSystemError) -> Removal {
        guard let found = try await find(name) else { throw .notFound }
        // What is wrong with block or leaf has to be found before the handle.
        _ = try found.area.largestHole()
        guard isIndexed else { return Removal(name: name, area: found.area, index: nil) }
        let index = try await index()
        let hash = index.hash(of: name)
        let leaf = try await index.leaf(for: hash)
        _ = try indexEntry(in: leaf, hash, block: found.area.block.number)
        return Removal(name: name, area: found.area, index: (index.root, leaf, hash))
    }

    /// Removes the name. ``removalCredits`` credits.
    func carryOut(_ removal: Removal, _ handle: JournalHandle) throws(FileSystemError) {
        let area = removal.area
        guard let entry = try area.find(removal.name) else {
            throw corrupt("a name is gone between planning and removal", block: area.block.number)
        }
        let freed = EntryArea.Entry.lengthNeeded(forName: removal.name.bytes.count)
        try area.check { () throws(LayoutError) in try area.view.remove(entry) }
        handle.modify(area.block)
        state.bytesFreedSinceFailure += freed
        state.linearStart = 0
        if let (root, leaf, hash) = removal.index {
            leaf.entries.remove(at: try indexEntry(in: leaf, hash, block: area.block.number))
            handle.modify(leaf.block)
            root.bytes[IndexRoot.Field.entryCount] &-= 1
            handle.modify(root)
            let hadHole = area.freeLength != 0
            area.freeLength = try area.largestHole()
            if !hadHole, area.freeLength != 0 {
                area.nextFree = root.bytes[IndexRoot.Field.firstFree]
                root.bytes[IndexRoot.Field.firstFree] = area.block.number
            }
        }
        touch(handle)
    }

    /// Where the entry of a name is in its leaf.
    private func indexEntry(in leaf: LeafPlace, _ hash: NameHash, block: UInt64) throws(FileSystemError) -> Int {
        let entries = leaf.entries
        for index in 0..<entries.count {
            let entry = entries[index]
            if entry.hash == hash, entry.block == block { return index }
        }
        throw corrupt("a name has no index entry", block: leaf.block.number)
    }

    /// Lets an existing name mean another inode. 2 credits (dinode, data block). Spec: ocfs2-disk 8.2.
    func retarget(_ found: Found, to number: UInt64, type: FileType, _ handle: JournalHandle) {
        found.area.view.retarget(found.entry, inode: number, type: type)
        handle.modify(found.area.block)
        touch(handle)
    }
}
