import EngineKit
import LayoutKit
import OCFS2Layout
import Testing

@testable import FileSystem
@testable import Journal

/// A root of each kind, on blocks of 512 bytes, where trees become deep soon.
struct RootUnderTest: Sendable, CustomTestStringConvertible {
    var kind: ExtentRoot.Kind
    var capacity: Int
    var clusterSizeBits = 12
    /// nil: as it is by default.
    var shiftMax: Int?

    var testDescription: String { "\(kind), \(capacity) records in the root, \(shiftMax ?? 16) leaves at once" }

    static let all = [
        RootUnderTest(kind: .data, capacity: 19), RootUnderTest(kind: .data, capacity: 3),
        RootUnderTest(kind: .xattrValue, capacity: 1), RootUnderTest(kind: .xattrIndex, capacity: 27),
        RootUnderTest(kind: .directoryIndex, capacity: 19), RootUnderTest(kind: .refcount, capacity: 23),
        RootUnderTest(kind: .data, capacity: 19, clusterSizeBits: 14),
        RootUnderTest(kind: .data, capacity: 19, shiftMax: 1), RootUnderTest(kind: .data, capacity: 3, shiftMax: 4),
    ]

    /// Whether neighbours may become one record.
    var joins: Bool { kind == .data || kind == .xattrValue }

    func make() throws -> (tree: TreeInMemory, editor: ExtentTreeEditor<TreeInMemory>) {
        let geometry = try VolumeGeometry(blockSizeBits: 9, clusterSizeBits: clusterSizeBits)
        let parameters = VolumeParameters(
            geometry: geometry, features: VolumeFeatures(), generation: 7, clusterCount: 1 << 30, slotCount: 2)
        let tree = TreeInMemory(parameters: parameters)
        let root = ExtentRoot(
            kind: kind, block: tree.rootBlock,
            listOffset: kind == .xattrIndex ? 0x40 : kind == .refcount || kind == .xattrValue ? 0x80 : 0xc0,
            clustersField: LE32(offset: 0x30), lastLeafField: LE64(offset: 0x38), owner: nil)
        var editor = ExtentTreeEditor(storage: tree, root: root)
        if let shiftMax { editor.shiftMax = shiftMax }
        editor.rootList.initialize(capacity: capacity)
        _ = tree.changedOutsideOfTransaction()
        return (tree, editor)
    }
}

/// The same mapping without a tree: one entry for each cluster.
struct FlatMapping {
    struct Cell: Equatable {
        var block: UInt64
        var flags: ExtentRecord.Flags
    }

    var cells: [Cell?]
    let blocksPerCluster: UInt64

    mutating func set(_ record: ExtentRecord) {
        for offset in 0..<record.clusters {
            cells[Int(record.cpos + offset)] = Cell(
                block: record.block + UInt64(offset) * blocksPerCluster, flags: record.flags)
        }
    }

    mutating func clear(_ cpos: UInt32, _ count: UInt32) {
        for offset in 0..<count { cells[Int(cpos + offset)] = nil }
    }

    static func of(_ records: [ExtentRecord], count: Int, _ blocksPerCluster: UInt64) -> FlatMapping {
        var flat = FlatMapping(cells: Array(repeating: nil, count: count), blocksPerCluster: blocksPerCluster)
        for record in records { flat.set(record) }
        return flat
    }
}

@Suite("Extent trees")
struct ExtentTreeTests {
    /// Random inserts, changes and removals; weights change over time so that the tree grows and shrinks to nothing.
    @Test(
        "Random changes keep every invariant and give the mapping of a flat model", arguments: RootUnderTest.all, 1...2)
    func random(root: RootUnderTest, seed: Int) async throws {
        let (tree, editor) = try root.make()
        let random = SeededRandom(seed: UInt64(seed))
        let size = 1000
        let bpc = editor.blocksPerCluster
        var model = FlatMapping(cells: Array(repeating: nil, count: size), blocksPerCluster: bpc)
        var nextCluster: UInt64 = 1000
        for step in 0..<1500 {
            let grows = (step / 600) % 2 == 0
            let choice = random.next(below: 100)
            let cpos = UInt32(random.next(below: UInt64(size)))
            if choice < (grows ? 75 : 15) {
                let longest = root.joins ? 1 + random.next(below: 4) : 1
                var count: UInt32 = 0
                while count < longest, Int(cpos + count) < size, model.cells[Int(cpos + count)] == nil { count += 1 }
                guard count > 0 else { continue }
                // Often right behind the clusters of the neighbour, so that they join.
                if let left = cpos > 0 ? model.cells[Int(cpos) - 1] : nil, random.next(below: 2) == 0 {
                    nextCluster = left.block / bpc + 1
                } else {
                    nextCluster += 1 + random.next(below: 2)
                }
                let record = ExtentRecord(
                    cpos: cpos, clusters: count, block: nextCluster * bpc,
                    flags: root.joins && random.next(below: 3) == 0 ? .unwritten : [])
                nextCluster += UInt64(count)
                try await editor.insert(record)
                model.set(record)
            } else if let range = mappedRun(editor, tree, cpos, random) {
                if choice % 2 == 0 {
                    var record = range
                    record.flags = root.joins && random.next(below: 2) == 0 ? .unwritten : []
                    try await editor.replace(record)
                    model.set(record)
                } else {
                    try await editor.remove(range.cpos, range.clusters)
                    model.clear(range.cpos, range.clusters)
                }
            }
            let checker = TreeChecker(tree, editor.root)
            let outside = tree.changedOutsideOfTransaction()
            guard checker.faults.isEmpty, outside.isEmpty else {
                Issue.record("step \(step): \(checker.faults.prefix(5)), outside of the transaction: \(outside)")
                return
            }
            if step % 8 == 0, FlatMapping.of(checker.records, count: size, bpc).cells != model.cells {
                Issue.record("step \(step): the mapping differs")
                return
            }
        }
    }

