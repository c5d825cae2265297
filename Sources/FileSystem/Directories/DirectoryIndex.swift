import Journal
import LayoutKit
import OCFS2Layout

/// The index of a directory: from the hash of a name to the data block that holds it. Spec: ocfs2-disk 8.6-8.8.
///
///     dx root, inline      the entries are in the root itself
///     dx root, not inline  b-tree: lowest major hash -> cluster of leaves; the minor hash chooses the leaf in it
struct DirectoryIndex {
    let directory: Directory
    let root: MetadataBlock

    var volume: MountedVolume { directory.volume }
    var isInline: Bool { IndexRoot.isInline(UnsafeRawBufferPointer(root.bytes)) }
    var tree: ExtentTree { ExtentTree(volume, .directoryIndex(root, owner: directory.inode)) }

    func hash(of name: FileName) -> NameHash {
        name.withBytes { NameHash($0, seed: volume.parameters.indexSeed) }
    }

    /// The entries of an inline root.
    var rootEntries: IndexEntryList { IndexRoot.entries(root.bytes) }
}

/// Where the entries of names with one hash are.
struct LeafPlace {
    /// The leaf, or the inline root.
    let block: MetadataBlock
    let entries: IndexEntryList
    /// Lowest major hash of the cluster of leaves; 0 for the root.
    let lowestHash: UInt32
    /// First leaf of that cluster; 0 for the root.
    let firstBlock: UInt64
}

extension DirectoryIndex {
    /// The leaf for names of this hash.
    func leaf(for hash: NameHash) async throws(FileSystemError) -> LeafPlace {
        if isInline { return LeafPlace(block: root, entries: rootEntries, lowestHash: 0, firstBlock: 0) }
        guard let extent = try await tree.extent(atOrBefore: hash.major), extent.count > 0 else {
            throw directory.corrupt("no leaf for hash \(hash.major)", block: root.number)
        }
        // Hashes behind the record belong to its last cluster: a record covers all up to the next one.
        let cluster = min(hash.major - extent.cpos, extent.count - 1)
        let geometry = volume.geometry
        let firstBlock = extent.block + geometry.blocks(inClusters: cluster)
        let number = firstBlock + UInt64(hash.minor & UInt32(geometry.blocksPerCluster - 1))
        let block = try await volume.block(number, .indexLeaf, for: directory.inode)
        return LeafPlace(
            block: block, entries: IndexLeaf.entries(block.bytes),
            lowestHash: extent.cpos + cluster, firstBlock: firstBlock)
    }

    func find(_ name: FileName) async throws(FileSystemError) -> Directory.Found? {
        let hash = hash(of: name)
        let leaf = try await leaf(for: hash)
        // The numbers first: the leaf may change while blocks are read if the caller holds its lock shared with others.
        var candidates: [UInt64] = []
        let entries = leaf.entries
        for index in 0..<entries.count {
            let entry = entries[index]
            if entry.hash == hash { candidates.append(entry.block) }
        }
        for number in candidates {
            let area = try await directory.area(atBlock: number)
            if let found = try directory.found(name, in: area) { return found }
        }
        return nil
    }
}

// MARK: Room for one more entry

extension DirectoryIndex {
    /// Splits of leaves until one insertion: each takes at least one entry away.
    static let splitsMax = 8

    /// The leaf for names of this hash, with room for one more. Takes transactions of its own.
    ///
    /// Errors: `noSpace` also when a leaf is full of entries with one hash.
    func leafWithRoom(for hash: NameHash) async throws(FileSystemError) -> LeafPlace {
        var leaf = try await leaf(for: hash)
        var steps = 0
        while leaf.entries.isFull {
            guard steps < Self.splitsMax else { throw .noSpace }
            steps += 1
            guard mayMakeRoom(in: leaf, for: hash) else { throw .noSpace }
            let reservation = try await volume.reserve(
                growthNeeds(near: leaf.firstBlock == 0 ? nil : volume.geometry.cluster(ofBlock: leaf.firstBlock)))
            defer { reservation.release() }
            let credits = try await growthCredits(at: leaf.lowestHash)
            try await volume.transaction(credits: credits) { [leaf] handle throws(FileSystemError) in
                try await self.makeRoom(in: leaf, for: hash, reservation, handle)
            }
            leaf = try await self.leaf(for: hash)
        }
        return leaf
    }

