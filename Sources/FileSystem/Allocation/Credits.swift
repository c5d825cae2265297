/// Journal credits of common steps: upper bounds of the blocks that a handle changes. Spec: ocfs2-disk-2 22.10.
package enum Credits {
    package static let inodeUpdate = 1
    /// One block from a suballocator: its dinode, the group, and the next group if the first is full.
    package static let suballocation = 3
    /// One block back to a suballocator.
    package static let suballocationFree = 2
    /// One run of clusters: from the window (its dinode) or from the bitmap (dinode and group).
    package static let clusterAllocation = 2
    /// Clusters freed: the truncate log.
    package static let clusterFree = 1
    /// A name added to or removed from an orphan directory.
    package static let orphanEntry = 6
}
