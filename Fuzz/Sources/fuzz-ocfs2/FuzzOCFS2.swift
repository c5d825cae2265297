import LayoutKit
import OCFS2Layout

// Blocks of a foreign volume. The first byte chooses the kind of the block (mod 10) and the block size; the rest is the
// block's start. What every block of its kind carries (signature, own number, generation) is put right first, so that
// the checks behind it are reached. What passes its checks is used in every way that the filesystem uses it.

private let number: UInt64 = 77
private let generation: UInt32 = 0x5eed

@c(LLVMFuzzerTestOneInput)
public func fuzz(_ start: UnsafePointer<UInt8>?, _ count: Int) -> CInt {
    let input = UnsafeRawBufferPointer(start: start, count: count)
    guard let choice = input.first else { return 0 }
    guard let parameters = makeParameters(blockSizeBits: 9 + Int(choice / 10) % 4) else { return 0 }
    let size = choice % 10 == 9 ? XattrBucket.byteCount : parameters.blockSize
    var block = [UInt8](repeating: 0, count: size)
    for (index, byte) in input.dropped(1).prefix(size).enumerated() { block[index] = byte }
    block.withUnsafeMutableBytes { bytes in
        switch choice % 10 {
        case 0: superblock(bytes)
        case 1: dinode(bytes, parameters)
        case 2: extentBlock(bytes, parameters)
        case 3: group(bytes, parameters)
        case 4: directory(bytes)
        case 5: index(bytes, parameters)
        case 6: xattrBlock(bytes, parameters)
        case 7: refcount(bytes, parameters)
        case 8: small(bytes, parameters)
        default: bucket(bytes, parameters)
        }
    }
    return 0
}

private func makeParameters(blockSizeBits: Int) -> VolumeParameters? {
    guard let geometry = try? VolumeGeometry(blockSizeBits: blockSizeBits, clusterSizeBits: 13) else { return nil }
    let features = VolumeFeatures(
        compatible: .known, incompatible: IncompatibleFeatures(rawValue: 0xff58), readOnlyCompatible: .known)
    return VolumeParameters(
        geometry: geometry, features: features, generation: generation, clusterCount: 100_000, slotCount: 3)
}

/// Whether the check passes; if not, its text must be there.
private func passes(_ check: () throws(LayoutError) -> Void) -> Bool {
    do throws(LayoutError) {
        try check()
        return true
    } catch {
        precondition(!error.description.isEmpty)
        return false
    }
}

private func superblock(_ bytes: UnsafeMutableRawBufferPointer) {
    bytes[Dinode.Field.signature] = FixedSignature.superblock.rawValue
    bytes[Dinode.Field.block] = 2
    bytes[Superblock.Field.majorRevision] = 0
    bytes[Superblock.Field.minorRevision] = 90
    guard let superblock = try? Superblock(decoding: UnsafeRawBufferPointer(bytes)) else { return }
    var again = [UInt8](repeating: 0, count: superblock.parameters.blockSize)
    // A label or name that is no UTF-8 comes back longer than it was.
    guard superblock.label.utf8.count < 64, superblock.clusterInfo?.clusterName.utf8.count ?? 0 <= 16,
        superblock.clusterInfo?.stack.utf8.count ?? 4 == 4
    else { return }
    again.withUnsafeMutableBytes { superblock.encode(into: $0) }
    let decoded = again.withUnsafeBytes { try? Superblock(decoding: $0) }
    precondition(decoded == superblock, "a superblock changed when it was written")
}

private func dinode(_ bytes: UnsafeMutableRawBufferPointer, _ parameters: VolumeParameters) {
    bytes[Dinode.Field.signature] = FixedSignature.dinode.rawValue
    bytes[Dinode.Field.block] = number
    bytes[Dinode.Field.volumeGeneration] = generation
    bytes[Dinode.Field.flags] |= 1
    let raw = UnsafeRawBufferPointer(bytes)
    guard passes({ () throws(LayoutError) in try Dinode.validate(raw, block: number, parameters) }) else { return }
    let view = DinodeView(bytes)
    precondition(view.fileType != nil)
    switch view.content {
    case .superblock: break
    case .localAlloc: _ = LocalAlloc.bitmap(bytes).findRun(wanted: 5, in: 0..<LocalAlloc.bitmap(bytes).bitCount)
    case .chainList: for chain in 0..<Int(bytes[ChainList.Field.count]) { _ = ChainList.record(raw, chain) }
    case .truncateLog: _ = TruncateLog.append(bytes, .init(start: 9, clusters: 1), parameters.geometry)
    case .inlineData: walk(DirectoryArea(view.inlineData))
    case .symlink: break
    case .extentList: use(view.extentList, parameters)
    }
    if view.xattrInlineSize > 0 { use(XattrStorage(inlineOf: view)) }
}

