import EngineKit
import EngineSimulation
import Journal
import LayoutKit
import OCFS2Layout
import Testing

@testable import FileSystem

@Suite(.enabled(if: Tool.hasVolumeTools, "ocfs2-tools are not installed"))
struct SuballocatorTests {
    @Test(
        "blocks of old and new groups are taken and freed",
        arguments: [
            VolumeImage.Recipe(blockSize: 512), .init(blockSize: 4096, features: ["metaecc"]),
            .init(blockSize: 1024, features: ["nodiscontig-bg"]),
            .init(blockSize: 512, clusterSize: 1 << 20, journalMebibytes: 16),
        ])
    func groups(recipe: VolumeImage.Recipe) throws {
        let fixture = try SpaceFixture(recipe)
        let allocator = try fixture.run { () async throws(FileSystemError) in
            try await fixture.space.suballocator(.extentAlloc, slot: 0)
        }
        let count = allocator.free + 2500
        let blocks = try fixture.takeBlocks(count)
        #expect(Set(blocks.map(\.number)).count == count)
        for block in blocks {
            #expect(block.place.slot == 0 && block.place.group == 0)
            #expect(block.place.descriptorBlock(of: block.number) != block.number)
        }
        try fixture.free(blocks)
        fixture.image.unmount(fixture.volume)
        #expect(fixture.image.faults() == [])
    }

    @Test("what is promised to one reservation is not given to another")
    func promised() throws {
        let fixture = try SpaceFixture()
        let volume = fixture.volume
        try fixture.run { () async throws(FileSystemError) in
            let allocator = try await fixture.space.suballocator(.extentAlloc, slot: 0)
            let free = allocator.free
            let first = try await volume.reserve(SpaceNeeds(metadataBlocks: free))
            #expect(allocator.available == 0)
            let second = try await volume.reserve(SpaceNeeds(metadataBlocks: 1))
            #expect(allocator.free > free, "a group was added")
            first.release()
            second.release()
            #expect(allocator.promised == 0)
        }
        fixture.image.unmount(volume)
        #expect(fixture.image.faults() == [])
    }

    @Test("a group is made of the window's clusters when the bitmap has no others", arguments: [false, true])
    func windowClusters(isWindowInUse: Bool) throws {
        let fixture = try SpaceFixture()
        let volume = fixture.volume, space = fixture.space
        var taken = try fixture.takeClusters(1)
        taken += try fixture.run { () async throws(FileSystemError) -> [ClusterRun] in
            var runs: [ClusterRun] = []
            while let reserved = try await volume.globalRun(wanted: 4000, minimum: 1, nil) {
                runs.append(reserved.run)
                try await volume.transaction(credits: Credits.clusterAllocation) { handle throws(FileSystemError) in
                    try await volume.commitRun(reserved, count: Int(reserved.run.count), handle)
                }
            }
            return runs
        }
        #expect(space.bitmap.free == 0 && space.window.free > 0)
        try fixture.run { () async throws(FileSystemError) in
            let held = isWindowInUse ? try await volume.reserveRun(atMost: 1, near: nil) : nil
            let allocator = try await space.suballocator(.extentAlloc, slot: 0)
            let reservation = try await volume.reserve(SpaceNeeds(metadataBlocks: allocator.free + 1))
            reservation.release()
            if let held { volume.cancelRun(held) }
        }
        #expect((space.window.clusters != nil) == isWindowInUse)
        #expect(space.reservedCount == 0 && space.promisedCount == 0)
        try fixture.free(taken)
        fixture.image.unmount(volume)
        #expect(fixture.image.faults() == [])
    }

    /// Leaves only runs of 6 free clusters, between runs of 2.
    private func fragment(_ fixture: SpaceFixture) throws -> [ClusterRun] {
        let all = try fixture.takeClusters(fixture.space.available, atMost: 4000)
        var kept: [ClusterRun] = []
        var freed: [ClusterRun] = []
        for run in all {
            for start in stride(from: run.cluster, to: UInt32(run.end), by: 8) {
                let length = UInt32(run.end) - start
                freed.append(ClusterRun(cluster: start, count: min(6, length)))
                if length > 6 { kept.append(ClusterRun(cluster: start + 6, count: min(2, length - 6))) }
            }
        }
        try fixture.free(freed)
        try fixture.run { () async throws(FileSystemError) in
            while fixture.space.truncateLog.count > 0 { try await fixture.space.truncateLog.flush() }
        }
        return kept
    }

