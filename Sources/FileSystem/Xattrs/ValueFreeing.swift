import Journal
import OCFS2Layout

/// The clusters of an attribute's value on their way to the truncate log, or, where they are shared with a reflinked
/// file, out of one more count. Spec: ocfs2-disk-2 16.4, 17.2.
///
/// Order of use: ``prepare(_:_:)``, ``exclusively(_:)`` around the rest, the reservation with ``needs()`` in it,
/// ``lock()``, the handle with ``credits``, ``carryOut(_:_:)``, ``release()``.
final class ValueFreeing {
    /// A run that is freed in one step.
    private struct Piece {
        var extent: Extent
        /// Who shares it, this value included; 1: nobody else.
        var shareCount: UInt32 = 1
    }

    private let tree: ExtentTree
    private let inode: Inode
    private let extents: [Extent]
    private let room: FreeingRoom
    private var pieces: [Piece] = []
    private var locks: [RemovalLocks] = []
    /// The tree that counts shared clusters, and its root, while they are held.
    private var sharing: (refcounts: RefcountTree, root: MetadataBlock)?

    private init(_ tree: ExtentTree, _ inode: Inode, _ extents: [Extent], _ room: FreeingRoom) {
        self.tree = tree
        self.inode = inode
        self.extents = extents
        self.room = room
    }

    private var volume: MountedVolume { inode.volume }

    /// 64 KiB in the smallest clusters.
    private static let pieceCountMax = 16

    /// Reads the tree and makes room in the truncate log. Before any reservation.
    static func prepare(_ tree: ExtentTree, _ inode: Inode) async throws(FileSystemError) -> ValueFreeing {
        var extents: [Extent] = []
        var clusters = 0
        try await tree.forEach { extent throws(FileSystemError) in
            clusters += Int(extent.count)
            guard clusters <= pieceCountMax else {
                throw inode.volume.report(
                    Corruption(block: inode.number, inode: inode.number, what: "a value of more than 64 KiB"))
            }
            extents.append(extent)
        }
        return ValueFreeing(tree, inode, extents, try await inode.volume.prepareToFree(max(1, clusters)))
    }

    /// Runs `body` with the refcount tree to itself, if clusters are shared. Behind the inode's lock, before
    /// allocators.
    func exclusively(_ body: () async throws(FileSystemError) -> Void) async throws(FileSystemError) {
        guard extents.contains(where: \.isRefcounted) else {
            pieces = extents.map { Piece(extent: $0) }
            return try await body()
        }
        try await volume.withRefcountTree(of: inode) { refcounts, root throws(FileSystemError) in
            self.sharing = (refcounts, root)
            defer { self.sharing = nil }
            self.pieces = try await self.split(refcounts, root)
            try await body()
        }
    }

    /// The extents cut where their counts change.
    private func split(_ refcounts: RefcountTree, _ root: MetadataBlock) async throws(FileSystemError) -> [Piece] {
        let geometry = volume.geometry
        var pieces: [Piece] = []
        for extent in extents {
            guard extent.isRefcounted else {
                pieces.append(Piece(extent: extent))
                continue
            }
            var cpos = UInt64(extent.cpos)
            while cpos < extent.end {
                let rest = extent.part(cpos..<extent.end, geometry)
                let cluster = geometry.cluster(ofBlock: rest.block)
                let record = try await refcounts.record(for: cluster, root)
                let end = min(extent.end, cpos + (record.end - UInt64(cluster)))
                pieces.append(Piece(extent: extent.part(cpos..<end, geometry), shareCount: record.count))
                cpos = end
            }
        }
        return pieces
    }

    private var sharedCount: Int { pieces.count(where: \.extent.isRefcounted) }

    /// For the refcount tree. The value's tree only loses records.
    func needs() async throws(FileSystemError) -> SpaceNeeds {
        guard let (refcounts, root) = sharing else { return SpaceNeeds() }
        var blocks = 0
        for piece in pieces where piece.extent.isRefcounted {
            blocks += try await refcounts.metadataNeeded(
                for: run(piece.extent), to: piece.shareCount - 1, others: sharedCount - 1, root)
        }
        return SpaceNeeds(metadataBlocks: blocks)
    }

    var credits: Int {
        let credits = tree.removeCredits + Credits.clusterFree
        guard let (refcounts, root) = sharing else { return credits }
        return credits + sharedCount * refcounts.credits(root)
    }

    func lock() async throws(FileSystemError) {
        locks = [try await tree.lockForRemoving()]
        for extent in extents { try await tree.requireChangeable(extent) }
        guard let (refcounts, root) = sharing else { return }
        for piece in pieces where piece.extent.isRefcounted {
            locks.append(try await refcounts.lockForRemoving(of: run(piece.extent), root))
        }
    }

    /// Leaves an empty root.
    func carryOut(_ reservation: Reservation?, _ handle: JournalHandle) async throws(FileSystemError) {
        guard !locks.isEmpty else { return }
        var next = locks.count
        for piece in pieces.reversed() {
            let extent = piece.extent, run = run(extent)
            try await tree.remove(cpos: extent.cpos, count: extent.count, locks[0], reservation, handle)
            if extent.isRefcounted, let (refcounts, root) = sharing, let reservation {
                next -= 1
                try await refcounts.setCount(
                    of: run, to: piece.shareCount - 1, root, locks[next], reservation, handle)
                if piece.shareCount > 1 { continue }
            }
            try await volume.freeClusters(run, handle)
        }
    }

    private func run(_ extent: Extent) -> ClusterRun {
        ClusterRun(cluster: volume.geometry.cluster(ofBlock: extent.block), count: extent.count)
    }

    func unlock() {
        for lock in locks { lock.release() }
        locks = []
    }

    func release() {
        unlock()
        room.release()
    }
}