    /// What one ``makeRoom(in:for:_:_:)`` takes.
    func growthNeeds(near cluster: UInt32? = nil) -> SpaceNeeds {
        SpaceNeeds(metadataBlocks: isInline ? 0 : tree.metadataNeeded(), clusters: 1, nearCluster: cluster)
    }

    /// Credits of one ``makeRoom(in:for:_:_:)`` for this major hash; most are needed for 0.
    func growthCredits(at major: UInt32 = 0) async throws(FileSystemError) -> Int {
        2 * volume.geometry.blocksPerCluster + 2 + Credits.clusterAllocation
            + (isInline ? Credits.suballocation : try await tree.changeCredits(at: major))
    }

    /// false: the leaf is full of entries with one hash, which nothing divides.
    func mayMakeRoom(in leaf: LeafPlace, for hash: NameHash) -> Bool {
        leaf.block === root || splitHash(of: leaf, for: hash) != nil
    }

    /// Gives an inline root a cluster of leaves, or divides the cluster of a full leaf in two.
    func makeRoom(
        in leaf: LeafPlace, for hash: NameHash, _ reservation: Reservation, _ handle: JournalHandle
    ) async throws(FileSystemError) {
        if leaf.block === root {
            try await moveEntriesOutOfRoot(reservation, handle)
        } else {
            try await split(leaf, for: hash, reservation, handle)
        }
    }

    /// Spec: ocfs2-disk 8.8 insert (b).
    private func moveEntriesOutOfRoot(
        _ reservation: Reservation, _ handle: JournalHandle
    ) async throws(FileSystemError) {
        let run = try await reservation.claimClusters(atMost: 1, handle)
        let leaves = formatLeaves(run, handle)
        let entries = rootEntries
        for place in 0..<entries.count {
            let entry = entries[place]
            list(leaves, for: entry.hash).append(entry)
        }
        IndexRoot.beginExtentList(root.bytes, volume.geometry)
        handle.modify(root)
        try await tree.insert(Extent(cpos: 0, count: 1, block: leaves[0].number), reservation, handle)
    }

    /// nil: a leaf full of entries with one hash.
    private func splitHash(of leaf: LeafPlace, for hash: NameHash) -> UInt32? {
        IndexLeaf.splitHash(of: leaf.entries, lowest: leaf.lowestHash, inserting: hash.major)
    }

    /// Divides by major hash. Spec: ocfs2-disk 8.8 rebalance.
    private func split(
        _ leaf: LeafPlace, for hash: NameHash, _ reservation: Reservation, _ handle: JournalHandle
    ) async throws(FileSystemError) {
        guard let splitHash = splitHash(of: leaf, for: hash) else { throw .noSpace }
        let numbers = (0..<UInt64(volume.geometry.blocksPerCluster)).map { leaf.firstBlock + $0 }
        let oldLeaves = try await volume.blocks(numbers, .indexLeaf, for: directory.inode)
        let run = try await reservation.claimClusters(atMost: 1, handle)
        let newLeaves = formatLeaves(run, handle)
        for (old, new) in zip(oldLeaves, newLeaves) {
            let from = IndexLeaf.entries(old.bytes), to = IndexLeaf.entries(new.bytes)
            if Self.moveEntries(from: from, to: to, atOrAbove: splitHash) { handle.modify(old) }
        }
        handle.modify(root)
        try await tree.insert(Extent(cpos: splitHash, count: 1, block: newLeaves[0].number), reservation, handle)
    }

    /// Moves entries in their order; false if there was none.
    static func moveEntries(from: IndexEntryList, to: IndexEntryList, atOrAbove split: UInt32) -> Bool {
        var kept = 0
        let count = from.count
        for index in 0..<count {
            let entry = from[index]
            if entry.hash.major >= split {
                to.append(entry)
            } else {
                if kept != index { from[kept] = entry }
                kept += 1
            }
        }
        from.truncate(to: kept)
        return kept != count
    }

    private func formatLeaves(_ run: ClusterRun, _ handle: JournalHandle) -> [MetadataBlock] {
        let first = volume.geometry.firstBlock(ofCluster: run.cluster)
        return (0..<UInt64(volume.geometry.blocksPerCluster)).map { index in
            let block = volume.freshBlock(first + index, .indexLeaf)
            IndexLeaf.initialize(block.bytes, block: block.number, volume.parameters)
            handle.modify(block)
            return block
        }
    }

    private func list(_ leaves: [MetadataBlock], for hash: NameHash) -> IndexEntryList {
        let index = Int(hash.minor & UInt32(leaves.count - 1))
        return IndexLeaf.entries(leaves[index].bytes)
    }
}
