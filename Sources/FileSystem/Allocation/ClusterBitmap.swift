internal import Journal
internal import LayoutKit
internal import OCFS2Layout

/// The global bitmap: which clusters of the volume are in use. Spec: ocfs2-disk 9.3.
///
/// Bits change only between two waits, in memory and for one handle at a time; so tasks need no lock between them, only
/// ``hold`` against other hosts.
final class ClusterBitmap {
    let inode: Inode
    let hold: AllocatorHold
    private unowned let volume: MountedVolume
    /// What was seen last in each group; nil: not seen. A hint that saves reading full groups.
    private var freeSeen: [UInt32?]

    init(_ volume: MountedVolume) async throws(FileSystemError) {
        self.volume = volume
        inode = try await volume.systemInode(.globalBitmap)
        hold = AllocatorHold(inode.metaLock)
        let bytes = inode.block.bytes
        guard bytes[ChainList.Field.bitsPerCluster] == 1,
            UInt32(bytes[ChainList.Field.clustersPerGroup]) == volume.geometry.clustersPerGroup
        else {
            throw volume.report(
                Corruption(block: inode.number, inode: inode.number, what: "cl_cpg or cl_bpc of the global bitmap"))
        }
        freeSeen = Array(
            repeating: nil,
            count: Int(volume.geometry.clusterGroupCount(clusters: volume.parameters.clusterCount)))
    }

    /// Another host may have changed the groups.
    func forget() {
        for index in freeSeen.indices { freeSeen[index] = nil }
    }

    /// Clusters.
    var total: UInt32 { inode.block.bytes[Dinode.Field.bitsTotal] }
    /// Clusters whose bit is 0, reserved ones included.
    var free: UInt32 {
        let used = inode.block.bytes[Dinode.Field.bitsUsed]
        return total > used ? total - used : 0
    }

    var groupCount: UInt32 { UInt32(freeSeen.count) }

    /// The group's descriptor, and how many of its bits are clusters of the volume.
    func group(_ index: UInt32) async throws(FileSystemError) -> (block: MetadataBlock, bits: Int) {
        let geometry = volume.geometry
        let number = geometry.descriptorBlock(ofClusterGroup: index)
        let block = try await volume.block(number, .groupDescriptor, for: inode)
        let first = index * geometry.clustersPerGroup
        let clusters = min(geometry.clustersPerGroup, volume.parameters.clusterCount - first)
        let bits = min(Int(block.bytes[GroupDescriptor.Field.bits]), Int(clusters))
        freeSeen[Int(index)] = UInt32(block.bytes[GroupDescriptor.Field.freeBits])
        return (block, bits)
    }

    /// Keeps the groups of the runs in memory, so that changing them does not wait. The caller unpins them.
    func pinGroups(of runs: [ClusterRun]) async throws(FileSystemError) -> [MetadataBlock] {
        var pinned: [MetadataBlock] = []
        for run in runs {
            do throws(FileSystemError) {
                let block = try await bits(of: run).0
                guard !pinned.contains(where: { $0 === block }) else { continue }
                block.pinCount += 1
                pinned.append(block)
            } catch {
                for block in pinned { block.pinCount -= 1 }
                throw error
            }
        }
        return pinned
    }

    /// Whether the group may have `count` free bits, as far as is known without reading it.
    func mayHave(_ count: Int, in group: UInt32) -> Bool {
        freeSeen[Int(group)].map { Int($0) >= count } ?? true
    }

    // MARK: Changing

    /// Marks clusters of one group as used. They were found free, and reserved since.
    func take(_ run: ClusterRun, _ handle: JournalHandle) async throws(FileSystemError) {
        let (block, range) = try await bits(of: run)
        guard GroupDescriptor.bitmap(block.bytes).isFree(range) else {
            throw wrong(block.number, "clusters \(run.cluster) + \(run.count) are in use but were free before")
        }
        handle.modify(block)
        handle.modify(inode.block)
        GroupDescriptor.take(block.bytes, range)
        try count(in: block, used: Int64(run.count))
    }

