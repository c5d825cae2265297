import Journal
import LayoutKit
import OCFS2Layout

// How a directory gets room. Each function is a transaction of its own. Spec: ocfs2-disk 8.4.
extension Directory {
    /// The names of an inline directory move to a block of their own; with the volume's feature they are indexed.
    func leaveDinode() async throws(FileSystemError) {
        _ = try inlineArea().largestHole()
        let isIndexing = volume.features.hasIndexedDirectories
        let reservation = try await volume.reserve(
            SpaceNeeds(metadataBlocks: isIndexing ? 1 : 0, clusters: 1))
        defer { reservation.release() }
        // The dinode, which the first extent fits in, the block and the index.
        let credits = 3 + Credits.clusterAllocation + (isIndexing ? Credits.suballocation : 0)
        try await volume.transaction(credits: credits) { handle throws(FileSystemError) in
            let names = Array(self.inlineArea().view.bytes)
            let run = try await reservation.claimClusters(atMost: 1, handle)
            let rootBlock = isIndexing ? try await reservation.claimMetadataBlock(handle) : nil
            self.inode.dinode.beginExtentList(self.volume.geometry)
            self.inode.attributes.dynamicFeatures.remove(.inlineData)
            if isIndexing { self.inode.attributes.dynamicFeatures.insert(.indexedDirectory) }
            self.inode.attributes.size = UInt64(self.volume.blockSize)
            self.inode.storeAttributes(handle)
            let block = self.volume.freshBlock(self.volume.geometry.firstBlock(ofCluster: run.cluster), .directoryData)
            let area = self.area(of: block)
            names.withUnsafeBytes { block.bytes.copyMemory(from: $0) }
            try area.check { () throws(LayoutError) in try area.view.extendLastEntry(filled: names.count) }
            self.initializeTrailer(of: area, largestHole: try area.largestHole())
            handle.modify(block)
            if let rootBlock { try self.makeIndex(at: rootBlock, of: area, handle) }
            try await ExtentTree(self.volume, .data(self.inode)).insert(
                Extent(cpos: 0, count: 1, block: block.number), reservation, handle)
            self.inode.storeAttributes(handle)
        }
    }

    /// An inline index of the names in the only data block. Every dinode's worth of names fits. 2 credits.
    func makeIndex(
        at claimed: ClaimedBlock, of area: EntryArea, _ handle: JournalHandle
    ) throws(FileSystemError) {
        let root = volume.freshBlock(claimed.number, .indexRoot)
        IndexRoot.initialize(
            root.bytes, block: claimed.number, directory: inode.number, claimed.place, volume.parameters)
        let index = DirectoryIndex(directory: self, root: root)
        let entries = index.rootEntries
        try area.check { () throws(LayoutError) in
            try area.view.forEach { entry in
                guard entry.isUsed else { return true }
                guard !entries.isFull else { return false }
                let hash = NameHash(area.view.name(of: entry), seed: volume.parameters.indexSeed)
                entries.append(IndexEntryList.Entry(hash: hash, block: area.block.number))
                return true
            }
        }
        root.bytes[IndexRoot.Field.entryCount] = UInt32(entries.count)
        root.bytes[IndexRoot.Field.firstFree] = area.freeLength == 0 ? 0 : area.block.number
        handle.modify(root)
        inode.block.bytes[Dinode.Field.indexRoot] = claimed.number
        handle.modify(inode.block)
    }

    /// One more empty block at the end. Spec: ocfs2-disk 8.4.
    func appendBlock() async throws(FileSystemError) {
        let geometry = volume.geometry
        let next = blockCount
        let tree = ExtentTree(volume, .data(inode))
        let isAllocated = next < geometry.blocks(inClusters: inode.attributes.clusters)
        let index = isIndexed ? try await index() : nil
        var needs = SpaceNeeds()
        var known: UInt64?
        if isAllocated {
            known = try await physicalBlock(next)
        } else {
            let last = try await physicalBlock(next - 1)
            needs = SpaceNeeds(
                metadataBlocks: tree.metadataNeeded(), clusters: 1,
                nearCluster: geometry.cluster(ofBlock: last) &+ 1)
        }
        let reservation = try await volume.reserve(needs)
        defer { reservation.release() }
        let credits = 3 + (isAllocated ? 0 : Credits.clusterAllocation + tree.insertCredits)
        try await volume.transaction(credits: credits) { handle throws(FileSystemError) in
            let number: UInt64
            if let known {
                number = known
            } else {
                let run = try await reservation.claimClusters(atMost: 1, handle)
                number = geometry.firstBlock(ofCluster: run.cluster)
                let cpos = UInt32(truncatingIfNeeded: next >> UInt64(geometry.blocksPerClusterBits))
                try await tree.insert(Extent(cpos: cpos, count: 1, block: number), reservation, handle)
            }
            let block = self.volume.freshBlock(number, .directoryData)
            let area = self.area(of: block)
            area.view.initializeEmpty()
            self.initializeTrailer(of: area, largestHole: area.byteCount)
            if let index {
                area.nextFree = index.root.bytes[IndexRoot.Field.firstFree]
                index.root.bytes[IndexRoot.Field.firstFree] = number
                handle.modify(index.root)
            }
            handle.modify(block)
            self.inode.attributes.size = geometry.byteOffset(ofBlock: next + 1)
            self.inode.storeAttributes(handle)
        }
    }

    /// A new block's trailer, if blocks of this directory have one.
    func initializeTrailer(of area: EntryArea, largestHole: Int) {
        guard hasTrailers else { return }
        DirectoryTrailer.initialize(
            area.block.bytes, block: area.block.number, directory: inode.number, largestHole: largestHole)
    }
}
