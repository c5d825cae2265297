import EngineKit
import EngineSimulation
import FileSystem
import LayoutKit
import OCFS2Layout
import Testing

@Suite(.enabled(if: Tool.hasVolumeTools, "ocfs2-tools are not installed"))
struct MountTests {
    static let recipes: [VolumeImage.Recipe] = [
        .init(blockSize: 512), .init(blockSize: 1024, clusterSize: 16384), .init(blockSize: 2048),
        .init(blockSize: 4096, clusterSize: 8192), .init(mebibytes: 100, blockSize: 4096, slots: 4, isLocal: false),
        .init(blockSize: 1024, featureLevel: "max-compat"),
        .init(mebibytes: 96, blockSize: 512, features: ["metaecc"]),
    ]

    @Test(
        "a clean mount and unmount changes nothing but slot map, journal superblock and journal flags",
        arguments: recipes)
    func cleanCycle(recipe: VolumeImage.Recipe) throws {
        let image = try VolumeImage.make(recipe)
        let before = image.copy()
        let volume = try image.mount()
        #expect(volume.slot == 0)
        image.unmount(volume)
        let changed = changedBlocks(image, before, blockSize: recipe.blockSize)
        let system = try systemBlocks(of: before)
        #expect(changed.subtracting(system).isEmpty, "\(changed.sorted()) changed, \(system.sorted()) may")
        #expect(image.faults() == [])
        // The flag is gone and the log is empty: the next mount has nothing to recover.
        let again = try image.mount()
        #expect(!image.environment.records.contains { $0.text.contains("dirty") })
        image.unmount(again)
    }

    @Test("a read-only mount writes nothing", arguments: [true, false])
    func readOnly(deviceIsReadOnly: Bool) throws {
        let image = try VolumeImage.make()
        image.device.isReadOnly = deviceIsReadOnly
        image.device.isRecording = true
        var options = MountOptions()
        options.isReadOnly = true
        let volume = try image.mount(options)
        #expect(throws: FileSystemError.readOnly) {
            try image.environment.wait { () async throws(FileSystemError) in
                _ = try await volume.reserve(SpaceNeeds(inodes: 1))
            }
        }
        image.unmount(volume)
        #expect(image.device.records.isEmpty)
    }

    @Test("the root directory is loaded with its attributes")
    func root() throws {
        let image = try VolumeImage.make()
        let volume = try image.mount()
        try image.environment.wait { () async throws(FileSystemError) in
            let root = try await volume.inode(volume.rootNumber)
            #expect(root.isDirectory && root.isSystem && root.hasInlineData)
            #expect(root.attributes.linkCount == 3)
            let again = try await volume.inode(volume.rootNumber)
            #expect(again === root)
            root.release()
            again.release()
        }
        image.unmount(volume)
    }

    @Test("features that are not served are refused by name")
    func features() throws {
        let image = try VolumeImage.make()
        change(image, at: 0xe0) { $0 | 0x10020 }
        #expect(throws: MountError.unsupportedFeatures(["aborted-tunefs", "incompat-10000"])) { try image.mount() }
        let quota = try VolumeImage.make(.init(features: ["usrquota"]))
        #expect(throws: MountError.readOnlyFeatures(["usrquota"])) { try quota.mount() }
        var options = MountOptions()
        options.isReadOnly = true
        quota.unmount(try quota.mount(options))
    }

    @Test("what is no volume, or a broken one, is refused with the reason")
    func refusals() throws {
        let environment = VirtualEnvironment()
        let blank = VolumeImage(
            environment: environment, device: MemoryDevice(byteCount: 1 << 20, environment: environment))
        #expect(throws: MountError.notAVolume) { try blank.mount() }
        let image = try VolumeImage.make()
        change(image, at: 0x14) { $0 * 2 }
        #expect(throws: MountError.deviceTooSmall(volume: 128 << 20, device: 64 << 20)) { try image.mount() }
        let broken = try VolumeImage.make()
        change(broken, at: 0xc2) { $0 & ~0xffff | 91 }
        #expect {
            try broken.mount()
        } throws: { error in
            guard case MountError.badSuperblock(let text) = error else { return false }
            return text.contains("revision")
        }
    }

    @Test("a read error of the device ends the mount")
    func deviceError() throws {
        let image = try VolumeImage.make()
        image.device.fault = { $0.byteOffset > 12288 ? 5 : 0 }
        #expect(throws: MountError.device(BlockDeviceError(errno: 5))) { try image.mount() }
    }

    /// Patches 4 bytes of the superblock.
    private func change(_ image: VolumeImage, at offset: Int, _ body: (UInt32) -> UInt32) {
        let start = UInt64(2 * 1024 + offset)
        var bytes = image.device.bytes(at: start, count: 4)
        bytes.withUnsafeMutableBytes { raw in
            raw[LE32(offset: 0)] = body(raw[LE32(offset: 0)])
            image.device.write(at: start, UnsafeRawBufferPointer(raw))
        }
    }

    private func changedBlocks(_ image: VolumeImage, _ other: VolumeImage, blockSize: Int) -> Set<UInt64> {
        var changed: Set<UInt64> = []
        let step = 65536
        for offset in stride(from: UInt64(0), to: image.device.byteCount, by: step) {
            let left = image.device.bytes(at: offset, count: step)
            let right = other.device.bytes(at: offset, count: step)
            guard left != right else { continue }
            for index in 0..<step / blockSize {
                let range = index * blockSize..<(index + 1) * blockSize
                guard left[range] != right[range] else { continue }
                changed.insert((offset + UInt64(range.lowerBound)) / UInt64(blockSize))
            }
        }
        return changed
    }

    /// Data of the slot map, dinode and first data block of journal:0000. Spec: ocfs2-disk-2 21.1.
    private func systemBlocks(of image: VolumeImage) throws -> Set<UInt64> {
        var options = MountOptions()
        options.isReadOnly = true
        let volume = try image.mount(options)
        defer { image.unmount(volume) }
        return try image.environment.wait { () async throws(FileSystemError) -> Set<UInt64> in
            let slotMap = try await volume.systemInode(.slotMap)
            let journal = try await volume.systemInode(.journal, slot: 0)
            let slots = slotMap.dinode.extentList[0].block
            return [slots, journal.number, journal.dinode.extentList[0].block]
        }
    }
}
