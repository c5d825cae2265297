internal import EngineKit
internal import Journal
internal import LayoutKit
internal import OCFS2Layout

/// `inode_alloc:N` or `extent_alloc:N`: hands out single blocks from groups of clusters. Spec: ocfs2-disk 9.4.
///
/// Bits change only between two waits, as in ``ClusterBitmap``.
final class Suballocator {
    let inode: Inode
    let slot: Int
    let hold: AllocatorHold
    /// Blocks that reservations count on.
    var promised = 0
    /// One new group at a time.
    let growLock = AsyncReadWriteLock()
    /// The group that gave the last block.
    private var lastGroup: UInt64 = 0
    private unowned let volume: MountedVolume

    init(_ volume: MountedVolume, _ inode: Inode, slot: Int) throws(FileSystemError) {
        self.volume = volume
        self.inode = inode
        self.slot = slot
        hold = AllocatorHold(inode.metaLock)
        let bits = Int(inode.block.bytes[ChainList.Field.bitsPerCluster])
        guard bits == volume.geometry.blocksPerCluster, bits * clustersPerGroup <= bitmapSize * 8 else {
            throw wrong(inode.number, "cl_bpc is \(bits), cl_cpg \(clustersPerGroup)")
        }
    }

    /// `bg_size` of a new group. Spec: ocfs2-disk 9.2.
    private var bitmapSize: Int {
        volume.features.incompatible.contains(.discontiguousGroups)
            ? GroupDescriptor.suballocatorBitmapSize : volume.geometry.clusterGroupBitmapSize
    }

    private var bytes: UnsafeMutableRawBufferPointer { inode.block.bytes }

    /// Blocks that are not in use.
    var free: Int {
        let total = bytes[Dinode.Field.bitsTotal], used = bytes[Dinode.Field.bitsUsed]
        return total > used ? Int(total - used) : 0
    }

    var available: Int { free - promised }
    var clustersPerGroup: Int { Int(bytes[ChainList.Field.clustersPerGroup]) }
    private var chainCount: Int { Int(bytes[ChainList.Field.count]) }
    /// A chain longer than this is a loop.
    private var groupCountMax: Int { Int(bytes[Dinode.Field.clusters]) / max(1, clustersPerGroup) + 1 }

    // MARK: Taking

    /// Takes a block that was promised, near `group` if there is one free. 3 credits.
    func take(near group: UInt64?, _ handle: JournalHandle) async throws(FileSystemError) -> ClaimedBlock {
        precondition(promised > 0, "a block is claimed from \(inode.number) that nobody promised")
        if let group, let taken = try await take(from: group, handle) { return taken }
        if lastGroup != 0, lastGroup != group, let taken = try await take(from: lastGroup, handle) { return taken }
        // A group that is seen full may get a free bit behind our back, so once is not always enough.
        for _ in 0..<3 {
            for chain in chainsByFree() {
                if let taken = try await takeFromChain(chain, handle) { return taken }
            }
        }
        throw wrong(inode.number, "i_used says that \(free) blocks are free, the groups have none")
    }

    /// The chains with free bits, the one with the most first. Spec: ocfs2-disk 9.5 rules 2, 4.
    private func chainsByFree() -> [Int] {
        let raw = inode.block.rawBytes
        let chains = (0..<chainCount).filter { ChainList.record(raw, $0).free > 0 }
        guard let most = chains.max(by: { ChainList.record(raw, $0).free < ChainList.record(raw, $1).free }) else {
            return []
        }
        return [most] + chains.filter { $0 != most }
    }

    private func takeFromChain(
        _ chain: Int, _ handle: JournalHandle
    ) async throws(FileSystemError) -> ClaimedBlock? {
        var group = ChainList.record(inode.block.rawBytes, chain).firstGroup
        var visited = 0
        while group != 0 {
            visited += 1
            guard visited <= groupCountMax else { throw wrong(group, "chain \(chain) is a loop") }
            let block = try await volume.block(group, .groupDescriptor, for: inode)
            if let taken = try take(from: block, handle) { return taken }
            group = block.bytes[GroupDescriptor.Field.nextGroup]
        }
        return nil
    }

