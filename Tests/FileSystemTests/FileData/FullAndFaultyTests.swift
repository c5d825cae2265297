import EngineKit
import EngineSimulation
import FileSystem
import Testing

@Suite(.enabled(if: Tool.hasVolumeTools, "ocfs2-tools are not installed"), .serialized)
struct FullAndFaultyTests {
    @Test(
        "a full volume is told to the writer; what was acknowledged is kept, and the space comes back",
        arguments: [VolumeImage.Recipe(blockSize: 512, journalMebibytes: 8), .init(blockSize: 4096)])
    func full(recipe: VolumeImage.Recipe) throws {
        let image = try VolumeImage.make(recipe)
        for round in 0..<2 {
            var models: [[UInt8]] = []
            models = try image.mounted { volume in
                let root = try await volume.rootDirectory()
                var models: [[UInt8]] = []
                var isFull = false
                for index in 0..<20 where !isFull {
                    let inode = try await volume.createFile(.of("f\(index)"), in: root, newFile)
                    let file = FileUnderTest(volume, inode)
                    do {
                        for piece in 0..<64 {
                            try await file.write(
                                [UInt8](repeating: UInt8(index + round), count: 100_000), at: piece * 100_000)
                        }
                    } catch FileSystemError.noSpace {
                        isFull = true
                    }
                    try await volume.syncFile(inode, dataOnly: false)
                    #expect(try await file.firstDifference() == nil)
                    models.append(file.model)
                    inode.release()
                }
                #expect(isFull)
                root.release()
                return models
            }
            #expect(image.faults() == [])
            try image.mounted { [models] volume in
                let root = try await volume.rootDirectory()
                for (index, model) in models.enumerated() {
                    let inode = try await volume.lookup(.of("f\(index)"), in: root)
                    let file = FileUnderTest(volume, inode)
                    file.model = model
                    #expect(try await file.firstDifference() == nil)
                    inode.release()
                    try await volume.unlink(.of("f\(index)"), in: root)
                }
                root.release()
            }
            #expect(image.faults() == [])
        }
    }

    @Test("small files that wait for their flush take no more promises than they have dirty")
    func manySmallFiles() throws {
        let image = try VolumeImage.make(.init(mebibytes: 64, blockSize: 4096))
        try image.mounted { volume in
            let root = try await volume.rootDirectory()
            for index in 0..<400 {
                let inode = try await volume.createFile(.of("f\(index)"), in: root, newFile)
                let file = FileUnderTest(volume, inode)
                for piece in 0..<4 { try await file.write([UInt8](repeating: 1, count: 5000), at: piece * 5000) }
                inode.release()
            }
            root.release()
        }
        #expect(image.faults() == [])
    }

    @Test("of two who sync the same overwritten bytes, none returns before the device was flushed")
    func concurrentSyncs() throws {
        let image = try VolumeImage.make(.init(blockSize: 4096))
        let flushes = try image.mounted { volume in
            let root = try await volume.rootDirectory()
            let inode = try await volume.createFile(.of("f"), in: root, newFile)
            let file = FileUnderTest(volume, inode)
            try await file.write([UInt8](repeating: 1, count: 65536), at: 0)
            try await volume.syncFile(inode, dataOnly: false)
            image.device.latency = .milliseconds(10)
            var mode = WriteMode()
            mode.isDirect = true
            try await file.write([UInt8](repeating: 2, count: 4096), at: 8192, mode)
            let before = image.device.counts.flushes
            var flushes: [Int] = []
            let ended = AsyncSignal()
            for _ in 0..<2 {
                image.environment.spawn {
                    try? await volume.syncFile(inode, dataOnly: true)
                    flushes.append(image.device.counts.flushes - before)
                    ended.notify()
                }
            }
            while flushes.count < 2 { await ended.wait() }
            image.device.latency = .zero
            inode.release()
            root.release()
            return flushes
        }
        #expect(flushes.count == 2 && flushes.allSatisfy { $0 > 0 })
    }

