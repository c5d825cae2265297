import EngineKit
import EngineSimulation
import FileSystem
import LayoutKit
import OCFS2Layout
import VolumeTools

/// A small sound volume with something of everything, and where its metadata lie.
final class BaseImage: @unchecked Sendable {
    let device: MemoryDevice
    let parameters: VolumeParameters
    /// Blocks that Damage may hit.
    private(set) var metadata: [UInt64] = []
    // The device belongs to it.
    private let environment: VirtualEnvironment

    /// Made once; the fuzzer has one thread.
    static func all() -> [BaseImage] {
        [
            BaseImage(blockSize: 512, clusterSize: 4096, features: ["noinline-data"]),
            BaseImage(blockSize: 1024, clusterSize: 4096, features: ["metaecc"]),
            BaseImage(blockSize: 4096, clusterSize: 4096, features: []),
            // With a log to replay and files without names, as a cut of power leaves them.
            BaseImage(blockSize: 1024, clusterSize: 8192, features: [], isCut: true),
            BaseImage(blockSize: 1024, clusterSize: 4096, features: ["noindexed-dirs", "metaecc"], isCut: true),
        ]
    }

    private init(blockSize: Int, clusterSize: Int, features: [String], isCut: Bool = false) {
        let environment = VirtualEnvironment(seed: 7)
        self.environment = environment
        var options = FormatOptions()
        options.blockSize = blockSize
        options.clusterSize = clusterSize
        options.slots = 2
        options.journalByteCount = 4 << 20
        options.features = features
        options.isLocal = true
        let byteCount: UInt64 = 24 << 20
        let made = MemoryDevice(byteCount: byteCount, environment: environment)
        do {
            let plan = try VolumePlan(
                VolumeFormat(options, deviceByteCount: byteCount),
                FormatIdentity(
                    uuid: FixedBytes16 { _ in 0x5a }, generation: 0x5eed_0001, indexSeed: IndexSeed(1, 2, 3),
                    time: 1_700_000_000))
            parameters = plan.parameters
            plan.forEachImage { offset, bytes in bytes.withUnsafeBytes { made.write(at: offset, $0) } }
            plan.forEachSuperblock { offset, bytes in bytes.withUnsafeBytes { made.write(at: offset, $0) } }
            device = try environment.wait { () async throws -> MemoryDevice in
                let volume = try await MountedVolume.mount(
                    device: made, environment: environment, locks: LocalLocks(), options: MountOptions(), nodeNumber: 0)
                try await Self.fill(volume)
                if isCut {
                    try await Self.leaveOrphans(volume)
                    return made.copy(environment: environment)
                }
                await volume.unmount()
                return made
            }
        } catch {
            fatalError("the sound volume cannot be made: \(error)")
        }
        precondition(isCut || !environment.records.contains { $0.level >= .warning }, "\(environment.records)")
        metadata = findMetadata()
    }

    /// Blocks with a signature, directory blocks, and the first ones of the journal, which lie in plain clusters.
    private func findMetadata() -> [UInt64] {
        let size = parameters.blockSize
        return (0..<parameters.blockCount).filter { number in
            let bytes = device.bytes(at: number * UInt64(size), count: size)
            return bytes.withUnsafeBytes { Self.isMetadata($0, blockSize: size) }
        }
    }

    private static func isMetadata(_ bytes: UnsafeRawBufferPointer, blockSize: Int) -> Bool {
        let known: [FixedSignature] = [
            .superblock, .dinode, .extentBlock, .groupDescriptor, .xattrBlock, .indexRoot, .indexLeaf, .refcountBlock,
        ]
        if known.contains(FixedSignature(rawValue: bytes[LE64(offset: 0)])) { return true }
        if bytes[LE32(offset: 0)] == 0x9839_3bc0 { return true }
        return bytes[LE64(offset: blockSize - 64)] == FixedSignature.directoryTrailer.rawValue
            || (bytes[LE16(offset: 8)] == 12 && bytes[U8(offset: 10)] == 1 && bytes[U8(offset: 12)] == 0x2e)
    }

