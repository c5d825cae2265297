package import OCFS2Layout

/// What an operation may take in its transaction at most.
package struct SpaceNeeds: Equatable, Sendable {
    package var inodes: Int
    /// Extent blocks, xattr blocks, index roots, refcount blocks.
    package var metadataBlocks: Int
    package var clusters: Int
    /// Where the clusters should lie, if there is a choice.
    package var nearCluster: UInt32?

    package init(inodes: Int = 0, metadataBlocks: Int = 0, clusters: Int = 0, nearCluster: UInt32? = nil) {
        self.inodes = inodes
        self.metadataBlocks = metadataBlocks
        self.clusters = clusters
        self.nearCluster = nearCluster
    }
}

/// A run of clusters of the volume.
package struct ClusterRun: Hashable, Sendable {
    package var cluster: UInt32
    /// At least 1.
    package var count: UInt32

    package init(cluster: UInt32, count: UInt32) {
        self.cluster = cluster
        self.count = count
    }

    package var end: UInt64 { UInt64(cluster) + UInt64(count) }
}

/// A metadata block that was just allocated.
package struct ClaimedBlock: Equatable, Sendable {
    package var number: UInt64
    /// What the block has to carry, so that it can be freed.
    package var place: Suballocation

    package init(number: UInt64, place: Suballocation) {
        self.number = number
        self.place = place
    }
}