    @Test("scattered writes that were answered find their extent blocks on a full volume", arguments: [512, 4096])
    func scatteredUntilFull(blockSize: Int) throws {
        let image = try VolumeImage.make(.init(mebibytes: 64, blockSize: blockSize, journalMebibytes: 8))
        try image.mounted { volume in
            let root = try await volume.rootDirectory()
            let filler = try await volume.createFile(.of("filler"), in: root, newFile)
            let free = try await volume.statistics().freeBlockCount * 4096
            try await volume.allocate(filler, 0..<(free - (6 << 20)), .allocate(keepsSize: false))
            let inode = try await volume.createFile(.of("f"), in: root, newFile)
            let file = FileUnderTest(volume, inode)
            var isFull = false
            for index in 0..<2000 where !isFull {
                do {
                    try await file.write([UInt8](repeating: 7, count: 100), at: index * 8192)
                } catch FileSystemError.noSpace {
                    isFull = true
                }
            }
            #expect(isFull)
            try await volume.syncFile(inode, dataOnly: false)
            #expect(try await file.firstDifference() == nil)
            inode.release()
            filler.release()
            root.release()
        }
        #expect(image.faults() == [])
    }

    @Test("an error of the device is told by fsync, and the data is written when the device works again")
    func deviceError() throws {
        let image = try VolumeImage.make(.init(blockSize: 1024))
        let model = try image.mounted { volume in
            let root = try await volume.rootDirectory()
            let inode = try await volume.createFile(.of("f"), in: root, newFile)
            let file = FileUnderTest(volume, inode)
            try await file.write([UInt8](repeating: 1, count: 100_000), at: 0)
            try await volume.syncFile(inode, dataOnly: false)
            image.device.fault = { transfer in
                if case .write = transfer.kind, transfer.byteCount > 4096 { return 5 }
                return 0
            }
            try await file.write([UInt8](repeating: 2, count: 100_000), at: 50_000)
            #expect(try await file.firstDifference() == nil)
            await #expect(throws: FileSystemError.device(BlockDeviceError(errno: 5))) {
                try await volume.syncFile(inode, dataOnly: false)
            }
            await volume.flushAllData()
            #expect(try await file.firstDifference() == nil)
            image.device.fault = nil
            // The background's failure is told once.
            await #expect(throws: FileSystemError.device(BlockDeviceError(errno: 5))) {
                try await volume.flushFile(inode)
            }
            try await volume.syncFile(inode, dataOnly: false)
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

    @Test(
        "thousands of extents: every second cluster, the gaps, holes again",
        arguments: [VolumeImage.Recipe(mebibytes: 64, blockSize: 512, journalMebibytes: 16), .init(blockSize: 4096)])
    func manyExtents(recipe: VolumeImage.Recipe) throws {
        let image = try VolumeImage.make(recipe)
        let count = 1500
        func checked(_ step: String, _ body: @escaping (FileUnderTest) async throws -> Void) throws {
            try image.mounted { volume in
                let root = try await volume.rootDirectory()
                let inode: Inode
                if step == "scattered" {
                    inode = try await volume.createFile(.of("f"), in: root, newFile)
                } else {
                    inode = try await volume.lookup(.of("f"), in: root)
                }
                try await body(FileUnderTest(volume, inode))
                try await volume.syncFile(inode, dataOnly: false)
                inode.release()
                root.release()
            }
            let faults = image.faults(allowing: ["INODE_SPARSE_SIZE"])
            #expect(faults.prefix(3) == [], "after \(step)")
        }
        func byte(_ index: Int) -> UInt8 { UInt8(truncatingIfNeeded: index * 7) | 1 }
        try checked("scattered") { file in
            for index in stride(from: 0, to: count, by: 2) {
                try await file.write([byte(index)], at: index * 4096)
                if index % 100 == 0 { await file.volume.flushAllData() }
            }
        }
        try checked("unwritten") { file in
            try await file.allocate(0..<count * 4096, keepsSize: true)
        }
        try checked("filled") { file in
            for index in (0..<count).reversed() where index % 6 == 1 {
                try await file.write([byte(index)], at: index * 4096)
                if index % 30 == 1 { await file.volume.flushAllData() }
            }
        }
        try checked("punched") { file in
            for index in stride(from: 0, to: count, by: 5) { try await file.punch(index * 4096..<(index + 1) * 4096) }
            for index in 0..<count {
                let expected = index % 5 == 0 || (index % 2 == 1 && index % 6 != 1) ? 0 : byte(index)
                let found = try await file.read(index * 4096..<index * 4096 + 1)
                if found != [expected], index < count - 1 { Issue.record("cluster \(index) begins with \(found)") }
            }
        }
        try checked("cut") { file in
            file.model = [UInt8](repeating: 0, count: count * 4096)
            try await file.resize(to: 100 * 4096)
            try await file.resize(to: 0)
        }
    }
}
