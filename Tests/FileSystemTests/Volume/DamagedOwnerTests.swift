import EngineKit
import EngineSimulation
import Journal
import LayoutKit
import OCFS2Layout
import Testing

@testable import FileSystem

/// Damage that a change comes upon: it costs the file that it is in, not the mount, and what others wrote is kept.
@Suite(.enabled(if: Tool.hasVolumeTools, "ocfs2-tools are not installed"))
struct DamagedOwnerTests {
    private func removeAndGoOn(_ volume: MountedVolume, _ name: String) async throws {
        let root = try await volume.rootDirectory()
        defer { root.release() }
        let other = FileUnderTest(volume, try await volume.createFile(.of("other"), in: root, newFile))
        try await other.write([UInt8](repeating: 8, count: 50_000), at: 0)
        try await volume.unlink(.of(name), in: root)
        await volume.tasks.wait()
        #expect(volume.stopReason == nil)
        try await volume.syncFile(other.inode, dataOnly: false)
        other.inode.release()
    }

    @Test("a file whose bit of the inode allocator is wrong is removed, but not freed")
    func inodeBit() throws {
        let image = try VolumeImage.make()
        let number = try image.makeFile("f", byteCount: 10_000)
        image.patch(number) { $0[Dinode.Field.suballocBit] += 1 }
        try image.mountedDamaged { volume in try await removeAndGoOn(volume, "f") }
        #expect(image.hasReportedCorruption)
        #expect(image.debugfs("stat /other").contains("Size: 50000"))
    }

    @Test("with errors=remount-ro the same ends the writing, and not the mount")
    func inodeBitReadOnly() throws {
        let image = try VolumeImage.make()
        let number = try image.makeFile("f", byteCount: 10_000)
        image.patch(number) { $0[Dinode.Field.suballocBit] += 1 }
        try image.mountedDamaged(.remountReadOnly) { volume in
            let root = try await volume.rootDirectory()
            defer { root.release() }
            try await volume.unlink(.of("f"), in: root)
            await volume.tasks.wait()
            #expect(volume.isReadOnly)
        }
    }

