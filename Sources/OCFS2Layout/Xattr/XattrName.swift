/// The prefix of an extended attribute's name, as a number; only what follows the prefix is stored.
/// Spec: ocfs2-disk-2 16.1.
package enum XattrIndex: UInt8, Hashable, Sendable, CaseIterable {
    case user = 1
    /// Stored name is empty.
    case accessACL = 2
    /// Stored name is empty.
    case defaultACL = 3
    case trusted = 4
    case security = 5

    /// What stands before the stored name; the whole name for the two ACLs.
    package var prefix: String {
        switch self {
        case .user: "user."
        case .accessACL: "system.posix_acl_access"
        case .defaultACL: "system.posix_acl_default"
        case .trusted: "trusted."
        case .security: "security."
        }
    }

    /// Splits a full name into index and length of the prefix; nil for names of other kinds, and for a prefix alone.
    package static func split(_ name: UnsafeRawBufferPointer) -> (index: XattrIndex, prefixLength: Int)? {
        for index in allCases {
            let prefix = index.prefix.utf8
            guard name.count >= prefix.count, name.prefix(prefix.count).elementsEqual(prefix) else { continue }
            let isACL = index == .accessACL || index == .defaultACL
            guard isACL == (name.count == prefix.count) else { continue }
            return (index, prefix.count)
        }
        return nil
    }
}

/// The hash of a stored name. Spec: ocfs2-disk-2 16.6.
package enum XattrNameHash {
    /// `uuidHash` is the start. Bytes count with their sign; the index has no part in it.
    package static func compute(_ name: UnsafeRawBufferPointer, uuidHash: UInt32) -> UInt32 {
        var hash = uuidHash
        for byte in name {
            hash = (hash << 5) ^ (hash >> 27) ^ UInt32(bitPattern: Int32(Int8(bitPattern: byte)))
        }
        return hash
    }
}
