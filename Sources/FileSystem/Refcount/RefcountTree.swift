internal import EngineKit
internal import Journal
internal import LayoutKit
internal import OCFS2Layout

/// How many extents share which clusters, for a group of files that were copied from each other. Spec: ocfs2-disk-2 17
///
/// One object for a root block, kept by the mount, because several files change the same tree: they take ``gate``, then
/// the cluster lock T, behind their own locks. It stands for one tree: when the last of its files goes, or another host
/// has put a new tree into the same block, the object is gone and another one takes its place.
final class RefcountTree {
    unowned let volume: MountedVolume
    /// Block of the root.
    let number: UInt64
    let gate = AsyncReadWriteLock()
    private var lock: (any ClusterLock)?
    /// Since when no other host can have changed it, by ``BlockCache/clock``.
    private var validSince: UInt64 = 0
    /// The last file has left: dropped by the one who has the lock, when he gives it back.
    var hasEnded = false
    /// Not the mount's any more: whoever waited for ``gate`` looks for the tree anew.
    private(set) var isGone = false

    init(_ volume: MountedVolume, _ number: UInt64) {
        self.volume = volume
        self.number = number
    }

    /// Takes the cluster lock, whose name says `rf_generation` too, and reads the root. nil: it is another tree than this
    /// object's, which is gone now. The caller has ``gate``. Spec: ocfs2-cluster 13, T
    ///
    /// - Parameter age: since when a file refers to the tree that is meant; its metadata lock is held.
    fileprivate func acquire(since age: UInt64) async throws(FileSystemError) -> MetadataBlock? {
        // As long as this host has the lock at any level, the tree lives. Without it the block may have been freed, and be
        // anything now but for the file.
        if lock == nil || lock?.level == .null {
            let generation = try await root(notOlderThan: max(age, validSince)).bytes[RefcountBlock.Field.generation]
            if let lock, lock.name.generation != generation {
                await drop()
                return nil
            }
            if lock == nil {
                lock = volume.locks.lock(
                    LockName(.refcountTree, block: number, generation: generation), owner: self)
            }
        }
        guard let lock else { preconditionFailure("refcount tree \(number) has no lock") }
        try await lock.acquire(.exclusive)
        do throws(FileSystemError) {
            let root = try await root(notOlderThan: validSince)
            if root.bytes[RefcountBlock.Field.generation] == lock.name.generation { return root }
        } catch {
            lock.release(.exclusive)
            throw error
        }
        lock.release(.exclusive)
        await drop()
        return nil
    }

    fileprivate func release() {
        lock?.release(.exclusive)
    }

    /// The last file has left, or the block is another tree now.
    func drop() async {
        guard !isGone else { return }
        isGone = true
        if volume.refcountTrees[number] === self { volume.refcountTrees[number] = nil }
        await lock?.drop()
    }

    private func root(notOlderThan age: UInt64) async throws(FileSystemError) -> MetadataBlock {
        let block = try await volume.block(number, .refcountBlock, for: nil, notOlderThan: age)
        try check(block, isLeaf: false)
        return block
    }

    private func check(_ block: MetadataBlock, isLeaf: Bool) throws(FileSystemError) {
        do {
            try RefcountBlock.validate(
                UnsafeRawBufferPointer(block.bytes), block: block.number, root: isLeaf ? number : nil,
                volume.parameters)
        } catch {
            throw volume.report(Corruption(block: block.number, what: "\(error)"))
        }
    }
}

extension MountedVolume {
    /// Runs `body` with the refcount tree of the inode and its root to itself, here and in the cluster. The caller holds
    /// the inode's metadata lock.
    func withRefcountTree<Result>(
        of inode: Inode, _ body: (RefcountTree, MetadataBlock) async throws(FileSystemError) -> Result
    ) async throws(FileSystemError) -> Result {
        while true {
            let tree = try refcountTree(of: inode)
            await tree.gate.lock(.exclusive)
            defer { tree.gate.unlock(.exclusive) }
            guard !tree.isGone, let root = try await tree.acquire(since: inode.validSince) else { continue }
            let result: Result
            do throws(FileSystemError) {
                result = try await body(tree, root)
            } catch {
                tree.release()
                throw error
            }
            tree.release()
            if tree.hasEnded { await tree.drop() }
            return result
        }
    }

    private func refcountTree(of inode: Inode) throws(FileSystemError) -> RefcountTree {
        let number = inode.block.bytes[Dinode.Field.refcountRoot]
        guard inode.attributes.dynamicFeatures.contains(.hasRefcount) else {
            throw report(
                Corruption(block: inode.number, inode: inode.number, what: "a shared extent without a refcount tree"))
        }
        do {
            try parameters.requireMetadataBlock("i_refcount_loc", number)
        } catch {
            throw report(Corruption(block: inode.number, inode: inode.number, what: "\(error)"))
        }
        if let tree = refcountTrees[number] { return tree }
        let tree = RefcountTree(self, number)
        refcountTrees[number] = tree
        return tree
    }
}

