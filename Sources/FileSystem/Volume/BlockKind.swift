/// What a metadata block holds: how it is checked when read and which check it gets when written.
///
/// The raw value is ``MetadataBlock/kind``; 0 there means that nobody has checked the block.
package enum BlockKind: UInt8, Sendable {
    case dinode = 1
    case extentBlock
    case groupDescriptor
    case xattrBlock
    /// A data block of a directory; has a trailer when the volume has block checks or the directory is indexed.
    case directoryData
    case indexRoot
    case indexLeaf
    case refcountBlock
    /// Metadata without signature and check: text of a long symlink, value of an xattr.
    case plain
    /// A block of an xattr bucket: the check covers the whole bucket, so the xattr code verifies and computes it.
    case xattrBucket
    /// A block of a quota file; the check is in its last 8 bytes.
    case quota
}