private func use(_ list: ExtentListView, _ parameters: VolumeParameters) {
    guard passes({ () throws(LayoutError) in try list.validateRecords(parameters) }) else { return }
    for cpos in [0, 1, 1000, UInt32.max] {
        if list.isLeaf {
            if let record = list.record(covering: cpos) { precondition(record.contains(cpos)) }
        } else if let child = list.childIndex(for: cpos) {
            precondition(list[child].block > 2)
        }
    }
    if !list.isFull { list.insert(ExtentRecord(cpos: 3, clusters: 1, block: 8000), at: list.count) }
    if list.count > 0 { list.remove(at: 0) }
}

private func extentBlock(_ bytes: UnsafeMutableRawBufferPointer, _ parameters: VolumeParameters) {
    bytes[ExtentBlock.Field.signature] = FixedSignature.extentBlock.rawValue
    bytes[ExtentBlock.Field.block] = number
    bytes[ExtentBlock.Field.volumeGeneration] = generation
    let raw = UnsafeRawBufferPointer(bytes)
    guard passes({ () throws(LayoutError) in try ExtentBlock.validate(raw, block: number, parameters) }) else { return }
    use(ExtentBlock.list(bytes), parameters)
}

private func group(_ bytes: UnsafeMutableRawBufferPointer, _ parameters: VolumeParameters) {
    bytes[GroupDescriptor.Field.signature] = FixedSignature.groupDescriptor.rawValue
    bytes[GroupDescriptor.Field.block] = number
    bytes[GroupDescriptor.Field.volumeGeneration] = generation
    bytes[GroupDescriptor.Field.parent] = 20
    let allocator = GroupDescriptor.Allocator(
        block: 20, clustersPerGroup: 512, bitsPerCluster: UInt16(parameters.geometry.blocksPerCluster), chainCount: 9)
    let raw = UnsafeRawBufferPointer(bytes)
    guard
        passes({ () throws(LayoutError) in
            try GroupDescriptor.validate(raw, block: number, of: allocator, parameters)
        })
    else { return }
    let bitmap = GroupDescriptor.bitmap(bytes)
    for bit in stride(from: 0, to: bitmap.bitCount, by: 7) {
        guard let block = GroupDescriptor.block(ofBit: bit, raw, parameters) else { continue }
        // Runs of a foreign group may name the same block twice: then the first one wins.
        if let back = GroupDescriptor.bit(ofBlock: block, raw, parameters) { precondition(back <= bit) }
        _ = GroupDescriptor.bits(inRunOf: bit, raw, parameters)
    }
    if let run = bitmap.findRun(wanted: 9, in: 0..<bitmap.bitCount) { GroupDescriptor.take(bytes, run) }
    _ = passes { () throws(LayoutError) in try GroupDescriptor.release(bytes, 1..<5) }
}

private func walk(_ area: DirectoryArea) {
    var steps = 0
    _ = passes { () throws(LayoutError) in
        try area.forEach { entry in
            steps += 1
            _ = area.name(of: entry).first
            return true
        }
    }
    precondition(steps <= area.count / DirectoryEntry.lengthMin)
    withUnsafeBytes(of: UInt64(0x6162_6364_6566_6768)) { name in
        _ = passes { () throws(LayoutError) in
            guard let entry = try area.insert(name, inode: 9, type: .regular) else { return }
            let found = try area.find(name)
            precondition(found != nil)
            try area.remove(entry)
            _ = try area.largestHole()
            _ = try area.isEmpty()
        }
    }
}

private func directory(_ bytes: UnsafeMutableRawBufferPointer) {
    walk(DirectoryArea(block: bytes, hasTrailer: bytes[0] & 1 == 1))
    _ = OrphanName.decode(UnsafeRawBufferPointer(bytes.part(offset: 0, count: 20)))
    _ = NameHash(UnsafeRawBufferPointer(bytes.part(offset: 0, count: Int(bytes[0]))), seed: IndexSeed(1, 2, 3))
}

private func index(_ bytes: UnsafeMutableRawBufferPointer, _ parameters: VolumeParameters) {
    let raw = UnsafeRawBufferPointer(bytes)
    if bytes[0] & 1 == 0 {
        bytes[IndexRoot.Field.signature] = FixedSignature.indexRoot.rawValue
        bytes[IndexRoot.Field.block] = number
        bytes[IndexRoot.Field.volumeGeneration] = generation
        bytes[IndexRoot.Field.directory] = 99
        guard
            passes({ () throws(LayoutError) in
                try IndexRoot.validate(raw, block: number, directory: 99, parameters)
            })
        else { return }
        if IndexRoot.isInline(raw) {
            use(IndexRoot.entries(bytes))
        } else {
            let list = IndexRoot.list(bytes)
            guard list.isLeaf, let place = IndexRoot.recordIndex(for: 500, in: list) else { return }
            _ = IndexRoot.leafBlock(for: NameHash(major: 500, minor: 5), in: list[place], parameters.geometry)
            use(list, parameters)
        }
    } else {
        bytes[IndexLeaf.Field.signature] = FixedSignature.indexLeaf.rawValue
        bytes[IndexLeaf.Field.block] = number
        bytes[IndexLeaf.Field.volumeGeneration] = generation
        guard passes({ () throws(LayoutError) in try IndexLeaf.validate(raw, block: number, parameters) }) else {
            return
        }
        _ = IndexLeaf.splitHash(of: IndexLeaf.entries(bytes), lowest: 0, inserting: 5)
        use(IndexLeaf.entries(bytes))
    }
}

