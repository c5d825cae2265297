import EngineKit
import EngineSimulation
import Testing

@testable import FileSystem

@Suite(.enabled(if: Tool.hasVolumeTools, "ocfs2-tools are not installed"), .serialized)
struct RefcountFileTests {
    /// Three files with the same clusters; changes of each are not seen in the others.
    @Test(
        "shared files are copied when they are written, and free their clusters once",
        arguments: [
            VolumeImage.Recipe(blockSize: 512, journalMebibytes: 8), .init(blockSize: 4096),
            .init(blockSize: 1024, clusterSize: 8192, features: ["metaecc"]),
        ], [1])
    func random(recipe: VolumeImage.Recipe, seed: Int) throws {
        let image = try VolumeImage.make(recipe)
        try image.soil(mebibytes: 30)
        let random = SeededRandom(seed: UInt64(seed))
        let size = 2_500_000
        try image.mounted { volume in
            let root = try await volume.rootDirectory()
            var files: [FileUnderTest] = []
            for name in ["a", "b", "c"] {
                files.append(FileUnderTest(volume, try await volume.createFile(.of(name), in: root, newFile)))
            }
            var done = 0
            while done < size {
                let count = min(size - done, 1 << 20)
                try await files[0].write((0..<count).map { UInt8(truncatingIfNeeded: $0 / 5 + done) | 1 }, at: done)
                done += count
            }
            try await volume.syncFile(files[0].inode, dataOnly: false)
            try await volume.share(files[0].inode, with: [files[1].inode, files[2].inode])
            files[1].model = files[0].model
            files[2].model = files[0].model
            for step in 0..<700 {
                let file = files[Int(random.next(below: 3))]
                let start = Int(random.next(below: UInt64(size)))
                switch step < 500 ? 9 : random.next(below: 10) {
                case 0..<4: try await file.write([UInt8](repeating: UInt8(step & 127), count: 3000), at: start)
                case 4: try await file.resize(to: start)
                case 5: try await file.resize(to: size)
                case 6: await volume.flushAllData()
                default:
                    // Single clusters, so that the records become many.
                    let cluster = start / recipe.clusterSize * recipe.clusterSize
                    try await files[step % 2].punch(cluster..<cluster + recipe.clusterSize)
                }
                guard step % 100 == 99 else { continue }
                for (index, file) in files.enumerated() {
                    if let difference = try await file.firstDifference() {
                        Issue.record("step \(step), file \(index): \(difference)")
                        throw VolumeImage.Failure(text: difference)
                    }
                }
            }
            for file in files {
                try await volume.syncFile(file.inode, dataOnly: false)
                file.inode.release()
            }
            root.release()
        }
        let faults = image.faults(allowing: ["INODE_SPARSE_SIZE"])
        #expect(faults.prefix(5) == [])
        if seed == 1 { #expect(image.debugfs("refcount -e a").contains("Refcount")) }
        for name in ["b", "a", "c"] {
            try image.mounted { volume in
                let root = try await volume.rootDirectory()
                try await volume.unlink(.of(name), in: root)
                root.release()
            }
            #expect(image.faults(allowing: ["INODE_SPARSE_SIZE"]).prefix(5) == [])
        }
    }
}
