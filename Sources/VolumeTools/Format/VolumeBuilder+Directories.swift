import LayoutKit
import OCFS2Layout

// Root directory, system directory, orphan directories, lost+found. Spec: ocfs2-disk 4, 7, 8.
extension VolumeBuilder {
    /// Where `lost+found` lies: in the first group of inode_alloc:0000.
    struct LostAndFound {
        /// First cluster of the group.
        var inodeGroup: UInt32
        /// Data, when directories are not inline.
        var data: Range<UInt32>?
        var block: UInt64
    }

    mutating func takeLostAndFound() throws(FormatRefusal) -> LostAndFound {
        let group = try bitmap.takeRun(geometry.suballocatorClustersPerGroup)
        let data = hasInlineData ? nil : try takeCluster()
        return LostAndFound(
            inodeGroup: group, data: data, block: geometry.firstBlock(ofCluster: group) + 1)
    }

    mutating func writeDirectories(
        _ rootRuns: [Range<UInt32>], _ systemDirectory: Range<UInt32>?, _ orphanRuns: [Range<UInt32>],
        _ lostAndFound: LostAndFound
    ) {
        let root = parameters.rootBlock, system = parameters.systemDirectoryBlock
        writeDirectory(
            root, parent: root, links: 3, names: [("lost+found", lostAndFound.block, .directory)], data: rootRuns.first)
        let names = systemFiles.map { file -> (String, UInt64, FileType) in
            (file.name, file.block, file.inode == .orphanDirectory ? .directory : .regular)
        }
        writeDirectory(
            system, parent: system, links: UInt32(2 + format.slotCount), names: names, data: systemDirectory,
            isIndexed: false)
        for slot in 0..<format.slotCount {
            writeDirectory(
                file(.orphanDirectory, slot: slot).block, parent: system, links: 2, names: [],
                data: hasInlineData ? nil : orphanRuns[slot])
        }
        writeLostAndFound(lostAndFound)
    }

    typealias Name = (name: String, inode: UInt64, type: FileType)

    /// A directory of global_inode_alloc.
    private mutating func writeDirectory(
        _ block: UInt64, parent: UInt64, links: UInt32, names: [Name], data: Range<UInt32>?, isIndexed: Bool = true
    ) {
        let geometry = geometry
        guard let data else {
            addSystemInode(block, mode: 0o040755, links: links, flags: [.valid, .system]) {
                Self.fillInline($0, block: block, parent: parent, names, geometry)
            }
            return
        }
        let made = writeDirectoryData(block, parent: parent, names, data, isIndexed: isIndexed && makesIndexes)
        addSystemInode(block, mode: 0o040755, links: links, flags: [.valid, .system]) {
            Self.fillExtents($0, [data], size: made.size, geometry)
            Self.fillIndex($0, made.index)
        }
    }

    private static func fillIndex(_ dinode: DinodeView, _ index: UInt64?) {
        guard let index else { return }
        dinode.dynamicFeatures.insert(.indexedDirectory)
        dinode.bytes[Dinode.Field.indexRoot] = index
    }

    private static func fillInline(
        _ dinode: DinodeView, block: UInt64, parent: UInt64, _ names: [Name], _ geometry: VolumeGeometry
    ) {
        dinode.beginInlineData(geometry)
        dinode.size = UInt64(geometry.inlineDataCapacity)
        let area = DirectoryArea(dinode.inlineData)
        area.initialize(own: block, parent: parent)
        for name in names {
            guard insert(name, into: area) else { preconditionFailure("\(name.name) does not fit its directory") }
        }
    }

    private static func insert(_ name: Name, into area: DirectoryArea) -> Bool {
        var text = name.name
        return text.withUTF8 { utf8 in
            (try? area.insert(UnsafeRawBufferPointer(utf8), inode: name.inode, type: name.type)) != nil
        }
    }

    /// The data blocks of a directory, as many as its names need, and its index, for which all names must fit one
    /// block. Returns the bytes of the data and the index's block.
    private mutating func writeDirectoryData(
        _ directory: UInt64, parent: UInt64, _ names: [Name], _ clusters: Range<UInt32>, isIndexed: Bool
    ) -> (size: UInt64, index: UInt64?) {
        // mkfs.ocfs2 leaves room for the trailer wherever directories can be indexed, also where one is not (seen).
        let hasTrailer = parameters.directoryHasTrailer(isIndexed: parameters.features.hasIndexedDirectories)
        let check = hasTrailer ? BlockCheck.trailerOffset(blockSize: geometry.blockSize) : nil
        var rest = names[...]
        var block = geometry.firstBlock(ofCluster: clusters.lowerBound)
        let first = block
        var hole = 0
        clear(clusters)
        repeat {
            let number = block
            var placed = 0
            add(number, check: check) { bytes in
                let area = DirectoryArea(block: bytes, hasTrailer: hasTrailer)
                if number == first {
                    area.initialize(own: directory, parent: parent)
                } else {
                    area.initializeEmpty()
                }
                while placed < rest.count, Self.insert(rest[rest.startIndex + placed], into: area) { placed += 1 }
                guard hasTrailer else { return }
                hole = isIndexed ? (try? area.largestHole()) ?? 0 : 0
                DirectoryTrailer.initialize(bytes, block: number, directory: directory, largestHole: hole)
            }
            rest = rest.dropFirst(placed)
            block += 1
        } while !rest.isEmpty
        let index =
            isIndexed
            ? writeIndex(of: directory, dataBlock: first, names: names.map(\.name), largestHole: hole) : nil
        return ((block - first) << UInt64(geometry.blockSizeBits), index)
    }

    private mutating func writeLostAndFound(_ place: LostAndFound) {
        let group = geometry.firstBlock(ofCluster: place.inodeGroup)
        let origin = DinodeView.Origin(
            block: place.block, generation: identity.generation,
            suballocation: Suballocation(slot: 0, bit: 1, group: group), mode: 0o040755, linkCount: 2, time: time)
        let parameters = parameters
        let geometry = geometry
        let made = place.data.map {
            writeDirectoryData(place.block, parent: parameters.rootBlock, [], $0, isIndexed: makesIndexes)
        }
        add(place.block, check: BlockCheck.dinodeOffset) { bytes in
            let dinode = DinodeView(bytes)
            dinode.initialize(origin, parameters)
            if let data = place.data, let made {
                Self.fillExtents(dinode, [data], size: made.size, geometry)
                Self.fillIndex(dinode, made.index)
            } else {
                Self.fillInline(dinode, block: place.block, parent: parameters.rootBlock, [], geometry)
            }
        }
    }
}
