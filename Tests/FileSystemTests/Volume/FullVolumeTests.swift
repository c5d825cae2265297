import EngineKit
import EngineSimulation
import Journal
import OCFS2Layout
import Testing

@testable import FileSystem

@Suite(.enabled(if: Tool.hasVolumeTools, "ocfs2-tools are not installed"))
struct FullVolumeTests {
    /// Writes files of 2 MiB until the volume is full; returns their names.
    private func fill(_ volume: MountedVolume, _ root: Inode) async throws(FileSystemError) -> [FileName] {
        let buffer = IOBuffer(byteCount: 1 << 20)
        let slice = IOSlice(buffer: buffer, offset: 0, count: 1 << 20)
        slice.bytes.initializeMemory(as: UInt8.self, repeating: 0x5a)
        var names: [FileName] = []
        while true {
            let name = try FileName("big \(names.count)".utf8)
            let inode = try await volume.createFile(name, in: root, newFile)
            names.append(name)
            defer { inode.release() }
            for part in 0..<2 {
                do throws(FileSystemError) {
                    try await inode.fileData.write(slice, at: UInt64(part) << 20)
                } catch .noSpace {
                    try await inode.fileData.flush()
                    return names
                }
            }
            try await inode.fileData.flush()
        }
    }

    @Test("a full volume can be emptied, and then has the space again", arguments: [512, 4096])
    func fillAndEmpty(blockSize: Int) throws {
        let fixture = try SpaceFixture(.init(mebibytes: 64, blockSize: blockSize))
        let volume = fixture.volume
        let counts = try fixture.run { () async throws(FileSystemError) -> [Int] in
            let root = try await volume.inode(volume.rootNumber)
            defer { root.release() }
            let before = Int(try await volume.statistics().freeBlockCount)
            var counts = [before]
            for _ in 0..<2 {
                let names = try await fill(volume, root)
                counts.append(names.count)
                for name in names { try await volume.unlink(name, in: root) }
                await volume.tasks.wait()
                counts.append(Int(try await volume.statistics().freeBlockCount))
            }
            return counts
        }
        #expect(volume.stopReason == nil)
        #expect(counts[1] == counts[3], "as much fits the second time")
        // Groups of the allocators stay.
        #expect(counts[2] > counts[0] - 2048 && counts[4] > counts[0] - 2048)
        fixture.image.unmount(volume)
        #expect(fixture.image.faults() == [])
    }

    @Test("a file of many extents is cut while no extent block is to be had")
    func cutWithoutBlocks() throws {
        let fixture = try SpaceFixture(.init(mebibytes: 64, blockSize: 4096))
        let volume = fixture.volume
        let clusters = try fixture.run { () async throws(FileSystemError) -> UInt32 in
            let root = try await volume.inode(volume.rootNumber)
            defer { root.release() }
            let inode = try await volume.createFile(FileName("f".utf8), in: root, newFile)
            defer { inode.release() }
            let slice = IOSlice(buffer: IOBuffer(byteCount: 4096), offset: 0, count: 4096)
            slice.bytes.initializeMemory(as: UInt8.self, repeating: 1)
            for index in 0..<400 { try await inode.fileData.write(slice, at: UInt64(index) * 8192) }
            try await inode.fileData.flush()
            _ = try await fill(volume, root)
            let allocator = try await volume.usedSpace().suballocator(.extentAlloc, slot: volume.slot)
            let all = try await volume.reserve(SpaceNeeds(metadataBlocks: max(1, allocator.available)))
            defer { all.release() }
            try await volume.setSize(of: inode, to: 10 * 8192)
            return inode.attributes.clusters
        }
        #expect(clusters == 10)
        #expect(volume.stopReason == nil)
        fixture.image.unmount(volume)
        #expect(fixture.image.faults() == [])
    }

    private func orphanCount(_ volume: MountedVolume) async throws(FileSystemError) -> Int {
        try await LinearDirectory(try await volume.orphanDirectory(slot: volume.slot)).entries().count
    }

