import EngineKit
import EngineSimulation
import Journal
import OCFS2Layout
import Testing

@testable import FileSystem

@Suite(.enabled(if: Tool.hasVolumeTools, "ocfs2-tools are not installed"))
struct ClusterTests {
    static let recipes: [VolumeImage.Recipe] = [
        .init(blockSize: 512), .init(blockSize: 1024, clusterSize: 8192), .init(blockSize: 4096),
        .init(blockSize: 1024, features: ["metaecc"]),
    ]

    @Test("what is taken and freed leaves the volume as it was", arguments: recipes)
    func takeAndFree(recipe: VolumeImage.Recipe) throws {
        let fixture = try SpaceFixture(recipe)
        let before = fixture.space.available
        let runs = try fixture.takeClusters(3000)
        let all = runs.flatMap { Array($0.range) }
        #expect(Set(all).count == 3000, "a cluster was handed out twice")
        #expect(fixture.space.available == before - 3000)
        #expect(fixture.space.window.clusters != nil)
        try fixture.free(runs)
        fixture.image.unmount(fixture.volume)
        #expect(fixture.image.faults() == [])
        let again = try fixture.image.mount()
        #expect(again.space?.available == before)
        fixture.image.unmount(again)
    }

    @Test("a run goes on where the last one ended")
    func near() throws {
        let fixture = try SpaceFixture()
        let first = try fixture.takeClusters(10, atMost: 10)[0]
        let far = try fixture.takeClusters(5, atMost: 5)[0]
        let next = try fixture.run { () async throws(FileSystemError) in
            try await fixture.volume.reserveRun(atMost: 4, near: UInt32(far.end))
        }
        #expect(next.run == ClusterRun(cluster: UInt32(far.end), count: 4))
        fixture.volume.cancelRun(next)
        try fixture.free([first, far])
        fixture.image.unmount(fixture.volume)
        #expect(fixture.image.faults() == [])
    }

    @Test("reserved clusters belong to nobody else, and come back when they are not used")
    func reserved() throws {
        let fixture = try SpaceFixture()
        let before = fixture.space.available
        let runs = try fixture.run { () async throws(FileSystemError) in
            var runs: [ReservedRun] = []
            for _ in 0..<50 { runs.append(try await fixture.volume.reserveRun(atMost: 100, near: nil)) }
            return runs
        }
        let count = runs.reduce(0) { $0 + Int($1.run.count) }
        #expect(count > 4000)
        #expect(Set(runs.flatMap { Array($0.run.range) }).count == count)
        #expect(fixture.space.available == before - count)
        #expect(runs.contains { !$0.isInWindow }, "the window of 2048 clusters cannot hold all")
        for run in runs { fixture.volume.cancelRun(run) }
        #expect(fixture.space.available == before)
        fixture.image.unmount(fixture.volume)
        #expect(fixture.image.faults() == [])
    }

    @Test("a part of a run can be used; the rest comes back")
    func partly() throws {
        let fixture = try SpaceFixture()
        let before = fixture.space.available
        let run = try fixture.run { () async throws(FileSystemError) in
            let reserved = try await fixture.volume.reserveRun(atMost: 10, near: nil)
            let run = reserved.run
            try await fixture.volume.transaction(credits: 2) { handle async throws(FileSystemError) in
                try await fixture.volume.commitRun(reserved, count: 3, handle)
            }
            return run
        }
        #expect(fixture.space.available == before - 3)
        try fixture.free([ClusterRun(cluster: run.cluster, count: 3)])
        fixture.image.unmount(fixture.volume)
        #expect(fixture.image.faults() == [])
    }

