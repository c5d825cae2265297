internal import Journal
internal import OCFS2Layout

extension ExtentTreeEditor {
    /// Whether two records are one when the first is followed by the second. Spec: ocfs2-disk 6.5.
    func areOne(_ first: ExtentRecord, _ second: ExtentRecord) -> Bool {
        // What the neighbours say on disk nobody has checked.
        guard first.flags == second.flags, first.end == UInt64(second.cpos), first.block < second.block,
            second.block - first.block == UInt64(first.clusters) * blocksPerCluster
        else { return false }
        return first.clusters + second.clusters <= root.recordClustersMax(storage.parameters.geometry)
    }

    private func joined(_ first: ExtentRecord, _ second: ExtentRecord) -> ExtentRecord {
        var record = first
        record.clusters += second.clusters
        return record
    }

    /// `records` with those that are one joined.
    private func joined(_ records: [ExtentRecord]) -> [ExtentRecord] {
        var result: [ExtentRecord] = []
        for record in records {
            if let last = result.last, areOne(last, record) {
                result[result.count - 1] = joined(last, record)
            } else {
                result.append(record)
            }
        }
        return result
    }

    /// Spec: ocfs2-disk 6.5
    func insert(_ record: ExtentRecord) async throws(FileSystemError) {
        let path = try await path(to: record.cpos)
        let list = path.leaf.list
        try requireUnmapped(path, record.cpos, record.clusters)
        let index = list.leafIndex(atOrAfter: record.cpos)
        let firstIndex = list.hasEmptyFirst ? 1 : 0
        let before = index > firstIndex ? list[index - 1] : nil
        let after = index < list.count ? list[index] : nil
        let mayMoveStart = path.leafLevel == 0 || index > firstIndex
        if let before, areOne(before, record) {
            let longer = joined(before, record)
            if let after, areOne(longer, after), path.isRightmost {
                try await splice(path, at: index - 1, removing: 2, inserting: [joined(longer, after)])
            } else {
                try await splice(path, at: index - 1, removing: 1, inserting: [longer])
            }
        } else if let after, mayMoveStart, areOne(record, after) {
            try await splice(path, at: index, removing: 1, inserting: [joined(record, after)])
        } else {
            try await splice(path, at: index, removing: 0, inserting: [record])
        }
        addClusters(Int64(record.clusters))
    }

    /// Throws unless one record covers the range.
    func requireMapped(_ cpos: UInt32, _ count: UInt32) async throws(FileSystemError) {
        _ = try await covering(cpos, count)
    }

    /// As ``requireMapped(_:_:)``, and the leaves beside it are sound, from which records move.
    func requireChangeable(_ cpos: UInt32, _ count: UInt32) async throws(FileSystemError) {
        let path = try await covering(cpos, count).path
        _ = try await retreat(path)
        _ = try await advance(path)
    }

    /// Throws unless nothing is mapped there, as far as one leaf tells.
    func requireUnmapped(_ cpos: UInt32, _ count: UInt32) async throws(FileSystemError) {
        try requireUnmapped(try await path(to: cpos), cpos, count)
    }

    private func requireUnmapped(_ path: ExtentPath, _ cpos: UInt32, _ count: UInt32) throws(FileSystemError) {
        let list = path.leaf.list
        let index = list.leafIndex(atOrAfter: cpos)
        guard index < list.count, UInt64(list[index].cpos) < UInt64(cpos) + UInt64(count) else { return }
        throw storage.corrupt(
            path.leaf.block.number, "cluster \(list[index].cpos) is mapped, \(cpos) + \(count) is new")
    }

    /// The leaf record that covers the whole range, for changing it.
    private func covering(
        _ cpos: UInt32, _ count: UInt32
    ) async throws(FileSystemError) -> (path: ExtentPath, index: Int, record: ExtentRecord) {
        let path = try await path(to: cpos)
        let list = path.leaf.list
        let index = list.leafIndex(atOrAfter: cpos)
        guard index < list.count, list[index].contains(cpos), UInt64(cpos) + UInt64(count) <= list[index].end else {
            throw storage.corrupt(
                path.leaf.block.number, "no extent covers the clusters \(cpos) + \(count) that are to be changed")
        }
        try require(list[index], in: path.leaf.block)
        return (path, index, list[index])
    }

    /// The parts of `record` before and behind a range within it.
    private func rest(
        of record: ExtentRecord, without cpos: UInt32, _ count: UInt32
    ) -> (before: ExtentRecord?, after: ExtentRecord?) {
        var before: ExtentRecord?
        if cpos > record.cpos {
            before = ExtentRecord(
                cpos: record.cpos, clusters: cpos - record.cpos, block: record.block, flags: record.flags)
        }
        var after: ExtentRecord?
        let end = UInt64(cpos) + UInt64(count)
        if end < record.end {
            let skipped = UInt32(end - UInt64(record.cpos))
            after = ExtentRecord(
                cpos: record.cpos + skipped, clusters: record.clusters - skipped,
                block: record.block + UInt64(skipped) * blocksPerCluster, flags: record.flags)
        }
        return (before, after)
    }

    /// Puts `record` in the place of a part of one record. Spec: ocfs2-disk 6.7
    func replace(_ record: ExtentRecord) async throws(FileSystemError) {
        let (path, index, old) = try await covering(record.cpos, record.clusters)
        let rest = rest(of: old, without: record.cpos, record.clusters)
        let pieces = (rest.before.map { [$0] } ?? []) + [record] + (rest.after.map { [$0] } ?? [])
        let list = path.leaf.list
        let firstIndex = list.hasEmptyFirst ? 1 : 0
        let left = index > firstIndex ? [list[index - 1]] : []
        let right = index + 1 < list.count ? [list[index + 1]] : []
        // Joining with neighbours may leave fewer records; in a leaf that has others to its right each record less costs a
        // change of all of them.
        for (left, right) in [(left, right), (left, []), ([], right), ([], [])] {
            let records = joined(left + pieces + right)
            let removed = 1 + left.count + right.count
            if records.count >= removed || path.isRightmost || (left.isEmpty && right.isEmpty) {
                try await splice(path, at: index - left.count, removing: removed, inserting: records)
                return
            }
        }
    }

    /// Drops the mapping of a part of one record. Spec: ocfs2-disk 6.8
    func remove(_ cpos: UInt32, _ count: UInt32) async throws(FileSystemError) {
        let (path, index, old) = try await covering(cpos, count)
        let rest = rest(of: old, without: cpos, count)
        let pieces = (rest.before.map { [$0] } ?? []) + (rest.after.map { [$0] } ?? [])
        try await splice(path, at: index, removing: 1, inserting: pieces)
        addClusters(-Int64(count))
    }
}

extension ExtentRoot {
    /// Records that fit the root.
    func capacityMax(_ geometry: VolumeGeometry) -> Int {
        switch kind {
        case .data: geometry.dinodeExtentCapacity
        case .xattrValue: 1
        case .xattrIndex: geometry.xattrRootExtentCapacity
        case .directoryIndex: geometry.indexRootExtentCapacity
        case .refcount: geometry.refcountCapacity
        }
    }

    /// The longest record that joining may make. Spec: ocfs2-disk 6.5, ocfs2-disk-2 16.7, 17.2
    func recordClustersMax(_ geometry: VolumeGeometry) -> UInt32 {
        switch kind {
        case .data, .xattrValue: ExtentRecord.leafClustersMax
        case .xattrIndex: UInt32(max(1, 65536 / geometry.clusterSize))
        // Their cpos are hashes and positions of other things: neighbours by number are not neighbours by meaning.
        case .directoryIndex, .refcount: 1
        }
    }
}