    @Test("a file that shares its clusters is cut, punched and removed while no extent block is to be had")
    func sharedWithoutBlocks() throws {
        let fixture = try SpaceFixture(.init(mebibytes: 64, blockSize: 4096))
        let volume = fixture.volume
        try fixture.run { () async throws(FileSystemError) in
            let root = try await volume.inode(volume.rootNumber)
            defer { root.release() }
            let slice = IOSlice(buffer: IOBuffer(byteCount: 1 << 20), offset: 0, count: 1 << 20)
            slice.bytes.initializeMemory(as: UInt8.self, repeating: 1)
            let inode = try await volume.createFile(FileName("a".utf8), in: root, newFile)
            try await inode.fileData.write(slice, at: 0)
            try await inode.fileData.flush()
            let copy = try await volume.createFile(FileName("b".utf8), in: root, newFile)
            try await volume.share(inode, with: [copy])
            _ = try await fill(volume, root)
            let allocator = try await volume.usedSpace().suballocator(.extentAlloc, slot: volume.slot)
            let all = try await volume.reserve(SpaceNeeds(metadataBlocks: max(1, allocator.available)))
            defer { all.release() }
            try await volume.setSize(of: inode, to: 600_000 / 4096 * 4096)
            try await volume.allocate(inode, 40_960..<81_920, .punchHole)
            inode.release()
            copy.release()
            for name in ["a", "b"] { try await volume.unlink(FileName(name.utf8), in: root) }
            await volume.tasks.wait()
            #expect(try await orphanCount(volume) == 0)
        }
        #expect(volume.stopReason == nil)
        fixture.image.unmount(volume)
        #expect(fixture.image.faults() == [])
    }

    @Test("what could not be freed is freed by a later scan, also on a host alone")
    func laterScan() throws {
        let image = try VolumeImage.make(.init(blockSize: 512))
        let block = try image.mounted { volume -> UInt64 in
            let root = try await volume.rootDirectory()
            defer { root.release() }
            let file = FileUnderTest(volume, try await volume.createFile(.of("f"), in: root, newFile))
            for index in 0..<60 { try await file.write([1], at: index * 8192) }
            try await volume.syncFile(file.inode, dataOnly: false)
            file.inode.release()
            return file.inode.dinode.extentList[0].block
        }
        let volume = try image.mount()
        image.device.fault = { $0.kind == .read && $0.byteOffset == block * 512 ? 5 : 0 }
        let before = try image.environment.wait { () async throws(FileSystemError) -> Int in
            let root = try await volume.inode(volume.rootNumber)
            defer { root.release() }
            try await volume.unlink(FileName("f".utf8), in: root)
            await volume.tasks.wait()
            return try await orphanCount(volume)
        }
        #expect(before == 1)
        image.device.fault = nil
        image.environment.run(limit: .seconds(310))
        let after = try image.environment.wait { () async throws(FileSystemError) -> Int in
            try await orphanCount(volume)
        }
        #expect(after == 0)
        #expect(volume.stopReason == nil && !volume.isReadOnly)
        image.unmount(volume)
        #expect(image.faults() == [])
    }

    @Test("whoever finds no space gets what cached writes were promised and do not need")
    func promisesComeBack() throws {
        let fixture = try SpaceFixture(.init(mebibytes: 64, blockSize: 4096))
        let volume = fixture.volume
        let directories = try fixture.run { () async throws(FileSystemError) -> Int in
            let root = try await volume.inode(volume.rootNumber)
            defer { root.release() }
            let space = try volume.usedSpace()
            let inode = try await volume.createFile(FileName("f".utf8), in: root, newFile)
            defer { inode.release() }
            let slice = IOSlice(buffer: IOBuffer(byteCount: 100_000), offset: 0, count: 100_000)
            slice.bytes.initializeMemory(as: UInt8.self, repeating: 7)
            /// A cached write, and all the rest promised to its file.
            func takeAll() async throws(FileSystemError) {
                try await inode.fileData.write(slice, at: inode.attributes.size)
                inode.fileData.promises.append(try await volume.promise(clusters: space.available))
                #expect(space.available == 0)
            }
            try await takeAll()
            let value = [UInt8](repeating: 1, count: 30_000)
            try await volume.setXattr(Array("user.big".utf8), of: inode, to: value, .createOrReplace, caller: .system)
            #expect(space.available > 0)
            try await takeAll()
            try await volume.allocate(inode, 1 << 20..<2 << 20, .allocate(keepsSize: false))
            #expect(space.available > 0)
            try await takeAll()
            // Until the allocator of inodes needs another group.
            var count = 0
            while space.available == 0, count < 5000 {
                let name = try FileName("directory \(count)".utf8)
                try await volume.makeDirectory(name, in: root, newFile).release()
                count += 1
            }
            return count
        }
        #expect(directories > 0 && directories < 5000)
        #expect(volume.stopReason == nil)
        fixture.image.unmount(volume)
        #expect(fixture.image.faults() == [])
    }