private func use(_ entries: IndexEntryList) {
    if !entries.isFull { entries.append(.init(hash: NameHash(major: 1, minor: 2), block: 3)) }
    if let place = entries.firstIndex(of: NameHash(major: 1, minor: 2)) { entries.remove(at: place) }
}

private func use(_ storage: XattrStorage) {
    guard passes({ () throws(LayoutError) in try storage.validate() }) else { return }
    for place in 0..<storage.count {
        let entry = storage[place]
        _ = storage.name(of: entry).first
        if entry.isLocal {
            _ = storage.localValue(of: entry).first
        } else {
            _ = XattrValueRoot.list(storage.valueRoot(of: entry)).count
        }
    }
}

private func xattrBlock(_ bytes: UnsafeMutableRawBufferPointer, _ parameters: VolumeParameters) {
    bytes[XattrBlock.Field.signature] = FixedSignature.xattrBlock.rawValue
    bytes[XattrBlock.Field.block] = number
    bytes[XattrBlock.Field.volumeGeneration] = generation
    let raw = UnsafeRawBufferPointer(bytes)
    guard passes({ () throws(LayoutError) in try XattrBlock.validate(raw, block: number, parameters) }) else { return }
    guard !XattrBlock.isIndexed(raw) else { return use(XattrBlock.list(bytes), parameters) }
    use(XattrBlock.storage(bytes))
}

private func bucket(_ bytes: UnsafeMutableRawBufferPointer, _ parameters: VolumeParameters) {
    let bucket = XattrBucket(bytes, blockSize: parameters.blockSize)
    guard passes({ () throws(LayoutError) in try bucket.validate() }) else { return }
    use(bucket.storage)
    withUnsafeBytes(of: UInt32(0x6162_6364)) { name in
        if let place = bucket.find(indexNumber: 1, name, hash: 5) { precondition(bucket.storage[place].hash == 5) }
        if let place = bucket.insert(indexNumber: 1, name, hash: 5, valueSize: 30) {
            precondition(bucket.storage[place].nameLength == 4)
        }
    }
    var upper = [UInt8](repeating: 0, count: XattrBucket.byteCount)
    upper.withUnsafeMutableBytes { bucket.divide(into: XattrBucket($0, blockSize: parameters.blockSize)) }
}

private func refcount(_ bytes: UnsafeMutableRawBufferPointer, _ parameters: VolumeParameters) {
    bytes[RefcountBlock.Field.signature] = FixedSignature.refcountBlock.rawValue
    bytes[RefcountBlock.Field.block] = number
    bytes[RefcountBlock.Field.volumeGeneration] = generation
    let raw = UnsafeRawBufferPointer(bytes)
    let root: UInt64? = RefcountBlock.kind(raw) == .leaf ? bytes[RefcountBlock.Field.parent] : nil
    guard
        passes({ () throws(LayoutError) in
            try RefcountBlock.validate(raw, block: number, root: root, parameters)
        })
    else { return }
    if RefcountBlock.kind(raw) == .rootWithTree { return use(RefcountBlock.list(bytes), parameters) }
    let records = RefcountBlock.records(bytes)
    let place = records.index(atOrAfter: 500)
    if !records.isFull { records.insert(RefcountRecord(start: 500, clusters: 1, count: 1), at: place) }
    if records.count > 0 { records.remove(at: 0) }
}

private func small(_ bytes: UnsafeMutableRawBufferPointer, _ parameters: VolumeParameters) {
    let raw = UnsafeRawBufferPointer(bytes)
    for form in [SlotMap.Form.extended, .old] { _ = try? SlotMap(decoding: raw, form: form, slotCount: 3).nodes }
    _ = try? ACLEntry.decodeAll(raw.part(offset: 0, count: 64))
    _ = passes { () throws(LayoutError) in
        try DirectoryTrailer.validate(raw, block: number, directory: 9, parameters)
    }
    _ = passes { () throws(LayoutError) in _ = try BlockCheck.verify(bytes, at: BlockCheck.dinodeOffset) }
}
