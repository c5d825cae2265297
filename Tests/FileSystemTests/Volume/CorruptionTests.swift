import EngineKit
import EngineSimulation
import Journal
import LayoutKit
import OCFS2Layout
import Testing

@testable import FileSystem

@Suite(.enabled(if: Tool.hasVolumeTools, "ocfs2-tools are not installed"))
struct CorruptionTests {
    /// Patches a block on the disk.
    private func patch(
        _ image: VolumeImage, _ block: UInt64, blockSize: Int = 1024, _ body: (UnsafeMutableRawBufferPointer) -> Void
    ) {
        var bytes = image.device.bytes(at: block * UInt64(blockSize), count: blockSize)
        bytes.withUnsafeMutableBytes { body($0) }
        bytes.withUnsafeBytes { image.device.write(at: block * UInt64(blockSize), $0) }
    }

    @Test("a window of clusters is no longer than its bitmap on disk, however short that is")
    func shortWindowBitmap() throws {
        let image = try VolumeImage.make()
        let volume = try image.mount()
        let number = try image.environment.wait { () async throws(FileSystemError) in
            try await volume.systemInode(.localAlloc, slot: 0).number
        }
        image.unmount(volume)
        patch(image, number) { $0[LocalAlloc.Field.bitmapSize] = 1 }
        let fixture = SpaceFixture(image: image, volume: try image.mount())
        let runs = try fixture.takeClusters(100, atMost: 3)
        #expect(fixture.space.window.size == 8)
        #expect(runs.reduce(0) { $0 + Int($1.count) } == 100)
        image.unmount(fixture.volume)
    }

    @Test("a broken inode is refused, logged with its number, and the volume does what errors= says")
    func policies() throws {
        for policy in [MountOptions.ErrorBehaviour.continue, .remountReadOnly, .panic] {
            let image = try VolumeImage.make()
            var options = MountOptions()
            options.errors = policy
            let volume = try image.mount(options)
            let number = try image.environment.wait { () async throws(FileSystemError) in
                let root = try await volume.inode(volume.rootNumber)
                defer { root.release() }
                return try await LinearDirectory(root).entries()[0].number
            }
            patch(image, number) { $0[Dinode.Field.volumeGeneration] = 1 }
            do throws(FileSystemError) {
                try image.environment.wait { () async throws(FileSystemError) in _ = try await volume.inode(number) }
                Issue.record("the broken inode was loaded")
            } catch {
                guard case .corrupt(let corruption) = error else {
                    Issue.record("\(error)")
                    continue
                }
                #expect(corruption.block == number)
            }
            #expect(image.environment.records.contains { $0.text.contains("block \(number)") })
            var failure: FileSystemError?
            do throws(FileSystemError) {
                try image.environment.wait { () async throws(FileSystemError) in
                    let root = try await volume.rootDirectory()
                    defer { root.release() }
                    try await volume.createFile(try FileName("f".utf8), in: root, newFile).release()
                }
            } catch {
                failure = error
            }
            switch policy {
            case .continue: #expect(failure == nil)
            case .remountReadOnly: #expect(failure == .readOnly)
            case .panic:
                guard case .aborted? = failure else {
                    Issue.record("\(String(describing: failure))")
                    continue
                }
            }
            image.unmount(volume)
        }
    }

    @Test("damage that makes the mount read-only costs nobody what was written before")
    func writtenBefore() throws {
        let image = try VolumeImage.make()
        let bytes = [UInt8](repeating: 7, count: 300_000)
        let volume = try image.mount()
        try image.environment.wait { () async throws in
            let root = try await volume.rootDirectory()
            defer { root.release() }
            let inode = try await volume.createFile(.of("f"), in: root, newFile)
            defer { inode.release() }
            let file = FileUnderTest(volume, inode)
            try await file.write(bytes, at: 0)
            _ = volume.report(Corruption(block: 1, inode: 1, what: "planted"))
            #expect(volume.isReadOnly && volume.isFaulty)
            await #expect(throws: FileSystemError.readOnly) { try await file.write([1], at: 0) }
            try await volume.syncFile(inode, dataOnly: false)
        }
        image.unmount(volume)
        try image.mounted { again in
            let root = try await again.rootDirectory()
            let inode = try await again.lookup(.of("f"), in: root)
            let file = FileUnderTest(again, inode)
            file.model = bytes
            #expect(try await file.firstDifference() == nil)
            inode.release()
            root.release()
        }
        #expect(image.faults() == [])
    }

