public import LayoutKit

/// Where a value longer than 80 bytes lies: the root of a tree of clusters, with one record. Spec: ocfs2-disk-2 16.4.
///
///     offset  size  field
///     0x00    4     xr_clusters
///     0x08    8     xr_last_eb_blk
///     0x10    16    extent list header, l_count 1
///     0x20    16    record
@usableFromInline
package enum XattrValueRoot {
    @usableFromInline
    package enum Field {
        @inlinable package static var clusters: LE32 { LE32(offset: 0) }
        @inlinable package static var lastExtentBlock: LE64 { LE64(offset: 8) }
    }

    @inlinable package static var byteCount: Int { 48 }

    package static func list(_ bytes: UnsafeMutableRawBufferPointer) -> ExtentListView {
        ExtentListView(bytes, offset: 0x10)
    }

    /// Makes a root without clusters.
    package static func initialize(_ bytes: UnsafeMutableRawBufferPointer) {
        bytes.clear(count: byteCount)
        list(bytes).initialize(capacity: 1)
    }

    package static func validate(_ bytes: UnsafeRawBufferPointer) throws(LayoutError) {
        try ExtentListView.validate(bytes, offset: 0x10, capacity: 1, isCapacityExact: true)
    }
}
