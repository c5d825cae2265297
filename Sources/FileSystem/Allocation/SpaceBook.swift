internal import EngineKit
internal import Journal
internal import OCFS2Layout

/// What this mount knows of the volume's free space, and to whom it is promised.
///
///     clusters:   free in the bitmap + free in the window
///                 = reserved (chosen, data may be on its way) + promised (not chosen) + available
///     suballocators: free bits = promised + available
final class SpaceBook {
    let bitmap: ClusterBitmap
    let window: LocalAllocWindow
    let truncateLog: TruncateLogFile
    /// Clusters of the global bitmap that are free on disk but taken by somebody: reserved runs, a window that is opened.
    var reserved = ReservedClusters()
    /// Clusters in reserved runs, of bitmap and window.
    var reservedCount = 0
    var promisedCount = 0
    /// One window move at a time.
    let moveLock = AsyncReadWriteLock()
    /// Where the last run was found in the global bitmap.
    var lastCluster: UInt32 = 0
    /// No new window is tried before: the bitmap had no run that is long enough.
    var noWindowUntil = Instant.zero

    private unowned let volume: MountedVolume
    private var suballocators: [SystemFile: Suballocator] = [:]

    init(_ volume: MountedVolume) async throws(FileSystemError) {
        self.volume = volume
        bitmap = try await ClusterBitmap(volume)
        window = try await LocalAllocWindow(volume)
        truncateLog = try await TruncateLogFile(volume, bitmap)
    }

    /// Clusters that can be promised.
    var available: Int {
        max(0, Int(bitmap.free) + Int(window.free) - reservedCount - promisedCount)
    }

    /// Whether cached writes were promised clusters, or blocks for their extents.
    var hasPromises: Bool {
        promisedCount > 0 || suballocators.values.contains { $0.promised > 0 }
    }

    func suballocator(_ kind: SystemInode, slot: Int) async throws(FileSystemError) -> Suballocator {
        let file = SystemFile(kind, slot: slot)
        if let known = suballocators[file] { return known }
        let inode = try await volume.systemInode(kind, slot: slot)
        if let known = suballocators[file] { return known }
        let made = try Suballocator(volume, inode, slot: slot)
        suballocators[file] = made
        return made
    }

    /// Closes the window and empties the truncate log. Nothing is reserved any more. Spec: ocfs2-disk-2 21.2.
    func close() async throws(FileSystemError) {
        window.size = 0
        try await volume.closeLocalAlloc(window.inode)
        while truncateLog.count > 0 { try await truncateLog.flush() }
    }
}

extension MountedVolume {
    func usedSpace() throws(FileSystemError) -> SpaceBook {
        if let stopReason { throw .aborted(stopReason) }
        guard let space else { throw .readOnly }
        return space
    }

    /// Gives the unused clusters of a window back to the global bitmap and leaves no window: at the unmount, and for the
    /// window of a host that is gone. One transaction. Spec: ocfs2-disk 10.
    func closeLocalAlloc(_ inode: Inode) async throws(FileSystemError) {
        guard let space, !LocalAlloc.isClosed(inode.block.rawBytes, geometry) else { return }
        try validateLocalAlloc(inode)
        try await space.bitmap.hold.acquire()
        defer { space.bitmap.hold.release() }
        var runs: [ClusterRun] = []
        var releases = ClusterBitmap.Releases()
        // Looked at before the transaction: what is not marked cannot be given back.
        for run in LocalAllocWindow.unusedRuns(of: inode) {
            if try await space.bitmap.mayRelease(run, with: &releases) {
                runs.append(run)
                continue
            }
            _ = report(
                Corruption(
                    block: inode.number, inode: inode.number,
                    what: "clusters \(run.cluster) + \(run.count) of the window are free in the global bitmap"))
            try requireWritable()
        }
        let groups = try await space.bitmap.pinGroups(of: runs)
        defer { for group in groups { group.pinCount -= 1 } }
        try await transaction(credits: 3) { handle async throws(FileSystemError) in
            for run in runs { try await space.bitmap.release(run, handle) }
            LocalAllocWindow.close(inode, handle)
        }
    }
}

extension MetadataBlock {
    var rawBytes: UnsafeRawBufferPointer { UnsafeRawBufferPointer(bytes) }
}
