import EngineKit
import EngineSimulation
import FileSystem
import OCFS2Layout
import Testing

@Suite(.enabled(if: Tool.hasVolumeTools, "ocfs2-tools are not installed"))
struct ConcurrentNameTests {
    /// One of many tasks that change the same few directories.
    private final class Changer {
        let volume: MountedVolume
        let directories: [Inode]
        let random: SeededRandom
        private(set) var doneCount = 0

        init(_ volume: MountedVolume, _ directories: [Inode], seed: UInt64) {
            self.volume = volume
            self.directories = directories
            random = SeededRandom(seed: seed)
        }

        private func directory() -> Inode { directories[Int(random.next(below: UInt64(directories.count)))] }
        private func name() -> FileName {
            let number = random.next(below: 60)
            return .of("name \(number)" + String(repeating: "x", count: Int(number)))
        }

        /// What may be answered when others change the same names meanwhile.
        private static let expected: [FileSystemError] = [
            .notFound, .alreadyExists, .isADirectory, .notADirectory, .directoryNotEmpty, .invalidArgument,
            .notPermitted, .noAttribute, .busy, .stale,
        ]

        func step() async {
            do throws(FileSystemError) {
                try await change()
                doneCount += 1
            } catch {
                if !Self.expected.contains(error) { Issue.record("\(error)") }
            }
        }

        private func change() async throws(FileSystemError) {
            switch random.next(below: 12) {
            case 0..<3: try await volume.createFile(name(), in: directory(), newFile).release()
            case 3: try await volume.makeDirectory(name(), in: directory(), newDirectory).release()
            case 4: try await volume.unlink(name(), in: directory())
            case 5: try await volume.removeDirectory(name(), in: directory())
            case 6:
                let file = try await volume.lookup(name(), in: directory())
                defer { file.release() }
                try await volume.link(file, to: name(), in: directory())
            case 7:
                let file = try await volume.lookup(name(), in: directory())
                defer { file.release() }
                let value = [UInt8](repeating: 5, count: Int(random.next(below: 200)))
                try await volume.setXattr(
                    Array("user.x\(random.next(below: 9))".utf8), of: file, to: value, .createOrReplace,
                    caller: .system)
            case 8:
                var inodes: [Inode] = []
                let directory = directory()
                try await volume.readDirectoryWithInodes(directory, from: .start) { _, inode in
                    if let inode { inodes.append(inode) }
                    return true
                }
                for inode in inodes { inode.release() }
            case 9: try await volume.makeTemporaryFile(in: directory(), newFile).release()
            default:
                let modes: [RenameMode] = [.replace, .replace, .exchange]
                try await volume.rename(
                    name(), in: directory(), to: name(), in: directory(), modes[Int(random.next(below: 3))])
            }
        }
    }

    @Test("many tasks that change the same directories leave a clean volume, and none waits for ever", arguments: 0..<4)
    func stress(seed: Int) throws {
        let image = try VolumeImage.make(.init(blockSize: seed % 2 == 0 ? 512 : 1024, journalMebibytes: 8))
        image.device.latency = .microseconds(50)
        let volume = try image.mount()
        var inodes: [Inode] = []
        try image.environment.wait { () async throws(FileSystemError) in
            let root = try await volume.rootDirectory()
            let a = try await volume.makeDirectory(.of("a"), in: root, newDirectory)
            let b = try await volume.makeDirectory(.of("b"), in: a, newDirectory)
            let c = try await volume.makeDirectory(.of("c"), in: root, newDirectory)
            inodes = [root, a, b, c]
        }
        var left = 10, doneCount = 0
        let all = inodes
        for task in 0..<10 {
            let changer = Changer(volume, all, seed: UInt64(seed * 100 + task))
            image.environment.spawn {
                for _ in 0..<150 {
                    await changer.step()
                    if changer.random.next(below: 5) == 0 { await image.environment.yield() }
                }
                doneCount += changer.doneCount
                left -= 1
            }
        }
        #expect(image.environment.run { left == 0 })
        #expect(doneCount > 300)
        #expect(!image.environment.records.contains { $0.level >= .error })
        image.environment.wait { for inode in all { inode.release() } }
        image.unmount(volume)
        #expect(image.faults(allowing: XattrTests.tolerated) == [])
    }

