package import Journal
internal import LayoutKit
internal import OCFS2Layout

/// Where the root of an extent tree lies, and what the owner's kind demands. Spec: ocfs2-disk 6.1.
package struct ExtentRoot {
    enum Kind {
        case data, xattrValue, xattrIndex, directoryIndex, refcount

        /// Whether `e_cpos` numbers the owner's clusters. In an index it is a hash, behind the highest of which the clusters
        /// of an extent count on.
        var countsClusters: Bool { self == .data || self == .xattrValue }
    }

    let kind: Kind
    /// The block that holds the root.
    let block: MetadataBlock
    /// Of the extent list in the block.
    let listOffset: Int
    /// Clusters of the tree (T8).
    let clustersField: LE32
    /// The rightmost leaf (T7).
    let lastLeafField: LE64
    /// Whom blocks are read for; its clusters are kept up to date for data.
    let owner: Inode?
    /// Without an owner: since when no other host can have changed the tree, by ``BlockCache/clock``.
    var validSince: UInt64 = 0

    /// The data of a file, directory or long symlink, which has no inline data.
    package static func data(_ inode: Inode) -> ExtentRoot {
        ExtentRoot(
            kind: .data, block: inode.block, listOffset: Dinode.contentOffset, clustersField: Dinode.Field.clusters,
            lastLeafField: Dinode.Field.lastExtentBlock, owner: inode)
    }

    /// The value root of an xattr (48 bytes, room for one record) at `offset` of a block. Spec: ocfs2-disk-2 16.4.
    package static func xattrValue(block: MetadataBlock, offset: Int, owner: Inode?) -> ExtentRoot {
        ExtentRoot(
            kind: .xattrValue, block: block, listOffset: offset + 0x10, clustersField: LE32(offset: offset),
            lastLeafField: LE64(offset: offset + 8), owner: owner)
    }

    /// The index of an xattr block. Spec: ocfs2-disk-2 16.3.
    package static func xattrIndex(_ block: MetadataBlock, owner: Inode?) -> ExtentRoot {
        ExtentRoot(
            kind: .xattrIndex, block: block, listOffset: 0x40, clustersField: LE32(offset: 0x30),
            lastLeafField: LE64(offset: 0x38), owner: owner)
    }

    /// A dx root that is not inline. Spec: ocfs2-disk 8.6.
    package static func directoryIndex(_ block: MetadataBlock, owner: Inode?) -> ExtentRoot {
        ExtentRoot(
            kind: .directoryIndex, block: block, listOffset: 0xc0, clustersField: LE32(offset: 0x28),
            lastLeafField: LE64(offset: 0x20), owner: owner)
    }

    /// A refcount root with leaves (TREE). Spec: ocfs2-disk-2 17.1.
    static func refcount(_ block: MetadataBlock, validSince: UInt64) -> ExtentRoot {
        ExtentRoot(
            kind: .refcount, block: block, listOffset: 0x80, clustersField: LE32(offset: 0x38),
            lastLeafField: LE64(offset: 0x28), owner: nil, validSince: validSince)
    }
}
