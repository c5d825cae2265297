import EngineKit
import EngineSimulation
import Journal
import LayoutKit
import OCFS2Layout
import Testing

@testable import FileSystem

@Suite(.enabled(if: Tool.hasVolumeTools, "ocfs2-tools are not installed"))
struct RecoveryTests {
    /// A host that has an open window, clusters in the truncate log and unlinked files, all of it committed, and dies.
    private func crashed(
        _ recipe: VolumeImage.Recipe, slot: Int? = nil, node: UInt32 = 0
    ) throws -> VolumeImage {
        let image = try VolumeImage.make(recipe)
        var options = MountOptions()
        options.preferredSlot = slot
        let volume = try image.mount(options, nodeNumber: node)
        #expect(volume.slot == slot ?? 0)
        try image.environment.wait { () async throws(FileSystemError) in
            let root = try await volume.inode(volume.rootNumber)
            for index in 0..<20 {
                let name = try FileName("file \(index)".utf8)
                let inode = try await volume.createFile(name, in: root, newFile)
                if index % 2 == 0 {
                    try await volume.unlink(name, in: root)
                } else {
                    inode.release()
                }
            }
            for _ in 0..<3 { _ = try await volume.makeTemporaryFile(in: root, newFile) }
            _ = try await volume.makeDirectory(FileName("directory".utf8), in: root, newDirectory)
            try await volume.removeDirectory(FileName("directory".utf8), in: root)
            let reserved = try await volume.reserveRun(atMost: 100, near: nil)
            let run = reserved.run
            let room = try await volume.prepareToFree()
            try await volume.transaction(credits: 3) { handle async throws(FileSystemError) in
                try await volume.commitRun(reserved, count: 100, handle)
                try await volume.freeClusters(run, handle)
            }
            room.release()
            try await volume.commit()
        }
        // Every committed block is in the log only.
        return image.copy()
    }

    private func dinode(_ image: VolumeImage, _ kind: SystemInode, slot: Int) throws -> [UInt8] {
        var options = MountOptions()
        options.isReadOnly = true
        let volume = try image.mount(options)
        defer { image.unmount(volume) }
        return try image.environment.wait { () async throws(FileSystemError) in
            Array(try await volume.systemInode(kind, slot: slot).block.bytes)
        }
    }

    private func expectRecovered(_ image: VolumeImage, slot: Int) throws {
        #expect(image.faults() == [])
        let window = try dinode(image, .localAlloc, slot: slot)
        let log = try dinode(image, .truncateLog, slot: slot)
        let orphans = try dinode(image, .orphanDirectory, slot: slot)
        let journal = try dinode(image, .journal, slot: slot)
        window.withUnsafeBytes { #expect($0[LocalAlloc.Field.total] == 0) }
        log.withUnsafeBytes { #expect($0[TruncateLog.Field.count] == 0) }
        orphans.withUnsafeBytes { #expect($0[Dinode.Field.linkCount] == 2) }
        journal.withUnsafeBytes {
            #expect($0[Dinode.Field.journalFlags] == 0)
            #expect($0[Dinode.Field.recoveryGeneration] == 1)
        }
    }

    @Test(
        "the own slot is recovered: log, window, truncate log, orphans",
        arguments: [VolumeImage.Recipe(blockSize: 1024), .init(blockSize: 512, features: ["metaecc"])])
    func ownSlot(recipe: VolumeImage.Recipe) throws {
        let image = try crashed(recipe)
        let volume = try image.mount()
        try image.environment.wait { () async throws(FileSystemError) in
            await volume.tasks.wait()
            let root = try await volume.inode(volume.rootNumber)
            let names = try await LinearDirectory(root).entries().map { String(decoding: $0.name, as: UTF8.self) }
            #expect(Set(names) == Set(["lost+found"] + (0..<20).filter { $0 % 2 == 1 }.map { "file \($0)" }))
            root.release()
        }
        image.unmount(volume)
        try expectRecovered(image, slot: 0)
    }

    @Test("a slot whose host is gone is recovered and freed by the next mount")
    func foreignSlot() throws {
        let image = try crashed(.init(isLocal: false), slot: 1, node: 5)
        let volume = try image.mount(nodeNumber: 3)
        #expect(volume.slot == 0)
        #expect(image.environment.records.contains { $0.text == "slot 1 is recovered" })
        let map = try image.environment.wait { () async throws(FileSystemError) in
            try await SlotMapFile(reading: volume).map
        }
        #expect(map.nodes == [3, nil])
        image.unmount(volume)
        try expectRecovered(image, slot: 1)
    }

    @Test("a host that comes back takes its old slot and recovers it")
    func sameNode() throws {
        let image = try crashed(.init(isLocal: false), slot: 1, node: 5)
        let volume = try image.mount(nodeNumber: 5)
        #expect(volume.slot == 1)
        image.unmount(volume)
        try expectRecovered(image, slot: 1)
    }

    @Test("a read-only mount of a dirty volume shows what was committed and leaves the recovery to a writer")
    func readOnly() throws {
        let image = try crashed(.init())
        var options = MountOptions()
        options.isReadOnly = true
        let volume = try image.mount(options)
        try image.environment.wait { () async throws(FileSystemError) in
            let root = try await volume.inode(volume.rootNumber)
            let entries = try await LinearDirectory(root).entries()
            #expect(entries.count == 11)
            root.release()
        }
        image.unmount(volume)
        let writer = try image.mount()
        image.unmount(writer)
        try expectRecovered(image, slot: 0)
    }

    @Test("a dirty volume on a device that cannot be written is refused")
    func readOnlyDevice() throws {
        let image = try crashed(.init())
        image.device.isReadOnly = true
        #expect(throws: MountError.dirtyJournal(slot: 0)) { try image.mount() }
    }

    @Test("recovery that is cut off anywhere is done by the next mount")
    func cutOff() throws {
        let image = try crashed(.init(isLocal: false), slot: 1, node: 5)
        let first = image.copy()
        first.device.isRecording = true
        let volume = try first.mount(nodeNumber: 3)
        first.environment.wait { await volume.tasks.wait() }
        let writes = first.device.records
        for cut in stride(from: 0, to: writes.count, by: max(1, writes.count / 12)) {
            let half = image.copy()
            for case .write(let offset, let bytes, _) in writes[..<cut] {
                bytes.withUnsafeBytes { half.device.write(at: offset, $0) }
            }
            let again = try half.mount(nodeNumber: 3)
            half.unmount(again)
            #expect(half.faults() == [], "after \(cut) of \(writes.count) writes")
        }
    }
}
