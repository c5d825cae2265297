import EngineKit
import EngineSimulation
import FileSystem
import Testing

extension VolumeImage {
    /// A volume of `Images`, which its README describes.
    static func stored(_ name: String, mebibytes: Int) throws -> VolumeImage {
        let directory = #filePath.split(separator: "/", omittingEmptySubsequences: false).dropLast(2).joined(
            separator: "/")
        let file = SparseFile(byteCount: UInt64(mebibytes) << 20)
        let command = "xz -dc '\(directory)/Images/\(name).img.xz' | dd of=\(file.path) bs=65536 conv=notrunc,sparse"
        let outcome = Tool.run("sh", ["-c", command])
        guard outcome.status == 0 else { throw Failure(text: outcome.text) }
        let environment = VirtualEnvironment(seed: 1)
        let device = MemoryDevice(byteCount: UInt64(mebibytes) << 20, environment: environment)
        for (offset, bytes) in file.contents() { bytes.withUnsafeBytes { device.write(at: offset, $0) } }
        return VolumeImage(environment: environment, device: device)
    }
}

@Suite(.enabled(if: Tool.hasVolumeTools && Tool.exists("xz"), "ocfs2-tools or xz are not installed"), .serialized)
struct ReflinkImageTests {
    private static func open(_ volume: MountedVolume, _ root: Inode, _ name: String) async throws -> FileUnderTest {
        let inode = try await volume.lookup(.of(name), in: root)
        let file = FileUnderTest(volume, inode)
        file.model = try await file.read(0..<Int(inode.attributes.size))
        return file
    }

    /// 700 pieces of 4096 bytes with holes between.
    private static var pieces: [UInt8] {
        var bytes = [UInt8](repeating: 0, count: 699 * 8192 + 4096)
        for index in 0..<700 {
            let text = Array("piece \(index)\n".utf8)
            for place in 0..<4096 { bytes[index * 8192 + place] = text[place % text.count] }
        }
        return bytes
    }

    @Test(
        "files that the kernel shared are read, changed apart from each other, and freed",
        arguments: [("reflinks-512", 64), ("reflinks-4096", 128)])
    func shared(name: String, mebibytes: Int) throws {
        let image = try VolumeImage.stored(name, mebibytes: mebibytes)
        try image.mounted { volume in
            let root = try await volume.rootDirectory()
            try await Self.expectContents(volume, root)
            try await Self.changeAll(volume, root)
            root.release()
        }
        #expect(image.faults(allowing: ["INODE_SPARSE_SIZE"]).prefix(5) == [])
        for names in [["cs", "c1", "g2", "frag"], ["un", "inl", "c2", "g1"], ["g3", "un2", "inl2", "c3"]] {
            try image.mounted { volume in
                let root = try await volume.rootDirectory()
                for name in names { try await volume.unlink(.of(name), in: root) }
                root.release()
            }
            #expect(image.faults(allowing: ["INODE_SPARSE_SIZE"]).prefix(5) == [])
        }
    }

    private static func expectContents(_ volume: MountedVolume, _ root: Inode) async throws {
        var expected = pieces
        for name in ["frag", "g1", "g3"] {
            if name == "g3" {
                for index in stride(from: 0, to: 700, by: 3) {
                    expected.replaceSubrange(index * 8192..<index * 8192 + 2, with: Array("x\n".utf8))
                }
            }
            let file = try await open(volume, root, name)
            #expect(file.model == expected, "\(name)")
            file.inode.release()
        }
        let inline = try await open(volume, root, "inl2"), unwritten = try await open(volume, root, "un2")
        #expect(inline.model == Array("hello\n".utf8))
        #expect(
            unwritten.model == [UInt8](repeating: 117, count: 81920) + [UInt8](repeating: 0, count: 200_000 - 81920))
        inline.inode.release()
        unwritten.inode.release()
    }

    private static func changeAll(_ volume: MountedVolume, _ root: Inode) async throws {
        let random = SeededRandom(seed: 5)
        var files: [FileUnderTest] = []
        for name in ["cs", "c1", "c2", "frag", "g1", "g2", "g3", "un", "un2", "inl", "inl2"] {
            files.append(try await open(volume, root, name))
        }
        for _ in 0..<300 {
            let file = files[Int(random.next(below: UInt64(files.count)))]
            let size = max(file.model.count, 4000)
            let start = Int(random.next(below: UInt64(size)))
            switch random.next(below: 8) {
            case 0..<4:
                try await file.write([UInt8](repeating: UInt8(random.next(below: 99)), count: 2500), at: start)
            case 4: try await file.resize(to: size - size / 50)
            case 5: await volume.flushAllData()
            default:
                let first = start / 4096 * 4096
                try await file.punch(first..<first + 4096 * Int(1 + random.next(below: 9)))
            }
        }
        for (index, file) in files.enumerated() {
            if let difference = try await file.firstDifference() { Issue.record("file \(index): \(difference)") }
            try await volume.syncFile(file.inode, dataOnly: false)
            file.inode.release()
        }
    }
}
