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
            try await transaction(credits: 3 + runs.count) { handle async throws(FileSystemError) in
                try await allocator.addGroup(runs, handle)
            }
        }
    }

    /// Clusters for one group: in one run, else in several where the format allows it.
    private func runsForGroup(_ allocator: Suballocator) async throws(FileSystemError) -> [ReservedRun] {
        let wanted = allocator.clustersPerGroup
        for attempt in 0..<2 {
            // Promised first, so that no other task is promised the same clusters meanwhile.
            let promise = try await promise(clusters: wanted)
            if let runs = try await runsForGroup(wanted, promise) { return runs }
            let log = try usedSpace().truncateLog
            guard attempt == 0, log.count > 0 else { break }
            try await log.flush()
        }
        throw .noSpace
    }

    private func runsForGroup(_ wanted: Int, _ promise: SpacePromise) async throws(FileSystemError) -> [ReservedRun]? {
        if let run = try await globalRun(wanted: wanted, minimum: wanted, nil) {
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
                if let run = try await globalRun(wanted: length, minimum: length, nil) {
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
