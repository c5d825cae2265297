import EngineKit
import EngineSimulation
import Journal
import LayoutKit
import OCFS2Layout
import Testing

@testable import FileSystem

/// Two hosts, one of which knows a block by what it was before the other one made it the root of a refcount tree.
@Suite(.enabled(if: Tool.hasVolumeTools, "ocfs2-tools are not installed"), .serialized)
struct SharedVolumeRefcountTests {
    private static let size = 200_000

    private func file(_ volume: MountedVolume, _ name: String) async throws -> FileUnderTest {
        let root = try await volume.rootDirectory()
        defer { root.release() }
        let file = FileUnderTest(volume, try await volume.createFile(.of(name), in: root, newFile))
        try await file.write([UInt8](repeating: UInt8(name.utf8.first!), count: Self.size), at: 0)
        return file
    }

    /// A file and a copy that shares its clusters; returns them, flushed, and the block of their tree.
    private func sharedPair(
        _ volume: MountedVolume, _ name: String, _ copyName: String
    ) async throws -> (FileUnderTest, FileUnderTest, tree: UInt64) {
        let root = try await volume.rootDirectory()
        defer { root.release() }
        let original = try await file(volume, name)
        try await volume.syncFile(original.inode, dataOnly: false)
        let copy = FileUnderTest(volume, try await volume.createFile(.of(copyName), in: root, newFile))
        // Of the first slot, whichever host asks.
        try await volume.share(original.inode, with: [copy.inode], slot: 0)
        copy.model = original.model
        return (original, copy, original.inode.block.bytes[Dinode.Field.refcountRoot])
    }

    private func open(_ volume: MountedVolume, _ name: String, _ model: [UInt8]) async throws -> FileUnderTest {
        let root = try await volume.rootDirectory()
        defer { root.release() }
        let file = FileUnderTest(volume, try await volume.lookup(.of(name), in: root))
        file.model = model
        return file
    }

    /// Unlinks on one host what the other one knows too, which lets go of it.
    private func remove(_ names: [String], on volume: MountedVolume, knownTo other: MountedVolume) async throws {
        let root = try await volume.rootDirectory()
        defer { root.release() }
        for name in names { try await volume.unlink(.of(name), in: root) }
        await volume.tasks.wait()
        await other.tasks.wait()
        await volume.recoverOrphans(slot: volume.slot)
        await volume.tasks.wait()
    }

    /// Both hosts write to one file of the pair each, and read what they did.
    private func changePair(
        _ first: MountedVolume, _ second: MountedVolume, _ model: [UInt8], _ copyName: String, _ name: String
    ) async throws {
        let copy = try await open(second, copyName, model)
        try await copy.write([UInt8](repeating: 2, count: 9000), at: 10_000)
        try await second.syncFile(copy.inode, dataOnly: false)
        let original = try await open(first, name, model)
        try await original.write([UInt8](repeating: 1, count: 9000), at: 12_000)
        try await first.syncFile(original.inode, dataOnly: false)
        try await copy.write([UInt8](repeating: 3, count: 9000), at: 100_000)
        try await second.syncFile(copy.inode, dataOnly: false)
        #expect(try await original.firstDifference() == nil)
        #expect(try await copy.firstDifference() == nil)
        original.inode.release()
        copy.inode.release()
    }

    private func onTwoHosts(
        _ body: @escaping (SharedLocks, MountedVolume, MountedVolume) async throws -> Void
    ) throws {
        let image = try VolumeImage.make(.init(isLocal: false))
        let locks = SharedLocks()
        var volumes: [MountedVolume] = []
        for node in 0..<2 {
            volumes.append(
                try image.environment.wait { () async throws(MountError) in
                    try await MountedVolume.mount(
                        device: image.device, environment: image.environment, locks: locks.host(),
                        options: MountOptions(), nodeNumber: UInt32(node))
                })
        }
        #expect(volumes.map(\.slot) == [0, 1])
        let (first, second) = (volumes[0], volumes[1])
        try image.environment.wait { () async throws in try await body(locks, first, second) }
        for volume in volumes {
            #expect(volume.stopReason == nil && !volume.isReadOnly)
            image.unmount(volume)
        }
        #expect(image.environment.records.filter { $0.level >= .error }.map(\.text) == [])
        #expect(image.faults(allowing: ["INODE_SPARSE_SIZE"]) == [])
    }

    @Test("a new tree in the block of one that another host has freed is locked by its own name")
    func newTree() throws {
        try onTwoHosts { locks, first, second in
            let (a, b, tree) = try await sharedPair(first, "a", "b")
            try await a.write([UInt8](repeating: 9, count: 5000), at: 0)
            try await first.syncFile(a.inode, dataOnly: false)
            a.inode.release()
            b.inode.release()
            try await remove(["a", "b"], on: second, knownTo: first)
            let (c, d, newTree) = try await sharedPair(second, "c", "d")
            try #require(newTree == tree, "the block is not used again")
            let model = c.model
            c.inode.release()
            d.inode.release()
            try await changePair(first, second, model, "d", "c")
            let generations = locks.names.filter { $0.kind == .refcountTree && $0.block == tree }.map(\.generation)
            #expect(generations.count == 1, "the two hosts lock the tree by different names: \(generations)")
        }
    }

    @Test("the root of a tree is not taken for what its block was before")
    func formerExtentBlock() throws {
        try onTwoHosts { _, first, second in
            let x = try await file(first, "x")
            for index in 0..<200 { try await x.write([1, 2, 3], at: 300_000 + index * 16384) }
            try await first.syncFile(x.inode, dataOnly: false)
            let list = x.inode.dinode.extentList
            try #require(list.depth > 0)
            let block = list[0].block
            x.inode.release()
            try await remove(["x"], on: second, knownTo: first)
            let (c, d, tree) = try await sharedPair(second, "c", "d")
            try #require(tree == block, "the block is not used again")
            let model = c.model
            c.inode.release()
            d.inode.release()
            try await changePair(first, second, model, "d", "c")
        }
    }
}
