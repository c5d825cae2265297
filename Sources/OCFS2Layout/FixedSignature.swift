package import LayoutKit

/// The 8 bytes that tell what kind of metadata a block holds: ASCII, filled up with NUL. Spec: ocfs2-disk 1.
///
/// Compared as one little-endian number.
@usableFromInline
package struct FixedSignature: RawRepresentable, Hashable, Sendable {
    @usableFromInline package let rawValue: UInt64

    @inlinable
    package init(rawValue: UInt64) {
        self.rawValue = rawValue
    }

    /// `OCFSV2`: the superblock's dinode.
    @inlinable package static var superblock: FixedSignature { FixedSignature(rawValue: 0x0000_3256_5346_434f) }
    /// `INODE01`.
    @inlinable package static var dinode: FixedSignature { FixedSignature(rawValue: 0x0031_3045_444f_4e49) }
    /// `EXBLK01`.
    @inlinable package static var extentBlock: FixedSignature { FixedSignature(rawValue: 0x0031_304b_4c42_5845) }
    /// `GROUP01`.
    @inlinable package static var groupDescriptor: FixedSignature { FixedSignature(rawValue: 0x0031_3050_554f_5247) }
    /// `XATTR01`.
    @inlinable package static var xattrBlock: FixedSignature { FixedSignature(rawValue: 0x0031_3052_5454_4158) }
    /// `DIRTRL1`, in the last 64 bytes of a directory block.
    @inlinable package static var directoryTrailer: FixedSignature { FixedSignature(rawValue: 0x0031_4c52_5452_4944) }
    /// `DXDIR01`.
    @inlinable package static var indexRoot: FixedSignature { FixedSignature(rawValue: 0x0031_3052_4944_5844) }
    /// `DXLEAF1`.
    @inlinable package static var indexLeaf: FixedSignature { FixedSignature(rawValue: 0x0031_4641_454c_5844) }
    /// `REFCNT1`.
    @inlinable package static var refcountBlock: FixedSignature { FixedSignature(rawValue: 0x0031_544e_4346_4552) }

    /// Throws ``LayoutError/badMagic(found:expected:)`` unless the field holds this signature.
    package func require(_ bytes: UnsafeRawBufferPointer, at field: LE64) throws(LayoutError) {
        let found = bytes[field]
        guard found == rawValue else { throw .badMagic(found: found, expected: rawValue) }
    }
}

/// Throws unless a field holds the one value that it can hold here.
func requireEqual(_ field: @autoclosure () -> String, _ found: UInt64, _ expected: UInt64) throws(LayoutError) {
    guard found == expected else {
        throw .badValue(field: field(), found: found, expected: "\(expected)")
    }
}

/// Throws unless a field is at most `limit`.
func requireAtMost(_ field: @autoclosure () -> String, _ found: UInt64, _ limit: UInt64) throws(LayoutError) {
    guard found <= limit else {
        throw .badValue(field: field(), found: found, expected: "at most \(limit)")
    }
}