    /// Marks clusters of one group as free.
    func release(_ run: ClusterRun, _ handle: JournalHandle) async throws(FileSystemError) {
        let (block, range) = try await bits(of: run)
        handle.modify(block)
        handle.modify(inode.block)
        do throws(LayoutError) {
            try GroupDescriptor.release(block.bytes, range)
        } catch {
            throw wrong(block.number, error.description)
        }
        try count(in: block, used: -Int64(run.count))
    }

    /// What is to be marked as free in one transaction.
    struct Releases {
        fileprivate var clusters: UInt64 = 0
        fileprivate var clustersOfChain: [Int: UInt64] = [:]
    }

    /// Whether the run, which lies in one group, can be marked as free together with `releases`, to which it is added then:
    /// all of its clusters are marked as used, and the totals allow for so many less.
    func mayRelease(_ run: ClusterRun, with releases: inout Releases) async throws(FileSystemError) -> Bool {
        let (block, range) = try await bits(of: run)
        // Bit 0 is the descriptor's own.
        guard range.lowerBound > 0, GroupDescriptor.bitmap(block.bytes).isUsed(range) else { return false }
        let index = Int(block.bytes[GroupDescriptor.Field.chain])
        let all = releases.clusters + UInt64(run.count)
        let inChain = releases.clustersOfChain[index, default: 0] + UInt64(run.count)
        let chain = ChainList.record(UnsafeRawBufferPointer(inode.block.bytes), index)
        guard UInt64(chain.free) + inChain <= UInt64(chain.total),
            UInt64(inode.block.bytes[Dinode.Field.bitsUsed]) >= all
        else { return false }
        releases.clusters = all
        releases.clustersOfChain[index] = inChain
        return true
    }

    private func bits(of run: ClusterRun) async throws(FileSystemError) -> (MetadataBlock, Range<Int>) {
        let geometry = volume.geometry
        guard run.count > 0, run.end <= UInt64(volume.parameters.clusterCount) else {
            throw wrong(inode.number, "clusters \(run.cluster) + \(run.count) lie outside of the volume")
        }
        let index = geometry.clusterGroup(ofCluster: run.cluster)
        let (block, bits) = try await group(index)
        let first = Int(geometry.clusterGroupBit(ofCluster: run.cluster))
        guard first + Int(run.count) <= bits else {
            throw wrong(block.number, "clusters \(run.cluster) + \(run.count) reach beyond the group's \(bits) bits")
        }
        return (block, first..<first + Int(run.count))
    }

    /// Carries the change of one group on to its chain and to the totals.
    private func count(in group: MetadataBlock, used change: Int64) throws(FileSystemError) {
        let bytes = inode.block.bytes
        let index = Int(group.bytes[GroupDescriptor.Field.chain])
        var chain = ChainList.record(UnsafeRawBufferPointer(bytes), index)
        let free = Int64(chain.free) - change
        let used = Int64(bytes[Dinode.Field.bitsUsed]) + change
        guard free >= 0, free <= Int64(chain.total), used >= 0, used <= Int64(total) else {
            throw wrong(inode.number, "c_free of chain \(index) would be \(free), i_used \(used)")
        }
        chain.free = UInt32(free)
        ChainList.setRecord(bytes, index, chain)
        bytes[Dinode.Field.bitsUsed] = UInt32(used)
        let number = volume.geometry.clusterGroup(ofCluster: volume.geometry.cluster(ofBlock: group.number))
        freeSeen[Int(number)] = UInt32(group.bytes[GroupDescriptor.Field.freeBits])
    }

    private func wrong(_ block: UInt64, _ what: String) -> FileSystemError {
        volume.report(Corruption(block: block, inode: inode.number, what: what))
    }
}
