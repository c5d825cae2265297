import EngineKit
import EngineSimulation
import Journal
import LayoutKit
import OCFS2Layout
import Testing

@testable import FileSystem

@Suite(.enabled(if: Tool.hasVolumeTools, "ocfs2-tools are not installed"))
struct InodeTests {
    @Test("tasks that want the same inode at once get the same object, read once")
    func together() throws {
        let fixture = try SpaceFixture()
        fixture.image.device.latency = .milliseconds(1)
        let number = try fixture.run { () async throws(FileSystemError) in
            let root = try await fixture.volume.inode(fixture.volume.rootNumber)
            defer { root.release() }
            await fixture.volume.tasks.wait()
            return try await LinearDirectory(root).entries()[0].number
        }
        let reads = fixture.image.device.counts.reads
        var found: [Inode] = []
        for _ in 0..<10 {
            fixture.image.environment.spawn {
                do throws(FileSystemError) {
                    found.append(try await fixture.volume.inode(number))
                } catch {
                    Issue.record("\(error)")
                }
            }
        }
        #expect(fixture.image.environment.run { found.count == 10 })
        #expect(found.allSatisfy { $0 === found[0] })
        #expect(found[0].referenceCount == 10)
        #expect(fixture.image.device.counts.reads == reads + 1)
        for inode in found { inode.release() }
        fixture.image.unmount(fixture.volume)
    }