    @Test("without a long run a group is made of several; its blocks carry the group")
    func discontiguous() throws {
        // Groups of 1 MiB: 16 clusters of 64 KiB.
        let fixture = try SpaceFixture(.init(blockSize: 512, clusterSize: 65536))
        let kept = try fragment(fixture)
        let allocator = try fixture.run { () async throws(FileSystemError) in
            try await fixture.space.suballocator(.extentAlloc, slot: 0)
        }
        let count = allocator.free + 3000
        let blocks = try fixture.takeBlocks(count)
        let apart = blocks.filter { $0.place.group != 0 }
        #expect(!apart.isEmpty)
        #expect(Set(blocks.map(\.number)).count == count)
        try fixture.run { () async throws(FileSystemError) in
            let group = try await fixture.volume.block(apart[0].place.group, .groupDescriptor, for: allocator.inode)
            let list = GroupDescriptor.list(group.bytes)
            #expect(list.count > 1)
            // A run that is free in a group of clusters is no descriptor of ours: every block lies in a run.
            for block in apart where block.place.group == group.number {
                let bit = GroupDescriptor.bit(ofBlock: block.number, group.rawBytes, fixture.volume.parameters)
                #expect(bit == Int(block.place.bit))
            }
        }
        try fixture.free(blocks)
        try fixture.free(kept)
        fixture.image.unmount(fixture.volume)
        #expect(fixture.image.faults() == [])
    }

    @Test("when nothing is left blocks come from another slot")
    func stealing() throws {
        let image = try VolumeImage.make(.init(isLocal: false))
        var elsewhere = MountOptions()
        elsewhere.preferredSlot = 1
        let before = SpaceFixture(image: image, volume: try image.mount(elsewhere, nodeNumber: 9))
        try before.free(try before.takeBlocks(1))
        image.unmount(before.volume)
        let fixture = SpaceFixture(image: image, volume: try image.mount())
        let first = try fixture.takeBlocks(1)
        let clusters = try fixture.takeClusters(fixture.space.available, atMost: 4000)
        let own = try fixture.run { () async throws(FileSystemError) in
            try await fixture.space.suballocator(.extentAlloc, slot: 0)
        }
        let other = try fixture.run { () async throws(FileSystemError) in
            try await fixture.space.suballocator(.extentAlloc, slot: 1)
        }
        let count = own.free / 20 * 20 + 20
        try #require(other.free >= 20)
        let blocks = try fixture.takeBlocks(count)
        #expect(blocks.suffix(20).allSatisfy { $0.place.slot == 1 })
        #expect(blocks.first?.place.slot == 0)
        try fixture.free(first + blocks)
        try fixture.free(clusters)
        fixture.image.unmount(fixture.volume)
        #expect(fixture.image.faults() == [])
    }

    @Test("a full volume says so, and is as before after all is given back")
    func full() throws {
        let fixture = try SpaceFixture()
        let clusters = try fixture.takeClusters(fixture.space.available, atMost: 4000)
        let free = try fixture.run { () async throws(FileSystemError) in
            let first = try await fixture.space.suballocator(.extentAlloc, slot: 0)
            let second = try await fixture.space.suballocator(.extentAlloc, slot: 1)
            return first.free + second.free
        }
        #expect(throws: FileSystemError.noSpace) { _ = try fixture.takeBlocks(free + 40) }
        try fixture.run { () async throws(FileSystemError) in
            do throws(FileSystemError) {
                _ = try await fixture.volume.reserve(SpaceNeeds(inodes: 1, metadataBlocks: 1, clusters: 1))
                Issue.record("a cluster was reserved on a full volume")
            } catch {
                #expect(error == .noSpace)
            }
            let inodes = try await fixture.space.suballocator(.inodeAlloc, slot: 0)
            #expect(inodes.promised == 0)
        }
        #expect(fixture.volume.stopReason == nil)
        try fixture.free(clusters)
    }
}
