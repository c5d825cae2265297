internal import EngineKit
internal import Journal
internal import OCFS2Layout

// Closing the window and opening another one, in one transaction. Spec: ocfs2-disk 10.
extension MountedVolume {
    /// How long no window is tried after the bitmap had no room for one.
    private static var noWindowPause: Duration { .seconds(30) }

    /// Moves the window so that it has `wanted` free clusters, if it can be moved now.
    ///
    /// It stays when clusters of it are reserved: they belong to it until they are marked.
    func moveWindow(_ wanted: Int) async throws(FileSystemError) {
        let space = try usedSpace()
        await space.moveLock.lock(.exclusive)
        defer { space.moveLock.unlock(.exclusive) }
        let window = space.window
        guard window.available < wanted, window.reservedCount == 0, environment.now >= space.noWindowUntil else {
            return
        }
        window.isMoving = true
        defer { window.isMoving = false }
        try await space.bitmap.hold.acquire()
        defer { space.bitmap.hold.release() }
        let run = try await newWindow(space)
        defer { if let run { space.reserved.remove(run.range) } }
        if run == nil {
            space.noWindowUntil = environment.now + Self.noWindowPause
            environment.log(.info, "no run of clusters is long enough for a window: they come from the bitmap")
        }
        try await replaceWindow(by: run, space)
    }

    /// Closes the window, if nothing of it is reserved: its clusters are needed in the bitmap. None is opened for a while.
    func giveWindowBack() async throws(FileSystemError) {
        let space = try usedSpace()
        await space.moveLock.lock(.exclusive)
        defer { space.moveLock.unlock(.exclusive) }
        let window = space.window
        guard window.free > 0, window.reservedCount == 0 else { return }
        window.isMoving = true
        defer { window.isMoving = false }
        try await space.bitmap.hold.acquire()
        defer { space.bitmap.hold.release() }
        space.noWindowUntil = environment.now + Self.noWindowPause
        try await replaceWindow(by: nil, space)
    }

    /// In one transaction; nil: by none. The caller holds the locks.
    private func replaceWindow(by run: ClusterRun?, _ space: SpaceBook) async throws(FileSystemError) {
        let window = space.window
        let unused = LocalAllocWindow.unusedRuns(of: window.inode)
        // Nothing waits inside: for a moment the same clusters are counted twice, or not at all.
        let groups = try await space.bitmap.pinGroups(of: unused + (run.map { [$0] } ?? []))
        defer { for group in groups { group.pinCount -= 1 } }
        try await transaction(credits: 4) { handle async throws(FileSystemError) in
            for old in unused { try await space.bitmap.release(old, handle) }
            if let run {
                try await space.bitmap.take(run, handle)
                window.open(run, handle)
            } else {
                LocalAllocWindow.close(window.inode, handle)
            }
        }
    }

    /// A run of free clusters for a window, held in ``SpaceBook/reserved``: of the wanted size, or of a half, a quarter,
    /// ... down to 1 MiB.
    private func newWindow(_ space: SpaceBook) async throws(FileSystemError) -> ClusterRun? {
        let least = max(1, (1 << 20) >> geometry.clusterSizeBits)
        var size = Int(space.window.size)
        while size >= least {
            if let run = try await findGlobalRun(space, wanted: size, minimum: size, nil) { return run }
            size /= 2
        }
        return nil
    }
}
