import Journal
import OCFS2Layout

/// The clusters of an attribute's value on their way to the truncate log. Spec: ocfs2-disk-2 16.4.
final class ValueFreeing {
    private let tree: ExtentTree
    private let inode: Inode
    private let extents: [Extent]
    private let room: FreeingRoom
    private var locks: RemovalLocks?

    private init(_ tree: ExtentTree, _ inode: Inode, _ extents: [Extent], _ room: FreeingRoom) {
        self.tree = tree
        self.inode = inode
        self.extents = extents
        self.room = room
    }

    /// 64 KiB in the smallest clusters.
    private static let extentCountMax = 16

    /// Reads the tree and makes room in the truncate log. Before any reservation.
    static func prepare(_ tree: ExtentTree, _ inode: Inode) async throws(FileSystemError) -> ValueFreeing {
        var extents: [Extent] = []
        try await tree.forEach { extent throws(FileSystemError) in
            guard extents.count < extentCountMax else {
                throw inode.volume.report(
                    Corruption(block: inode.number, inode: inode.number, what: "a value in more than 16 pieces"))
            }
            extents.append(extent)
        }
        // Shared with reflinked files: their count would have to go down instead.
        guard !extents.contains(where: \.isRefcounted) else { throw .notSupported }
        return ValueFreeing(tree, inode, extents, try await inode.volume.prepareToFree(max(1, extents.count)))
    }

    func lock() async throws(FileSystemError) {
        locks = try await tree.lockForRemoving()
    }

    var credits: Int { tree.removeCredits + Credits.clusterFree }

    /// Leaves an empty root.
    func carryOut(_ handle: JournalHandle) async throws(FileSystemError) {
        guard let locks else { return }
        for extent in extents.reversed() {
            try await tree.remove(cpos: extent.cpos, count: extent.count, locks, nil, handle)
            let cluster = inode.volume.geometry.cluster(ofBlock: extent.block)
            try await inode.volume.freeClusters(ClusterRun(cluster: cluster, count: extent.count), handle)
        }
    }

    func unlock() {
        locks?.release()
        locks = nil
    }

    func release() {
        room.release()
    }
}
