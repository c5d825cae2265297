package import LayoutKit

/// One entry of a POSIX ACL. On disk an ACL is an array of these, without the version header that system calls put
/// before it. Spec: ocfs2-disk-2 16.8.
///
///     offset  size  field
///     0       2     e_tag
///     2       2     e_perm: r 4, w 2, x 1
///     4       4     e_id: 0xffffffff but for users and groups
package struct ACLEntry: FixedLayout, Hashable, Sendable {
    package static let byteCount = 8
    /// What system calls put before the entries: version 2, little-endian.
    package static let systemCallHeader: UInt32 = 2

    package enum Tag: UInt16, Hashable, Sendable {
        case owner = 0x01
        case user = 0x02
        case owningGroup = 0x04
        case group = 0x08
        case mask = 0x10
        case other = 0x20
    }

    package var tag: Tag
    package var permissions: UInt16
    /// User or group; 0xffffffff in the other kinds.
    package var id: UInt32

    package init(tag: Tag, permissions: UInt16, id: UInt32 = .max) {
        self.tag = tag
        self.permissions = permissions
        self.id = id
    }

    package init(decoding bytes: UnsafeRawBufferPointer) throws(LayoutError) {
        try Self.require(bytes)
        let number = bytes[LE16(offset: 0)]
        guard let tag = Tag(rawValue: number) else {
            throw .badValue(field: "e_tag", found: UInt64(number), expected: "1, 2, 4, 8, 16 or 32")
        }
        self.tag = tag
        permissions = bytes[LE16(offset: 2)]
        try requireAtMost("e_perm", UInt64(permissions), 7)
        id = bytes[LE32(offset: 4)]
    }

    package func encode(into out: UnsafeMutableRawBufferPointer) {
        out[LE16(offset: 0)] = tag.rawValue
        out[LE16(offset: 2)] = permissions
        out[LE32(offset: 4)] = id
    }

    /// The entries of a stored ACL.
    package static func decodeAll(_ bytes: UnsafeRawBufferPointer) throws(LayoutError) -> [ACLEntry] {
        guard bytes.count % byteCount == 0 else {
            throw .badLength(of: "ACL", found: bytes.count, expected: "a multiple of 8")
        }
        var entries: [ACLEntry] = []
        entries.reserveCapacity(bytes.count / byteCount)
        for offset in stride(from: 0, to: bytes.count, by: byteCount) {
            entries.append(try ACLEntry(decoding: bytes.part(offset: offset, count: byteCount)))
        }
        return entries
    }
}
