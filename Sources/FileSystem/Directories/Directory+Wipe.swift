import Journal
import LayoutKit
import OCFS2Layout

extension MountedVolume {
    /// Frees the index of a directory that is wiped: leaves to the truncate log, extent blocks and the root to their
    /// allocators. Spec: ocfs2-disk-2 22.7 step 2.
    ///
    /// The data blocks are the data's. Each step leaves an index that can be wiped further after a crash.
    package func wipeDirectoryIndex(of inode: Inode) async throws(FileSystemError) {
        guard inode.isDirectory, inode.isIndexed else { return }
        let index = try await Directory(inode).index()
        while !index.isInline, let extent = try await index.tree.lastExtent() {
            try await free(extent, of: index)
        }
        let place = IndexRoot.suballocation(UnsafeRawBufferPointer(index.root.bytes))
        let lock = try await lockForFreeing(place, index.root.number)
        defer { lock.release() }
        let credits = Credits.inodeUpdate + Credits.suballocationFree
        try await transaction(credits: credits) { handle throws(FileSystemError) in
            inode.attributes.dynamicFeatures.remove(.indexedDirectory)
            inode.block.bytes[Dinode.Field.indexRoot] = 0
            inode.storeAttributes(handle)
            try await self.freeMetadataBlock(place, index.root.number, handle)
        }
    }

    /// Takes the last extent of leaves out of the index and frees it.
    private func free(_ extent: Extent, of index: DirectoryIndex) async throws(FileSystemError) {
        let room = try await prepareToFree()
        defer { room.release() }
        let locks = try await index.tree.lockForRemoving()
        defer { locks.release() }
        try await index.tree.requireChangeable(extent)
        let credits = index.tree.removeCredits + Credits.clusterFree
        try await transaction(credits: credits) { handle throws(FileSystemError) in
            try await index.tree.remove(cpos: extent.cpos, count: extent.count, locks, nil, handle)
            let cluster = self.geometry.cluster(ofBlock: extent.block)
            try await self.freeClusters(ClusterRun(cluster: cluster, count: extent.count), handle)
        }
    }
}
