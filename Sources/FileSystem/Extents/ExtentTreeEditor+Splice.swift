internal import Journal
internal import LayoutKit
internal import OCFS2Layout

extension ExtentTreeEditor {
    /// Replaces `removed` records of the leaf at the end of `path`, from `index` on, by `inserted`, and restores the
    /// invariants: records move between this leaf and those to its right, leaves are added or go.
    ///
    /// The records stay sorted; at most two more or two fewer. `path` is not valid afterwards.
    func splice(
        _ path: ExtentPath, at index: Int, removing removed: Int, inserting inserted: [ExtentRecord]
    ) async throws(FileSystemError) {
        let leaf = path.leaf
        let list = leaf.list
        let isRightmost = path.isRightmost
        let left = index == 0 || (index == 1 && list.hasEmptyFirst) ? try await retreat(path) : nil
        let used = list.count - (list.hasEmptyFirst ? 1 : 0) - removed + inserted.count
        if path.leafLevel == 0, used > list.capacity {
            try await shiftDepth()
            return try await splice(
                rightEdge(), at: index, removing: removed, inserting: inserted)
        }
        let leavesToTheRight = path.leavesToTheRightAtMost
        let leavesHole = !isRightmost && usesHoles(leavesToTheRight: leavesToTheRight)
        if !isRightmost, used != list.capacity {
            var leaves = leavesToTheRight
            if leavesHole {
                let over = used - list.capacity
                leaves =
                    over > 0
                    ? try await distanceToHoles(over, behind: path) ?? leaves : try await holesBehind(path) - over
            }
            try storage.needCredits(leaves + leaves / list.capacity + 2 * path.leafLevel + 2)
        }

        storage.modify(leaf.block)
        var index = index
        if list.hasEmptyFirst {
            list.remove(at: 0)
            index -= 1
        }
        let carry = list.replace(at: index, removing: removed, with: inserted)
        if let left, list.count > 0, path.leafLevel > 0 { setBoundary(left, path, list[0].cpos) }

        if !carry.isEmpty {
            try await push(carry, behind: path)
        } else if isRightmost {
            try await settleRightmost(path)
        } else if !list.isFull {
            try await pull(into: path, leavingHoleAfter: leavesHole ? 0 : nil)
        }
    }

    /// Puts records in front of the leaf behind `path`, the last ones of which go on to the next, and so on.
    func push(_ records: [ExtentRecord], behind path: ExtentPath) async throws(FileSystemError) {
        var carry = records
        var current = path
        while !carry.isEmpty {
            guard let next = try await advance(current) else {
                try await appendLeaf(carry)
                return
            }
            let list = next.leaf.list
            storage.modify(next.leaf.block)
            if list.hasEmptyFirst { list.remove(at: 0) }
            let first = carry[0].cpos
            carry = list.replace(at: 0, removing: 0, with: carry)
            setBoundary(current, next, first)
            current = next
        }
        if current.isRightmost { setEnd(current) }
    }

    /// Fills the leaf at the end of `path` from the one to its right, that one from the next, and so on.
    ///
    /// - Parameter holeDistance: so many leaves further one record less will do, and a hole takes its place.
    func pull(into path: ExtentPath, leavingHoleAfter holeDistance: Int?) async throws(FileSystemError) {
        var current = path
        var before: ExtentPath?
        var distance = 0
        while true {
            let mayLackOne = holeDistance.map { distance >= $0 } ?? false
            let wanted = current.leaf.list.capacity - (mayLackOne ? 1 : 0)
            guard current.leaf.list.count < wanted, let next = try await advance(current) else { break }
            let target = current.leaf.list, source = next.leaf.list
            let wasEmpty = target.count == 0
            storage.modify(current.leaf.block)
            storage.modify(next.leaf.block)
            if source.hasEmptyFirst { source.remove(at: 0) }
            while target.count < wanted, source.count > 0 {
                target.insert(source[0], at: target.count)
                source.remove(at: 0)
            }
            if wasEmpty, let before, target.count > 0 { setBoundary(before, current, target[0].cpos) }
            if source.count > 0 { setBoundary(current, next, source[0].cpos) }
            if mayLackOne { target.putHole() }
            before = current
            current = next
            distance += 1
        }
        if current.isRightmost { return try await settleRightmost(current) }
        current.leaf.list.putHole()
    }

    /// After a change of the rightmost leaf: it goes when it is empty; the right edge ends where it ends.
    private func settleRightmost(_ path: ExtentPath) async throws(FileSystemError) {
        guard path.leafLevel > 0 else { return }
        guard path.leaf.list.count == 0 else { return setEnd(path) }
        guard let previous = try await retreat(path) else {
            for node in path.nodes.dropFirst() { try await storage.free(node.block) }
            reset()
            return
        }
        for level in (0..<path.leafLevel).reversed() {
            try await storage.free(path.nodes[level + 1].block)
            let node = path.nodes[level]
            storage.modify(node.block)
            node.list.remove(at: node.index)
            if node.list.count > 0 { break }
        }
        storage.modify(previous.leaf.block)
        previous.leaf.block.bytes[ExtentBlock.Field.nextLeaf] = 0
        lastLeaf = previous.leaf.block.number
        setEnd(previous)
    }

    /// Makes the root an empty leaf (T10).
    func reset() {
        let list = rootList
        list.initialize(capacity: list.capacity)
        list.clear(0..<list.capacity)
        lastLeaf = 0
    }
}

extension ExtentListView {
    /// Replaces records; what does not fit any more at the end is returned.
    func replace(at index: Int, removing removed: Int, with inserted: [ExtentRecord]) -> [ExtentRecord] {
        let before = count
        let tail = before - index - removed
        let after = before - removed + inserted.count
        guard after > capacity else {
            move(from: index + removed, to: index + inserted.count, count: tail)
            if after < before { clear(after..<before) }
            count = after
            for (place, record) in inserted.enumerated() { self[index + place] = record }
            return []
        }
        // At most two records are left over: take them from the end of the new sequence.
        let over = after - capacity
        let fromTail = min(over, tail)
        var carry: [ExtentRecord] = []
        for place in (before - fromTail)..<before { carry.append(self[place]) }
        let fromInserted = over - fromTail
        carry = Array(inserted.suffix(fromInserted)) + carry
        let kept = inserted.dropLast(fromInserted)
        move(from: index + removed, to: index + kept.count, count: tail - fromTail)
        count = capacity
        for (place, record) in kept.enumerated() { self[index + place] = record }
        return carry
    }
}
