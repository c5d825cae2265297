import LayoutKit
import OCFS2Layout

// The chain allocators. Spec: ocfs2-disk 9, ocfs2-disk-2 20.2.
extension VolumeBuilder {
    /// `bg_size` of a new suballocator group.
    private var suballocatorBitmapSize: Int {
        format.features.incompatible.contains(.discontiguousGroups)
            ? GroupDescriptor.suballocatorBitmapSize : geometry.clusterGroupBitmapSize
    }

    /// extent_alloc and inode_alloc of all slots, with the groups that exist.
    mutating func writeAllocators(_ lostAndFound: LostAndFound) {
        for slot in 0..<format.slotCount {
            let groups = extentGroups[slot].enumerated().map { index, cluster in
                (cluster, slot == 0 && index == 0 ? indexBlocks?.count ?? 0 : 0)
            }
            writeSuballocator(.extentAlloc, slot, groups)
            writeSuballocator(.inodeAlloc, slot, slot == 0 ? [(lostAndFound.inodeGroup, 1)] : [])
        }
    }

    /// A suballocator with groups of which each has its own bit and `extra` more in use. A new group goes to the chain
    /// with the fewest bits, which is the next unused one.
    private mutating func writeSuballocator(
        _ inode: SystemInode, _ slot: Int, _ groups: [(cluster: UInt32, extra: Int)]
    ) {
        let file = file(inode, slot: slot)
        let geometry = geometry
        let perGroup = geometry.suballocatorClustersPerGroup
        let bits = perGroup * geometry.blocksPerCluster
        let capacity = geometry.chainCapacity
        var chains = [ChainList.Record](
            repeating: ChainList.Record(free: 0, total: 0, firstGroup: 0), count: min(capacity, groups.count))
        for (index, group) in groups.enumerated() {
            let chain = index % capacity
            let block = geometry.firstBlock(ofCluster: group.cluster)
            writeGroup(
                block, parent: file.block, chain: chain, bits: bits, used: 1 + group.extra,
                next: chains[chain].firstGroup)
            chains[chain].free += UInt32(bits - 1 - group.extra)
            chains[chain].total += UInt32(bits)
            chains[chain].firstGroup = block
        }
        let used = groups.reduce(0) { $0 + 1 + $1.extra }
        addSystemInode(file.block, mode: inode.mode, flags: inode.flags) { dinode in
            let bytes = dinode.bytes
            ChainList.initialize(
                bytes, clustersPerGroup: UInt16(perGroup), bitsPerCluster: UInt16(geometry.blocksPerCluster), geometry)
            bytes[ChainList.Field.count] = UInt16(chains.count)
            for (index, chain) in chains.enumerated() { ChainList.setRecord(bytes, index, chain) }
            bytes[Dinode.Field.bitsUsed] = UInt32(used)
            bytes[Dinode.Field.bitsTotal] = UInt32(groups.count * bits)
            dinode.clusters = UInt32(groups.count * perGroup)
            dinode.size = UInt64(groups.count * perGroup * geometry.clusterSize)
        }
    }

    private mutating func writeGroup(
        _ block: UInt64, parent: UInt64, chain: Int, bits: Int, used: Int, next: UInt64, bitmapSize: Int? = nil
    ) {
        let parameters = parameters
        let size = bitmapSize ?? suballocatorBitmapSize
        add(block, check: BlockCheck.groupOffset) { bytes in
            GroupDescriptor.initialize(
                bytes,
                GroupDescriptor.Origin(
                    block: block, parent: parent, chain: UInt16(chain), bits: bits, bitmapSize: size, nextGroup: next),
                parameters)
            GroupDescriptor.take(bytes, 1..<used)
        }
    }

    /// global_inode_alloc and its only group, which tools alone allocate from.
    mutating func writeInodeGroup() {
        let geometry = geometry
        let file = file(.globalInodeAlloc)
        let bits = inodeGroupBits
        let block = inodeGroup
        let used = 3 + systemFiles.count
        writeGroup(
            block, parent: file.block, chain: 0, bits: bits, used: used, next: 0,
            bitmapSize: geometry.clusterGroupBitmapSize)
        addSystemInode(file.block, mode: file.inode.mode, flags: file.inode.flags) { dinode in
            let bytes = dinode.bytes
            let clusters = bits / geometry.blocksPerCluster
            ChainList.initialize(
                bytes, clustersPerGroup: UInt16(clusters), bitsPerCluster: UInt16(geometry.blocksPerCluster), geometry)
            bytes[ChainList.Field.count] = 1
            ChainList.setRecord(
                bytes, 0, ChainList.Record(free: UInt32(bits - used), total: UInt32(bits), firstGroup: block))
            bytes[Dinode.Field.bitsUsed] = UInt32(used)
            bytes[Dinode.Field.bitsTotal] = UInt32(bits)
            dinode.clusters = UInt32(clusters)
            dinode.size = UInt64(clusters * geometry.clusterSize)
        }
    }

    /// global_bitmap; its groups are made by the plan. Last of all: nothing may be allocated after it.
    mutating func writeGlobalBitmap() {
        let geometry = geometry
        let file = file(.globalBitmap)
        let capacity = UInt32(geometry.chainCapacity)
        let bitmap = bitmap
        var chains: [ChainList.Record] = []
        for group in 0..<bitmap.groupCount {
            let bits = bitmap.bits(ofGroup: group)
            if group < capacity {
                chains.append(
                    ChainList.Record(
                        free: 0, total: 0, firstGroup: geometry.descriptorBlock(ofClusterGroup: group)))
            }
            let chain = Int(group % capacity)
            chains[chain].free += UInt32(bits - bitmap.used(inGroup: group))
            chains[chain].total += UInt32(bits)
        }
        let clusterCount = format.clusterCount
        addSystemInode(file.block, mode: file.inode.mode, flags: file.inode.flags) { dinode in
            let bytes = dinode.bytes
            ChainList.initialize(
                bytes, clustersPerGroup: UInt16(geometry.clustersPerGroup), bitsPerCluster: 1, geometry)
            bytes[ChainList.Field.count] = UInt16(chains.count)
            for (index, chain) in chains.enumerated() { ChainList.setRecord(bytes, index, chain) }
            bytes[Dinode.Field.bitsUsed] = UInt32(bitmap.used)
            bytes[Dinode.Field.bitsTotal] = clusterCount
            dinode.clusters = clusterCount
            dinode.size = UInt64(clusterCount) << UInt64(geometry.clusterSizeBits)
        }
    }
}
