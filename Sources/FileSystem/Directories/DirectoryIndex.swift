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
        name.bytes.withUnsafeBytes { NameHash($0, seed: volume.parameters.indexSeed) }
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
    private static let splitsMax = 8

    /// The leaf for names of this hash, with room for one more. Takes transactions of its own.
    ///
    /// Errors: `noSpace` also when a leaf is full of entries with one hash.
    func leafWithRoom(for hash: NameHash) async throws(FileSystemError) -> LeafPlace {
        var leaf = try await leaf(for: hash)
        if leaf.block === root, leaf.entries.isFull {
            try await moveEntriesOutOfRoot()
            leaf = try await self.leaf(for: hash)
        }
        var splits = 0
        while leaf.entries.isFull {
            guard splits < Self.splitsMax else { throw .noSpace }
            splits += 1
            try await split(leaf, for: hash)
            leaf = try await self.leaf(for: hash)
        }
        return leaf
    }

    /// Gives a full inline root a cluster of leaves. Spec: ocfs2-disk 8.8 insert (b).
    private func moveEntriesOutOfRoot() async throws(FileSystemError) {
        let reservation = try await volume.reserve(SpaceNeeds(clusters: 1))
        defer { reservation.release() }
        let leafCount = volume.geometry.blocksPerCluster
        let credits = leafCount + Credits.clusterAllocation + tree.insertCredits
        try await volume.change(credits: credits) { handle throws(FileSystemError) in
            let run = try await reservation.claimClusters(atMost: 1, handle)
            let leaves = self.formatLeaves(run, handle)
            let entries = self.rootEntries
            for place in 0..<entries.count {
                let entry = entries[place]
                self.list(leaves, for: entry.hash).append(entry)
            }
            IndexRoot.beginExtentList(self.root.bytes, self.volume.geometry)
            handle.modify(self.root)
            try await self.tree.insert(
                Extent(cpos: 0, count: 1, block: leaves[0].number), reservation, handle)
        }
    }

    /// Divides the cluster of a full leaf in two by major hash. Spec: ocfs2-disk 8.8 rebalance.
    private func split(_ leaf: LeafPlace, for hash: NameHash) async throws(FileSystemError) {
        let lowest = leaf.lowestHash
        guard let splitHash = IndexLeaf.splitHash(of: leaf.entries, lowest: lowest, inserting: hash.major)
        else { throw .noSpace }
        let tree = tree
        let reservation = try await volume.reserve(
            SpaceNeeds(
                metadataBlocks: try await tree.metadataNeeded(), clusters: 1,
                nearCluster: volume.geometry.cluster(ofBlock: leaf.firstBlock)))
        defer { reservation.release() }
        let leafCount = volume.geometry.blocksPerCluster
        let numbers = (0..<UInt64(leafCount)).map { leaf.firstBlock + $0 }
        let oldLeaves = try await volume.blocks(numbers, .indexLeaf, for: directory.inode)
        let credits = 2 * leafCount + 1 + Credits.clusterAllocation + tree.insertCredits
        try await volume.change(credits: credits) { handle throws(FileSystemError) in
            let run = try await reservation.claimClusters(atMost: 1, handle)
            let newLeaves = self.formatLeaves(run, handle)
            for (old, new) in zip(oldLeaves, newLeaves) {
                let from = IndexLeaf.entries(old.bytes)
                let to = IndexLeaf.entries(new.bytes)
                if Self.moveEntries(from: from, to: to, atOrAbove: splitHash) { handle.modify(old) }
            }
            handle.modify(self.root)
            try await tree.insert(
                Extent(cpos: splitHash, count: 1, block: newLeaves[0].number), reservation, handle)
        }
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
