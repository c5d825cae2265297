import EngineKit
import LayoutKit
import OCFS2Layout
import Testing

@testable import FileSystem
@testable import Journal

@Suite("Holes in large extent trees")
struct ExtentTreeHoleTests {
    private static let root = RootUnderTest(kind: .data, capacity: 19, shiftMax: 4)
    /// What a change may touch: leaves, the nodes above two of them and at the right edge.
    private static let blocksMax = 4 + 3 * 3 + 2

    /// A tree of `count` separate extents, two clusters from one to the next, at even places.
    private func large(_ count: Int) async throws -> (tree: TreeInMemory, editor: ExtentTreeEditor<TreeInMemory>) {
        let (tree, editor) = try Self.root.make()
        for index in 0..<count { try await editor.insert(record(2 * index)) }
        #expect(tree.changedOutsideOfTransaction() == [])
        return (tree, editor)
    }

    private func record(_ cpos: Int) -> ExtentRecord {
        ExtentRecord(cpos: UInt32(cpos), clusters: 1, block: UInt64(80000 + 16 * cpos))
    }

    /// Prepares, carries out and ends one change, each step a transaction of few blocks that leaves a whole tree.
    private func change(
        _ tree: TreeInMemory, _ editor: ExtentTreeEditor<TreeInMemory>, at cpos: Int, adding: Int,
        _ body: () async throws -> Void
    ) async throws {
        for _ in 0..<adding {
            for place in try await editor.holesToMake(at: UInt32(cpos), adding: adding) {
                try await editor.makeHole(at: place)
                try check(tree, editor, "a step before \(cpos)")
            }
        }
        #expect(try await editor.holesToMake(at: UInt32(cpos), adding: adding) == [])
        tree.creditsMax = Self.blocksMax
        try await body()
        tree.creditsMax = .max
        try check(tree, editor, "the change at \(cpos)")
        while let place = try await editor.lastHole(from: UInt32(cpos)) {
            try await editor.moveHole(at: place)
            try check(tree, editor, "a step after \(cpos)")
        }
        #expect(TreeChecker(tree, editor.root).holes == 0)
    }

    private func check(
        _ tree: TreeInMemory, _ editor: ExtentTreeEditor<TreeInMemory>, _ what: String
    ) throws {
        let count = tree.modifiedCount
        #expect(count <= Self.blocksMax, "\(what) changes \(count) blocks")
        #expect(tree.changedOutsideOfTransaction() == [], "\(what)")
        let faults = TreeChecker(tree, editor.root).faults
        try #require(faults == [], "\(what)")
    }

    @Test("Records that come into the middle of a large tree change few blocks at a time")
    func inserting() async throws {
        let (tree, editor) = try await large(1500)
        for step in 0..<60 {
            let cpos = (step * 397 % 1400) * 2 + 1
            try await change(tree, editor, at: cpos, adding: 1) { try await editor.insert(record(cpos)) }
        }
        #expect(TreeChecker(tree, editor.root).records.count == 1560)
    }

    @Test("Records that go from the middle of a large tree, and come back")
    func removing() async throws {
        let (tree, editor) = try await large(1500)
        for index in 200..<256 {
            try await change(tree, editor, at: 2 * index, adding: 0) { try await editor.remove(UInt32(2 * index), 1) }
        }
        #expect(TreeChecker(tree, editor.root).records.count == 1444)
        for index in 200..<256 {
            try await change(tree, editor, at: 2 * index, adding: 1) { try await editor.insert(record(2 * index)) }
        }
        #expect(TreeChecker(tree, editor.root).records.count == 1500)
    }

    @Test("A part of an extent that becomes another one takes two holes")
    func dividing() async throws {
        let (tree, editor) = try Self.root.make()
        for index in 0..<1500 {
            try await editor.insert(
                ExtentRecord(cpos: UInt32(8 * index), clusters: 6, block: UInt64(80000 + 64 * index), flags: .unwritten)
            )
        }
        _ = tree.changedOutsideOfTransaction()
        for step in 0..<60 {
            let index = step * 397 % 1400
            let written = ExtentRecord(cpos: UInt32(8 * index + 2), clusters: 2, block: UInt64(80000 + 64 * index + 16))
            try await change(tree, editor, at: 8 * index + 2, adding: 2) { try await editor.replace(written) }
        }
        #expect(TreeChecker(tree, editor.root).records.count == 1620)
    }

    @Test("Holes that a crash left are used, moved on, and no obstacle to emptying the tree")
    func leftHoles() async throws {
        let (tree, editor) = try await large(1000)
        // Removals without their last steps, some in leaves that have a hole.
        for index in stride(from: 100, to: 900, by: 19) { try await editor.remove(UInt32(2 * index), 1) }
        var checker = TreeChecker(tree, editor.root)
        #expect(checker.faults == [])
        #expect(checker.holes > 10)
        for index in stride(from: 100, to: 900, by: 38) { try await editor.insert(record(2 * index)) }
        while let place = try await editor.lastHole(from: 0) { try await editor.moveHole(at: place) }
        checker = TreeChecker(tree, editor.root)
        #expect(checker.faults == [])
        #expect(checker.holes == 0)
        let left = checker.records
        for record in left.reversed() { try await editor.remove(record.cpos, record.clusters) }
        #expect(TreeChecker(tree, editor.root).faults == [])
        #expect(tree.blocks.isEmpty)
    }
}
