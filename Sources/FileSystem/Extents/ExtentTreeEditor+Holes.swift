internal import Journal
internal import OCFS2Layout

// Changes far from the right edge of a tree that is large for its journal.
//
// A record more or less in a leaf moves one record through all leaves to its right (T3): in a tree of some thousand leaves
// more blocks than a transaction takes. A leaf may hold one empty record (T4), a hole, which ends such a movement. So a
// hole is brought from the right edge before a record is added, and taken there after one was removed, some leaves at a
// time; each step is a transaction that leaves a tree which is whole. fsck.ocfs2 objects to holes, so none stays: only a
// crash between two steps leaves one, as the kernel's own does.
extension ExtentTreeEditor {
    /// Whether a change of a leaf with that many leaves to its right takes several transactions.
    ///
    /// Only in trees of file data: the kernel searches those of directory indexes by lowest hash, where a hole would be
    /// hash 0.
    func usesHoles(leavesToTheRight count: Int) -> Bool {
        root.kind == .data && count > shiftMax
    }

    /// At least as many leaves to the right as change when `adding` records come into the leaf (0: one goes).
    func leavesChanged(behind path: ExtentPath, adding: Int) async throws(FileSystemError) -> Int {
        let all = path.leavesToTheRightAtMost
        guard usesHoles(leavesToTheRight: all) else { return all }
        let holes = path.leaf.list.hasEmptyFirst ? 1 : 0
        guard adding > 0 else { return holes == 0 ? 1 : try await holesBehind(path) + 2 }
        return adding > holes ? try await distanceToHoles(adding - holes, behind: path) ?? all : 0
    }

    /// Leaves from the one behind `path` to the one where `count` records find room; nil: more than ``shiftMax``.
    func distanceToHoles(_ count: Int, behind path: ExtentPath) async throws(FileSystemError) -> Int? {
        var current = path
        var found = 0
        for distance in 1...shiftMax {
            guard let next = try await advance(current) else { return distance }
            if next.leaf.list.hasEmptyFirst { found += 1 }
            if found >= count || next.isRightmost { return distance }
            current = next
        }
        return nil
    }

    /// Leaves with holes right behind `path`.
    func holesBehind(_ path: ExtentPath) async throws(FileSystemError) -> Int {
        var current = path
        var count = 0
        while let next = try await advance(current), next.leaf.list.hasEmptyFirst {
            count += 1
            current = next
        }
        return count
    }

    /// The first clusters of leaves that have to get a hole, in this order, each in a transaction of its own, before
    /// `adding` records come into the leaf of `cpos`. To be asked again afterwards; empty: none.
    func holesToMake(at cpos: UInt32, adding: Int) async throws(FileSystemError) -> [UInt32] {
        let path = try await path(to: cpos)
        let leavesToTheRight = path.leavesToTheRightAtMost
        guard usesHoles(leavesToTheRight: leavesToTheRight),
            try await leavesChanged(behind: path, adding: adding) > shiftMax
        else { return [] }
        var firstClusters: [UInt32] = []
        var goal: Int?
        var current = path
        while true {
            let place = firstClusters.count
            let list = current.leaf.list
            // Not in the leaf itself: what is to be changed could be the record that moves on.
            if goal == nil, place > 0, !list.hasEmptyFirst { goal = place }
            firstClusters.append(current.firstCluster)
            if place > shiftMax, list.hasEmptyFirst { break }
            guard let next = try await advance(current) else { break }
            current = next
        }
        // From the right to the left, so that each step ends at the leaf where the one before began.
        var result: [UInt32] = []
        guard let goal else { return [] }
        var place = firstClusters.count - 1 - shiftMax
        while place > goal {
            result.append(firstClusters[place])
            place -= shiftMax
        }
        return result + [firstClusters[goal]]
    }

    /// Moves the last record of a leaf on, through at most ``shiftMax`` leaves to one with room.
    func makeHole(at cpos: UInt32) async throws(FileSystemError) {
        let path = try await path(to: cpos)
        let list = path.leaf.list
        guard !path.isRightmost, list.isFull, !list.hasEmptyFirst else { return }
        storage.modify(path.leaf.block)
        let last = list[list.count - 1]
        list.remove(at: list.count - 1)
        list.putHole()
        try await push([last], behind: path)
    }

    /// The first cluster of the last leaf with a hole among those from the one of `cpos` on.
    func lastHole(from cpos: UInt32) async throws(FileSystemError) -> UInt32? {
        var current = try await path(to: cpos)
        var found: UInt32?
        while !current.isRightmost {
            if current.leaf.list.hasEmptyFirst { found = current.firstCluster }
            guard let next = try await advance(current) else { break }
            current = next
        }
        return found
    }

    /// Fills the hole of a leaf from the right; a leaf some way on, at most ``shiftMax``, has it then, or none.
    func moveHole(at cpos: UInt32) async throws(FileSystemError) {
        let path = try await path(to: cpos)
        let list = path.leaf.list
        guard !path.isRightmost, list.hasEmptyFirst else { return }
        storage.modify(path.leaf.block)
        list.remove(at: 0)
        try await pull(into: path, leavingHoleAfter: shiftMax)
    }
}

extension ExtentPath {
    /// Where the leaf begins.
    fileprivate var firstCluster: UInt32 {
        let list = leaf.list
        guard list.count > 0 else { return 0 }
        return list[list.hasEmptyFirst && list.count > 1 ? 1 : 0].cpos
    }
}

extension ExtentListView {
    /// A hole where one record is missing (T4).
    func putHole() {
        if count == capacity - 1 { insert(ExtentRecord(cpos: 0, clusters: 0, block: 0), at: 0) }
    }
}
