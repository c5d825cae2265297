import EngineKit
import EngineSimulation
import FileSystem
import OCFS2Layout
import Testing

@Suite(.enabled(if: Tool.hasVolumeTools, "ocfs2-tools are not installed"), .serialized)
struct FileDataTests {
    static let recipes: [VolumeImage.Recipe] = [
        .init(blockSize: 512, journalMebibytes: 8), .init(blockSize: 1024, clusterSize: 16384), .init(blockSize: 4096),
        .init(blockSize: 4096, clusterSize: 65536), .init(blockSize: 1024, features: ["metaecc"]),
        .init(mebibytes: 160, blockSize: 2048, clusterSize: 1 << 20, journalMebibytes: 16, features: ["noinline-data"]),
    ]

    @Test("a volume without holes and unwritten extents gets clusters for all of a file")
    func dense() throws {
        let image = try VolumeImage.make(.init(blockSize: 1024, featureLevel: "max-compat"))
        try image.soil(mebibytes: 30)
        let model = try image.mounted { volume in
            let root = try await volume.rootDirectory()
            let inode = try await volume.createFile(.of("f"), in: root, newFile)
            let file = FileUnderTest(volume, inode)
            try await file.write([1, 2, 3], at: 100_000)
            try await file.resize(to: 1_000_000)
            try await file.write([4, 5], at: 1_500_000)
            try await file.resize(to: 1_200_000)
            await #expect(throws: FileSystemError.notSupported) { try await file.punch(0..<50_000) }
            #expect(try await file.firstDifference() == nil)
            inode.release()
            root.release()
            return file.model
        }
        #expect(image.faults() == [])
        try image.mounted { volume in
            let root = try await volume.rootDirectory()
            let inode = try await volume.lookup(.of("f"), in: root)
            let file = FileUnderTest(volume, inode)
            file.model = model
            #expect(try await file.firstDifference() == nil)
            inode.release()
            root.release()
        }
    }

    /// Many files at once, seek over holes, copies within and between files.
    @Test("seek finds holes and data, copies are equal, synchronous and unlinked files behave")
    func operations() throws {
        let image = try VolumeImage.make(.init(blockSize: 4096))
        try image.mounted { volume in
            let root = try await volume.rootDirectory()
            var files: [FileUnderTest] = []
            for index in 0..<60 {
                let inode = try await volume.createFile(.of("f\(index)"), in: root, newFile)
                files.append(FileUnderTest(volume, inode))
                try await files[index].write(
                    [UInt8](repeating: UInt8(index), count: 5000 + index), at: index % 3 * 8192)
            }
            await volume.flushAllData()
            for file in files { #expect(try await file.firstDifference() == nil) }
            let sparse = files[1]
            try await sparse.write([9], at: 100_000)
            #expect(try await volume.seek(sparse.inode, from: 0, to: .data) == 8192)
            #expect(try await volume.seek(sparse.inode, from: 8192, to: .hole) == 16384)
            #expect(try await volume.seek(sparse.inode, from: 16384, to: .data) == 98304)
            #expect(try await volume.seek(sparse.inode, from: 98304, to: .hole) == 100_001)
            await #expect(throws: FileSystemError.noSuchRange) {
                _ = try await volume.seek(sparse.inode, from: 100_001, to: .hole)
            }
            let count = try await volume.copyRange(
                of: sparse.inode, at: 0, to: files[2].inode, at: 0, byteCount: 1 << 30)
            #expect(count == 100_001)
            files[2].model = sparse.model
            #expect(try await files[2].firstDifference() == nil)
            var mode = WriteMode()
            mode.isSynchronous = true
            try await files[3].write([UInt8](repeating: 3, count: 10_000), at: 0, mode)
            mode.isSynchronous = false
            mode.isWriteBack = true
            let size = files[3].model.count
            let slice = IOSlice(buffer: IOBuffer(byteCount: 4096), offset: 0, count: 4096)
            _ = try await volume.write(files[3].inode, at: 8192, slice, mode)
            #expect(files[3].inode.attributes.size == UInt64(size))
            // Dirty, unlinked, still open: readable; then gone with its clusters.
            try await volume.openFile(files[4].inode, OpenMode(writes: true), caller: .system)
            try await files[4].write([UInt8](repeating: 44, count: 300_000), at: 0)
            try await volume.unlink(.of("f4"), in: root)
            #expect(try await files[4].firstDifference() == nil)
            await volume.closeFile(files[4].inode, OpenMode(writes: true))
            for file in files { file.inode.release() }
            root.release()
        }
        #expect(image.faults() == [])
    }

