package import LayoutKit

/// What follows the names of CREATE, MKDIR, MKNOD, SYMLINK and TMPFILE: labels of security modules for the new inode,
/// and the group that the caller has in common with the directory.
///
/// | offset | size | meaning |
/// |---|---|---|
/// | 0 | 4 | size with this head |
/// | 4 | 4 | at most 31: number of security contexts; 32: groups |
///
/// each padded to 8 bytes. A security context is: size of the value (4), padding (4), name of the attribute with NUL,
/// value, padded to 8. Groups are: count (4), ids (4 each). Before protocol 7.38 the security contexts simply follow the
/// names. Spec: fuse 4.
package struct FUSECreateExtensions: Equatable, Sendable {
    package struct SecurityContext: Equatable, Sendable {
        /// Full name of the attribute, as `security.selinux`.
        package var name: [UInt8]
        package var value: [UInt8]

        package init(name: [UInt8], value: [UInt8]) {
            self.name = name
            self.value = value
        }
    }

    private enum Field {
        static let size = LE32(offset: 0)
        static let type = LE32(offset: 4)
        static let headByteCount = 8
    }

    private static let securityContextsMax: UInt32 = 31
    private static let groupsType: UInt32 = 32
    /// NGROUPS_MAX of Linux.
    private static let groupsMax = 65536

    package var securityContexts: [SecurityContext] = []
    package var groups: [UInt32] = []

    package init(securityContexts: [SecurityContext] = [], groups: [UInt32] = []) {
        self.securityContexts = securityContexts
        self.groups = groups
    }

    /// Reads all extensions in `bytes`, the end of a request.
    package init(decoding bytes: UnsafeRawBufferPointer) throws(LayoutError) {
        var rest = bytes
        while rest.count >= Field.headByteCount {
            let size = Int(rest[Field.size])
            guard size >= Field.headByteCount, size <= rest.count else {
                throw .badLength(of: "extension", found: size, expected: "8 to \(rest.count)")
            }
            let body = rest.part(offset: Field.headByteCount, count: size - Field.headByteCount)
            switch rest[Field.type] {
            case 0...Self.securityContextsMax:
                try decodeContexts(body, count: Int(rest[Field.type]))
            case Self.groupsType:
                try decodeGroups(body)
            default:
                // Of a newer kernel; nothing was agreed that needs it.
                break
            }
            rest = rest.dropped(min(rest.count, (size + 7) & ~7))
        }
    }

    private mutating func decodeContexts(_ bytes: UnsafeRawBufferPointer, count: Int) throws(LayoutError) {
        var rest = bytes
        for _ in 0..<count {
            try LayoutError.require(8, of: rest)
            let size = Int(rest[LE32(offset: 0)])
            let (name, behind) = try FUSEName.split(rest.dropped(8))
            guard size <= behind.count else { throw .truncated(need: size, have: behind.count) }
            securityContexts.append(
                SecurityContext(name: Array(name), value: Array(behind.part(offset: 0, count: size))))
            rest = rest.dropped(min(rest.count, (8 + name.count + 1 + size + 7) & ~7))
        }
    }

    private mutating func decodeGroups(_ bytes: UnsafeRawBufferPointer) throws(LayoutError) {
        try LayoutError.require(4, of: bytes)
        let count = Int(bytes[LE32(offset: 0)])
        guard count <= Self.groupsMax, 4 + 4 * count <= bytes.count else {
            throw .badLength(of: "list of groups", found: count, expected: "at most \((bytes.count - 4) / 4)")
        }
        groups = (0..<count).map { bytes[LE32(offset: 4 + 4 * $0)] }
    }
}
