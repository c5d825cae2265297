import EngineKit
import Journal
import LayoutKit
import OCFS2Layout

extension XattrSet {
    /// Where a value goes: tried out on copies, so that it fits.
    private struct Plan {
        /// nil: a block that has to be made.
        var target: XattrHolder?
        /// Index of the new entry in the target.
        var entry = 0
        /// The holder that loses the old value, if it is another one.
        var source: XattrHolder?
        /// The old value's clusters.
        var old: ExtentTree?
    }

    /// Steps until there is room: conversions and divisions.
    private static let stepsMax = 24

    /// Stores the value under this name, in one transaction with `alsoChanging` the attributes. Spec: ocfs2-disk-2
    /// 16.5.
    func set(
        _ key: XattrKey, to value: [UInt8], _ mode: MountedVolume.XattrMode,
        alsoChanging change: (inout InodeAttributes) -> Void = { _ in }
    ) async throws(FileSystemError) {
        guard value.count <= Self.valueByteCountMax else { throw .attributeTooLarge }
        let isThere = try await find(key) != nil
        if isThere, mode == .create { throw .alreadyExists }
        if !isThere, mode == .replace { throw .noAttribute }
        if !isThere { try await makeInlineArea(for: key.nameValueSize(value.count)) }
        for _ in 0..<Self.stepsMax {
            if let plan = try await plan(key, valueSize: value.count) {
                return try await carryOut(plan, key, value, change)
            }
            try await makeOuterRoom(for: key.hash)
        }
        throw .noSpace
    }

    /// Errors: `noAttribute`.
    func remove(
        _ key: XattrKey, alsoChanging change: (inout InodeAttributes) -> Void = { _ in }
    ) async throws(FileSystemError) {
        guard let (holder, index) = try await find(key) else { throw .noAttribute }
        let entry = holder.storage[index]
        let old = entry.isLocal ? nil : try holder.valueTree(of: entry)
        try holder.requireChangeable()
        holder.remove(at: index)
        try await carryOut(Plan(target: holder, entry: -1, old: old), nil, [], change)
    }

    // MARK: Planning

    /// nil: the external storage is full.
    private func plan(_ key: XattrKey, valueSize: Int) async throws(FileSystemError) -> Plan? {
        var plan = Plan()
        if let inline = try inlineHolder() {
            try inline.requireChangeable()
            let known = inline.find(key)
            if let known { plan.old = try take(known, out: inline) }
            if let entry = inline.insert(key, valueSize: valueSize) {
                plan.target = inline
                plan.entry = entry
                // An update stays where it is; a new name must not be somewhere else already.
                if known != nil { return plan }
                guard let outer = try await outerHolder(for: key.hash), outer.find(key) != nil else { return plan }
                plan.target = nil
            } else if known != nil {
                plan.source = inline
            }
        }
        guard let outer = try await outerHolder(for: key.hash) else { return plan }
        try outer.requireChangeable()
        if let known = outer.find(key) { plan.old = try take(known, out: outer) }
        guard let entry = outer.insert(key, valueSize: valueSize) else { return nil }
        plan.target = outer
        plan.entry = entry
        return plan
    }

    /// Removes an entry from a copy; the tree of its value, which stays in the blocks.
    private func take(_ index: Int, out holder: XattrHolder) throws(FileSystemError) -> ExtentTree? {
        let entry = holder.storage[index]
        let tree = entry.isLocal ? nil : try holder.valueTree(of: entry)
        holder.remove(at: index)
        return tree
    }

    // MARK: Room

    /// Makes the tail of the dinode an xattr area if that is free and the entry will fit there. Spec: ocfs2-disk-2
    /// 16.2.
    private func makeInlineArea(for nameValueSize: Int) async throws(FileSystemError) {
        let size = inlineSizePossible()
        guard size > 0, fits(nameValueSize, inEmpty: size) else { return }
        // A flush of the file's data counts on the room that it saw in the dinode.
        let data = inode.data
        await data?.changeLock.lock(.exclusive)
        defer { data?.changeLock.unlock(.exclusive) }
        try await volume.transaction(credits: Credits.inodeUpdate) { handle throws(FileSystemError) in
            guard self.inlineSizePossible() == size else { return }
            self.beginInlineArea(size)
            self.inode.storeAttributes(handle)
        }
    }