extension RefcountTree: ClusterLockOwner {
    func refresh(_ lock: any ClusterLock, from value: LockValueBlock?) async throws(FileSystemError) {
        guard !volume.locks.isLocal else { return }
        validSince = volume.cache.advanceClock()
    }

    func prepareToLower(
        _ lock: any ClusterLock, from held: LockLevel, to level: LockLevel
    ) async throws(FileSystemError) {
        guard held == .exclusive, !volume.locks.isLocal, !volume.hasLeft else { return }
        try await volume.checkpoint()
    }

    func value(of lock: any ClusterLock) -> LockValueBlock? { nil }
}

// Finding.
extension RefcountTree {
    /// A block with records, and how it is reached.
    struct Leaf {
        let block: MetadataBlock
        /// The record of the tree that leads to it; nil: it is the root.
        let extent: Extent?

        var records: RefcountRecordList { RefcountBlock.records(block.bytes) }
    }

    private func isTree(_ root: MetadataBlock) -> Bool {
        RefcountBlock.kind(UnsafeRawBufferPointer(root.bytes)) == .rootWithTree
    }

    private func tree(_ root: MetadataBlock) -> ExtentTree {
        ExtentTree(volume, .refcount(root, validSince: validSince))
    }

    /// The block whose records cover the cluster, if any do.
    func leaf(for cluster: UInt32, _ root: MetadataBlock) async throws(FileSystemError) -> Leaf {
        guard isTree(root) else { return Leaf(block: root, extent: nil) }
        var extent = try await tree(root).extent(atOrBefore: cluster)
        if extent == nil { extent = try await tree(root).extent(atOrAfter: 0) }
        guard let extent else {
            throw volume.report(Corruption(block: number, what: "a refcount tree without leaves"))
        }
        let block = try await volume.block(extent.block, .refcountBlock, for: nil, notOlderThan: validSince)
        try check(block, isLeaf: true)
        return Leaf(block: block, extent: extent)
    }

    /// The record that counts the cluster. Without one the extent's flag is wrong.
    func record(for cluster: UInt32, _ root: MetadataBlock) async throws(FileSystemError) -> RefcountRecord {
        let records = try await leaf(for: cluster, root).records
        let index = records.index(atOrAfter: UInt64(cluster))
        guard index < records.count, records[index].start <= UInt64(cluster) else {
            throw volume.report(Corruption(block: number, what: "no record counts the shared cluster \(cluster)"))
        }
        return records[index]
    }
}

// Changing.
extension RefcountTree {
    /// Blocks that ``setCount(of:to:_:_:_:)`` of the run may take: none if its block has room for the records that come, so
    /// that a full volume can be emptied.
    ///
    /// - Parameter others: changes of other runs in the same transaction.
    func metadataNeeded(
        for run: ClusterRun, to count: UInt32, others: Int = 0, _ root: MetadataBlock
    ) async throws(FileSystemError) -> Int {
        let records = try await leaf(for: run.cluster, root).records
        let more = records.recordsAdded(by: run, to: count) + 2 * others
        return records.count + more <= records.capacity ? 0 : metadataNeeded(root)
    }

    /// A leaf for the root's records, a second one, and what the tree needs for it.
    private func metadataNeeded(_ root: MetadataBlock) -> Int {
        let depth = isTree(root) ? tree(root).depth : 0
        return 2 + depth + 2
    }

    /// Blocks that one ``setCount(of:to:_:_:_:)`` changes.
    func credits(_ root: MetadataBlock) -> Int {
        let depth = isTree(root) ? tree(root).depth : 0
        return 4 + 2 * (depth + 2) * 3 + 3 * (depth + 4) + 2
    }

    /// Locks for the blocks that may be freed.
    func lockForRemoving(of run: ClusterRun, _ root: MetadataBlock) async throws(FileSystemError) -> RemovalLocks {
        guard isTree(root) else { return RemovalLocks() }
        let locks = try await tree(root).lockForRemoving()
        let leaf = try await leaf(for: run.cluster, root)
        do throws(FileSystemError) {
            try await locks.add(leaf.block.number, RefcountBlock.suballocation(leaf.block.rawBytes), volume)
            if let extent = leaf.extent { try await tree(root).requireChangeable(extent) }
        } catch {
            locks.release()
            throw error
        }
        return locks
    }