    @Test("a promise is kept to the last cluster, and nothing is promised twice")
    func promises() throws {
        let fixture = try SpaceFixture()
        let volume = fixture.volume
        let all = fixture.space.available
        let runs = try fixture.run { () async throws(FileSystemError) in
            let promise = try await volume.promise(clusters: all)
            do throws(FileSystemError) {
                _ = try await volume.promise(clusters: 1)
                Issue.record("more was promised than there is")
            } catch {
                #expect(error == .noSpace)
            }
            do throws(FileSystemError) {
                _ = try await volume.reserve(SpaceNeeds(clusters: 1))
                Issue.record("what was promised was given away")
            } catch {
                #expect(error == .noSpace)
            }
            var runs: [ReservedRun] = []
            while promise.clusters > 0 {
                runs.append(try await volume.reserveRun(atMost: 1000, near: nil, promise: promise))
            }
            return runs
        }
        #expect(runs.reduce(0) { $0 + Int($1.run.count) } == all)
        for run in runs { volume.cancelRun(run) }
        #expect(fixture.space.available == all)
        fixture.image.unmount(volume)
        #expect(fixture.image.faults() == [])
    }

    @Test("what was freed can be used again at once when space is short")
    func reuse() throws {
        let fixture = try SpaceFixture()
        let all = fixture.space.available
        let runs = try fixture.takeClusters(all, atMost: 2000)
        #expect(fixture.space.available == 0)
        #expect(throws: FileSystemError.noSpace) { _ = try fixture.takeClusters(1) }
        try fixture.free(Array(runs.suffix(2)))
        let again = try fixture.takeClusters(1)
        try fixture.free(runs.dropLast(2) + again)
        fixture.image.unmount(fixture.volume)
        #expect(fixture.image.faults() == [])
    }

    @Test("more runs are freed than the truncate log holds")
    func truncateLog() throws {
        let fixture = try SpaceFixture(.init(blockSize: 512))
        let runs = try fixture.takeClusters(200, atMost: 1)
        // Every second one: records that cannot be joined. The log holds 39.
        let apart = stride(from: 0, to: 200, by: 2).map { runs[$0] }
        try fixture.free(apart)
        #expect(fixture.space.truncateLog.count < 39)
        try fixture.free(stride(from: 1, to: 200, by: 2).map { runs[$0] })
        // The rest goes back by itself, two seconds later.
        fixture.image.environment.run(limit: .seconds(10))
        #expect(fixture.space.truncateLog.count == 0)
        fixture.image.unmount(fixture.volume)
        #expect(fixture.image.faults() == [])
    }

    @Test("an open window and a filled truncate log are no fault of the disk")
    func openOnDisk() throws {
        let fixture = try SpaceFixture()
        let runs = try fixture.takeClusters(300)
        try fixture.free(runs)
        try fixture.run { () async throws(FileSystemError) in try await fixture.volume.checkpoint() }
        #expect(fixture.space.window.clusters != nil)
        #expect(fixture.space.truncateLog.count > 0)
        #expect(fixture.image.faults() == [])
        fixture.image.unmount(fixture.volume)
    }

    @Test("tasks that reserve at the same time get different clusters")
    func together() throws {
        let fixture = try SpaceFixture(.init(blockSize: 512))
        fixture.image.device.latency = .microseconds(100)
        var taken: [ClusterRun] = []
        var running = 20
        for _ in 0..<20 {
            fixture.image.environment.spawn {
                defer { running -= 1 }
                for step in 1...20 {
                    do throws(FileSystemError) {
                        let reserved = try await fixture.volume.reserveRun(atMost: step * 3, near: nil)
                        let run = reserved.run
                        await fixture.image.environment.yield()
                        try await fixture.volume.transaction(credits: 2) { handle async throws(FileSystemError) in
                            try await fixture.volume.commitRun(reserved, count: Int(run.count), handle)
                        }
                        taken.append(run)
                    } catch {
                        Issue.record("\(error)")
                    }
                }
            }
        }
        #expect(fixture.image.environment.run { running == 0 })
        let clusters = taken.flatMap { Array($0.range) }
        #expect(Set(clusters).count == clusters.count)
        try fixture.free(taken)
        fixture.image.unmount(fixture.volume)
        #expect(fixture.image.faults() == [])
    }
}