    func fits(_ nameValueSize: Int, inEmpty size: Int) -> Bool {
        size - XattrStorage.headerByteCount - XattrStorage.gap >= XattrEntry.byteCount + nameValueSize
    }

    /// Size of the area that the dinode can give up now; 0: none.
    func inlineSizePossible() -> Int {
        let size = Int(volume.parameters.xattrInlineSize)
        guard volume.blockSize > 512, size >= 256, size < volume.blockSize / 2, !hasInlineArea else { return 0 }
        let free: Int
        switch inode.dinode.content {
        case .inlineData:
            free = Int(inode.block.bytes[Dinode.Field.inlineCount]) - Int(clamping: inode.attributes.size)
        case .symlink: free = volume.geometry.fastSymlinkCapacity - Int(clamping: inode.attributes.size)
        case .extentList:
            let list = inode.dinode.extentList
            free = (list.capacity - list.count) * ExtentRecord.byteCount
        case .superblock, .localAlloc, .chainList, .truncateLog: free = 0
        }
        // A fast symlink's text ends with a NUL.
        return free >= size + (inode.isSymlink ? 1 : 0) ? size : 0
    }

    /// Takes the area from what the dinode holds. The caller stores the attributes.
    func beginInlineArea(_ size: Int) {
        let bytes = inode.block.bytes
        switch inode.dinode.content {
        case .inlineData: bytes[Dinode.Field.inlineCount] -= UInt16(size)
        case .extentList: inode.dinode.extentList.capacity -= size / ExtentRecord.byteCount
        case .symlink, .superblock, .localAlloc, .chainList, .truncateLog: break
        }
        bytes[Dinode.Field.xattrInlineSize] = UInt16(size)
        bytes.dropped(volume.blockSize - size).clear(count: size)
        inode.attributes.dynamicFeatures.formUnion([.inlineXattr, .hasXattr])
    }

    /// The external block is full: it becomes an index, or the index gets room.
    private func makeOuterRoom(for hash: UInt32) async throws(FileSystemError) {
        guard let block = try await block() else { throw .noSpace }
        if let index = index(block) { return try await index.makeRoom(for: hash) }
        let old = holder(of: block)
        let tree = XattrIndexTree(inode: inode, root: block)
        let reservation = try await volume.reserve(SpaceNeeds(clusters: 1))
        defer { reservation.release() }
        let credits = 2 + Credits.clusterAllocation + tree.blocksPerBucket
        try await volume.transaction(credits: credits) { handle throws(FileSystemError) in
            let run = try await reservation.claimClusters(atMost: 1, handle)
            let first = self.volume.geometry.firstBlock(ofCluster: run.cluster)
            let bucket = tree.freshBucket(at: first)
            bucket.bucket.initialize()
            for index in 0..<old.count { try self.copy(old.storage[index], from: old, to: bucket) }
            bucket.bucket.bucketCount = 1
            bucket.store(handle)
            XattrBlock.beginIndex(block.bytes, self.volume.geometry)
            handle.modify(block)
            try await tree.tree.insert(Extent(cpos: 0, count: 1, block: first), reservation, handle)
        }
    }

    private func copy(
        _ entry: XattrEntry, from old: XattrHolder, to bucket: XattrHolder
    ) throws(FileSystemError) {
        let from = old.storage, to = bucket.bucket
        guard
            let index = to.insert(
                indexNumber: entry.indexNumber, from.name(of: entry), hash: entry.hash,
                valueSize: Int(clamping: entry.valueSize))
        else { throw old.corrupt("more attributes than a bucket holds") }
        let copied = to.storage[index]
        if entry.isLocal {
            to.storage.localValue(of: copied).copyMemory(
                from: UnsafeRawBufferPointer(from.localValue(of: entry)))
        } else {
            to.storage.valueRoot(of: copied).copyMemory(from: UnsafeRawBufferPointer(from.valueRoot(of: entry)))
        }
    }