    /// Changes the count of a run that lies within one record; 0 removes it.
    func setCount(
        of run: ClusterRun, to count: UInt32, _ root: MetadataBlock, _ locks: RemovalLocks, _ reservation: Reservation,
        _ handle: JournalHandle
    ) async throws(FileSystemError) {
        var leaf = try await leaf(for: run.cluster, root)
        if leaf.records.count + leaf.records.recordsAdded(by: run, to: count) > leaf.records.capacity {
            try await makeRoom(leaf, root, reservation, handle)
            leaf = try await self.leaf(for: run.cluster, root)
        }
        handle.modify(leaf.block)
        leaf.records.setCount(of: run, to: count)
        guard leaf.records.count == 0, let extent = leaf.extent else { return }
        try await tree(root).remove(cpos: extent.cpos, count: 1, locks, nil, handle)
        let place = RefcountBlock.suballocation(UnsafeRawBufferPointer(leaf.block.bytes))
        try await volume.freeMetadataBlock(place, leaf.block.number, handle)
        if tree(root).isEmpty {
            handle.modify(root)
            RefcountBlock.endTree(root.bytes, volume.geometry)
        }
    }

    /// Gives the records of a full block more room. Spec: ocfs2-disk-2 17.2, overflow of root and leaf
    private func makeRoom(
        _ full: Leaf, _ root: MetadataBlock, _ reservation: Reservation, _ handle: JournalHandle
    ) async throws(FileSystemError) {
        var full = full
        if full.extent == nil {
            let records = full.records.all
            let block = try await newLeaf(root, reservation, handle)
            for record in records { RefcountBlock.records(block.bytes).append(record) }
            handle.modify(root)
            RefcountBlock.beginTree(root.bytes, volume.geometry)
            let extent = Extent(cpos: 0, count: 1, block: block.number)
            try await tree(root).insert(extent, reservation, handle)
            full = Leaf(block: block, extent: extent)
        }
        let all = full.records.all
        let middle = all.count / 2
        let upper = try await newLeaf(root, reservation, handle)
        let cpos = UInt32(truncatingIfNeeded: all[middle].start)
        upper.bytes[RefcountBlock.Field.cpos] = cpos
        for record in all[middle...] { RefcountBlock.records(upper.bytes).append(record) }
        handle.modify(full.block)
        for index in (middle..<all.count).reversed() { full.records.remove(at: index) }
        try await tree(root).insert(Extent(cpos: cpos, count: 1, block: upper.number), reservation, handle)
    }

    private func newLeaf(
        _ root: MetadataBlock, _ reservation: Reservation, _ handle: JournalHandle
    ) async throws(FileSystemError) -> MetadataBlock {
        let claimed = try await reservation.claimMetadataBlock(handle)
        let block = volume.freshBlock(claimed.number, .refcountBlock)
        RefcountBlock.initialize(
            block.bytes, block: claimed.number, generation: root.bytes[RefcountBlock.Field.generation], parent: number,
            claimed.place, volume.parameters)
        handle.modify(block)
        return block
    }
}

extension RefcountRecordList {
    var all: [RefcountRecord] { (0..<count).map { self[$0] } }

    func append(_ record: RefcountRecord) { insert(record, at: count) }

    /// Records that come to the list at most when a part of one gets another count, 0: is taken out.
    func recordsAdded(by run: ClusterRun, to count: UInt32) -> Int {
        let index = index(atOrAfter: UInt64(run.cluster))
        guard index < self.count else { return 2 }
        let whole = self[index]
        return (whole.start < UInt64(run.cluster) ? 1 : 0) + (whole.end > run.end ? 1 : 0) - (count == 0 ? 1 : 0)
    }

    /// Changes the count of a part of one record; neighbours with equal counts become one. There is room for
    /// ``recordsAdded(by:to:)``.
    func setCount(of run: ClusterRun, to value: UInt32) {
        let index = index(atOrAfter: UInt64(run.cluster))
        precondition(
            index < count && self[index].start <= UInt64(run.cluster) && run.end <= self[index].end,
            "clusters \(run.cluster) + \(run.count) are not in one record")
        let old = self[index]
        var pieces: [RefcountRecord] = []
        func add(_ start: UInt64, _ end: UInt64, _ count: UInt32) {
            guard end > start, count > 0 else { return }
            if let last = pieces.last, last.end == start, last.count == count {
                pieces[pieces.count - 1].clusters += UInt32(end - start)
            } else {
                pieces.append(RefcountRecord(start: start, clusters: UInt32(end - start), count: count))
            }
        }
        let first = index > 0 ? index - 1 : index
        let last = index + 1 < count ? index + 1 : index
        if first < index { add(self[first].start, self[first].end, self[first].count) }
        add(old.start, UInt64(run.cluster), old.count)
        add(UInt64(run.cluster), run.end, value)
        add(run.end, old.end, old.count)
        if last > index { add(self[last].start, self[last].end, self[last].count) }
        for _ in first...last { remove(at: first) }
        for (offset, record) in pieces.enumerated() { insert(record, at: first + offset) }
    }
}
