internal import EngineKit
internal import OCFS2Layout

// New groups of a suballocator. Spec: ocfs2-disk 9.4, 9.6.
extension MountedVolume {
    /// Makes the allocator of this host's slot have `count` available blocks, or throws `noSpace`.
    func grow(_ allocator: Suballocator, to count: Int) async throws(FileSystemError) {
        await allocator.growLock.lock(.exclusive)
        defer { allocator.growLock.unlock(.exclusive) }
        while allocator.available < count {
            try allocator.requireCountable()
            let runs = try await runsForGroup(allocator)
            defer { for run in runs { run.cancel() } }
            try await transaction(credits: 4 + runs.count) { handle async throws(FileSystemError) in
                try await allocator.addGroup(runs, handle)
            }
        }
    }

    /// Clusters for one group: in one run, else in several where the format allows it. They come from the global bitmap,
    /// and when that has too few, from what the truncate log and the window of this slot hold.
    private func runsForGroup(_ allocator: Suballocator) async throws(FileSystemError) -> [ReservedRun] {
        let wanted = allocator.clustersPerGroup
        for attempt in 0..<3 {
            // Promised first, so that no other task is promised the same clusters meanwhile.
            let promise = try await promise(clusters: wanted)
            if let runs = try await runsForGroup(wanted, promise, mayUseWindow: attempt == 2) { return runs }
            let log = try usedSpace().truncateLog
            if attempt == 0, log.count > 0 { try await log.flush() }
            // With its clusters the bitmap may have longer runs. When it must stay, runs of it will do.
            if attempt == 1 { try await giveWindowBack() }
        }
        throw .noSpace
    }

    private func runForGroup(_ length: Int, mayUseWindow: Bool) async throws(FileSystemError) -> ReservedRun? {
        if let run = try await globalRun(wanted: length, minimum: length, nil) { return run }
        return mayUseWindow ? try windowRun(ofExactly: length) : nil
    }

    private func runsForGroup(
        _ wanted: Int, _ promise: SpacePromise, mayUseWindow: Bool
    ) async throws(FileSystemError) -> [ReservedRun]? {
        if let run = try await runForGroup(wanted, mayUseWindow: mayUseWindow) {
            giveBack(promise)
            return [run]
        }
        guard features.incompatible.contains(.discontiguousGroups) else { return nil }
        var runs: [ReservedRun] = []
        do throws(FileSystemError) {
            var missing = wanted
            var size = wanted / 2
            while missing > 0, size > 0, runs.count < geometry.groupExtentCapacity {
                let length = min(size, missing)
                if let run = try await runForGroup(length, mayUseWindow: mayUseWindow) {
                    giveBack(promise, clusters: length)
                    runs.append(run)
                    missing -= length
                } else {
                    size = length / 2
                }
            }
            if missing == 0 { return runs }
        } catch {
            for run in runs { run.cancel() }
            throw error
        }
        for run in runs { run.cancel() }
        return nil
    }
}