    @Test("files without names are made while the orphan directory's index is divided", arguments: [512, 4096])
    func manyTemporaryFiles(blockSize: Int) throws {
        let fixture = try SpaceFixture(.init(mebibytes: 64, blockSize: blockSize))
        let volume = fixture.volume
        try fixture.run { () async throws(FileSystemError) in
            let root = try await volume.inode(volume.rootNumber)
            defer { root.release() }
            var files: [Inode] = []
            for _ in 0..<1500 { files.append(try await volume.makeTemporaryFile(in: root, newFile)) }
            for file in files { file.release() }
            await volume.tasks.wait()
        }
        #expect(volume.stopReason == nil)
        fixture.image.unmount(volume)
        #expect(fixture.image.faults() == [])
    }

    @Test("a file that leaves its dinode has the same number of blocks before and after the flush")
    func blocksOfLeavingFile() throws {
        let fixture = try SpaceFixture(.init(mebibytes: 64, blockSize: 4096))
        let volume = fixture.volume
        let counts = try fixture.run { () async throws(FileSystemError) -> [UInt64] in
            let root = try await volume.inode(volume.rootNumber)
            defer { root.release() }
            let inode = try await volume.createFile(FileName("f".utf8), in: root, newFile)
            defer { inode.release() }
            let slice = IOSlice(buffer: IOBuffer(byteCount: 5000), offset: 0, count: 5000)
            slice.bytes.initializeMemory(as: UInt8.self, repeating: 7)
            var counts: [UInt64] = []
            try await inode.fileData.write(slice.part(offset: 0, count: 5), at: 0)
            counts.append(try await volume.attributes(of: inode).sectorCount)
            try await inode.fileData.write(slice, at: 5)
            counts.append(try await volume.attributes(of: inode).sectorCount)
            try await inode.fileData.flush()
            counts.append(try await volume.attributes(of: inode).sectorCount)
            return counts
        }
        #expect(counts == [1, 16, 16])
        fixture.image.unmount(volume)
    }

    @Test("what was written but not synced is on disk after an unmount")
    func dirtyAtUnmount() throws {
        let fixture = try SpaceFixture()
        let volume = fixture.volume
        let kept = try fixture.run { () async throws(FileSystemError) -> Inode in
            let root = try await volume.inode(volume.rootNumber)
            defer { root.release() }
            let inode = try await volume.createFile(try FileName("f".utf8), in: root, newFile)
            let slice = IOSlice(buffer: IOBuffer(byteCount: 100_000), offset: 0, count: 100_000)
            slice.bytes.initializeMemory(as: UInt8.self, repeating: 7)
            try await inode.fileData.write(slice, at: 0)
            return inode
        }
        // Even of a file that somebody still holds.
        fixture.image.unmount(volume)
        _ = kept
        #expect(fixture.image.faults() == [])
        #expect(fixture.image.debugfs("stat /f").contains("Size: 100000"))
    }

    @Test("a device that fails ends the writing, with the reason, and the volume recovers")
    func failingDevice() throws {
        let fixture = try SpaceFixture()
        let volume = fixture.volume
        let before = fixture.image.copy()
        fixture.image.device.fault = { if case .write = $0.kind { 5 } else { 0 } }
        var reasons: [String] = []
        volume.onStop = { reasons.append($0) }
        var failure: FileSystemError?
        do throws(FileSystemError) {
            try fixture.run { () async throws(FileSystemError) in
                let root = try await volume.inode(volume.rootNumber)
                defer { root.release() }
                try await volume.createFile(try FileName("f".utf8), in: root, newFile).release()
                try await volume.commit()
            }
        } catch {
            failure = error
        }
        #expect(failure != nil)
        #expect(volume.isReadOnly && volume.stopReason != nil)
        #expect(reasons == [volume.stopReason])
        fixture.image.unmount(volume)
        let again = try before.mount()
        before.unmount(again)
        #expect(before.faults() == [])
    }
}
