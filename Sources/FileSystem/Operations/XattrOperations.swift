import EngineKit
import OCFS2Layout

/// Extended attributes by their full names (`user.comment`). Spec: ocfs2-disk-2 16.
///
/// Who may read and write which class is checked by the kernel in front of us, except that names of `trusted.` are
/// listed for privileged callers only.
extension MountedVolume {
    /// `XATTR_CREATE`, `XATTR_REPLACE` of setxattr(2).
    package enum XattrMode: Equatable, Sendable {
        case createOrReplace
        /// `alreadyExists` if it is there.
        case create
        /// `noAttribute` if it is not there.
        case replace
    }

    /// Errors: `noAttribute`, `notSupported` for names of no class that the format has.
    package func xattr(_ name: [UInt8], of inode: Inode) async throws(FileSystemError) -> [UInt8] {
        let key = try servedKey(name)
        try await inode.lock(.shared)
        defer { inode.unlock(.shared) }
        guard inode.attributes.dynamicFeatures.contains(.hasXattr) else { throw .noAttribute }
        let set = XattrSet(inode)
        switch key.index {
        case .user, .trusted, .security: return try await set.value(of: key)
        case .accessACL, .defaultACL:
            guard let list = try await set.accessControlList(key) else { throw .noAttribute }
            return list.systemCallForm
        }
    }

    /// The names one after the other, each with a NUL behind it.
    package func xattrNames(of inode: Inode, caller: Caller) async throws(FileSystemError) -> [UInt8] {
        guard features.incompatible.contains(.xattr) else { throw .notSupported }
        try await inode.lock(.shared)
        defer { inode.unlock(.shared) }
        var names: [UInt8] = []
        guard inode.attributes.dynamicFeatures.contains(.hasXattr) else { return names }
        try await XattrSet(inode).forEachHolder { holder throws(FileSystemError) in
            for index in 0..<holder.count {
                let entry = holder.storage[index]
                guard let kind = entry.index, self.isServed(kind), kind != .trusted || caller.isPrivileged else {
                    continue
                }
                names += kind.prefix.utf8
                names += holder.storage.name(of: entry)
                names.append(0)
            }
        }
        return names
    }

    /// - Parameter dropsSetGroupID: an ACL change takes away the set-group-ID bit (FUSE's ACL_KILL_SGID).
    package func setXattr(
        _ name: [UInt8], of inode: Inode, to value: [UInt8], _ mode: XattrMode, caller: Caller,
        dropsSetGroupID: Bool = false
    ) async throws(FileSystemError) {
        try await retryingForSpace { () async throws(FileSystemError) in
            try await self.setXattrOnce(name, of: inode, to: value, mode, caller, dropsSetGroupID: dropsSetGroupID)
        }
    }

    private func setXattrOnce(
        _ name: [UInt8], of inode: Inode, to value: [UInt8], _ mode: XattrMode, _ caller: Caller, dropsSetGroupID: Bool
    ) async throws(FileSystemError) {
        try requireWritable()
        let key = try servedKey(name)
        try await inode.lock(.exclusive)
        defer { inode.unlock(.exclusive) }
        try inode.requireAlterable()
        let set = XattrSet(inode)
        switch key.index {
        case .user, .trusted, .security: try await set.set(key, to: value, mode)
        case .accessACL, .defaultACL:
            guard !inode.isSymlink else { throw .notSupported }
            guard caller.isPrivileged || caller.uid == inode.attributes.uid else { throw .notPermitted }
            let list = try AccessControlList(systemCall: value)
            if key.index == .accessACL {
                try await set.setAccess(list, mode, dropsSetGroupID: dropsSetGroupID)
            } else {
                try await set.setDefault(list, mode)
            }
        }
        try await syncAttributesIfAsked(inode)
    }

    package func removeXattr(_ name: [UInt8], of inode: Inode, caller: Caller) async throws(FileSystemError) {
        try requireWritable()
        let key = try servedKey(name)
        try await inode.lock(.exclusive)
        defer { inode.unlock(.exclusive) }
        try inode.requireAlterable()
        if key.index == .accessACL || key.index == .defaultACL {
            guard caller.isPrivileged || caller.uid == inode.attributes.uid else { throw .notPermitted }
        }
        guard inode.attributes.dynamicFeatures.contains(.hasXattr) else { throw .noAttribute }
        try await XattrSet(inode).remove(key)
        try await syncAttributesIfAsked(inode)
    }

    private func servedKey(_ name: [UInt8]) throws(FileSystemError) -> XattrKey {
        guard features.incompatible.contains(.xattr) else { throw .notSupported }
        let key = try XattrKey(name, self)
        guard isServed(key.index) else { throw .notSupported }
        return key
    }

    /// By the options `acl` and `user_xattr`.
    private func isServed(_ index: XattrIndex) -> Bool {
        switch index {
        case .user: options.userXattr
        case .accessACL, .defaultACL: options.acl
        case .trusted, .security: true
        }
    }
}