    @Test("a file with an extent block that is free already keeps its clusters")
    func extentBlockBit() throws {
        let image = try VolumeImage.make(.init(blockSize: 512))
        let (number, block) = try image.mounted { volume -> (UInt64, UInt64) in
            let root = try await volume.rootDirectory()
            defer { root.release() }
            let file = FileUnderTest(volume, try await volume.createFile(.of("f"), in: root, newFile))
            for index in 0..<60 { try await file.write([1], at: index * 8192) }
            try await volume.syncFile(file.inode, dataOnly: false)
            let list = file.inode.dinode.extentList
            try #require(list.depth == 1)
            let block = list[list.count - 1].block
            file.inode.release()
            return (file.inode.number, block)
        }
        image.patch(block, blockSize: 512) { $0[ExtentBlock.Field.suballocBit] += 1 }
        try image.mountedDamaged { volume in
            let root = try await volume.rootDirectory()
            defer { root.release() }
            let inode = try await volume.lookup(.of("f"), in: root)
            #expect(inode.number == number)
            await #expect("truncate") {
                try await volume.setSize(of: inode, to: 0)
            } throws: { error in
                guard case FileSystemError.corrupt = error else { return false }
                return true
            }
            #expect(inode.attributes.clusters == 60)
            inode.release()
            try await removeAndGoOn(volume, "f")
        }
    }

    @Test("a damaged entry behind the one that is removed is found before any change", arguments: [true, false])
    func entryBehind(isIndexed: Bool) throws {
        let image = try VolumeImage.make(.init(features: [isIndexed ? "indexed-dirs" : "noindexed-dirs"]))
        let block = try image.mounted { volume -> UInt64 in
            let root = try await volume.rootDirectory()
            defer { root.release() }
            for index in 0..<40 {
                let name = FileName.of("a long enough name of a file \(index)")
                try await volume.createFile(name, in: root, newFile).release()
            }
            return try await volume.dataBlocks(of: root, count: 1)[0]
        }
        image.patch(block) { bytes in
            let area = DirectoryArea(block: bytes, hasTrailer: isIndexed)
            let entry = try! "a long enough name of a file 9".utf8.withContiguousStorageIfAvailable {
                try area.find(UnsafeRawBufferPointer($0))
            }
            bytes[LE16(offset: entry!!.offset + 8)] = 5
        }
        try image.mountedDamaged { volume in
            let root = try await volume.rootDirectory()
            defer { root.release() }
            try? await volume.unlink(.of("a long enough name of a file 1"), in: root)
            #expect(volume.stopReason == nil)
            await volume.tasks.wait()
        }
        #expect(image.hasReportedCorruption)
    }

    @Test("a directory that names index or blocks of another one is found out, also when those are known already")
    func blocksOfAnother() throws {
        for changesIndex in [true, false] {
            let image = try VolumeImage.make()
            let numbers = try image.mounted { volume -> [UInt64] in
                let root = try await volume.rootDirectory()
                defer { root.release() }
                var numbers: [UInt64] = []
                for name in ["a", "b"] {
                    let directory = try await volume.makeDirectory(.of(name), in: root, newDirectory)
                    for index in 0..<60 {
                        let file = FileName.of("file with number \(index)")
                        try await volume.createFile(file, in: directory, newFile).release()
                    }
                    numbers.append(directory.number)
                    directory.release()
                }
                return numbers
            }
            let original = image.device.bytes(at: numbers[0] * 1024, count: 1024)
            image.patch(numbers[1]) { bytes in
                original.withUnsafeBytes { from in
                    if changesIndex {
                        bytes[Dinode.Field.indexRoot] = from[Dinode.Field.indexRoot]
                    } else {
                        DinodeView(bytes).extentList[0] = DinodeView(reading: from).extentList[0]
                    }
                }
            }
            try image.mountedDamaged { volume in
                let root = try await volume.rootDirectory()
                defer { root.release() }
                let name = FileName.of("file with number 7")
                for directory in ["a", "b"] {
                    let inode = try await volume.lookup(.of(directory), in: root)
                    defer { inode.release() }
                    if directory == "a" {
                        try await volume.lookup(name, in: inode).release()
                        #expect(try await list(volume, inode).count == 62)
                        #expect(!image.hasReportedCorruption)
                    } else if changesIndex {
                        await #expect(throws: FileSystemError.self) {
                            try await volume.lookup(name, in: inode).release()
                        }
                    } else {
                        await #expect(throws: FileSystemError.self) { _ = try await list(volume, inode) }
                    }
                }
            }
            let field = changesIndex ? "dr_dir_blkno" : "db_parent_dinode"
            #expect(image.environment.records.contains { $0.text.contains(field) })
        }
    }

    @Test("a group that two allocators name is used by its own only, and a chain that is not there is not counted")
    func groupOfAnother() throws {
        let image = try VolumeImage.make()
        _ = try image.makeFile("f", byteCount: 100)
        let (number, other) = try image.mounted { volume -> (UInt64, UInt64) in
            let extents = try await volume.systemInode(.extentAlloc, slot: 0)
            let inodes = try await volume.systemInode(.inodeAlloc, slot: 0)
            return (extents.number, ChainList.record(inodes.block.rawBytes, 0).firstGroup)
        }
        image.patch(number) { bytes in
            bytes[ChainList.Field.count] = 1
            ChainList.setRecord(bytes, 0, ChainList.Record(free: 100, total: 1024, firstGroup: other))
            bytes[Dinode.Field.bitsTotal] = 1024
            bytes[Dinode.Field.bitsUsed] = 924
        }
        try image.mountedDamaged { volume in
            let root = try await volume.rootDirectory()
            try await volume.createFile(.of("g"), in: root, newFile).release()
            root.release()
            await #expect(throws: FileSystemError.self) {
                let reservation = try await volume.reserve(SpaceNeeds(metadataBlocks: 1))
                defer { reservation.release() }
                try await volume.transaction(credits: 3) { handle async throws(FileSystemError) in
                    _ = try await reservation.claimMetadataBlock(handle)
                }
            }
        }
        #expect(image.environment.records.contains { $0.text.contains("bg_parent_dinode") })
    }
}
