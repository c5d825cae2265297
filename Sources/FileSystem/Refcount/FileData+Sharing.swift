internal import EngineKit
internal import Journal
internal import OCFS2Layout

extension FileData {
    /// Gives the file clusters of its own where it shares those of the range.
    func endSharing(of range: Range<UInt64>) async throws(FileSystemError) {
        await changeLock.lock(.exclusive)
        defer { changeLock.unlock(.exclusive) }
        try await endSharingChanging(of: range)
    }

    func endSharingChanging(of range: Range<UInt64>) async throws(FileSystemError) {
        for piece in try await pieces(of: range) where piece.isRefcounted { throw .notSupported }
    }

    /// Unmaps a part of a shared extent; its clusters are freed when nobody else has them.
    func removeShared(_ part: Extent) async throws(FileSystemError) {
        throw .notSupported
    }
}

extension MountedVolume {
    /// Leaves the refcount tree.
    package func detachRefcountTree(of inode: Inode) async throws(FileSystemError) {
        guard inode.attributes.dynamicFeatures.contains(.hasRefcount) else { return }
        throw .notSupported
    }
}
