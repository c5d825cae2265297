internal import EngineKit
internal import OCFS2Layout

/// The contents of a regular file: what is known of its mapping, and the bytes that are newer than the disk.
///
/// **Write-back.** A write is copied into ``dirty`` and answered. Clusters that it will need are promised at that time
/// (``MountedVolume/promise(clusters:)``), so that a full volume is told to the writer. A flush moves ``dirty`` to
/// ``writing``, writes it, and makes it reachable in one transaction, data first ("ordered").
///
/// **Size.** `attributes.size` is what everybody sees. The dinode gets ``storedSize``, which follows when the bytes are on
/// disk: after a crash a file ends where its data ends. What lies on disk behind ``storedSize`` is never shown.
///
/// **Locks** (in this order): the inode's gate, W and M, taken by the operations; then ``cacheLock`` of whoever fills the
/// cache; ``changeLock``, held by whoever changes the mapping (one at a time); then ``mappingLock``, shared by those who
/// do I/O by the mapping, exclusive while it changes; then reservations and the journal handle. A flush takes only the
/// last ones: it may run any time.
package final class FileData {
    unowned let inode: Inode
    unowned let volume: MountedVolume

    let changeLock = AsyncReadWriteLock()
    let mappingLock = AsyncReadWriteLock()
    /// Held by whoever writes into the cache: write-back of the kernel's pages comes beside a writer with the gate.
    let cacheLock = AsyncReadWriteLock()

    /// The newest bytes.
    var dirty = DirtyData()
    /// What the flush that is under way writes; nobody changes these bytes.
    var writing: DirtyData?
    /// Clusters without mapping that ``dirty`` needs (or ``writing``: ``writingClusters``).
    var promisedClusters = RangeSet()
    var writingClusters = RangeSet()
    /// Space for at least ``promisedClusters``.
    var promises: [SpacePromise] = []

    /// Blocks for the extents that ``promisedClusters`` will make.
    var extentBlockPromises: [ExtentBlockPromise] = []

    /// What is known of the mapping.
    var extents = ExtentMap()
    /// The size that the dinode may carry.
    private(set) var storedSize: UInt64
    /// The content is no longer in the dinode, though the disk does not know it yet.
    var isLeavingInline = false
    /// Times, mode or size in memory are newer than in the dinode.
    var attributesAreNewer = false
    /// Counts the writes to places that the file had before. No commit of the journal need wait for them.
    var inPlaceWrites: UInt64 = 0
    /// Up to this one they are stable, or a change of the dinode in the journal is behind them.
    var stableInPlaceWrites: UInt64 = 0
    /// A flush that nobody waited for failed so.
    var failure: FileSystemError?
    /// In the list of ``WriteBack``.
    var isListed = false
    /// When the oldest dirty byte came.
    var dirtySince = Instant.zero

    init(_ inode: Inode) {
        self.inode = inode
        volume = inode.volume
        storedSize = inode.attributes.size
    }

    func setStoredSize(_ size: UInt64) {
        storedSize = size
    }

    /// The inode was read again, because another host may have changed it: nothing is known any more. There is nothing
    /// dirty then.
    func forget() {
        extents.forgetAll()
        storedSize = inode.attributes.size
        isLeavingInline = false
    }
}

extension FileData {
    var size: UInt64 { inode.attributes.size }
    var tree: ExtentTree { ExtentTree(volume, .data(inode)) }
    var geometry: VolumeGeometry { volume.geometry }
    var pool: IOBufferPool { volume.writeBack.pool }
    /// The content is in the dinode.
    var isInline: Bool { inode.hasInlineData && !isLeavingInline }
    var hasDirtyData: Bool { !dirty.isEmpty || writing != nil }
    var needsFlush: Bool {
        !dirty.isEmpty || isLeavingInline || attributesAreNewer || storedSize != size
    }
    /// Clusters that the file will get with the next flush.
    var delayedClusters: UInt64 { promisedClusters.count + writingClusters.count }
    /// What a write to the disk must be a multiple of, so that the last block of a file ends in zeroes.
    var unit: Int { max(volume.blockSize, volume.device.sectorByteCount) }

    /// Logical clusters that hold the bytes.
    func clusters(of range: Range<UInt64>) -> Range<UInt64> {
        guard !range.isEmpty else { return 0..<0 }
        return geometry.cpos(ofByte: range.lowerBound)..<geometry.cpos(ofByte: range.upperBound - 1) + 1
    }

    /// The bytes of the clusters.
    func bytes(of clusters: Range<UInt64>) -> Range<UInt64> {
        clusters.lowerBound << UInt64(geometry.clusterSizeBits)..<clusters.upperBound
            << UInt64(geometry.clusterSizeBits)
    }

    /// Times of a change of the contents.
    func touch() {
        let now = volume.environment.wallTime
        inode.attributes.modificationTime = now
        inode.attributes.changeTime = now
        attributesAreNewer = true
    }
}

extension Inode {
    /// The contents; only of regular files.
    var fileData: FileData {
        if let data { return data }
        let made = FileData(self)
        data = made
        return made
    }
}
