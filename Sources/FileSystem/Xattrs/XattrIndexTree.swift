import EngineKit
import Journal
import LayoutKit
import OCFS2Layout

/// The buckets of an indexed xattr block. Spec: ocfs2-disk-2 16.7.
///
/// The tree maps the lowest hash of an extent to its clusters. Buckets fill an extent from the front, sorted by hash,
/// and entries are sorted inside a bucket; names with one hash are all in one bucket.
struct XattrIndexTree {
    let inode: Inode
    let root: MetadataBlock

    var volume: MountedVolume { inode.volume }
    var tree: ExtentTree { ExtentTree(volume, .xattrIndex(root, owner: inode)) }
    var bucketsPerCluster: Int { XattrBucket.perCluster(volume.geometry) }
    var blocksPerBucket: Int { XattrBucket.blocks(volume.geometry) }

    /// A bucket and where it lies.
    struct Place {
        let extent: Extent
        /// In the extent.
        let bucket: Int
        /// Buckets in use of the extent.
        let bucketCount: Int
        let holder: XattrHolder
    }

    /// The bucket where names of this hash are.
    func place(for hash: UInt32) async throws(FileSystemError) -> Place {
        guard let extent = try await tree.extent(atOrBefore: hash) else {
            throw volume.report(
                Corruption(block: root.number, inode: inode.number, what: "no bucket for hash \(hash)"))
        }
        let first = try await bucket(0, of: extent)
        let count = try bucketCount(of: first, extent)
        // The last bucket that begins at or below the hash.
        var low = 0, high = count
        var found = first
        while high - low > 1 {
            let middle = (low + high) / 2
            let holder = try await bucket(middle, of: extent)
            if holder.firstHash <= hash {
                low = middle
                found = holder
            } else {
                high = middle
            }
        }
        return Place(extent: extent, bucket: low, bucketCount: count, holder: found)
    }

    func bucketCount(of first: XattrHolder, _ extent: Extent) throws(FileSystemError) -> Int {
        let count = first.bucket.bucketCount
        guard count >= 1, count <= Int(extent.count) * bucketsPerCluster else {
            throw first.corrupt("xh_num_buckets \(count) in an extent of \(extent.count) clusters")
        }
        return count
    }

    /// A bucket that holds something, checked.
    func bucket(_ index: Int, of extent: Extent) async throws(FileSystemError) -> XattrHolder {
        let first = extent.block + UInt64(index * blocksPerBucket)
        let numbers = (0..<UInt64(blocksPerBucket)).map { first + $0 }
        let holder = self.holder(of: try await volume.blocks(numbers, .xattrBucket, for: inode))
        try holder.validate()
        return holder
    }

    /// A bucket that was never used: its blocks are not read, all bytes are zero. Inside a transaction only.
    func freshBucket(at first: UInt64) -> XattrHolder {
        holder(of: (0..<UInt64(blocksPerBucket)).map { volume.freshBlock(first + $0, .xattrBucket) })
    }

    private func holder(of blocks: [MetadataBlock]) -> XattrHolder {
        XattrHolder(.bucket, inode, blocks, start: 0, byteCount: XattrBucket.byteCount)
    }

    func forEachBucket(
        _ body: (XattrHolder) async throws(FileSystemError) -> Void
    ) async throws(FileSystemError) {
        try await tree.forEach { extent throws(FileSystemError) in
            try await self.forEachBucket(of: extent, body)
            await self.volume.environment.yield()
        }
    }

    func forEachBucket(
        of extent: Extent, _ body: (XattrHolder) async throws(FileSystemError) -> Void
    ) async throws(FileSystemError) {
        let first = try await bucket(0, of: extent)
        let count = try bucketCount(of: first, extent)
        try await body(first)
        for index in 1..<max(1, count) { try await body(try await bucket(index, of: extent)) }
    }
}

// MARK: Room

extension XattrIndexTree {
    /// One step towards room for a name whose bucket is full: a transaction of its own. The caller tries again.
    ///
    /// Errors: `noSpace` also when the bucket is full of names with this hash.
    func makeRoom(for hash: UInt32) async throws(FileSystemError) {
        let place = try await place(for: hash)
        let storage = place.holder.storage
        if storage.count > 0, storage[0].hash == storage[storage.count - 1].hash, hash <= storage[0].hash {
            throw .noSpace
        }
        if place.bucketCount < Int(place.extent.count) * bucketsPerCluster {
            try await divide(place)
        } else {
            try await addCluster(to: place)
        }
    }