    @Test("an inode that was freed is stale, not corrupt")
    func freed() throws {
        let image = try VolumeImage.make()
        let volume = try image.mount()
        let number = try image.environment.wait { () async throws(FileSystemError) in
            let root = try await volume.inode(volume.rootNumber)
            defer { root.release() }
            let name = try FileName("f".utf8)
            let inode = try await volume.createFile(name, in: root, newFile)
            let number = inode.number
            inode.release()
            try await volume.unlink(name, in: root)
            await volume.tasks.wait()
            return number
        }
        #expect(throws: FileSystemError.stale) {
            try image.environment.wait { () async throws(FileSystemError) in _ = try await volume.inode(number) }
        }
        #expect(!volume.isReadOnly)
        image.unmount(volume)
        #expect(image.faults() == [])
    }

    @Test("one flipped bit of a block with a check is corrected, two are found")
    func checks() throws {
        let recipe = VolumeImage.Recipe(features: ["metaecc"])
        let image = try VolumeImage.make(recipe)
        let root = try image.environment.wait { () async throws in
            try await VolumeProbe.superblock(of: image.device).parameters.rootBlock
        }
        patch(image, root) { $0[U8(offset: 0x300)] ^= 4 }
        let volume = try image.mount()
        try image.environment.wait { () async throws(FileSystemError) in
            (try await volume.inode(root)).release()
        }
        #expect(image.environment.records.contains { $0.text.contains("corrected") })
        image.unmount(volume)
        let broken = try VolumeImage.make(recipe)
        patch(broken, root) { $0[U8(offset: 0x300)] ^= 0x14 }
        let second = try broken.mount()
        #expect {
            try broken.environment.wait { () async throws(FileSystemError) in _ = try await second.inode(root) }
        } throws: { error in
            guard case FileSystemError.corrupt(let corruption) = error else { return false }
            return corruption.what.contains("checksum")
        }
        broken.unmount(second)
    }

    @Test("a chain of groups that is a loop ends with an error")
    func chainLoop() throws {
        let fixture = try SpaceFixture()
        try fixture.free(try fixture.takeBlocks(1))
        fixture.image.unmount(fixture.volume)
        let image = fixture.image
        let volume = try image.mount()
        let group = try image.environment.wait { () async throws(FileSystemError) in
            let inode = try await volume.systemInode(.extentAlloc, slot: 0)
            return ChainList.record(inode.block.rawBytes, 0).firstGroup
        }
        try #require(group != 0)
        // All bits are used, but the allocator's dinode says otherwise; the group follows itself.
        patch(image, group) { bytes in
            GroupDescriptor.bitmap(bytes).set(0..<Int(bytes[GroupDescriptor.Field.bits]))
            bytes[GroupDescriptor.Field.freeBits] = 0
            bytes[GroupDescriptor.Field.nextGroup] = group
        }
        #expect {
            try image.environment.wait { () async throws(FileSystemError) in
                let reservation = try await volume.reserve(SpaceNeeds(metadataBlocks: 1))
                defer { reservation.release() }
                try await volume.transaction(credits: 3) { handle async throws(FileSystemError) in
                    _ = try await reservation.claimMetadataBlock(handle)
                }
            }
        } throws: { error in
            guard case FileSystemError.corrupt(let corruption) = error else { return false }
            return corruption.what.contains("loop")
        }
        image.unmount(volume)
    }

    /// Numbers that break sums and indexes.
    private static let nastyWords: [UInt16] = [0, 1, 2, 0x7f, 0xff, 0x7fff, 0x8000, 0xfffe, 0xffff]

    @Test("damaged metadata ends in errors, never in a trap or an endless loop", arguments: 0..<6)
    func damage(seed: UInt64) throws {
        let random = SeededRandom(seed: seed)
        let pristine = try filled()
        for _ in 0..<25 {
            let image = pristine.image.copy(seed: random.next())
            for _ in 0...random.next(below: 4) {
                let block = pristine.blocks[Int(random.next(below: UInt64(pristine.blocks.count)))]
                patch(image, block, blockSize: 512) { bytes in
                    let offset = Int(random.next(below: 256)) * 2
                    let isNasty = random.next(below: 3) > 0
                    let nasty = Self.nastyWords[Int(random.next(below: UInt64(Self.nastyWords.count)))]
                    bytes[LE16(offset: offset)] = isNasty ? nasty : UInt16(truncatingIfNeeded: random.next())
                }
            }
            use(image, isContinuing: random.next(below: 2) == 0)
        }
    }

    /// A volume with something in it, and the blocks of its metadata.
    private func filled() throws -> (image: VolumeImage, blocks: [UInt64]) {
        let image = try VolumeImage.make(.init(mebibytes: 64, blockSize: 512, slots: 1))
        let fixture = SpaceFixture(image: image, volume: try image.mount())
        var blocks = try fixture.run { () async throws(FileSystemError) -> [UInt64] in
            let root = try await fixture.volume.inode(fixture.volume.rootNumber)
            defer { root.release() }
            let slice = IOSlice(buffer: IOBuffer(byteCount: 4096), offset: 0, count: 4096)
            slice.bytes.initializeMemory(as: UInt8.self, repeating: 1)
            var blocks: [UInt64] = []
            for index in 0..<30 {
                let inode = try await fixture.volume.createFile(try FileName("f\(index)".utf8), in: root, newFile)
                for part in 0..<(index == 0 ? 40 : 1) {
                    try await inode.fileData.write(slice, at: UInt64(part) << 13)
                    try await inode.fileData.flush()
                }
                blocks.append(inode.number)
                inode.release()
            }
            blocks += try await fixture.volume.dataBlocks(of: root, count: 1)
            for kind in [SystemInode.inodeAlloc, .extentAlloc] {
                let raw = try await fixture.volume.systemInode(kind).block.rawBytes
                for chain in 0..<Int(raw[ChainList.Field.count]) {
                    blocks.append(ChainList.record(raw, chain).firstGroup)
                }
            }
            return blocks
        }
        let geometry = fixture.volume.geometry
        for group in 0..<fixture.space.bitmap.groupCount {
            blocks.append(geometry.descriptorBlock(ofClusterGroup: group))
        }
        image.unmount(fixture.volume)
        // Inodes of the root and system directory: the first ones. Spec: ocfs2-disk-2 20.2.
        return (image, blocks + (17..<37).flatMap { [$0, $0] })
    }

    private func use(_ image: VolumeImage, isContinuing: Bool) {
        var options = MountOptions()
        if isContinuing { options.errors = .continue }
        guard let volume = try? image.mount(options) else { return }
        image.environment.wait {
            await attempt { () async throws(FileSystemError) in
                let root = try await volume.inode(volume.rootNumber)
                defer { root.release() }
                let slice = IOSlice(buffer: IOBuffer(byteCount: 100_000), offset: 0, count: 100_000)
                for entry in try await LinearDirectory(root).entries() {
                    await attempt { () async throws(FileSystemError) in
                        let inode = try await volume.inode(entry.number)
                        defer { inode.release() }
                        _ = try await inode.fileData.read(at: 0, into: slice)
                        try await inode.fileData.write(slice, at: 50_000)
                        try await inode.fileData.flush()
                    }
                    await attempt { () async throws(FileSystemError) in
                        try await volume.unlink(try FileName(entry.name), in: root)
                    }
                }
                try await volume.createFile(try FileName("new".utf8), in: root, newFile).release()
            }
            await attempt { () async throws(FileSystemError) in
                (try await volume.reserveRun(atMost: 100, near: nil)).cancel()
            }
            await attempt { () async throws(FileSystemError) in
                (try await volume.reserve(SpaceNeeds(inodes: 9, metadataBlocks: 9, clusters: 9))).release()
            }
            await attempt { () async throws(FileSystemError) in _ = try await volume.statistics() }
        }
        image.unmount(volume)
    }

    private func attempt(_ body: () async throws(FileSystemError) -> Void) async {
        do throws(FileSystemError) {
            try await body()
        } catch {}
    }
}
