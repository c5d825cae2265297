import EngineKit
import EngineSimulation
import FileSystem
import OCFS2Layout
import Testing

extension FileName {
    static func of(_ text: String) -> FileName { try! FileName(text.utf8) }
}

extension VolumeImage {
    /// Mounts, runs `body` as a task of the host, unmounts.
    func mounted<Result>(_ body: @escaping (MountedVolume) async throws -> Result) throws -> Result {
        let volume = try mount()
        let result = try environment.wait { () async throws -> Result in try await body(volume) }
        unmount(volume)
        return result
    }
}

let newFile = NewNode(mode: 0o644, caller: .system), newDirectory = NewNode(mode: 0o755, caller: .system)

func list(_ volume: MountedVolume, _ directory: Inode) async throws -> [String] {
    var names: [String] = []
    try await volume.readDirectory(directory, from: .start) { entry in
        names.append(String(decoding: entry.name, as: UTF8.self))
        return true
    }
    return names
}

@Suite(.enabled(if: Tool.hasVolumeTools, "ocfs2-tools are not installed"), .serialized)
struct NameTests {
    static let recipes: [VolumeImage.Recipe] = [
        .init(blockSize: 512, journalMebibytes: 8), .init(blockSize: 1024), .init(blockSize: 4096),
        .init(blockSize: 1024, clusterSize: 16384), .init(blockSize: 1024, features: ["metaecc"]),
        .init(blockSize: 512, journalMebibytes: 8, features: ["noindexed-dirs"]),
        .init(blockSize: 1024, features: ["noindexed-dirs", "metaecc"]),
        .init(blockSize: 1024, features: ["noinline-data"]),
        .init(blockSize: 4096, features: ["noinline-data", "noindexed-dirs"]),
    ]