    private func take(from group: UInt64, _ handle: JournalHandle) async throws(FileSystemError) -> ClaimedBlock? {
        try take(from: try await volume.block(group, .groupDescriptor, for: inode), handle)
    }

    private func take(from group: MetadataBlock, _ handle: JournalHandle) throws(FileSystemError) -> ClaimedBlock? {
        guard group.bytes[GroupDescriptor.Field.freeBits] > 0 else { return nil }
        let bitmap = GroupDescriptor.bitmap(group.bytes)
        guard let bit = bitmap.firstFree(in: 0..<bitmap.bitCount) else {
            throw wrong(group.number, "bg_free_bits_count is above 0, all bits are set")
        }
        guard let number = GroupDescriptor.block(ofBit: bit, group.rawBytes, volume.parameters), number > 2,
            number < volume.parameters.blockCount
        else { throw wrong(group.number, "bit \(bit) is no block of the volume") }
        // Another host has freed an inode that somebody here remembers but had let go of.
        if let old = volume.inodeTable[number], old.isDetached { volume.becameStale(old) }
        guard volume.inodeTable[number] == nil else {
            throw wrong(group.number, "bit \(bit) is free, but block \(number) is an inode in use")
        }
        handle.modify(group)
        handle.modify(inode.block)
        GroupDescriptor.take(group.bytes, bit..<bit + 1)
        try count(in: group, used: 1)
        promised -= 1
        lastGroup = group.number
        let isDiscontiguous = GroupDescriptor.isDiscontiguous(group.rawBytes, volume.features)
        let place = Suballocation(slot: UInt16(slot), bit: UInt16(bit), group: isDiscontiguous ? group.number : 0)
        return ClaimedBlock(number: number, place: place)
    }

    // MARK: Freeing

    /// Throws unless the block can be freed: it is this allocator's and in use, and the totals allow for one less. To be
    /// asked before the handle, where damage costs one file and not the mount.
    func requireReleasable(_ place: Suballocation, _ number: UInt64) async throws(FileSystemError) {
        let (group, bit) = try await find(place, number)
        guard bit > 0, GroupDescriptor.bitmap(group.bytes).isUsed(bit..<bit + 1) else {
            throw wrong(group.number, "bit \(bit) is free, but block \(number) is in use")
        }
        _ = try totals(of: group, used: -1)
    }

    private func find(
        _ place: Suballocation, _ number: UInt64
    ) async throws(FileSystemError) -> (group: MetadataBlock, bit: Int) {
        guard let descriptor = place.descriptorBlock(of: number) else {
            throw wrong(number, "suballocator bit \(place.bit) cannot be that of this block")
        }
        let group = try await volume.block(descriptor, .groupDescriptor, for: inode)
        let bit = Int(place.bit)
        guard bit < Int(group.bytes[GroupDescriptor.Field.bits]),
            GroupDescriptor.block(ofBit: bit, group.rawBytes, volume.parameters) == number
        else { throw wrong(number, "bit \(bit) of group \(descriptor) is another block") }
        return (group, bit)
    }

    /// Frees a block. 2 credits.
    func release(
        _ place: Suballocation, _ number: UInt64, _ handle: JournalHandle
    ) async throws(FileSystemError) {
        let (group, bit) = try await find(place, number)
        handle.modify(group)
        handle.modify(inode.block)
        do throws(LayoutError) {
            try GroupDescriptor.release(group.bytes, bit..<bit + 1)
        } catch {
            throw wrong(group.number, error.description)
        }
        try count(in: group, used: -1)
    }

    private func count(in group: MetadataBlock, used change: Int64) throws(FileSystemError) {
        let (index, chain, used) = try totals(of: group, used: change)
        ChainList.setRecord(bytes, index, chain)
        bytes[Dinode.Field.bitsUsed] = used
    }

