import EngineKit
import EngineSimulation
import LayoutKit
import OCFS2Layout
import Testing

@testable import FileSystem

extension VolumeImage {
    /// Patches a block on the disk.
    func patch(_ block: UInt64, blockSize: Int = 1024, _ body: (UnsafeMutableRawBufferPointer) -> Void) {
        var bytes = device.bytes(at: block * UInt64(blockSize), count: blockSize)
        bytes.withUnsafeMutableBytes { body($0) }
        bytes.withUnsafeBytes { device.write(at: block * UInt64(blockSize), $0) }
    }

    /// As ``mounted(_:)`` on a volume on which damage is found: with `errors=continue`, unless told otherwise. The mount
    /// must not stop.
    func mountedDamaged<Result>(
        _ errors: MountOptions.ErrorBehaviour = .continue, _ body: @escaping (MountedVolume) async throws -> Result
    ) throws -> Result {
        var options = MountOptions()
        options.errors = errors
        let volume = try mount(options)
        let result = try environment.wait { () async throws -> Result in try await body(volume) }
        #expect(volume.stopReason == nil)
        unmount(volume)
        #expect(volume.stopReason == nil)
        return result
    }

    /// A new file with `bytes` in the root directory, unmounted again; returns the block of its dinode.
    func makeFile(_ name: String, byteCount: Int) throws -> UInt64 {
        try mounted { volume in
            let root = try await volume.rootDirectory()
            defer { root.release() }
            let file = FileUnderTest(volume, try await volume.createFile(.of(name), in: root, newFile))
            try await file.write([UInt8](repeating: 5, count: byteCount), at: 0)
            try await volume.syncFile(file.inode, dataOnly: false)
            file.inode.release()
            return file.inode.number
        }
    }

    var hasReportedCorruption: Bool { environment.records.contains { $0.text.contains("corrupt metadata") } }
}

@Suite(.enabled(if: Tool.hasVolumeTools, "ocfs2-tools are not installed"))
struct DamagedExtentTests {
    @Test("an extent that ends behind the last cluster number is refused", arguments: [UInt32.max - 1, .max])
    func endOfNumbers(cpos: UInt32) throws {
        let image = try VolumeImage.make()
        let number = try image.makeFile("f", byteCount: 20_000)
        image.patch(number) { bytes in
            let list = DinodeView(bytes).extentList
            list[0].cpos = cpos
        }
        try image.mountedDamaged { volume in
            let root = try await volume.rootDirectory()
            defer { root.release() }
            let inode = try await volume.lookup(.of("f"), in: root)
            await #expect("truncate") {
                try await volume.setSize(of: inode, to: 100)
            } throws: { error in
                guard case FileSystemError.corrupt(let corruption) = error else { return false }
                return corruption.block == number && corruption.what.contains("extent \(cpos) + 5")
            }
            inode.release()
            try await volume.unlink(.of("f"), in: root)
            await volume.tasks.wait()
        }
    }

    @Test("neighbours of a change are not believed: their blocks may lie anywhere")
    func neighbour() throws {
        let image = try VolumeImage.make(.init(features: ["nometaecc"]))
        let number = try image.mounted { volume in
            let root = try await volume.rootDirectory()
            defer { root.release() }
            let file = FileUnderTest(volume, try await volume.createFile(.of("f"), in: root, newFile))
            try await file.allocate(0..<40_960, keepsSize: false)
            try await file.write([UInt8](repeating: 1, count: 4096), at: 8192)
            try await volume.syncFile(file.inode, dataOnly: false)
            file.inode.release()
            return file.inode.number
        }
        // The unwritten extent before the one that is written next ends at the end of all blocks.
        image.patch(number) { bytes in
            let list = DinodeView(bytes).extentList
            list[0].block = UInt64.max - 3
            list[0].flags = []
        }
        try image.mountedDamaged { volume in
            let root = try await volume.rootDirectory()
            defer { root.release() }
            let file = FileUnderTest(volume, try await volume.lookup(.of("f"), in: root))
            try? await file.write([UInt8](repeating: 1, count: 4096), at: 12_288)
            try? await volume.syncFile(file.inode, dataOnly: false)
            file.inode.release()
        }
    }

    @Test("a heartbeat file in pieces is refused, in whatever order they lie", arguments: [true, false])
    func heartbeatInPieces(isDescending: Bool) throws {
        let image = try VolumeImage.make(.init(isLocal: false))
        let number = try image.mounted { volume in try await volume.systemInode(.heartbeat).number }
        image.patch(number) { bytes in
            let list = DinodeView(bytes).extentList
            let whole = list[0]
            let half: UInt32 = 16
            let first = ExtentRecord(cpos: 0, clusters: half, block: whole.block + (isDescending ? 64 : 0))
            let second = ExtentRecord(
                cpos: half, clusters: half, block: whole.block + (isDescending ? 0 : 68))
            list[0] = first
            list.insert(second, at: 1)
        }
        #expect(throws: MountError.self) {
            try image.environment.wait { () async throws(MountError) in
                let superblock = try await VolumeProbe.superblock(of: image.device)
                _ = try await VolumeProbe.heartbeatOffset(
                    of: superblock, on: image.device, environment: image.environment)
            }
        }
        #expect(image.environment.records.contains { $0.text.contains("not in one piece") })
    }
}
