internal import EngineKit
internal import Journal
internal import LayoutKit
internal import OCFS2Layout

// Runs in the global bitmap. The groups are tried from the one near the goal on, in the order of the disk: any policy that
// keeps the counters right is compatible (spec: ocfs2-disk 9.5).
extension MountedVolume {
    /// Groups with free clusters that are searched for a longer run than the best so far.
    private static var groupsTried: Int { 16 }

    /// Finds and reserves a run (not yet counted). The caller holds the bitmap's lock.
    func findGlobalRun(
        _ space: SpaceBook, wanted: Int, minimum: Int, _ near: UInt32?
    ) async throws(FileSystemError) -> ClusterRun? {
        // The best of several groups may be gone when it is taken: then once more.
        for _ in 0..<4 {
            guard let group = try await bestGroup(space, wanted, minimum, near) else { return nil }
            let (block, bits) = try await space.bitmap.group(group)
            if let run = search(space, block, group, bits, wanted, minimum, near) {
                space.reserved.insert(run.range)
                space.lastCluster = UInt32(run.end)
                return run
            }
        }
        return nil
    }

    private func bestGroup(
        _ space: SpaceBook, _ wanted: Int, _ minimum: Int, _ near: UInt32?
    ) async throws(FileSystemError) -> UInt32? {
        let goal = min(near ?? space.lastCluster, parameters.clusterCount - 1)
        let first = geometry.clusterGroup(ofCluster: goal)
        var best: (group: UInt32, count: UInt32)?
        var tried = 0
        for step in 0..<space.bitmap.groupCount {
            let group = (first + step) % space.bitmap.groupCount
            guard space.bitmap.mayHave(minimum, in: group) else { continue }
            let (block, bits) = try await space.bitmap.group(group)
            if let run = search(space, block, group, bits, wanted, minimum, near) {
                if Int(run.count) == wanted { return group }
                if run.count > best?.count ?? 0 { best = (group, run.count) }
                tried += 1
                if tried == Self.groupsTried { break }
            }
            if step % 64 == 63 { await environment.yield() }
        }
        return best?.group
    }

    /// The best run of one group.
    private func search(
        _ space: SpaceBook, _ block: MetadataBlock, _ group: UInt32, _ bits: Int, _ wanted: Int, _ minimum: Int,
        _ near: UInt32?
    ) -> ClusterRun? {
        guard bits > 1, Int(block.bytes[GroupDescriptor.Field.freeBits]) >= minimum else { return nil }
        let base = group * geometry.clustersPerGroup
        let clusters = base..<base + UInt32(bits)
        let wish = near ?? space.lastCluster
        let goal = clusters.contains(wish) ? wish : nil
        var search = RunSearch(bitmap: GroupDescriptor.bitmap(block.bytes), range: 1..<bits)
        let spoken = space.reserved.overlaps(with: clusters)
        guard !spoken.isEmpty else { return run(search, base, wanted, minimum, goal) }
        let overlay = BitOverlay(bitCount: search.bitmap.bitCount)
        for range in spoken {
            overlay.bitmap.set(Int(range.lowerBound - base)..<Int(range.upperBound - base))
        }
        search.overlay = overlay.bitmap
        return withExtendedLifetime(overlay) { run(search, base, wanted, minimum, goal) }
    }

    private func run(
        _ search: RunSearch, _ base: UInt32, _ wanted: Int, _ minimum: Int, _ goal: UInt32?
    ) -> ClusterRun? {
        let bit = goal.map { Int($0 - base) }
        guard let run = search.run(wanted: wanted, minimum: minimum, near: bit, hint: search.range.lowerBound) else {
            return nil
        }
        return ClusterRun(cluster: base + UInt32(run.lowerBound), count: UInt32(run.count))
    }
}
