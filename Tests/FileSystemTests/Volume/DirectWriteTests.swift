import EngineKit
import EngineSimulation
import Journal
import LayoutKit
import OCFS2Layout
import Testing

@testable import FileSystem

/// Another host's appending direct write, as a kernel's host does it: listed in the orphan directory of its slot while the
/// read/write lock is held. Spec: ocfs2-disk 12.3
@Suite(.enabled(if: Tool.hasVolumeTools, "ocfs2-tools are not installed"))
struct DirectWriteTests {
    private struct DirectWrite {
        let inode: Inode

        private var volume: MountedVolume { inode.volume }
        private var name: FileName {
            FileName(unchecked: Array(OrphanName.name(inode: inode.number, isDirectIO: true).utf8))
        }

        func begin() async throws {
            try await inode.readWriteLock.acquire(.exclusive)
            try await inode.lock(.exclusive)
            let directory = try await volume.orphanDirectory(slot: volume.slot)
            try await directory.lock(.exclusive)
            let names = try Directory(directory)
            let insertion = try await names.planInsertion(of: name)
            let inode = inode, volume = volume
            try await volume.transaction(credits: 20) { handle throws(FileSystemError) in
                try names.carryOut(insertion, number: inode.number, type: .regular, handle)
                inode.attributes.flags.insert(.directIOOrphaned)
                inode.block.bytes[Dinode.Field.directIOOrphanedSlot] = UInt16(volume.slot)
                inode.storeAttributes(handle)
            }
            directory.unlock(.exclusive)
            inode.unlock(.exclusive)
        }

        func end() async throws {
            try await inode.lock(.exclusive)
            let directory = try await volume.orphanDirectory(slot: volume.slot)
            try await directory.lock(.exclusive)
            let names = try Directory(directory)
            let removal = try await names.planRemoval(of: name)
            let inode = inode
            try await volume.transaction(credits: 20) { handle throws(FileSystemError) in
                try names.carryOut(removal, handle)
                inode.attributes.flags.remove(.directIOOrphaned)
                inode.storeAttributes(handle)
            }
            directory.unlock(.exclusive)
            inode.unlock(.exclusive)
            inode.readWriteLock.release(.exclusive)
        }
    }

    @Test("is left alone by a scan, and a recovery that comes too late finds nothing to do")
    func underWay() throws {
        let image = try VolumeImage.make(.init(isLocal: false))
        let locks = SharedLocks()
        var volumes: [MountedVolume] = []
        for node in 0..<2 {
            volumes.append(
                try image.environment.wait { () async throws(MountError) in
                    try await MountedVolume.mount(
                        device: image.device, environment: image.environment, locks: locks.host(),
                        options: MountOptions(), nodeNumber: UInt32(node))
                })
        }
        let (own, other) = (volumes[0], volumes[1])
        try image.environment.wait { () async throws in
            let root = try await other.rootDirectory()
            let file = FileUnderTest(other, try await other.createFile(.of("f"), in: root, newFile))
            try await file.write([UInt8](repeating: 5, count: 9000), at: 0)
            try await other.syncFile(file.inode, dataOnly: false)
            let write = DirectWrite(inode: file.inode)
            try await write.begin()
            await own.recoverOrphans(slot: other.slot, isScan: true)
            #expect(own.inodeInMemory(file.inode.number) == nil, "the scan has looked at the file")
            // As a mount does it whose slot was free a moment ago.
            var isOver = false
            image.environment.spawn {
                await own.recoverOrphans(slot: other.slot)
                isOver = true
            }
            for _ in 0..<50 { await image.environment.yield() }
            #expect(!isOver, "it does not wait for the writer")
            try await write.end()
            while !isOver { await image.environment.yield() }
            #expect(file.inode.attributes.size == 9000)
            file.inode.release()
            root.release()
        }
        #expect(!image.hasReportedCorruption)
        #expect(!own.isReadOnly)
        for volume in volumes { image.unmount(volume) }
        #expect(image.faults() == [])
    }
}
