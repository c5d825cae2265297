import EngineKit
package import EngineSimulation
import FileSystem

/// Mounts a disk as it was left by a crash, and compares what is there with what may be there.
package enum CrashCheck {
    package enum Fsck: Sendable {
        case no, afterUnmount
    }

    /// Throws what is wrong. The disk is clean afterwards.
    package static func run(
        _ device: MemoryDevice, environment: VirtualEnvironment, workloads: [Workload], fsck: Fsck
    ) throws(SimulationFailure) {
        let volume: MountedVolume
        do {
            volume = try environment.wait { () async throws(MountError) -> MountedVolume in
                try await MountedVolume.mount(
                    device: device, environment: environment, locks: LocalLocks(), options: MountOptions(),
                    nodeNumber: 0)
            }
        } catch {
            throw SimulationFailure("the volume cannot be mounted: \(error)")
        }
        for workload in workloads {
            let top = workload.top
            let tree: TreeModel
            do {
                tree = try environment.wait { () async throws(FileSystemError) -> TreeModel in
                    try await TreeModel(reading: volume, below: top)
                }
            } catch {
                throw SimulationFailure("the volume cannot be read: \(error); \(complaints(environment))")
            }
            try compare(tree, workload)
        }
        environment.wait { await volume.unmount() }
        let complaints = complaints(environment)
        guard complaints.isEmpty else { throw SimulationFailure("the log says: \(complaints)") }
        guard fsck == .afterUnmount else { return }
        let faults = SimulatedVolume.faults(on: device)
        guard faults.isEmpty else { throw SimulationFailure("fsck.ocfs2: \(faults.prefix(5))") }
    }

    private static func complaints(_ environment: VirtualEnvironment) -> String {
        environment.records.filter { $0.level >= .warning }.prefix(5).map(\.text).joined(separator: "; ")
    }

    /// Throws unless `found` is what may be left of the workload by a crash.
    package static func compare(_ found: TreeModel, _ workload: Workload) throws(SimulationFailure) {
        let history = workload.history
        guard history.contains(found.digest) else {
            throw SimulationFailure(
                "a tree that never was (\(history.count) may be there); "
                    + difference(found.listing, workload.model.listing))
        }
        let contents = history.contents(with: workload.model)
        for number in found.regularFiles {
            let node = found.nodes[number]!
            guard let expected = contents[node.identity] else {
                throw SimulationFailure("inode \(node.identity.number) is there, which nobody made")
            }
            if let fault = expected.fault(inRecovered: node.content.bytes) {
                let name = String(decoding: node.places[0].name, as: UTF8.self)
                throw SimulationFailure("file \(name), inode \(node.identity.number): \(fault)")
            }
        }
    }

    private static func difference(_ found: [String], _ expected: [String]) -> String {
        let extra = Set(found).subtracting(expected).sorted(), missing = Set(expected).subtracting(found).sorted()
        return "found, but not in the last state: \(extra.prefix(4)); in the last state, but not found: "
            + "\(missing.prefix(4))"
    }
}