    @Test("what is made is found, listed, and clean for fsck", arguments: recipes)
    func basics(recipe: VolumeImage.Recipe) throws {
        let image = try VolumeImage.make(recipe)
        try image.mounted { volume in
            let root = try await volume.rootDirectory()
            let directory = try await volume.makeDirectory(.of("d"), in: root, newDirectory)
            for index in 0..<200 {
                try await volume.createFile(.of("file with number \(index)"), in: directory, newFile).release()
            }
            try await volume.makeSymbolicLink(.of("s"), in: root, target: Array("d/x".utf8), newFile).release()
            await #expect(throws: FileSystemError.alreadyExists) {
                _ = try await volume.createFile(.of("s"), in: root, newFile)
            }
            for index in stride(from: 0, to: 200, by: 3) {
                try await volume.unlink(.of("file with number \(index)"), in: directory)
            }
            directory.release()
            root.release()
        }
        try image.mounted { volume in
            let root = try await volume.rootDirectory()
            let directory = try await volume.lookup(.of("d"), in: root)
            let names = try await list(volume, directory)
            #expect(Set(names) == Set([".", ".."] + (0..<200).filter { $0 % 3 != 0 }.map { "file with number \($0)" }))
            let link = try await volume.lookup(.of("s"), in: root)
            let target = try await volume.readLink(link)
            #expect(target == Array("d/x".utf8))
            let parent = try await volume.lookup(.dotDot, in: directory)
            #expect(parent === root)
            for inode in [parent, link, directory, root] { inode.release() }
        }
        #expect(image.faults() == [])
    }

    @Test("random series leave what the model has, before and after a new mount", arguments: recipes)
    func randomSeries(recipe: VolumeImage.Recipe) throws {
        let image = try VolumeImage.make(recipe)
        var workload: NameWorkload?
        for round in 0..<3 as Range<UInt64> {
            let volume = try image.mount()
            let current = workload?.moved(to: volume, seed: 10 + round) ?? NameWorkload(volume: volume, seed: 9)
            try image.environment.wait { () async throws(FileSystemError) in
                if round == 0 { try await current.start() } else { try await current.findInodes() }
                current.nameCount = 40 * (1 + 3 * round)
                current.nameByteCountMax = round == 2 ? 255 : 30
                for _ in 0..<700 { await current.step() }
                try await current.check()
                current.releaseAll()
            }
            image.unmount(volume)
            workload = current
            #expect(image.faults() == [])
        }
        #expect(workload!.doneCount > 150)
        #expect(workload!.refusedCount > 50)
    }

    @Test("65,000 names in one directory, then a third less, then again", arguments: [512, 4096])
    func manyNames(blockSize: Int) throws {
        let image = try VolumeImage.make(.init(mebibytes: 128, blockSize: blockSize, journalMebibytes: 16))
        let clock = ContinuousClock(), begin = clock.now
        let count = 65000
        func name(_ index: Int) -> FileName { .of("f\(String(repeating: "x", count: index % 17))\(index)") }
        try image.mounted { volume in
            let root = try await volume.rootDirectory()
            let directory = try await volume.makeDirectory(.of("d"), in: root, newDirectory)
            let file = try await volume.createFile(name(0), in: directory, newFile)
            for index in 1..<count { try await volume.link(file, to: name(index), in: directory) }
            #expect(file.attributes.linkCount == UInt32(count))
            for index in stride(from: 0, to: count, by: 3) { try await volume.unlink(name(index), in: directory) }
            for index in stride(from: 0, to: count, by: 6) {
                try await volume.link(file, to: name(index), in: directory)
            }
            let names = try await list(volume, directory)
            #expect(names.count == count - (count + 2) / 3 + (count + 5) / 6 + 2)
            for index in stride(from: 0, to: count, by: 501) {
                if index % 3 != 0 || index % 6 == 0 {
                    let found = try await volume.lookup(name(index), in: directory)
                    #expect(found === file)
                    found.release()
                }
            }
            for inode in [file, directory, root] { inode.release() }
        }
        // Seconds on a free machine; something quadratic takes an hour.
        #expect(clock.now - begin < .seconds(600))
        #expect(image.faults() == [])
    }

    @Test(
        "a listing in pieces shows each name that stays exactly once, whatever comes and goes",
        arguments: [512, 4096])
    func cookies(blockSize: Int) throws {
        let image = try VolumeImage.make(.init(blockSize: blockSize, journalMebibytes: 8))
        try image.mounted { volume in
            let root = try await volume.rootDirectory()
            let directory = try await volume.makeDirectory(.of("d"), in: root, newDirectory)
            let file = try await volume.createFile(.of("target"), in: root, newFile)
            let random = SeededRandom(seed: 5)
            for round in 0..<30 {
                for index in 0..<(round * 4) {
                    try await volume.link(file, to: .of("stay \(index)"), in: directory)
                    try await volume.link(file, to: .of("go \(index)"), in: directory)
                }
                var seen: [String: Int] = [:]
                var cookie = DirectoryCookie.start, isOver = false
                var step = 0
                while !isOver {
                    isOver = true
                    var left = 1 + random.next(below: 5)
                    try await volume.readDirectory(directory, from: cookie) { entry in
                        if left == 0 {
                            isOver = false
                            return false
                        }
                        left -= 1
                        seen[String(decoding: entry.name, as: UTF8.self), default: 0] += 1
                        cookie = entry.next
                        return true
                    }
                    if step < round * 4 { try await volume.unlink(.of("go \(step)"), in: directory) }
                    try await volume.link(file, to: .of("come \(round) \(step)"), in: directory)
                    step += 1
                }
                #expect(seen["."] == 1 && seen[".."] == 1)
                for index in 0..<(round * 4) { #expect(seen["stay \(index)"] == 1) }
                for name in try await list(volume, directory) where name != "." && name != ".." {
                    try await volume.unlink(.of(name), in: directory)
                }
            }
            for inode in [file, directory, root] { inode.release() }
        }
        #expect(image.faults() == [])
    }

    @Test("a cold listing with inodes reads their blocks in runs", arguments: [1024, 4096])
    func coldListing(blockSize: Int) throws {
        let image = try VolumeImage.make(.init(blockSize: blockSize))
        try image.mounted { volume in
            let root = try await volume.rootDirectory()
            let directory = try await volume.makeDirectory(.of("d"), in: root, newDirectory)
            for index in 0..<1000 {
                try await volume.createFile(.of("file \(index)"), in: directory, newFile).release()
            }
            directory.release()
            root.release()
        }
        try image.mounted { volume in
            let root = try await volume.rootDirectory()
            let directory = try await volume.lookup(.of("d"), in: root)
            let before = image.device.counts.reads
            var inodes: [Inode] = []
            try await volume.readDirectoryWithInodes(directory, from: .start) { _, inode in
                if let inode { inodes.append(inode) }
                return true
            }
            #expect(inodes.count == 1000)
            #expect(image.device.counts.reads - before < 150)
            for inode in inodes + [directory, root] { inode.release() }
        }
    }

    @Test("an inode without names lives as long as it is referenced, then its space is free again")
    func orphans() throws {
        let image = try VolumeImage.make()
        try image.mounted { volume in
            let root = try await volume.rootDirectory()
            let file = try await volume.createFile(.of("f"), in: root, newFile)
            let directory = try await volume.makeDirectory(.of("d"), in: root, newDirectory)
            try await volume.unlink(.of("f"), in: root)
            try await volume.removeDirectory(.of("d"), in: root)
            let attributes = try await volume.attributes(of: file)
            #expect(attributes.linkCount == 0)
            await #expect(throws: FileSystemError.notFound) {
                _ = try await volume.createFile(.of("x"), in: directory, newFile)
            }
            await #expect(throws: FileSystemError.notPermitted) {
                try await volume.link(directory, to: .of("x"), in: root)
            }
            let temporary = try await volume.makeTemporaryFile(in: root, newFile)
            let kept = try await volume.makeTemporaryFile(in: root, newFile)
            try await volume.link(kept, to: .of("kept"), in: root)
            #expect(kept.attributes.linkCount == 1)
            for inode in [temporary, kept, directory, file, root] { inode.release() }
        }
        #expect(image.debugfs("ls //orphan_dir:0000").split(separator: "\n").count == 2)
        #expect(image.faults() == [])
    }

    @Test("a directory cannot be moved below itself, nor over what it lies in")
    func loops() throws {
        let image = try VolumeImage.make()
        try image.mounted { volume in
            let root = try await volume.rootDirectory()
            let a = try await volume.makeDirectory(.of("a"), in: root, newDirectory)
            let b = try await volume.makeDirectory(.of("b"), in: a, newDirectory)
            await #expect(throws: FileSystemError.invalidArgument) {
                try await volume.rename(.of("a"), in: root, to: .of("x"), in: b, .replace)
            }
            await #expect(throws: FileSystemError.invalidArgument) {
                try await volume.rename(.of("a"), in: root, to: .of("x"), in: a, .replace)
            }
            await #expect(throws: FileSystemError.directoryNotEmpty) {
                try await volume.rename(.of("b"), in: a, to: .of("a"), in: root, .replace)
            }
            await #expect(throws: FileSystemError.invalidArgument) {
                try await volume.rename(.of("b"), in: a, to: .of("a"), in: root, .exchange)
            }
            for inode in [b, a, root] { inode.release() }
        }
        #expect(image.faults() == [])
    }

    @Test("tasks that rename between the same directories in all directions do not block each other")
    func concurrentRenames() throws {
        let image = try VolumeImage.make()
        image.device.latency = .microseconds(100)
        let volume = try image.mount()
        var left = 8
        let root = try image.environment.wait { () async throws(FileSystemError) in
            let root = try await volume.rootDirectory()
            let a = try await volume.makeDirectory(.of("a"), in: root, newDirectory)
            let b = try await volume.makeDirectory(.of("b"), in: a, newDirectory)
            let c = try await volume.makeDirectory(.of("c"), in: root, newDirectory)
            for index in 0..<8 { try await volume.createFile(.of("f\(index)"), in: root, newFile).release() }
            let places = [root, a, b, c]
            for task in 0..<8 {
                image.environment.spawn {
                    let random = SeededRandom(seed: UInt64(task))
                    var place = 0
                    for _ in 0..<60 {
                        let next = Int(random.next(below: 4))
                        do throws(FileSystemError) {
                            try await volume.rename(
                                .of("f\(task)"), in: places[place], to: .of("f\(task)"), in: places[next], .replace)
                            place = next
                        } catch {
                            Issue.record("\(error)")
                        }
                    }
                    left -= 1
                }
            }
            return root
        }
        #expect(image.environment.run { left == 0 })
        image.environment.wait { root.release() }
        image.unmount(volume)
        #expect(image.faults() == [])
    }
}
