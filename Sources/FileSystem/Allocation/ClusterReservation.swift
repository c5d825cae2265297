package import Journal
internal import EngineKit
internal import OCFS2Layout

/// Clusters that nobody else gets, without any change on disk: data is written to them before the transaction that makes
/// them reachable. Ends with ``MountedVolume/commitRun(_:count:_:)`` or ``MountedVolume/cancelRun(_:)``.
package final class ReservedRun {
    /// What is left of it.
    package private(set) var run: ClusterRun
    /// From the window of this slot, or from the global bitmap, whose lock is held meanwhile.
    let isInWindow: Bool
    private unowned let space: SpaceBook

    init(_ space: SpaceBook, _ run: ClusterRun, isInWindow: Bool) {
        self.space = space
        self.run = run
        self.isInWindow = isInWindow
    }

    /// Marks the first `count` clusters as used.
    func take(_ count: UInt32, _ handle: JournalHandle) async throws(FileSystemError) -> ClusterRun {
        precondition(count > 0 && count <= run.count, "\(count) clusters of a run of \(run.count)")
        let taken = ClusterRun(cluster: run.cluster, count: count)
        if isInWindow {
            space.window.take(taken, handle)
        } else {
            try await space.bitmap.take(taken, handle)
            space.reserved.remove(taken.range)
        }
        shorten(by: count)
        return taken
    }

    /// Gives back what is left.
    func cancel() {
        guard run.count > 0 else { return }
        if isInWindow {
            space.window.cancel(run)
        } else {
            space.reserved.remove(run.range)
        }
        shorten(by: run.count)
    }

    /// As ``cancel()``; as many clusters are promised instead, and nobody gets them in between.
    func promiseAgain() -> SpacePromise {
        let count = Int(run.count)
        cancel()
        return SpacePromise(space, clusters: count)
    }

    private func shorten(by count: UInt32) {
        run = ClusterRun(cluster: run.cluster + count, count: run.count - count)
        space.reservedCount -= Int(count)
        if run.count == 0, !isInWindow { space.bitmap.hold.release() }
    }
}

/// Clusters that are promised but not chosen: a cached write can be answered, its blocks are found when it is flushed.
package final class SpacePromise {
    package fileprivate(set) var clusters: Int
    private weak var space: SpaceBook?

    fileprivate init(_ space: SpaceBook, clusters: Int) {
        self.space = space
        self.clusters = clusters
        space.promisedCount += clusters
    }

    deinit {
        space?.promisedCount -= clusters
    }

    fileprivate func shorten(by count: Int) {
        clusters -= count
        space?.promisedCount -= count
    }
}

extension ClusterRun {
    var range: Range<UInt32> { cluster..<UInt32(end) }
}

extension MountedVolume {
    /// Promises that `clusters` clusters will be found later; no disk change. What is left of a promise ends with the
    /// object.
    package func promise(clusters: Int) async throws(FileSystemError) -> SpacePromise {
        let space = try usedSpace()
        if space.available < clusters { try await findSpace(clusters) }
        return SpacePromise(space, clusters: clusters)
    }

    /// Takes back `clusters` clusters of the promise (all: nil).
    package func giveBack(_ promise: SpacePromise, clusters: Int? = nil) {
        promise.shorten(by: min(clusters ?? promise.clusters, promise.clusters))
    }

    /// A run of 1 to `atMost` clusters that nobody else gets; no disk change. `promise`: the run was promised before and is
    /// taken from it.
    package func reserveRun(
        atMost: Int, near: UInt32?, promise: SpacePromise? = nil
    ) async throws(FileSystemError) -> ReservedRun {
        precondition(atMost > 0, "a run of \(atMost) clusters")
        let space = try usedSpace()
        let own: SpacePromise
        if let promise {
            own = promise
            precondition(promise.clusters > 0, "nothing is left of the promise")
        } else {
            if space.available == 0 { try await findSpace(1) }
            own = SpacePromise(space, clusters: min(atMost, max(1, space.available)))
        }
        let run = try await chooseRun(min(atMost, own.clusters), near)
        own.shorten(by: Int(run.run.count))
        if promise == nil { own.shorten(by: own.clusters) }
        return run
    }