    @Test("a full volume refuses names in time and takes them again after removal")
    func fullVolume() throws {
        let image = try VolumeImage.make(.init(mebibytes: 24, blockSize: 1024))
        let count = try image.mounted { volume in
            let root = try await volume.rootDirectory()
            let directory = try await volume.makeDirectory(.of("d"), in: root, newDirectory)
            var count = 0
            var failure: FileSystemError?
            while failure == nil {
                do throws(FileSystemError) {
                    let name = FileName.of("\(count) " + String(repeating: "x", count: 200))
                    try await volume.createFile(name, in: directory, newFile).release()
                    count += 1
                } catch {
                    failure = error
                }
            }
            #expect(failure == .noSpace)
            for index in 0..<count {
                try await volume.unlink(.of("\(index) " + String(repeating: "x", count: 200)), in: directory)
            }
            directory.release()
            root.release()
            return count
        }
        #expect(count > 3000)
        #expect(image.faults() == [])
        try image.mounted { volume in
            let root = try await volume.rootDirectory()
            for index in 0..<2000 {
                try await volume.createFile(.of("again \(index)"), in: root, newFile).release()
            }
            root.release()
        }
        #expect(image.faults() == [])
    }

    @Test("a read-only mount shows names and changes none")
    func readOnly() throws {
        let image = try VolumeImage.make()
        try image.mounted { volume in
            let root = try await volume.rootDirectory()
            try await volume.createFile(.of("f"), in: root, newFile).release()
            root.release()
        }
        var options = MountOptions()
        options.isReadOnly = true
        let volume = try image.mount(options)
        image.device.isReadOnly = true
        try image.environment.wait { () async throws in
            let root = try await volume.rootDirectory()
            let file = try await volume.lookup(.of("f"), in: root)
            let names = try await list(volume, root)
            #expect(names.contains("f"))
            await #expect(throws: FileSystemError.readOnly) {
                _ = try await volume.createFile(.of("g"), in: root, newFile)
            }
            await #expect(throws: FileSystemError.readOnly) { try await volume.unlink(.of("f"), in: root) }
            await #expect(throws: FileSystemError.readOnly) {
                try await volume.setXattr(Array("user.a".utf8), of: file, to: [], .create, caller: .system)
            }
            file.release()
            root.release()
        }
        image.unmount(volume)
    }

    @Test("immutable and append-only directories keep their names; a synchronous one is durable at once")
    func flags() throws {
        let image = try VolumeImage.make()
        let volume = try image.mount()
        let before = try image.environment.wait { () async throws in
            let root = try await volume.rootDirectory()
            let directory = try await volume.makeDirectory(.of("d"), in: root, newDirectory)
            let file = try await volume.createFile(.of("f"), in: directory, newFile)
            try await volume.setInodeFlags(of: directory, to: 0x10, caller: .system)
            await #expect(throws: FileSystemError.notPermitted) {
                _ = try await volume.createFile(.of("g"), in: directory, newFile)
            }
            await #expect(throws: FileSystemError.notPermitted) { try await volume.unlink(.of("f"), in: directory) }
            try await volume.setInodeFlags(of: directory, to: 0x20, caller: .system)
            try await volume.createFile(.of("g"), in: directory, newFile).release()
            await #expect(throws: FileSystemError.notPermitted) { try await volume.unlink(.of("f"), in: directory) }
            try await volume.setInodeFlags(of: directory, to: 0x10000, caller: .system)
            try await volume.setInodeFlags(of: file, to: 0x10, caller: .system)
            await #expect(throws: FileSystemError.notPermitted) { try await volume.unlink(.of("f"), in: directory) }
            await #expect(throws: FileSystemError.notPermitted) { try await volume.link(file, to: .of("l"), in: root) }
            await #expect(throws: FileSystemError.notPermitted) {
                try await volume.setInodeFlags(of: file, to: 0, caller: Caller(uid: 5, gid: 5))
            }
            let before = image.device.counts.flushes
            try await volume.createFile(.of("h"), in: directory, newFile).release()
            for inode in [file, directory, root] { inode.release() }
            return before
        }
        #expect(image.device.counts.flushes > before)
        image.unmount(volume)
        #expect(image.faults() == [])
    }
}
