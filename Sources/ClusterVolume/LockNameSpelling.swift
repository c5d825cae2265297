package import FileSystem
package import O2Layout

extension LockName {
    /// The name as the lock manager knows it: 31 bytes. Spec: ocfs2-cluster 1.
    package var resource: ResourceName {
        var bytes = [kind.rawValue]
        if kind == .dentry {
            bytes += Self.hexadecimal(parent, digits: 16)
            bytes.append(0)
            bytes += (0..<8).map { UInt8(truncatingIfNeeded: block >> (56 - 8 * UInt64($0))) }
            bytes += [UInt8](repeating: 0, count: 5)
        } else {
            bytes += [UInt8](repeating: UInt8(ascii: "0"), count: 6)
            bytes += Self.hexadecimal(block, digits: 16)
            bytes += Self.hexadecimal(UInt64(generation), digits: 8)
        }
        guard let name = ResourceName(bytes) else { preconditionFailure("a lock name has 31 bytes") }
        return name
    }

    private static func hexadecimal(_ value: UInt64, digits: Int) -> [UInt8] {
        let text = Array(String(value, radix: 16).utf8)
        return [UInt8](repeating: UInt8(ascii: "0"), count: digits - text.count) + text
    }
}

extension LockKind {
    /// Whether a value block travels with the lock. Spec: ocfs2-cluster 1.
    var usesValue: Bool {
        switch self {
        case .metadata, .quota, .orphanScan, .trim: true
        case .superblock, .rename, .readWrite, .open, .dentry, .flock, .nfsSync, .refcountTree: false
        }
    }

    /// Whether what it protects must be looked at anew when the lock was away. Spec: ocfs2-cluster 1.
    var needsRefresh: Bool {
        switch self {
        case .superblock, .metadata, .quota, .orphanScan, .trim, .refcountTree: true
        case .rename, .readWrite, .open, .dentry, .flock, .nfsSync: false
        }
    }
}

extension LockLevel {
    var mode: LockMode {
        switch self {
        case .null: .null
        case .protectedRead: .protectedRead
        case .exclusive: .exclusive
        }
    }

    init(_ mode: LockMode) {
        switch mode {
        case .null: self = .null
        case .protectedRead: self = .protectedRead
        case .exclusive: self = .exclusive
        }
    }

    /// The highest level that does not keep a waiter for this one waiting. Spec: ocfs2-cluster 2.
    var highestCompatible: LockLevel {
        switch self {
        case .exclusive: .null
        case .protectedRead: .protectedRead
        case .null: .exclusive
        }
    }
}
