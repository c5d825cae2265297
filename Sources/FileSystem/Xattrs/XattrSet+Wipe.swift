import Journal
import LayoutKit
import OCFS2Layout

extension MountedVolume {
    /// Frees everything that the attributes of a wiped inode have outside of its dinode. Spec: ocfs2-disk-2 22.7 step
    /// 3.
    ///
    /// Each step leaves attributes that can be wiped further after a crash.
    package func wipeXattrs(of inode: Inode) async throws(FileSystemError) {
        let set = XattrSet(inode)
        if let holder = try set.inlineHolder() { try await set.freeValues(in: holder) }
        guard let block = try await set.block() else { return }
        if let index = set.index(block) {
            while let extent = try await index.tree.lastExtent() {
                try await index.forEachBucket(of: extent) { bucket throws(FileSystemError) in
                    try await set.freeValues(in: bucket)
                }
                try await free(extent, of: index)
            }
        } else {
            try await set.freeValues(in: set.holder(of: block))
        }
        let place = XattrBlock.suballocation(UnsafeRawBufferPointer(block.bytes))
        let lock = try await lockForFreeing(place, block.number)
        defer { lock.release() }
        let credits = Credits.inodeUpdate + Credits.suballocationFree
        try await transaction(credits: credits) { handle throws(FileSystemError) in
            inode.block.bytes[Dinode.Field.xattrBlock] = 0
            inode.storeAttributes(handle)
            try await self.freeMetadataBlock(place, block.number, handle)
        }
    }

    /// Takes the last extent of buckets out of the index and frees it.
    private func free(_ extent: Extent, of index: XattrIndexTree) async throws(FileSystemError) {
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

extension XattrSet {
    /// Removes every attribute of the holder whose value lies outside, with that value.
    fileprivate func freeValues(in holder: XattrHolder) async throws(FileSystemError) {
        try holder.requireChangeable()
        while let index = (0..<holder.count).first(where: { !holder.storage[$0].isLocal }) {
            let freeing = try await ValueFreeing.prepare(try holder.valueTree(of: holder.storage[index]), inode)
            defer { freeing.release() }
            try await freeing.exclusively { () throws(FileSystemError) in
                try await self.free(freeing, at: index, of: holder)
            }
        }
    }

    private func free(
        _ freeing: ValueFreeing, at index: Int, of holder: XattrHolder
    ) async throws(FileSystemError) {
        let reservation = try await volume.reserve(freeing.needs())
        defer { reservation.release() }
        try await freeing.lock()
        defer { freeing.unlock() }
        holder.remove(at: index)
        try await volume.transaction(credits: freeing.credits + holder.credits) { handle throws(FileSystemError) in
            try await freeing.carryOut(reservation, handle)
            holder.store(handle)
        }
    }
}
