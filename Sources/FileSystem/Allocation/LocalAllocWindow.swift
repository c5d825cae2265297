internal import Journal
internal import LayoutKit
internal import OCFS2Layout

/// The window of clusters of this slot: taken from the global bitmap in one piece, handed out without it.
/// Spec: ocfs2-disk 10.
///
/// Nobody else looks at the dinode while the slot is ours; there is no cluster lock on it.
final class LocalAllocWindow {
    let inode: Inode
    /// Clusters that a new window should have; 0: no windows.
    var size: UInt32
    /// Clusters of the window that are reserved but not marked.
    private(set) var reservedCount = 0
    /// A move is under way: nothing is handed out.
    var isMoving = false

    private var overlay = BitOverlay(bitCount: 0)
    private var nextBit = 0
    private unowned let volume: MountedVolume

    init(_ volume: MountedVolume) async throws(FileSystemError) {
        self.volume = volume
        inode = try await volume.systemInode(.localAlloc, slot: volume.slot)
        try volume.validateLocalAlloc(inode)
        // The bitmap may be shorter than the block has room for.
        size = min(Self.sizeWanted(volume), 8 * UInt32(inode.block.bytes[LocalAlloc.Field.bitmapSize]))
    }

    private var bytes: UnsafeMutableRawBufferPointer { inode.block.bytes }

    /// The clusters of the window; nil: there is none.
    var clusters: Range<UInt32>? {
        let total = bytes[LocalAlloc.Field.total]
        let first = bytes[LocalAlloc.Field.firstCluster]
        return total == 0 ? nil : first..<first + total
    }

    /// Clusters of the window that are not marked, reserved ones included.
    var free: UInt32 {
        let total = bytes[LocalAlloc.Field.total], used = bytes[LocalAlloc.Field.used]
        return total > used ? total - used : 0
    }

    /// Clusters that can still be reserved.
    var available: Int { isMoving ? 0 : Int(free) - reservedCount }

    // MARK: Handing out

    /// Reserves a run of up to `wanted` clusters, the best that there is; nil: nothing is free.
    func reserve(wanted: Int, near: UInt32?) -> ClusterRun? {
        guard available > 0, let clusters else { return nil }
        let bitmap = LocalAlloc.bitmap(bytes)
        let nearBit = near.flatMap { clusters.contains($0) ? Int($0 - clusters.lowerBound) : nil }
        let search = RunSearch(bitmap: bitmap, overlay: overlay.bitmap, range: 0..<clusters.count)
        guard let run = search.run(wanted: wanted, minimum: 1, near: nearBit, hint: nextBit) else { return nil }
        overlay.bitmap.set(run)
        reservedCount += run.count
        nextBit = run.upperBound
        return ClusterRun(cluster: clusters.lowerBound + UInt32(run.lowerBound), count: UInt32(run.count))
    }

    /// Gives back a part of what was reserved.
    func cancel(_ run: ClusterRun) {
        overlay.bitmap.clear(bits(run))
        reservedCount -= Int(run.count)
    }

    /// Marks a part of what was reserved as used. 1 credit.
    func take(_ run: ClusterRun, _ handle: JournalHandle) {
        let range = bits(run)
        handle.modify(inode.block)
        LocalAlloc.bitmap(bytes).set(range)
        bytes[LocalAlloc.Field.used] &+= run.count
        overlay.bitmap.clear(range)
        reservedCount -= Int(run.count)
    }

    private func bits(_ run: ClusterRun) -> Range<Int> {
        guard let clusters, run.cluster >= clusters.lowerBound, run.end <= UInt64(clusters.upperBound) else {
            preconditionFailure("clusters \(run.cluster) + \(run.count) are not in the window")
        }
        let first = Int(run.cluster - clusters.lowerBound)
        return first..<first + Int(run.count)
    }

    // MARK: Opening and closing

    /// The runs of the window that were not handed out.
    static func unusedRuns(of inode: Inode) -> [ClusterRun] {
        let bytes = inode.block.bytes
        let bitmap = LocalAlloc.bitmap(bytes)
        let first = bytes[LocalAlloc.Field.firstCluster]
        var runs: [ClusterRun] = []
        var bit = 0
        while let start = bitmap.firstFree(in: bit..<bitmap.bitCount) {
            let end = bitmap.firstUsed(in: start..<bitmap.bitCount) ?? bitmap.bitCount
            runs.append(ClusterRun(cluster: first + UInt32(start), count: UInt32(end - start)))
            bit = end
        }
        return runs
    }

    /// No window any more; the unused clusters are the caller's to release in the same transaction.
    static func close(_ inode: Inode, _ handle: JournalHandle) {
        handle.modify(inode.block)
        LocalAlloc.close(inode.block.bytes, inode.volume.geometry)
    }

    /// Opens a window over clusters that the same transaction takes from the global bitmap.
    func open(_ run: ClusterRun, _ handle: JournalHandle) {
        precondition(reservedCount == 0, "the window moves while \(reservedCount) clusters of it are reserved")
        handle.modify(inode.block)
        LocalAlloc.open(bytes, clusters: run.cluster..<UInt32(run.end), volume.geometry)
        overlay = BitOverlay(bitCount: Int(run.count))
        nextBit = 0
    }

    /// Spec: ocfs2-disk 10, default window size.
    static func sizeWanted(_ volume: MountedVolume) -> UInt32 {
        let geometry = volume.geometry
        let clusterShift = geometry.clusterSizeBits
        let groupMiB = (UInt64(geometry.clustersPerGroup) << UInt64(clusterShift)) >> 20
        var mebibytes: UInt64
        if let wanted = volume.options.localAllocMiB {
            mebibytes = UInt64(max(0, wanted))
        } else if (geometry.blockSizeBits == 9 && clusterShift <= 13)
            || (geometry.blockSizeBits == 10 && clusterShift == 12)
        {
            mebibytes = 8
        } else {
            mebibytes = groupMiB > 16 ? (groupMiB - 16) & ~4 : 0
            if mebibytes > 512 { mebibytes = 256 }
            while mebibytes > 256 { mebibytes /= 2 }
        }
        let volumeMiB = (UInt64(volume.parameters.clusterCount) << UInt64(clusterShift)) >> 20
        mebibytes = min(mebibytes, volumeMiB / UInt64(volume.parameters.slotCount))
        let clusters = (mebibytes << 20) >> UInt64(clusterShift)
        let most = min(UInt64(geometry.localAllocBitmapSize * 8), UInt64(geometry.clustersPerGroup - 1))
        return UInt32(min(clusters, most))
    }
}

extension MountedVolume {
    func validateLocalAlloc(_ inode: Inode) throws(FileSystemError) {
        let bytes = UnsafeRawBufferPointer(inode.block.bytes)
        do throws(LayoutError) {
            try LocalAlloc.validate(bytes, parameters)
            let used = LocalAlloc.bitmap(inode.block.bytes)
            guard used.usedCount(in: 0..<used.bitCount) == Int(bytes[LocalAlloc.Field.used]) else {
                throw .badValue(
                    field: "i_used", found: UInt64(bytes[LocalAlloc.Field.used]), expected: "the set bits of la_bitmap")
            }
        } catch {
            throw report(Corruption(block: inode.number, inode: inode.number, what: error.description))
        }
    }
}