    // MARK: Content

    private static func fill(_ volume: MountedVolume) async throws {
        let new = NewNode(mode: 0o755, caller: .system)
        let root = try await volume.rootDirectory()
        defer { root.release() }
        let large = try await volume.makeDirectory(FileName("large".utf8), in: root, new)
        for index in 0..<90 {
            try await volume.createFile(FileName("a rather long name \(index)".utf8), in: large, new).release()
        }
        var directory = large
        for level in 0..<4 {
            let next = try await volume.makeDirectory(FileName("d\(level)".utf8), in: directory, new)
            directory.release()
            directory = next
        }
        directory.release()
        try await file(volume, "small", in: root, [0..<100])
        try await file(volume, "plain", in: root, [0..<70_000])
        // More extents than a dinode holds.
        try await file(volume, "scattered", in: root, (0..<70).map { $0 * 16384..<$0 * 16384 + 2000 })
        let attributes = try await volume.createFile(FileName("attributes".utf8), in: root, new)
        for index in 0..<60 {
            let value = [UInt8](repeating: UInt8(index), count: index % 10 == 9 ? 3000 : 40)
            let name = Array("user.attribute \(index)".utf8)
            try await volume.setXattr(name, of: attributes, to: value, .create, caller: .system)
        }
        attributes.release()
        let links = try await volume.makeSymbolicLink(FileName("fast".utf8), in: root, target: Array("small".utf8), new)
        try await volume.link(links, to: FileName("hard".utf8), in: root)
        links.release()
        let long = [UInt8](repeating: 0x61, count: 3000)
        try await volume.makeSymbolicLink(FileName("slow".utf8), in: root, target: long, new).release()
        let reserved = try await volume.createFile(FileName("reserved".utf8), in: root, new)
        try await volume.openFile(reserved, OpenMode(writes: true), caller: .system)
        try await volume.allocate(reserved, 0..<200_000, .allocate(keepsSize: false))
        try await volume.allocate(reserved, 50_000..<90_000, .punchHole)
        await volume.closeFile(reserved, OpenMode(writes: true))
        reserved.release()
        // Something freed: truncate log, holes in the allocators.
        try await file(volume, "gone", in: root, [0..<300_000])
        try await volume.unlink(FileName("gone".utf8), in: root)
    }

    static func file(
        _ volume: MountedVolume, _ name: String, in directory: Inode, _ ranges: [Range<Int>]
    ) async throws {
        let file = try await volume.createFile(
            FileName(name.utf8), in: directory, NewNode(mode: 0o644, caller: .system))
        defer { file.release() }
        try await write(volume, file, ranges)
    }

    static func write(_ volume: MountedVolume, _ file: Inode, _ ranges: [Range<Int>]) async throws {
        let mode = OpenMode(writes: true)
        try await volume.openFile(file, mode, caller: .system)
        do {
            for range in ranges {
                let slice = IOSlice(buffer: IOBuffer(byteCount: range.count), offset: 0, count: range.count)
                slice.bytes.initializeMemory(as: UInt8.self, repeating: 0x77)
                _ = try await volume.write(file, at: UInt64(range.lowerBound), slice, WriteMode())
            }
            try await volume.syncFile(file, dataOnly: false)
        } catch {
            await volume.closeFile(file, mode)
            throw error
        }
        await volume.closeFile(file, mode)
    }

    /// Open files without names, and changes that are in the log only. The volume is left as it is.
    private static func leaveOrphans(_ volume: MountedVolume) async throws {
        let root = try await volume.rootDirectory()
        for index in 0..<3 {
            let name = "orphan\(index)"
            try await file(volume, name, in: root, [0..<20_000])
            _ = try await volume.lookup(FileName(name.utf8), in: root)
            try await volume.unlink(FileName(name.utf8), in: root)
        }
        try await volume.makeDirectory(FileName("late".utf8), in: root, NewNode(mode: 0o755, caller: .system)).release()
        try await volume.syncFile(root, dataOnly: false)
    }
}
