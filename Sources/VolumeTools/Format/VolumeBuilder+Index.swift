import LayoutKit
import OCFS2Layout

// Indexes of the first directories, on volumes whose directories are indexed and not inline. The system directory has
// none. Spec: ocfs2-disk 8.6, ocfs2-disk-2 20.2 step 11.
extension VolumeBuilder {
    /// Where the indexes lie: from bit 1 of the first group of extent_alloc:0000 on.
    struct IndexBlocks {
        /// First cluster of the group.
        var group: UInt32
        /// Indexes so far.
        var count = 0
    }

    /// Whether the first directories have an index of their own.
    var makesIndexes: Bool { format.features.hasIndexedDirectories && !hasInlineData }

    /// Finds the group that indexes are taken from, or makes it.
    mutating func takeIndexGroup() throws(FormatRefusal) {
        guard makesIndexes else { return }
        if extentGroups[0].isEmpty {
            extentGroups[0].append(try bitmap.takeRun(geometry.suballocatorClustersPerGroup))
        }
        indexBlocks = IndexBlocks(group: extentGroups[0][0])
    }

    /// Makes the index of a directory whose names all lie in one block. Returns its block, nil where directories have
    /// none.
    mutating func writeIndex(of directory: UInt64, dataBlock: UInt64, names: [String], largestHole: Int) -> UInt64? {
        guard var index = indexBlocks else { return nil }
        index.count += 1
        indexBlocks = index
        let group = geometry.firstBlock(ofCluster: index.group)
        let block = group + UInt64(index.count)
        let suballocation = Suballocation(slot: 0, bit: UInt16(index.count), group: group)
        let (parameters, seed) = (parameters, parameters.indexSeed)
        add(block, check: BlockCheck.treeOffset) { bytes in
            IndexRoot.initialize(bytes, block: block, directory: directory, suballocation, parameters)
            let entries = IndexRoot.entries(bytes)
            for name in [".", ".."] + names {
                var text = name
                let hash = text.withUTF8 { NameHash(UnsafeRawBufferPointer($0), seed: seed) }
                entries.append(IndexEntryList.Entry(hash: hash, block: dataBlock))
            }
            bytes[IndexRoot.Field.entryCount] = UInt32(entries.count)
            bytes[IndexRoot.Field.firstFree] = largestHole > 0 ? dataBlock : 0
        }
        return block
    }
}