    // MARK: Carrying out

    /// - Parameter key: nil: only the old value goes, and the target is stored.
    private func carryOut(
        _ plan: Plan, _ key: XattrKey?, _ value: [UInt8], _ change: (inout InodeAttributes) -> Void
    ) async throws(FileSystemError) {
        guard let old = plan.old else { return try await carryOut(plan, key, value, nil, change) }
        let freeing = try await ValueFreeing.prepare(old, inode)
        defer { freeing.release() }
        try await freeing.exclusively { () throws(FileSystemError) in
            try await self.carryOut(plan, key, value, freeing, change)
        }
    }

    private func carryOut(
        _ plan: Plan, _ key: XattrKey?, _ value: [UInt8], _ freeing: ValueFreeing?,
        _ change: (inout InodeAttributes) -> Void
    ) async throws(FileSystemError) {
        var (needs, credits) = Self.needs(forValueOf: key == nil ? 0 : value.count, volume)
        let freeingNeeds = try await freeing?.needs() ?? SpaceNeeds()
        needs.metadataBlocks += freeingNeeds.metadataBlocks + (plan.target == nil ? 1 : 0)
        credits += plan.target?.credits ?? Credits.suballocation + 1
        credits += Credits.inodeUpdate + (plan.source?.credits ?? 0) + (freeing?.credits ?? 0)
        let reservation = try await volume.reserve(needs)
        defer { reservation.release() }
        try await freeing?.lock()
        defer { freeing?.unlock() }
        try await volume.transaction(credits: credits) { handle throws(FileSystemError) in
            try await freeing?.carryOut(reservation, handle)
            plan.source?.store(handle)
            var target = plan.target, entry = plan.entry
            if target == nil, let key {
                let made = try await self.makeBlock(reservation, handle)
                guard let place = made.insert(key, valueSize: value.count) else { throw .noSpace }
                target = made
                entry = place
            }
            if let target {
                try await self.store(key == nil ? nil : value, at: entry, of: target, reservation, handle)
            }
            self.inode.attributes.changeTime = self.volume.environment.wallTime
            if key != nil { self.inode.attributes.dynamicFeatures.insert(.hasXattr) }
            change(&self.inode.attributes)
            self.inode.storeAttributes(handle)
        }
    }

    func makeBlock(_ reservation: Reservation, _ handle: JournalHandle) async throws(FileSystemError) -> XattrHolder {
        let claimed = try await reservation.claimMetadataBlock(handle)
        let block = volume.freshBlock(claimed.number, .xattrBlock)
        XattrBlock.initialize(block.bytes, block: claimed.number, claimed.place, volume.parameters)
        handle.modify(block)
        inode.block.bytes[Dinode.Field.xattrBlock] = claimed.number
        handle.modify(inode.block)
        return holder(of: block)
    }

    /// Writes the holder with the value of one entry. Values outside go to clusters of their own.
    func store(
        _ value: [UInt8]?, at index: Int, of target: XattrHolder, _ reservation: Reservation, _ handle: JournalHandle
    ) async throws(FileSystemError) {
        guard let value else { return target.store(handle) }
        let entry = target.storage[index]
        guard !entry.isLocal else {
            value.withUnsafeBytes { target.storage.localValue(of: entry).copyMemory(from: $0) }
            return target.store(handle)
        }
        XattrValueRoot.initialize(target.storage.valueRoot(of: entry))
        target.store(handle)
        try await write(value, to: try target.valueTree(of: entry), reservation, handle)
        // The root in the block has changed; a bucket's check covers it.
        target.load()
        target.store(handle)
    }
}