    /// Step 4: moves the buckets behind the full one up by one, and half of its entries into the gap.
    private func divide(_ place: Place) async throws(FileSystemError) {
        let extent = place.extent
        var later: [XattrHolder] = []
        for index in (place.bucket + 1)..<max(place.bucket + 1, place.bucketCount) {
            later.append(try await bucket(index, of: extent))
        }
        let first = place.bucket == 0 ? place.holder : try await bucket(0, of: extent)
        let credits = (later.count + 3) * blocksPerBucket
        try await volume.transaction(credits: credits) { handle throws(FileSystemError) in
            let end = self.freshBucket(at: extent.block + UInt64(place.bucketCount * self.blocksPerBucket))
            let targets = later + [end]
            for index in stride(from: later.count - 1, through: 0, by: -1) {
                targets[index + 1].copy(from: later[index])
                targets[index + 1].store(handle)
            }
            place.holder.bucket.divide(into: targets[0].bucket)
            targets[0].store(handle)
            first.bucket.bucketCount = place.bucketCount + 1
            place.holder.store(handle)
            first.store(handle)
        }
    }

    /// Steps 2 and 3: the full extent gets one more cluster, at its end if that is possible, else as an extent of its
    /// own that takes over what is last in the old one.
    private func addCluster(to place: Place) async throws(FileSystemError) {
        let extent = place.extent
        let geometry = volume.geometry
        let next = geometry.cluster(ofBlock: extent.block) &+ extent.count
        let tree = tree
        let following = try await tree.extent(atOrAfter: UInt32(clamping: extent.end))
        let isRoomBehind = following.map { UInt64($0.cpos) > extent.end } ?? (extent.end < 1 << 32)
        let movedCount = bucketsPerCluster > 1 ? bucketsPerCluster / 2 : 1
        var moved: [XattrHolder] = []
        for index in (place.bucketCount - movedCount)..<place.bucketCount {
            moved.append(try await bucket(index, of: extent))
        }
        let first = try await bucket(0, of: extent)
        let reservation = try await volume.reserve(SpaceNeeds(metadataBlocks: tree.metadataNeeded()))
        defer { reservation.release() }
        // Chosen before the transaction, because not every place will do.
        let run = try await volume.reserveRun(atMost: 1, near: next)
        defer { volume.cancelRun(run) }
        let block = geometry.firstBlock(ofCluster: run.run.cluster)
        let continues =
            run.run.cluster == next && isRoomBehind
            && (Int(extent.count) + 1) * geometry.clusterSize <= XattrBucket.extentByteCountMax
        // Hashes as close as that would make the records of both extents overlap.
        guard continues || UInt64(lowestMoved(of: place, moved)) >= extent.end else { throw .noSpace }
        let credits =
            Credits.clusterAllocation + 1 + (movedCount + 2) * blocksPerBucket
            + (try await tree.changeCredits(at: extent.cpos))
        try await volume.transaction(credits: credits) { handle throws(FileSystemError) in
            try await self.volume.commitRun(run, count: 1, handle)
            let cpos =
                continues
                ? UInt32(truncatingIfNeeded: extent.end) : self.moveLast(of: place, moved, first, to: block, handle)
            try await tree.insert(Extent(cpos: cpos, count: 1, block: block), reservation, handle)
        }
    }

    /// Whether step 3 moves whole buckets; else it divides one.
    private func movesWholeBuckets(of place: Place) -> Bool {
        let isLast = place.bucket == place.bucketCount - 1
        return bucketsPerCluster > 1 || (place.extent.count > 1 && !isLast)
    }

    /// What ``moveLast(of:_:_:to:_:)`` will return.
    private func lowestMoved(of place: Place, _ moved: [XattrHolder]) -> UInt32 {
        let storage = moved[0].storage
        guard !movesWholeBuckets(of: place) else { return moved[0].firstHash }
        if let index = moved[0].bucket.divideIndex { return storage[index].hash }
        // An empty bucket, with the next hash as a marker.
        return storage.count > 0 ? moved[0].firstHash &+ 1 : 0
    }

    /// Step 3. Returns the lowest hash of the new extent.
    private func moveLast(
        of place: Place, _ moved: [XattrHolder], _ first: XattrHolder, to block: UInt64, _ handle: JournalHandle
    ) -> UInt32 {
        let targets = (0..<moved.count).map { freshBucket(at: block + UInt64($0 * blocksPerBucket)) }
        if movesWholeBuckets(of: place) {
            for (target, source) in zip(targets, moved) { target.copy(from: source) }
            first.bucket.bucketCount = place.bucketCount - moved.count
        } else {
            moved[0].bucket.divide(into: targets[0].bucket)
            moved[0].store(handle)
            // The only bucket is the first one too: its count is in it.
            if place.bucketCount == 1 { first.load() }
        }
        for target in targets.dropFirst() { target.bucket.bucketCount = 0 }
        targets[0].bucket.bucketCount = moved.count
        for target in targets { target.store(handle) }
        first.store(handle)
        return targets[0].firstHash
    }
}