    /// A random part of the record that covers `cpos`.
    private func mappedRun(
        _ editor: ExtentTreeEditor<TreeInMemory>, _ tree: TreeInMemory, _ cpos: UInt32, _ random: SeededRandom
    ) -> ExtentRecord? {
        guard var record = TreeChecker(tree, editor.root).records.first(where: { $0.contains(cpos) }) else {
            return nil
        }
        if random.next(below: 2) == 0 {
            let skipped = UInt32(random.next(below: UInt64(record.clusters)))
            record.cpos += skipped
            record.block += UInt64(skipped) * editor.blocksPerCluster
            record.clusters -= skipped
            record.clusters = 1 + UInt32(random.next(below: UInt64(record.clusters)))
        }
        return record
    }

    @Test("700 separate extents in ascending order make the tree of the chapter")
    func ascending() async throws {
        let (tree, editor) = try RootUnderTest.all[0].make()
        for index in 0..<700 {
            try await editor.insert(
                ExtentRecord(cpos: UInt32(2 * index), clusters: 1, block: UInt64(8000 + 16 * index)))
        }
        #expect(TreeChecker(tree, editor.root).faults == [])
        #expect(editor.rootList.depth == 2)
        #expect(editor.rootList.count == 1)
        #expect(tree.blocks.count == 26)
        // Spec: ocfs2-disk 6.3 T10: truncated to 37 extents it keeps its depth, to none it has depth 0.
        for index in (37..<700).reversed() { try await editor.remove(UInt32(2 * index), 1) }
        #expect(TreeChecker(tree, editor.root).faults == [])
        #expect(editor.rootList.depth == 2)
        #expect(tree.blocks.count == 3)
        for index in (0..<37).reversed() { try await editor.remove(UInt32(2 * index), 1) }
        #expect(TreeChecker(tree, editor.root).faults == [])
        #expect(editor.rootList.depth == 0)
        #expect(tree.blocks.isEmpty)
    }

    @Test("Descending order and filling every hole keep the invariants")
    func descending() async throws {
        let (tree, editor) = try RootUnderTest.all[0].make()
        for index in (0..<400).reversed() {
            try await editor.insert(
                ExtentRecord(cpos: UInt32(2 * index), clusters: 1, block: UInt64(8000 + 16 * index)))
        }
        #expect(TreeChecker(tree, editor.root).faults == [])
        for index in 0..<400 {
            try await editor.insert(
                ExtentRecord(cpos: UInt32(2 * index + 1), clusters: 1, block: UInt64(80000 + 16 * index)))
        }
        #expect(TreeChecker(tree, editor.root).faults == [])
        #expect(TreeChecker(tree, editor.root).records.count == 800)
    }

    @Test("A run that is written one cluster at a time stays one record, and an unwritten one is turned in place")
    func contiguous() async throws {
        let (tree, editor) = try RootUnderTest.all[0].make()
        for index in 0..<200 {
            try await editor.insert(
                ExtentRecord(cpos: UInt32(index), clusters: 1, block: UInt64(8000 + 8 * index), flags: .unwritten))
        }
        #expect(TreeChecker(tree, editor.root).records.count == 1)
        for index in 0..<200 {
            try await editor.replace(ExtentRecord(cpos: UInt32(index), clusters: 1, block: UInt64(8000 + 8 * index)))
            #expect(TreeChecker(tree, editor.root).records.count == (index == 199 ? 1 : 2))
        }
        #expect(tree.blocks.isEmpty)
    }

    @Test("A record does not grow beyond 65535 clusters")
    func longest() async throws {
        let (tree, editor) = try RootUnderTest.all[0].make()
        try await editor.insert(ExtentRecord(cpos: 0, clusters: 65535, block: 8000))
        try await editor.insert(ExtentRecord(cpos: 65535, clusters: 1, block: 8000 + 65535 * 8))
        #expect(TreeChecker(tree, editor.root).records.count == 2)
    }

    @Test("An interior record that leads nowhere or to a wrong depth is corruption, not a trap")
    func hostile() async throws {
        let (tree, editor) = try RootUnderTest.all[0].make()
        for index in 0..<60 {
            try await editor.insert(
                ExtentRecord(cpos: UInt32(2 * index), clusters: 1, block: UInt64(8000 + 16 * index)))
        }
        let good = editor.rootList[1]
        for bad in [0, 1, 2, 99, UInt64.max] {
            editor.rootList[1] = ExtentRecord(cpos: good.cpos, clusters: good.clusters, block: bad)
            await #expect(throws: FileSystemError.self) { _ = try await editor.path(to: good.cpos) }
        }
        editor.rootList[1] = good
        ExtentBlock.list(tree.blocks[good.block]!.bytes).depth = 1
        await #expect(throws: FileSystemError.self) { _ = try await editor.path(to: good.cpos) }
    }
}
