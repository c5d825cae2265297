internal import Journal
internal import LayoutKit
internal import OCFS2Layout

/// The algorithms of extent trees: finding the way, and one change, the splice, from which all others are made.
/// Spec: ocfs2-disk 6.3 to 6.8.
///
/// **Invariants** (chapter's numbers) that hold before and after each call, given that they held before:
/// - all leaves at one depth (T1), records sorted (T2), every list except those on the right edge full (T3);
/// - interior records without gaps: each ends where the next begins, which is where the first record of that leaf
///   begins; the first of each left-edge list begins at 0 (T5), the last on the right edge ends with the last leaf
///   record (T6);
/// - `last_eb` names the rightmost leaf, leaves are chained (T7).
///
/// An empty record at index 0 of a leaf (T4) is accepted and goes away when the leaf is changed.
struct ExtentTreeEditor<Storage: ExtentTreeStorage> {
    let storage: Storage
    let root: ExtentRoot
    /// Leaves that one change moves records through; where there are more to the right, holes are used.
    var shiftMax = 16

    var rootList: ExtentListView { ExtentListView(root.block.bytes, offset: root.listOffset) }
    var blocksPerCluster: UInt64 { UInt64(storage.parameters.geometry.blocksPerCluster) }

    /// Checks the header of the root's list, which may come from an area that nobody has checked.
    func requireRoot() throws(FileSystemError) {
        do {
            try ExtentListView.validate(
                UnsafeRawBufferPointer(root.block.bytes), offset: root.listOffset,
                capacity: root.capacityMax(storage.parameters.geometry), isCapacityExact: false)
        } catch {
            throw storage.corrupt(root.block.number, "\(error)")
        }
    }

    /// Throws unless the leaf record of `block` maps what lies on the volume, and ends where cluster numbers end.
    func require(_ record: ExtentRecord, in block: MetadataBlock) throws(FileSystemError) {
        let parameters = storage.parameters
        let geometry = parameters.geometry
        var isInside: Bool
        if root.kind == .refcount {
            isInside = record.block > 2 && record.block < parameters.blockCount
        } else {
            isInside =
                record.block != 0 && geometry.isClusterAligned(block: record.block)
                && record.block < parameters.blockCount
                && UInt64(record.clusters) <= geometry.clusters(coveringBlocks: parameters.blockCount - record.block)
        }
        if root.kind.countsClusters { isInside = isInside && record.end <= UInt64(UInt32.max) + 1 }
        guard isInside, !record.isEmpty else {
            throw storage.corrupt(
                block.number, "extent \(record.cpos) + \(record.clusters) at block \(record.block)")
        }
    }

    /// Reads the child that `record` of `parent` leads to.
    func child(
        of parent: ExtentListView, _ record: ExtentRecord, in block: MetadataBlock
    ) async throws(FileSystemError) -> (block: MetadataBlock, list: ExtentListView) {
        do {
            try storage.parameters.requireMetadataBlock("e_blkno", record.block)
        } catch {
            throw storage.corrupt(block.number, "\(error)")
        }
        let depth = parent.depth - 1
        let child = try await storage.read(record.block)
        let list = ExtentBlock.list(child.bytes)
        guard list.depth == depth, list.count > 0 else {
            throw storage.corrupt(
                record.block, "an extent block of depth \(list.depth) with \(list.count) records, expected \(depth)")
        }
        return (child, list)
    }
}

// Finding.
extension ExtentTreeEditor {
    /// The leaf whose range holds `cpos`, and the cluster at which the next leaf begins.
    func leaf(for cpos: UInt32) async throws(FileSystemError) -> (
        list: ExtentListView, block: MetadataBlock, next: UInt32?
    ) {
        try requireRoot()
        var block = root.block
        var list = rootList
        var next: UInt32?
        while !list.isLeaf {
            guard let index = list.childIndex(for: cpos) else {
                throw storage.corrupt(block.number, "an interior extent list without records")
            }
            if index + 1 < list.count { next = list[index + 1].cpos }
            (block, list) = try await child(of: list, list[index], in: block)
        }
        return (list, block, next)
    }

