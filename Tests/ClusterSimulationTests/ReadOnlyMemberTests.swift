import ClusterSimulation
import EngineKit
import EngineSimulation
import FileSystem
import FileSystemSimulation
import LockSimulation
import O2Layout
import Testing

@Suite("a member that mounts read-only", .enabled(if: ExternalTool.hasVolumeTools, "mkfs.ocfs2 is not installed"))
struct ReadOnlyMemberTests {
    private static let newDirectory = NewNode(mode: 0o755, caller: .system)

    @Test("sees what the others do, recovers one that dies, and leaves the volume sound")
    func recovers() throws {
        let cluster = SimulatedCluster(seed: 1, nodeCount: 2)
        var recipe = SimulatedVolume.Recipe()
        recipe.slotsOfCluster = 4
        recipe.mebibytes = 64
        let disk = try SimulatedVolume.make(recipe, environment: cluster.environment)
        try cluster.environment.wait { [cluster] () async throws in
            let writer = try await MountedHost(0, in: cluster, disk)
            var options = MountOptions()
            options.isReadOnly = true
            let reader = try await MountedHost(1, in: cluster, disk, options)
            try await Self.make("before", on: writer.volume)
            #expect(try await Self.has("before", on: reader.volume))
            await #expect(throws: FileSystemError.readOnly) { try await Self.make("refused", on: reader.volume) }
            // In the writer's journal only.
            try await Self.make("synced", on: writer.volume)
            try await writer.volume.commit()
            writer.die(in: cluster)
            #expect(try await Self.has("synced", on: reader.volume))
            await reader.leave()
        }
        #expect(SimulatedVolume.faults(on: disk) == [])
    }

    private static func make(_ name: String, on volume: MountedVolume) async throws {
        let root = try await volume.rootDirectory()
        defer { root.release() }
        try await volume.makeDirectory(FileName(name.utf8), in: root, newDirectory).release()
    }

    private static func has(_ name: String, on volume: MountedVolume) async throws -> Bool {
        let root = try await volume.rootDirectory()
        defer { root.release() }
        do {
            try await volume.lookup(FileName(name.utf8), in: root).release()
            return true
        } catch FileSystemError.notFound {
            return false
        }
    }
}