    /// Marks the first `count` clusters of the run as used in this transaction; the rest is given back.
    /// ``Credits/clusterAllocation`` credits.
    package func commitRun(_ run: ReservedRun, count: Int, _ handle: JournalHandle) async throws(FileSystemError) {
        _ = try await run.take(UInt32(count), handle)
        run.cancel()
    }

    /// Gives the whole run back.
    package func cancelRun(_ run: ReservedRun) {
        run.cancel()
    }

    /// Gives the whole run back for a promise of as many clusters.
    func promiseAgain(_ run: ReservedRun) -> SpacePromise {
        run.promiseAgain()
    }

    /// The bitmap's lock goes to another host, which may use up what is free in it: what was promised of that, and is not in
    /// the window, is allocated before.
    func keepPromises() async throws(FileSystemError) {
        guard let space, space.promisedCount + space.reservedCount > Int(space.window.free) else { return }
        space.bitmap.hold.isLowering = true
        defer { space.bitmap.hold.isLowering = false }
        await flushAllData()
    }

    // MARK: Finding

    /// Makes `clusters` clusters available: flushes the truncate log, waits a little for files that are being wiped.
    /// Throws `noSpace`. Spec: ocfs2-disk 9.5 rule 8.
    func findSpace(_ clusters: Int) async throws(FileSystemError) {
        let space = try usedSpace()
        // What is known of the bitmap may be old: another host may have freed something.
        try await space.bitmap.hold.acquire()
        space.bitmap.hold.release()
        for _ in 0..<Self.findSpaceAttempts {
            if space.truncateLog.count > 0 { try await space.truncateLog.flush() }
            if space.available >= clusters { return }
            guard wipesRunning > 0 else { break }
            await environment.sleep(until: environment.now + Self.findSpacePause)
        }
        if space.available < clusters { throw .noSpace }
    }

    private static var findSpaceAttempts: Int { 100 }
    private static var findSpacePause: Duration { .milliseconds(20) }

    /// From the window for what is not too large, else from the global bitmap. Spec: ocfs2-disk 9.5 rule 7.
    private func chooseRun(_ wanted: Int, _ near: UInt32?) async throws(FileSystemError) -> ReservedRun {
        let space = try usedSpace()
        if wanted <= Int(space.window.size) / 2, let run = try await windowRun(wanted, near) { return run }
        for _ in 0..<2 {
            if let run = try await globalRun(wanted: wanted, minimum: 1, near) { return run }
            // What is left is in the window, or in one that is being opened.
            await space.moveLock.with(.shared) {}
            if let run = space.window.reserve(wanted: wanted, near: near) {
                space.reservedCount += Int(run.count)
                return ReservedRun(space, run, isInWindow: true)
            }
        }
        throw .noSpace
    }

    private func windowRun(_ wanted: Int, _ near: UInt32?) async throws(FileSystemError) -> ReservedRun? {
        let space = try usedSpace()
        if space.window.isMoving { await space.moveLock.with(.shared) {} }
        if space.window.available < wanted { try await moveWindow(wanted) }
        guard let run = space.window.reserve(wanted: wanted, near: near) else { return nil }
        space.reservedCount += Int(run.count)
        return ReservedRun(space, run, isInWindow: true)
    }

    /// A run of the window as it is, neither longer nor shorter; nil: it has none.
    func windowRun(ofExactly count: Int) throws(FileSystemError) -> ReservedRun? {
        let space = try usedSpace()
        guard let run = space.window.reserve(wanted: count, near: nil) else { return nil }
        guard Int(run.count) == count else {
            space.window.cancel(run)
            return nil
        }
        space.reservedCount += count
        return ReservedRun(space, run, isInWindow: true)
    }

    /// A run in one group of the global bitmap; nil: none of at least `minimum` clusters. Holds the bitmap's lock while it
    /// lives.
    func globalRun(wanted: Int, minimum: Int, _ near: UInt32?) async throws(FileSystemError) -> ReservedRun? {
        let space = try usedSpace()
        try await space.bitmap.hold.acquire()
        var run: ClusterRun?
        do throws(FileSystemError) {
            run = try await findGlobalRun(space, wanted: wanted, minimum: minimum, near)
        } catch {
            space.bitmap.hold.release()
            throw error
        }
        guard let run else {
            space.bitmap.hold.release()
            return nil
        }
        space.reservedCount += Int(run.count)
        return ReservedRun(space, run, isInWindow: false)
    }
}
