public import LayoutKit

/// The window of clusters that a slot hands out without the global bitmap; lies in the dinode of local_alloc:NNNN.
/// Spec: ocfs2-disk 10.
///
///     offset  size  field (of the dinode)
///     0xb8    4     i_used: bits in use
///     0xbc    4     i_total: clusters of the window, 0 = none
///     0xc0    4     la_bm_off: first cluster of the window
///     0xc4    2     la_size: bytes of the bitmap that there is room for
///     0xd0          la_bitmap: bit n = cluster la_bm_off + n
@usableFromInline
package enum LocalAlloc {
    @usableFromInline
    package enum Field {
        @inlinable package static var used: LE32 { Dinode.Field.bitsUsed }
        @inlinable package static var total: LE32 { Dinode.Field.bitsTotal }
        @inlinable package static var firstCluster: LE32 { LE32(offset: 0xc0) }
        @inlinable package static var bitmapSize: LE16 { LE16(offset: 0xc4) }
    }

    @inlinable package static var bitmapOffset: Int { 0xd0 }

    /// The bitmap of the window, ``Field/total`` bits. Only of a validated dinode.
    @inlinable
    package static func bitmap(_ bytes: UnsafeMutableRawBufferPointer) -> BitmapView {
        BitmapView(
            bytes.part(offset: bitmapOffset, count: Int(bytes[Field.bitmapSize])), bitCount: Int(bytes[Field.total]))
    }

    /// Makes the content of a new local alloc dinode.
    package static func initialize(_ bytes: UnsafeMutableRawBufferPointer, _ geometry: VolumeGeometry) {
        close(bytes, geometry)
        bytes[Field.bitmapSize] = UInt16(geometry.localAllocBitmapSize)
    }

    /// No window: everything but `la_size` becomes zero.
    package static func close(_ bytes: UnsafeMutableRawBufferPointer, _ geometry: VolumeGeometry) {
        bytes[Field.used] = 0
        bytes[Field.total] = 0
        bytes[Field.firstCluster] = 0
        let count = geometry.localAllocBitmapSize
        bytes.part(offset: bitmapOffset, count: count).clear(count: count)
    }

    /// Opens a window over `clusters`, of which none is handed out. It must fit the bitmap (`la_size`).
    package static func open(
        _ bytes: UnsafeMutableRawBufferPointer, clusters: Range<UInt32>, _ geometry: VolumeGeometry
    ) {
        precondition(clusters.count <= Int(bytes[Field.bitmapSize]) * 8, "window of \(clusters.count) clusters")
        close(bytes, geometry)
        bytes[Field.firstCluster] = clusters.lowerBound
        bytes[Field.total] = UInt32(clusters.count)
    }

    /// Whether there is no window and nothing left of one: what a slot must look like when it is taken.
    package static func isClosed(_ bytes: UnsafeRawBufferPointer, _ geometry: VolumeGeometry) -> Bool {
        bytes[Field.used] == 0 && bytes[Field.total] == 0 && bytes[Field.firstCluster] == 0
            && bytes.part(offset: bitmapOffset, count: geometry.localAllocBitmapSize).isAllZero
    }

    /// Checks the content of a local alloc dinode: the window fits its bitmap and lies inside one group of the volume.
    package static func validate(
        _ bytes: UnsafeRawBufferPointer, _ parameters: VolumeParameters
    ) throws(LayoutError) {
        try parameters.requireBlock(bytes)
        let geometry = parameters.geometry
        let size = UInt64(bytes[Field.bitmapSize])
        try requireAtMost("la_size", size, UInt64(geometry.localAllocBitmapSize))
        let total = UInt64(bytes[Field.total])
        try requireAtMost("i_total", total, 8 * size)
        try requireAtMost("i_used", UInt64(bytes[Field.used]), total)
        guard total > 0 else { return }
        let first = bytes[Field.firstCluster]
        guard UInt64(first) + total <= UInt64(parameters.clusterCount),
            geometry.clusterGroup(ofCluster: first) == geometry.clusterGroup(ofCluster: first + UInt32(total) - 1)
        else {
            throw .badValue(
                field: "la_bm_off", found: UInt64(first), expected: "\(total) clusters inside one group of the volume")
        }
    }
}
