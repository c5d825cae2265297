package import OCFS2Layout

/// A run of clusters of a file or of another owner of an extent tree: logical clusters mapped to physical ones.
package struct Extent: Hashable, Sendable {
    /// First logical cluster; in an xattr index the lowest hash, in a refcount tree the lowest physical cluster.
    package var cpos: UInt32
    /// Clusters. 1 to 65535 as a record of a tree; longer ones are cut into several.
    package var count: UInt32
    /// First block of the run.
    package var block: UInt64
    package var flags: ExtentRecord.Flags

    package init(cpos: UInt32, count: UInt32, block: UInt64, flags: ExtentRecord.Flags = []) {
        self.cpos = cpos
        self.count = count
        self.block = block
        self.flags = flags
    }

    init(_ record: ExtentRecord) {
        self.init(cpos: record.cpos, count: record.clusters, block: record.block, flags: record.flags)
    }

    var record: ExtentRecord { ExtentRecord(cpos: cpos, clusters: count, block: block, flags: flags) }

    /// First cluster behind; one bit wider, because an extent may end at 2^32.
    package var end: UInt64 { UInt64(cpos) + UInt64(count) }
    package var isUnwritten: Bool { flags.contains(.unwritten) }
    package var isRefcounted: Bool { flags.contains(.refcounted) }

    package func contains(_ cpos: UInt32) -> Bool { self.cpos <= cpos && UInt64(cpos) < end }
}

/// What a tree says about one logical cluster.
package enum ExtentLookup: Equatable, Sendable {
    /// The whole record that covers it.
    case extent(Extent)
    /// Nothing is mapped from here for this many clusters; nil: nothing behind at all.
    case hole(clusters: UInt32?)
}