    @Test("small and large writes are read back before and after the flush and a remount", arguments: recipes)
    func basics(recipe: VolumeImage.Recipe) throws {
        let image = try VolumeImage.make(recipe)
        try image.soil(mebibytes: 30)
        var models: [String: [UInt8]] = [:]
        let sizes = [0, 1, 100, 311, 312, 313, 4000, 4096, 5000, 65536, 1_000_000, 3 << 20]
        try image.mounted { volume in
            let root = try await volume.rootDirectory()
            for size in sizes {
                let inode = try await volume.createFile(.of("f\(size)"), in: root, newFile)
                let file = FileUnderTest(volume, inode)
                var done = 0
                while done < size {
                    let count = min(size - done, 200_000)
                    try await file.write((0..<count).map { UInt8(truncatingIfNeeded: $0 / 3 + size + done) }, at: done)
                    done += count
                }
                #expect(try await file.firstDifference() == nil)
                try await volume.syncFile(inode, dataOnly: false)
                #expect(try await file.firstDifference() == nil)
                models["f\(size)"] = file.model
                inode.release()
            }
            root.release()
        }
        #expect(image.faults() == [])
        try image.mounted { [models] volume in
            let root = try await volume.rootDirectory()
            for size in sizes {
                let inode = try await volume.lookup(.of("f\(size)"), in: root)
                let file = FileUnderTest(volume, inode)
                file.model = models["f\(size)"]!
                #expect(try await file.firstDifference() == nil)
                inode.release()
            }
            root.release()
        }
    }

    /// Random changes of one file, read back after each, with flushes and remounts between.
    @Test("random changes equal an array of bytes", arguments: recipes, 1...2)
    func random(recipe: VolumeImage.Recipe, seed: Int) throws {
        let image = try VolumeImage.make(recipe, seed: UInt64(seed))
        try image.soil(mebibytes: 30)
        let random = SeededRandom(seed: UInt64(seed))
        var model: [UInt8] = []
        for round in 0..<3 {
            model = try image.mounted { [model] volume in
                let root = try await volume.rootDirectory()
                let inode =
                    round == 0
                    ? try await volume.createFile(.of("f"), in: root, newFile)
                    : try await volume.lookup(.of("f"), in: root)
                let file = FileUnderTest(volume, inode)
                file.model = model
                if let difference = try await file.firstDifference() {
                    Issue.record("after the remount of round \(round): \(difference)")
                    throw VolumeImage.Failure(text: difference)
                }
                for step in 0..<100 {
                    let isSmallStep = round == 0 && step < 40
                    let what = try await Self.change(file, random, isSmall: isSmallStep)
                    guard isSmallStep || step % 5 == 4 else { continue }
                    if let difference = try await file.firstDifference() {
                        Issue.record("round \(round) step \(step), \(what): \(difference)")
                        throw VolumeImage.Failure(text: what)
                    }
                }
                inode.release()
                root.release()
                return file.model
            }
            let faults = image.faults(allowing: ["INODE_SPARSE_SIZE"])
            guard faults == [] else {
                Issue.record("round \(round): \(faults.prefix(5))")
                return
            }
        }
    }

    /// One random change; tells which.
    static func change(_ file: FileUnderTest, _ random: SeededRandom, isSmall: Bool) async throws -> String {
        let most = isSmall ? 3000 : 250_000
        func offset() -> Int {
            let offset = Int(random.next(below: UInt64(most)))
            return random.next(below: 3) == 0 ? offset & ~4095 : offset
        }
        func length() -> Int {
            Int(random.next(below: random.next(below: 3) == 0 ? UInt64(isSmall ? 200 : 90_000) : 600)) + 1
        }
        func bytes(_ count: Int) -> [UInt8] {
            let start = UInt8(truncatingIfNeeded: random.next())
            return (0..<count).map { start &+ UInt8(truncatingIfNeeded: $0 / 7) | 1 }
        }
        let start = offset()
        let count = length()
        switch random.next(below: 20) {
        case 0..<7:
            try await file.write(bytes(count), at: start, shift: random.next(below: 2) == 0 ? 0 : 7)
            return "write \(start) + \(count)"
        case 7..<9:
            var mode = WriteMode()
            mode.appends = true
            try await file.write(bytes(count), at: start, mode)
            return "append \(count)"
        case 9:
            var mode = WriteMode()
            mode.isDirect = true
            try await file.write(bytes((count + 4095) & ~4095), at: start & ~4095, mode)
            return "direct write \(start & ~4095)"
        case 10..<12:
            try await file.resize(to: start)
            return "resize to \(start)"
        case 12..<14:
            try await file.punch(start..<start + count)
            return "punch \(start) + \(count)"
        case 14..<16:
            let keeps = random.next(below: 2) == 0
            try await file.allocate(start..<start + count, keepsSize: keeps)
            return "allocate \(start) + \(count), keeps \(keeps)"
        case 16:
            try await file.volume.syncFile(file.inode, dataOnly: random.next(below: 2) == 0)
            return "sync"
        case 17:
            await file.volume.flushAllData()
            return "flush"
        default:
            let found = try await file.read(start..<start + count, shift: 3)
            let expected = Array(file.model[min(start, file.model.count)..<min(start + count, file.model.count)])
            if found != expected { Issue.record("read \(start) + \(count) differs") }
            return "read"
        }
    }
}
