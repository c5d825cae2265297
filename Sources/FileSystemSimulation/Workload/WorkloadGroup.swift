package import EngineSimulation
package import FileSystem

/// Workloads that run at the same time on one volume: each in a directory of its own, or one in the root.
package struct WorkloadGroup {
    package let volume: MountedVolume
    package let workloads: [Workload]
    private let environment: VirtualEnvironment

    /// Mounts the volume and takes what is there into the models.
    package init(
        mounting device: MemoryDevice, environment: VirtualEnvironment, count: Int, seed: UInt64
    ) throws(SimulationFailure) {
        self.environment = environment
        do {
            let volume = try environment.wait { () async throws(MountError) -> MountedVolume in
                try await MountedVolume.mount(
                    device: device, environment: environment, locks: LocalLocks(), options: MountOptions(),
                    nodeNumber: 0)
            }
            var workloads: [Workload] = []
            for index in 0..<count {
                let top: [UInt8]? = count == 1 ? nil : Array("top\(index)".utf8)
                let model = try environment.wait { () async throws(FileSystemError) -> TreeModel in
                    if let top { try await Self.makeTop(top, volume) }
                    return try await TreeModel(reading: volume, below: top)
                }
                workloads.append(
                    Workload(
                        volume: volume, environment: environment, model: model, top: top,
                        seed: seed &+ UInt64(index) &* 31))
            }
            self.volume = volume
            self.workloads = workloads
        } catch {
            throw SimulationFailure("the volume cannot be used: \(error)")
        }
    }

    /// A directory that is there after every crash from now on.
    private static func makeTop(_ name: [UInt8], _ volume: MountedVolume) async throws(FileSystemError) {
        let root = try await volume.rootDirectory()
        defer { root.release() }
        do throws(FileSystemError) {
            try await volume.lookup(FileName(name), in: root).release()
        } catch .notFound {
            let new = NewNode(mode: 0o755, caller: .system)
            try await volume.makeDirectory(FileName(name), in: root, new).release()
            try await volume.commit()
        }
    }

    /// One step of each, at the same time.
    package func step() throws(SimulationFailure) {
        var left = workloads.count
        var failure: SimulationFailure?
        for workload in workloads {
            environment.spawn {
                do throws(SimulationFailure) {
                    try await workload.step()
                } catch {
                    failure = failure ?? error
                }
                left -= 1
            }
        }
        guard environment.run(until: { left == 0 }) else {
            throw SimulationFailure("step \(workloads[0].stepCount): \(left) operations never end")
        }
        if let failure { throw failure }
    }

    package func settle() {
        for workload in workloads { workload.settle() }
    }

    /// Closes everything and unmounts.
    package func finish() {
        let volume = volume, workloads = workloads
        environment.wait {
            for workload in workloads { await workload.finish() }
            await volume.unmount()
        }
    }

    package var isFinished: Bool { workloads.contains { $0.deviceError != nil } }
}
