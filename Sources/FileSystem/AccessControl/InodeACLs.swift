import EngineKit
import LayoutKit
import OCFS2Layout

// ACLs as attributes of inodes. The caller holds the inode's lock.
extension XattrSet {
    var accessKey: XattrKey { XattrKey(.accessACL, [], volume) }
    var defaultKey: XattrKey { XattrKey(.defaultACL, [], volume) }

    /// nil: there is none.
    func accessControlList(_ key: XattrKey) async throws(FileSystemError) -> AccessControlList? {
        guard inode.attributes.dynamicFeatures.contains(.hasXattr), let (holder, index) = try await find(key) else {
            return nil
        }
        let stored = try await value(of: holder.storage[index], in: holder)
        do throws(LayoutError) {
            return try AccessControlList(stored: stored)
        } catch {
            throw holder.corrupt("ACL: \(error)")
        }
    }

    /// Stores an access ACL and lets the mode follow. One that says no more than the mode is not stored.
    func setAccess(
        _ list: AccessControlList?, _ mode: MountedVolume.XattrMode, dropsSetGroupID: Bool
    ) async throws(FileSystemError) {
        let now = volume.environment.wallTime
        func change(_ attributes: inout InodeAttributes) {
            if let list { attributes.mode = attributes.mode & ~0o777 | list.modeBits }
            if dropsSetGroupID { attributes.mode &= ~FileMode.setGroupID }
            attributes.changeTime = now
        }
        if let list, !list.isMinimal {
            try await set(accessKey, to: list.stored, mode, alsoChanging: change)
        } else if try await find(accessKey) != nil {
            try await remove(accessKey, alsoChanging: change)
        } else {
            try await volume.transaction(credits: 1) { handle throws(FileSystemError) in
                change(&self.inode.attributes)
                self.inode.storeAttributes(handle)
            }
        }
    }

    func setDefault(_ list: AccessControlList?, _ mode: MountedVolume.XattrMode) async throws(FileSystemError) {
        guard inode.isDirectory else {
            if list == nil { return }
            throw .accessDenied
        }
        if let list {
            try await set(defaultKey, to: list.stored, mode)
        } else if try await find(defaultKey) != nil {
            try await remove(defaultKey)
        }
    }
}
