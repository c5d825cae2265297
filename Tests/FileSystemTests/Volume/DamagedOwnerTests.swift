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
}