    /// The chain of a group and `i_used` as they are after a change.
    private func totals(
        of group: MetadataBlock, used change: Int64
    ) throws(FileSystemError) -> (index: Int, chain: ChainList.Record, used: UInt32) {
        let index = Int(group.bytes[GroupDescriptor.Field.chain])
        var chain = ChainList.record(inode.block.rawBytes, index)
        let free = Int64(chain.free) - change
        let used = Int64(bytes[Dinode.Field.bitsUsed]) + change
        guard free >= 0, free <= Int64(chain.total), used >= 0, used <= Int64(bytes[Dinode.Field.bitsTotal]) else {
            throw wrong(inode.number, "c_free of chain \(index) would be \(free), i_used \(used)")
        }
        chain.free = UInt32(free)
        return (index, chain, UInt32(used))
    }

    func wrong(_ block: UInt64, _ what: String) -> FileSystemError {
        volume.report(Corruption(block: block, inode: inode.number, what: what))
    }

    // MARK: Growing

    /// Throws when the totals on disk are such that no group can be added to them.
    func requireCountable() throws(FileSystemError) {
        let bits = UInt64(clustersPerGroup * volume.geometry.blocksPerCluster)
        let chain = ChainList.record(inode.block.rawBytes, emptiestChain())
        let most = max(UInt64(chain.free), UInt64(chain.total), UInt64(bytes[Dinode.Field.bitsTotal]))
        let clusters = UInt64(bytes[Dinode.Field.clusters]) + UInt64(clustersPerGroup)
        guard most + bits <= UInt64(UInt32.max), clusters <= UInt64(volume.parameters.clusterCount),
            bytes[Dinode.Field.bitsUsed] <= bytes[Dinode.Field.bitsTotal]
        else { throw wrong(inode.number, "the totals of the allocator leave no room for a group") }
    }

    /// Makes a group of clusters that were reserved for it, in one run or several (in order; the first begins with the
    /// descriptor), and puts it at the head of the emptiest chain. Spec: ocfs2-disk 9.4, 9.6.
    func addGroup(_ runs: [ReservedRun], _ handle: JournalHandle) async throws(FileSystemError) {
        let geometry = volume.geometry
        var taken: [ClusterRun] = []
        for run in runs { taken.append(try await run.take(run.run.count, handle)) }
        let clusters = taken.reduce(0) { $0 + Int($1.count) }
        let bits = clusters * geometry.blocksPerCluster
        let number = geometry.firstBlock(ofCluster: taken[0].cluster)
        let chain = emptiestChain()
        var record = ChainList.record(inode.block.rawBytes, chain)
        let block = volume.freshBlock(number, .groupDescriptor)
        handle.modify(block)
        GroupDescriptor.initialize(
            block.bytes,
            GroupDescriptor.Origin(
                block: number, parent: inode.number, chain: UInt16(chain), bits: bits,
                bitmapSize: bitmapSize, nextGroup: record.firstGroup), volume.parameters)
        if taken.count > 1 { setRuns(taken, of: block) }
        handle.modify(inode.block)
        record.free += UInt32(bits - 1)
        record.total += UInt32(bits)
        record.firstGroup = number
        ChainList.setRecord(bytes, chain, record)
        if chain == chainCount { bytes[ChainList.Field.count] += 1 }
        bytes[Dinode.Field.bitsUsed] += 1
        bytes[Dinode.Field.bitsTotal] += UInt32(bits)
        bytes[Dinode.Field.clusters] += UInt32(clusters)
        bytes[Dinode.Field.size] = UInt64(bytes[Dinode.Field.clusters]) << UInt64(geometry.clusterSizeBits)
        inode.refreshAttributes()
    }

    private func setRuns(_ runs: [ClusterRun], of block: MetadataBlock) {
        let list = GroupDescriptor.list(block.bytes)
        list.initialize(capacity: volume.geometry.groupExtentCapacity)
        var cpos: UInt32 = 0
        for run in runs {
            let first = volume.geometry.firstBlock(ofCluster: run.cluster)
            list.insert(ExtentRecord(cpos: cpos, clusters: run.count, block: first), at: list.count)
            cpos += run.count
        }
    }

    /// The first chain with the fewest bits; an unused one if there is any.
    private func emptiestChain() -> Int {
        let capacity = Int(bytes[ChainList.Field.capacity])
        if chainCount < capacity { return chainCount }
        let raw = inode.block.rawBytes
        return (0..<capacity).min { ChainList.record(raw, $0).total < ChainList.record(raw, $1).total } ?? 0
    }
}
