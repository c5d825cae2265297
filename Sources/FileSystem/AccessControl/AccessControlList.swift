import LayoutKit
import OCFS2Layout

/// A POSIX ACL: who may do what, beyond the three classes of the mode. Spec: ocfs2-disk-2 16.8.
struct AccessControlList: Equatable {
    var entries: [ACLEntry]

    /// The form on disk: entries alone.
    init(stored bytes: [UInt8]) throws(LayoutError) {
        entries = try bytes.withUnsafeBufferPointer { buffer throws(LayoutError) in
            try ACLEntry.decodeAll(UnsafeRawBufferPointer(buffer))
        }
        try validate()
    }

    /// The form of getxattr(2) and setxattr(2): a version number first. nil: no entries, which means no ACL.
    init?(systemCall bytes: [UInt8]) throws(FileSystemError) {
        if bytes.isEmpty { return nil }
        do throws(LayoutError) {
            let entries = try bytes.withUnsafeBufferPointer { buffer throws(LayoutError) -> [ACLEntry] in
                let raw = UnsafeRawBufferPointer(buffer)
                try LayoutError.require(4, of: raw)
                try requireVersion(raw[LE32(offset: 0)])
                return try ACLEntry.decodeAll(raw.dropped(4))
            }
            if entries.isEmpty { return nil }
            self.entries = entries
            try validate()
        } catch {
            throw .invalidArgument
        }
    }

    var stored: [UInt8] { encoded(after: []) }

    var systemCallForm: [UInt8] {
        let version = ACLEntry.systemCallHeader
        return encoded(after: (0..<4).map { UInt8(truncatingIfNeeded: version >> (8 * $0)) })
    }

    private func encoded(after header: [UInt8]) -> [UInt8] {
        var bytes = header
        for entry in entries {
            var encoded = [UInt8](repeating: 0, count: ACLEntry.byteCount)
            encoded.withUnsafeMutableBytes { entry.encode(into: $0) }
            bytes += encoded
        }
        return bytes
    }

    /// Order, each class once, and a mask where named users or groups are.
    private func validate() throws(LayoutError) {
        func wrong(_ tag: ACLEntry.Tag, _ expected: String) -> LayoutError {
            .badValue(field: "e_tag", found: UInt64(tag.rawValue), expected: expected)
        }
        var last: ACLEntry?
        var tags: Set<ACLEntry.Tag> = []
        for entry in entries {
            let isNamed = entry.tag == .user || entry.tag == .group
            if let last {
                guard last.tag.rawValue < entry.tag.rawValue || (isNamed && last.tag == entry.tag) else {
                    throw wrong(entry.tag, "above \(last.tag.rawValue)")
                }
            }
            tags.insert(entry.tag)
            last = entry
        }
        guard tags.isSuperset(of: [.owner, .owningGroup, .other]) else { throw wrong(.other, "all three classes") }
        if tags.contains(.user) || tags.contains(.group), !tags.contains(.mask) { throw wrong(.mask, "a mask") }
    }
}

private func requireVersion(_ version: UInt32) throws(LayoutError) {
    guard version == ACLEntry.systemCallHeader else {
        throw .badValue(field: "a_version", found: UInt64(version), expected: "2")
    }
}

// ACL and mode.
extension AccessControlList {
    private static let groupShift: UInt16 = 3, ownerShift: UInt16 = 6

    /// Nothing that the mode could not say.
    var isMinimal: Bool { entries.count == 3 }

    private func permissions(of tag: ACLEntry.Tag) -> UInt16? {
        entries.first { $0.tag == tag }?.permissions
    }

    /// The permission bits that the mode shows: the mask stands for the group.
    var modeBits: UInt16 {
        let group = permissions(of: .mask) ?? permissions(of: .owningGroup) ?? 0
        return (permissions(of: .owner) ?? 0) << Self.ownerShift | group << Self.groupShift
            | (permissions(of: .other) ?? 0)
    }

    private mutating func set(_ tag: ACLEntry.Tag, _ permissions: UInt16) {
        for index in entries.indices where entries[index].tag == tag { entries[index].permissions = permissions }
    }

    /// chmod(2) of a file that has this ACL.
    mutating func adopt(mode: UInt16) {
        set(.owner, mode >> Self.ownerShift & 7)
        set(permissions(of: .mask) != nil ? .mask : .owningGroup, mode >> Self.groupShift & 7)
        set(.other, mode & 7)
    }

    /// A new object in a directory with this default ACL, asked for with `mode`: narrows both to what they agree on,
    /// and returns the mode.
    mutating func narrow(to mode: UInt16) -> UInt16 {
        let groupTag: ACLEntry.Tag = permissions(of: .mask) != nil ? .mask : .owningGroup
        let owner = (permissions(of: .owner) ?? 0) & (mode >> Self.ownerShift)
        let group = (permissions(of: groupTag) ?? 0) & (mode >> Self.groupShift)
        let other = (permissions(of: .other) ?? 0) & mode
        set(.owner, owner)
        set(groupTag, group)
        set(.other, other)
        return mode & ~0o777 | owner << Self.ownerShift | group << Self.groupShift | other
    }
}
