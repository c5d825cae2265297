internal import EngineKit
internal import Journal
internal import OCFS2Layout

// Writing back. Data first, then the transaction that makes it reachable: after a crash no stale byte is visible.
extension FileData {
    /// Writes all that is newer than the disk, and what the dinode needs for it, to disk and journal.
    ///
    /// - Parameter dataOnly: times alone may stay in memory (fdatasync).
    package func flush(dataOnly: Bool = false) async throws(FileSystemError) {
        guard needsFlush || writing != nil else { return }
        await changeLock.lock(.exclusive)
        defer { changeLock.unlock(.exclusive) }
        try await flushChanging(dataOnly: dataOnly)
    }

    package func flush() async throws(FileSystemError) {
        try await flush(dataOnly: false)
    }

    /// A flush that nobody waits for: its error is kept for the next one who asks.
    func flushInBackground() async {
        do throws(FileSystemError) {
            try await flush()
        } catch {
            if failure == nil { failure = error }
            volume.environment.log(.error, "inode \(inode.number): its data could not be written: \(error)")
            volume.fileBecameDirty(inode)
        }
    }

    /// As ``flush(dataOnly:)`` for one who holds ``changeLock``.
    func flushChanging(dataOnly: Bool = false) async throws(FileSystemError) {
        guard needsFlush else { return }
        try volume.requireWriting()
        if inode.attributes.dynamicFeatures.contains(.hasRefcount) {
            for range in dirty.ranges.ranges { try await endSharingChanging(of: range) }
        }
        let size = size
        writing = dirty
        writingClusters = promisedClusters
        let plan = FlushPlan(size: size, promises: promises, extentBlockPromises: extentBlockPromises)
        dirty = DirtyData()
        promisedClusters = RangeSet()
        promises = []
        extentBlockPromises = []
        volume.writeBack.flushBegan()
        defer { volume.writeBack.flushDidEnd() }
        do throws(FileSystemError) {
            try await place(plan)
            try await fill(plan)
            try await volume.performInGroups(plan.transfers)
            try await makeReachable(plan, dataOnly: dataOnly)
        } catch {
            restore(plan)
            throw error
        }
        for promise in plan.promises { volume.giveBack(promise) }
        volume.writeBack.memoryChanged(by: -(writing?.memoryByteCount ?? 0))
        writing = nil
        writingClusters = RangeSet()
    }

    /// After a failure: what was to be written is dirty again.
    private func restore(_ plan: FlushPlan) {
        for item in plan.items {
            guard case .map(let run, _, _) = item else { continue }
            if plan.isCommitted(run) {
                writingClusters.remove(item.clusters)
            } else {
                promises.append(volume.promiseAgain(run))
            }
        }
        let before = dirty.memoryByteCount + (writing?.memoryByteCount ?? 0)
        if let writing { dirty.addOlder(writing, pool) }
        volume.writeBack.memoryChanged(by: dirty.memoryByteCount - before)
        for range in writingClusters.ranges { promisedClusters.insert(range) }
        promises += plan.promises
        extentBlockPromises += plan.extentBlockPromises
        writing = nil
        writingClusters = RangeSet()
    }
}

/// What one flush does.
final class FlushPlan {
    /// A change of the mapping, in the order of logical clusters.
    enum Item {
        /// New clusters.
        case map(ReservedRun, ClusterRun, cpos: UInt32)
        /// A part of an unwritten extent that has data now.
        case markWritten(Extent)

        var clusters: Range<UInt64> {
            switch self {
            case .map(_, let run, let cpos): UInt64(cpos)..<UInt64(cpos) + UInt64(run.count)
            case .markWritten(let extent): UInt64(extent.cpos)..<extent.end
            }
        }
    }

    /// Bytes of the file and where they go.
    struct Target {
        var range: Range<UInt64>
        /// First byte on the device.
        var place: UInt64
        /// Nothing on disk there is valid: what is not written reads as zeroes.
        var isFresh: Bool
    }

    let size: UInt64
    var promises: [SpacePromise]
    var extentBlockPromises: [ExtentBlockPromise]
    var items: [Item] = []
    /// In the order of the file, without overlap.
    var targets: [Target] = []
    /// What has to be written: dirty bytes rounded to blocks, and zeroes.
    var ranges = RangeSet()
    var transfers: [BlockTransfer] = []
    private var committed: [ObjectIdentifier] = []

    init(size: UInt64, promises: [SpacePromise], extentBlockPromises: [ExtentBlockPromise]) {
        self.size = size
        self.promises = promises
        self.extentBlockPromises = extentBlockPromises
    }

    func didCommit(_ run: ReservedRun) { committed.append(ObjectIdentifier(run)) }
    func isCommitted(_ run: ReservedRun) -> Bool { committed.contains(ObjectIdentifier(run)) }
}

