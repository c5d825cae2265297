import EngineKit
import EngineSimulation
import FileSystem
import OCFS2Layout
import Synchronization

/// A volume made by the reference tools, on a disk in memory.
///
///     let image = try VolumeImage.make(.init(mebibytes: 64, blockSize: 512))
///     let volume = try image.mount()
///     image.environment.wait { ... }
///     image.unmount(volume)
///     #expect(image.faults() == [])
///
/// Tests that use it are `.enabled(if: Tool.hasVolumeTools)`.
final class VolumeImage {
    /// Options of mkfs.ocfs2.
    struct Recipe: Hashable, Sendable {
        var mebibytes = 64
        var blockSize = 1024
        var clusterSize = 4096
        var slots = 2
        var journalMebibytes = 4
        /// `-M local`; else a volume of the o2cb cluster "web".
        var isLocal = true
        /// As `--fs-features` takes them.
        var features: [String] = []
        /// As `--fs-feature-level` takes it.
        var featureLevel: String?
        /// Anything else.
        var more: [String] = []

        var arguments: [String] {
            var list = ["-q", "-x", "-F", "-b", "\(blockSize)", "-C", "\(clusterSize)", "-N", "\(slots)"]
            list += ["-J", "size=\(journalMebibytes)M"]
            list += isLocal ? ["-M", "local"] : ["--cluster-stack=o2cb", "--cluster-name=web"]
            if let featureLevel { list.append("--fs-feature-level=\(featureLevel)") }
            if !features.isEmpty { list.append("--fs-features=" + features.joined(separator: ",")) }
            return list + more
        }
    }

    struct Failure: Error {
        var text: String
    }

    private struct Chunk: Sendable {
        var offset: UInt64
        var bytes: [UInt8]
    }

    /// What mkfs.ocfs2 made, so that the same volume is made once.
    private static let made = Mutex<[Recipe: [Chunk]]>([:])

    let environment: VirtualEnvironment
    let device: MemoryDevice

    init(environment: VirtualEnvironment, device: MemoryDevice) {
        self.environment = environment
        self.device = device
    }

    static func make(_ recipe: Recipe = Recipe(), seed: UInt64 = 1) throws -> VolumeImage {
        let byteCount = UInt64(recipe.mebibytes) << 20
        let chunks = try made.withLock { made throws -> [Chunk] in
            if let known = made[recipe] { return known }
            let file = SparseFile(byteCount: byteCount)
            let outcome = Tool.run("mkfs.ocfs2", recipe.arguments + [file.path])
            guard outcome.status == 0 else { throw Failure(text: outcome.text) }
            let chunks = file.contents().map { Chunk(offset: $0.offset, bytes: $0.bytes) }
            made[recipe] = chunks
            return chunks
        }
        let environment = VirtualEnvironment(seed: seed)
        let device = MemoryDevice(byteCount: byteCount, environment: environment)
        for chunk in chunks {
            chunk.bytes.withUnsafeBytes { device.write(at: chunk.offset, $0) }
        }
        return VolumeImage(environment: environment, device: device)
    }

    /// The same disk in the hands of another host (or of the same one after a crash).
    func copy(seed: UInt64 = 2) -> VolumeImage {
        let environment = VirtualEnvironment(seed: seed)
        return VolumeImage(environment: environment, device: device.copy(environment: environment))
    }

    func mount(_ options: MountOptions = MountOptions(), nodeNumber: UInt32 = 0) throws(MountError) -> MountedVolume {
        let environment = environment, device = device
        return try environment.wait { () async throws(MountError) -> MountedVolume in
            try await MountedVolume.mount(
                device: device, environment: environment, locks: LocalLocks(), options: options, nodeNumber: nodeNumber)
        }
    }

    func unmount(_ volume: MountedVolume) {
        environment.wait { await volume.unmount() }
    }

    /// Writes the disk to a temporary file, for the tools.
    func written() -> SparseFile {
        let file = SparseFile(byteCount: device.byteCount)
        let step: UInt64 = 65536
        var offset: UInt64 = 0
        while offset < device.byteCount {
            file.write(device.bytes(at: offset, count: Int(min(step, device.byteCount - offset))), at: offset)
            offset += step
        }
        return file
    }

    /// The faults that `fsck.ocfs2 -fn` finds, one line each, without those that it also finds on volumes of the kernel
    /// alone. Spec: ocfs2-disk-2 23.
    func faults(allowing tolerated: [String] = []) -> [String] {
        let file = written()
        let outcome = Tool.run("fsck.ocfs2", ["-fn", file.path], seconds: 300)
        guard outcome.status == 0, outcome.text.contains("All passes succeeded") else {
            return ["fsck.ocfs2 ended with \(outcome.status): \(outcome.text)"]
        }
        // mkfs.ocfs2 leaves the system directory without an index.
        let known = systemDirectory.map { "[DX_TREE_MISSING] Directory \($0) " }
        return outcome.text.split(separator: "\n").map(String.init).filter { line in
            line.hasPrefix("[") && !tolerated.contains { line.contains($0) } && !(known.map(line.hasPrefix) ?? false)
        }
    }

    private var systemDirectory: UInt64? {
        device.bytes(at: 0, count: 12288).withUnsafeBytes { bytes in
            (try? Superblock.probe(bytes))?.parameters.systemDirectoryBlock
        }
    }

    /// What `debugfs.ocfs2 -R` prints.
    func debugfs(_ command: String) -> String {
        let file = written()
        return Tool.run("debugfs.ocfs2", ["-R", command, file.path]).text
    }
}