    /// The way to the leaf whose range holds `cpos`.
    func path(to cpos: UInt32) async throws(FileSystemError) -> ExtentPath {
        try requireRoot()
        let path = ExtentPath()
        var block = root.block
        var list = rootList
        while !list.isLeaf {
            guard let index = list.childIndex(for: cpos) else {
                throw storage.corrupt(block.number, "an interior extent list without records")
            }
            path.append(block, list, index: index)
            (block, list) = try await child(of: list, list[index], in: block)
        }
        path.append(block, list)
        return path
    }

    func rightEdge() async throws(FileSystemError) -> ExtentPath {
        try requireRoot()
        let path = ExtentPath()
        try await descend(path, root.block, rootList) { $0.count - 1 }
        return path
    }

    /// The way to the next leaf; nil behind the last.
    func advance(_ path: ExtentPath) async throws(FileSystemError) -> ExtentPath? {
        guard
            let level = path.nodes.dropLast().lastIndex(where: { $0.index + 1 < $0.list.count })
        else { return nil }
        let node = path.nodes[level]
        let next = path.copy(through: level, index: node.index + 1)
        let (block, list) = try await child(of: node.list, node.list[node.index + 1], in: node.block)
        try await descend(next, block, list) { _ in 0 }
        return next
    }

    /// The way to the leaf before; nil before the first.
    func retreat(_ path: ExtentPath) async throws(FileSystemError) -> ExtentPath? {
        guard let level = path.nodes.dropLast().lastIndex(where: { $0.index > 0 }) else { return nil }
        let node = path.nodes[level]
        let previous = path.copy(through: level, index: node.index - 1)
        let (block, list) = try await child(of: node.list, node.list[node.index - 1], in: node.block)
        try await descend(previous, block, list) { $0.count - 1 }
        return previous
    }

    private func descend(
        _ path: ExtentPath, _ start: MetadataBlock, _ startList: ExtentListView, _ choose: (ExtentListView) -> Int
    ) async throws(FileSystemError) {
        var block = start
        var list = startList
        while !list.isLeaf {
            guard list.count > 0 else {
                throw storage.corrupt(block.number, "an interior extent list without records")
            }
            let index = choose(list)
            path.append(block, list, index: index)
            (block, list) = try await child(of: list, list[index], in: block)
        }
        path.append(block, list)
    }
}

// Interior records.
extension ExtentTreeEditor {
    /// Makes the ranges of two neighbouring leaves meet at `cpos`, on all levels below their common list (T5).
    func setBoundary(_ left: ExtentPath, _ right: ExtentPath, _ cpos: UInt32) {
        // The common list is the deepest one that both ways go through.
        var common = 0
        while common + 1 < left.leafLevel, left.nodes[common + 1].block === right.nodes[common + 1].block {
            common += 1
        }
        for level in common..<left.leafLevel {
            let node = left.nodes[level]
            var record = node.list[node.index]
            record.clusters = cpos > record.cpos ? cpos - record.cpos : 0
            node.list[node.index] = record
            storage.modify(node.block)
        }
        for level in common..<right.leafLevel {
            let node = right.nodes[level]
            var record = node.list[node.index]
            let end = record.end
            record.cpos = cpos
            record.clusters = UInt32(clamping: end > UInt64(cpos) ? end - UInt64(cpos) : 0)
            node.list[node.index] = record
            storage.modify(node.block)
        }
    }

    /// Makes the right edge end with the last leaf record (T6).
    func setEnd(_ rightEdge: ExtentPath) {
        let leaf = rightEdge.leaf.list
        guard leaf.count > 0 else { return }
        let end = leaf[leaf.count - 1].end
        for node in rightEdge.nodes.dropLast() {
            var record = node.list[node.index]
            let clusters = UInt32(clamping: end > UInt64(record.cpos) ? end - UInt64(record.cpos) : 0)
            guard record.clusters != clusters else { continue }
            record.clusters = clusters
            node.list[node.index] = record
            storage.modify(node.block)
        }
    }

    var lastLeaf: UInt64 {
        get { root.block.bytes[root.lastLeafField] }
        nonmutating set {
            root.block.bytes[root.lastLeafField] = newValue
            storage.modify(root.block)
        }
    }

    /// Adds to the owner's count of clusters (T8).
    func addClusters(_ change: Int64) {
        let field = root.clustersField
        let clusters = UInt32(clamping: Int64(root.block.bytes[field]) + change)
        root.block.bytes[field] = clusters
        if root.kind == .data { root.owner?.attributes.clusters = clusters }
        storage.modify(root.block)
    }
}