// Where everything goes.
extension FileData {
    /// Finds the place of each byte that has to be written; unmapped clusters get reserved ones. Spec: ocfs2-disk-2 19.8
    private func place(_ plan: FlushPlan) async throws(FileSystemError) {
        guard let writing else { return }
        var touched = RangeSet()
        for range in writing.ranges.ranges { touched.insert(clusters(of: range)) }
        let end = plan.size.roundedUp(to: unit)
        for (index, range) in touched.ranges.enumerated() {
            if index % Self.stepsBetweenYields == Self.stepsBetweenYields - 1 { await volume.environment.yield() }
            for piece in try await pieces(of: bytes(of: range)) { try await place(piece, end: end, plan) }
        }
        for range in writing.ranges.ranges {
            plan.ranges.insert(range.lowerBound.roundedDown(to: unit)..<range.upperBound.roundedUp(to: unit))
        }
        try await placeGrowth(end: end, plan)
        plan.targets.sort { $0.range.lowerBound < $1.range.lowerBound }
    }

    /// Scattered writes make many pieces: others get their turn in between.
    static var stepsBetweenYields: Int { 64 }

    private func place(_ piece: FilePiece, end: UInt64, _ plan: FlushPlan) async throws(FileSystemError) {
        switch piece.place {
        case .written(let place):
            plan.targets.append(FlushPlan.Target(range: piece.range, place: place, isFresh: false))
        case .unwritten(let place):
            plan.targets.append(FlushPlan.Target(range: piece.range, place: place, isFresh: true))
            let clusters = clusters(of: piece.range)
            plan.items.append(
                .markWritten(
                    Extent(
                        cpos: UInt32(clusters.lowerBound), count: UInt32(clusters.count),
                        block: place >> UInt64(geometry.blockSizeBits))))
        case .hole:
            try await reserve(clusters(of: piece.range), plan)
        }
        if case .written = piece.place { return }
        // The rest of a new cluster is zero as far as the file reaches.
        plan.ranges.insert(piece.range.lowerBound..<max(piece.range.lowerBound, min(piece.range.upperBound, end)))
    }

    /// Reserves clusters for a hole, behind what is mapped before it if possible.
    private func reserve(_ clusters: Range<UInt64>, _ plan: FlushPlan) async throws(FileSystemError) {
        var cpos = clusters.lowerBound
        var near = try await clusterBehind(cpos, plan)
        while cpos < clusters.upperBound {
            let wanted = Int(min(clusters.upperBound - cpos, UInt64(ExtentRecord.leafClustersMax)))
            plan.promises.removeAll { $0.clusters == 0 }
            let promise = plan.promises.last
            let reserved = try await volume.reserveRun(
                atMost: promise.map { min(wanted, $0.clusters) } ?? wanted, near: near, promise: promise)
            let run = reserved.run
            plan.items.append(.map(reserved, run, cpos: UInt32(cpos)))
            let place = UInt64(run.cluster) << UInt64(geometry.clusterSizeBits)
            let next = cpos + UInt64(run.count)
            plan.targets.append(FlushPlan.Target(range: bytes(of: cpos..<next), place: place, isFresh: true))
            cpos = next
            near = UInt32(exactly: run.end)
        }
    }

    /// Where a cluster would continue what is mapped before it.
    private func clusterBehind(_ cpos: UInt64, _ plan: FlushPlan) async throws(FileSystemError) -> UInt32? {
        guard cpos > 0 else { return nil }
        if let last = plan.targets.last, last.range.upperBound == bytes(of: cpos..<cpos + 1).lowerBound {
            return UInt32(exactly: (last.place + UInt64(last.range.count)) >> UInt64(geometry.clusterSizeBits))
        }
        guard let extent = try await run(at: cpos - 1).extent else { return nil }
        return geometry.cluster(ofBlock: extent.block) + extent.count
    }

    /// The file grows: what lies allocated between the old and the new end becomes zero.
    private func placeGrowth(end: UInt64, _ plan: FlushPlan) async throws(FileSystemError) {
        let start = storedSize.roundedDown(to: unit)
        guard plan.size > storedSize, start < end, !inode.hasInlineData else { return }
        let known = RangeSet(of: plan.targets.map(\.range))
        for gap in known.gaps(in: start..<end) {
            for piece in try await pieces(of: gap) {
                guard case .written(let place) = piece.place else { continue }
                plan.targets.append(FlushPlan.Target(range: piece.range, place: place, isFresh: false))
            }
        }
        for target in plan.targets where !target.isFresh {
            let part = target.range.clamped(to: start..<end)
            if !part.isEmpty { plan.ranges.insert(part) }
        }
    }
}

extension RangeSet {
    init(of ranges: [Range<UInt64>]) {
        self.init()
        for range in ranges { insert(range) }
    }
}