    @Test("no name leads to a file of the system directory")
    func system() throws {
        let fixture = try SpaceFixture()
        let number = try fixture.run { () async throws(FileSystemError) in
            try await fixture.volume.systemInode(.globalBitmap).number
        }
        #expect {
            try fixture.run { () async throws(FileSystemError) in _ = try await fixture.volume.inode(number) }
        } throws: { error in
            guard case FileSystemError.corrupt = error else { return false }
            return true
        }
        fixture.image.unmount(fixture.volume)
    }

    @Test("attributes are on disk as they were set, to the nanosecond")
    func attributes() throws {
        let fixture = try SpaceFixture(.init(blockSize: 512, features: ["metaecc"]))
        let wanted = try fixture.run { () async throws(FileSystemError) in
            let root = try await fixture.volume.inode(fixture.volume.rootNumber)
            defer { root.release() }
            let inode = try await fixture.volume.createFile(try FileName("f".utf8), in: root, newFile)
            defer { inode.release() }
            inode.attributes.uid = 100_000
            inode.attributes.gid = 70_000
            inode.attributes.accessTime = WallTime(seconds: -5, nanoseconds: 999_999_999)
            inode.attributes.modificationTime = WallTime(seconds: 5_000_000_000, nanoseconds: 1)
            inode.attributes.attributeFlags = [.noAccessTime]
            try await fixture.volume.transaction(credits: 1) { handle in inode.storeAttributes(handle) }
            return inode.attributes
        }
        fixture.image.unmount(fixture.volume)
        let again = try fixture.image.mount()
        try fixture.image.environment.wait { () async throws(FileSystemError) in
            let root = try await again.inode(again.rootNumber)
            let number = try await LinearDirectory(root).entries().last?.number ?? 0
            let inode = try await again.inode(number)
            #expect(inode.attributes == wanted)
            inode.release()
            root.release()
        }
        fixture.image.unmount(again)
        #expect(fixture.image.faults() == [])
    }

    @Test("a block that becomes another inode gets another generation")
    func generations() throws {
        let fixture = try SpaceFixture()
        try fixture.run { () async throws(FileSystemError) in
            let root = try await fixture.volume.inode(fixture.volume.rootNumber)
            defer { root.release() }
            var seen: Set<UInt32> = []
            var numbers: Set<UInt64> = []
            for _ in 0..<5 {
                let name = try FileName("f".utf8)
                let inode = try await fixture.volume.createFile(name, in: root, newFile)
                seen.insert(inode.generation)
                numbers.insert(inode.number)
                inode.release()
                try await fixture.volume.unlink(name, in: root)
                await fixture.volume.tasks.wait()
            }
            #expect(seen.count == 5)
            #expect(numbers.count == 1, "the lowest free block is taken again")
        }
        fixture.image.unmount(fixture.volume)
        #expect(fixture.image.faults() == [])
    }

    @Test("access times at the ends of the range are due or not", arguments: [true, false])
    func farAccessTimes(isRelative: Bool) throws {
        var options = MountOptions()
        options.accessTimes = isRelative ? .relative : .strict
        let fixture = try SpaceFixture(.init(), options)
        let volume = fixture.volume
        try fixture.run { () async throws(FileSystemError) in
            let root = try await volume.inode(volume.rootNumber)
            defer { root.release() }
            let inode = try await volume.createFile(try FileName("f".utf8), in: root, newFile)
            defer { inode.release() }
            inode.attributes.accessTime = WallTime(seconds: .min, nanoseconds: 0)
            #expect(volume.accessTimeIsDue(inode))
            inode.attributes.accessTime = WallTime(seconds: .max, nanoseconds: 0)
            #expect(!volume.accessTimeIsDue(inode))
        }
        fixture.image.unmount(volume)
    }

    @Test("files that come and go leave the count of unused inodes right")
    func unusedCount() throws {
        let fixture = try SpaceFixture()
        let volume = fixture.volume
        try fixture.run { () async throws(FileSystemError) in
            let root = try await volume.inode(volume.rootNumber)
            defer { root.release() }
            for _ in 0..<20 {
                let name = try FileName("f".utf8)
                try await volume.createFile(name, in: root, newFile).release()
                try await volume.unlink(name, in: root)
                await volume.tasks.wait()
            }
            try await volume.createFile(try FileName("g".utf8), in: root, newFile).release()
        }
        let table = volume.inodeTable
        #expect(table.unusedCount > 0)
        #expect(table.unusedCount == table.all.count { $0.referenceCount == 0 })
        fixture.image.unmount(volume)
        #expect(fixture.image.faults() == [])
    }

    @Test("an orphan without an entry is reported and left alone; the mount goes on")
    func missingOrphanEntry() throws {
        var options = MountOptions()
        options.errors = .continue
        let fixture = try SpaceFixture(.init(), options)
        let volume = fixture.volume
        try fixture.run { () async throws(FileSystemError) in
            let root = try await volume.inode(volume.rootNumber)
            defer { root.release() }
            let name = try FileName("f".utf8)
            let inode = try await volume.createFile(name, in: root, newFile)
            try await volume.unlink(name, in: root)
            let directory = try await volume.orphanDirectory(slot: volume.slot)
            let entry = try await volume.planOrphanRemoval(
                named: OrphanName.name(inode: inode.number), from: directory)
            try await volume.transaction(credits: Credits.orphanEntry) { handle throws(FileSystemError) in
                try entry.carryOut(handle)
            }
            inode.release()
            await volume.tasks.wait()
            #expect(!inode.isGone && inode.isWipeRefused)
            let other = try await volume.createFile(name, in: root, newFile)
            other.release()
        }
        #expect(volume.stopReason == nil && !volume.isReadOnly)
        fixture.image.unmount(volume)
    }

    @Test("a temporary file that is closed and then gets a name has what was written")
    func linkedAfterClose() throws {
        let fixture = try SpaceFixture()
        let volume = fixture.volume
        try fixture.run { () async throws(FileSystemError) in
            let root = try await volume.inode(volume.rootNumber)
            defer { root.release() }
            let inode = try await volume.makeTemporaryFile(in: root, newFile)
            defer { inode.release() }
            var mode = OpenMode()
            mode.writes = true
            try await volume.openFile(inode, mode, caller: .system)
            let slice = IOSlice(buffer: IOBuffer(byteCount: 100_000), offset: 0, count: 100_000)
            slice.bytes.initializeMemory(as: UInt8.self, repeating: 7)
            try await inode.fileData.write(slice, at: 0)
            await volume.closeFile(inode, mode)
            await volume.flushAllData()
            try await volume.link(inode, to: try FileName("f".utf8), in: root)
        }
        fixture.image.unmount(volume)
        #expect(fixture.image.faults() == [])
        #expect(fixture.image.debugfs("stat /f").contains("Size: 100000"))
    }

    @Test("few inodes that are used often do not grow the table's list")
    func usedOften() throws {
        let fixture = try SpaceFixture()
        try fixture.run { () async throws(FileSystemError) in
            let root = try await fixture.volume.inode(fixture.volume.rootNumber)
            root.release()
            for _ in 0..<20_000 {
                root.retain()
                root.release()
            }
        }
        #expect(fixture.volume.inodeTable.listLength < 10_000)
        fixture.image.unmount(fixture.volume)
    }
}
