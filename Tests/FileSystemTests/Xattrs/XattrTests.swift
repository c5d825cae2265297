import EngineKit
import EngineSimulation
import FileSystem
import OCFS2Layout
import Testing

@Suite(.enabled(if: Tool.hasVolumeTools, "ocfs2-tools are not installed"), .serialized)
struct XattrTests {
    static let recipes: [VolumeImage.Recipe] = [
        .init(blockSize: 512, journalMebibytes: 8), .init(blockSize: 1024), .init(blockSize: 4096),
        .init(blockSize: 1024, clusterSize: 16384), .init(blockSize: 512, journalMebibytes: 8, features: ["metaecc"]),
        .init(blockSize: 4096, clusterSize: 8192, features: ["metaecc"]),
    ]

    /// Lines of fsck.ocfs2 that xattrs of the kernel cause as well. Spec: ocfs2-disk-2 23.
    static let tolerated = ["XATTR_FREE_START_INVALID", "EXTENT_LIST_DEPTH"]

    private func bytes(_ text: String) -> [UInt8] { Array(text.utf8) }

    @Test("an attribute is stored, changed, listed and removed in every kind of file", arguments: recipes)
    func basics(recipe: VolumeImage.Recipe) throws {
        let image = try VolumeImage.make(recipe)
        let big = (0..<5000).map { UInt8(truncatingIfNeeded: $0 * 7) }
        try image.mounted { volume in
            let root = try await volume.rootDirectory()
            let inodes = [
                try await volume.createFile(.of("f"), in: root, newFile),
                try await volume.makeDirectory(.of("d"), in: root, newDirectory),
                try await volume.makeSymbolicLink(.of("s"), in: root, target: bytes("x"), newFile),
                try await volume.makeNode(
                    .of("p"), in: root, NewNode(mode: 0o010644, caller: .system), deviceNumber: 0),
            ]
            for inode in inodes {
                try await volume.setXattr(
                    bytes("trusted.one"), of: inode, to: bytes("1"), .create, caller: .system)
                try await volume.setXattr(
                    bytes("user.two"), of: inode, to: [UInt8](repeating: 50, count: 80), .createOrReplace,
                    caller: .system)
                try await volume.setXattr(bytes("user.big"), of: inode, to: big, .create, caller: .system)
                try await volume.setXattr(bytes("user.empty"), of: inode, to: [], .create, caller: .system)
                try await volume.setXattr(
                    bytes("trusted.one"), of: inode, to: bytes("longer than before"), .replace, caller: .system)
                await #expect(throws: FileSystemError.alreadyExists) {
                    try await volume.setXattr(bytes("user.two"), of: inode, to: [], .create, caller: .system)
                }
                await #expect(throws: FileSystemError.noAttribute) {
                    try await volume.setXattr(bytes("user.three"), of: inode, to: [], .replace, caller: .system)
                }
                await #expect(throws: FileSystemError.notSupported) {
                    try await volume.setXattr(bytes("other.x"), of: inode, to: [], .create, caller: .system)
                }
                try await volume.removeXattr(bytes("user.two"), of: inode, caller: .system)
                await #expect(throws: FileSystemError.noAttribute) {
                    try await volume.removeXattr(bytes("user.two"), of: inode, caller: .system)
                }
            }
            for inode in inodes + [root] { inode.release() }
        }
        try image.mounted { volume in
            let root = try await volume.rootDirectory()
            for name in ["f", "d", "s", "p"] {
                let inode = try await volume.lookup(.of(name), in: root)
                let names = try await volume.xattrNames(of: inode, caller: .system)
                #expect(
                    Set(names.split(separator: 0).map { String(decoding: $0, as: UTF8.self) })
                        == ["trusted.one", "user.big", "user.empty"])
                let visible = try await volume.xattrNames(of: inode, caller: Caller(uid: 5, gid: 5))
                #expect(!String(decoding: visible, as: UTF8.self).contains("trusted"))
                let one = try await volume.xattr(bytes("trusted.one"), of: inode)
                #expect(one == bytes("longer than before"))
                let value = try await volume.xattr(bytes("user.big"), of: inode)
                #expect(value == big)
                inode.release()
            }
            root.release()
        }
        #expect(image.faults(allowing: Self.tolerated) == [])
    }

    @Test("random series leave what the model has, from one name to an index of many buckets", arguments: recipes)
    func randomSeries(recipe: VolumeImage.Recipe) throws {
        let image = try VolumeImage.make(recipe)
        var model: [Int: [UInt8]] = [:]
        for round in 0..<3 as Range<UInt64> {
            let nameCount: UInt64 = [12, 120, 1500][Int(round)]
            try image.mounted { volume in
                let root = try await volume.rootDirectory()
                let file: Inode
                if round == 0 {
                    file = try await volume.createFile(.of("f"), in: root, newFile)
                } else {
                    file = try await volume.lookup(.of("f"), in: root)
                }
                let random = SeededRandom(seed: 20 + round)
                func name(_ index: Int) -> [UInt8] {
                    bytes(
                        ["user.", "trusted.", "security."][index % 3] + "name\(index)"
                            + String(repeating: "x", count: index % 23))
                }
                for _ in 0..<(round == 2 ? 2500 : 400) {
                    let index = Int(random.next(below: nameCount))
                    if random.next(below: 10) < 7 {
                        let count = [3, 20, 80, 81, 300, 6000][Int(random.next(below: round == 2 ? 4 : 6))]
                        let value = (0..<count).map { UInt8(truncatingIfNeeded: $0 &+ index) }
                        try await volume.setXattr(name(index), of: file, to: value, .createOrReplace, caller: .system)
                        model[index] = value
                    } else if model.removeValue(forKey: index) != nil {
                        try await volume.removeXattr(name(index), of: file, caller: .system)
                    } else {
                        await #expect(throws: FileSystemError.noAttribute) {
                            try await volume.removeXattr(name(index), of: file, caller: .system)
                        }
                    }
                }
                for (index, value) in model.sorted(by: { $0.key < $1.key }) {
                    let found = try await volume.xattr(name(index), of: file)
                    #expect(found == value)
                }
                let names = try await volume.xattrNames(of: file, caller: .system)
                #expect(
                    names.split(separator: 0).map { Array($0) }.sorted { $0.lexicographicallyPrecedes($1) }
                        == model.keys.map { name($0) }.sorted { $0.lexicographicallyPrecedes($1) })
                file.release()
                root.release()
            }
            #expect(image.faults(allowing: Self.tolerated) == [])
        }
        let before = try image.mounted { volume in try await volume.statistics() }
        try image.mounted { volume in
            let root = try await volume.rootDirectory()
            try await volume.unlink(.of("f"), in: root)
            root.release()
        }
        let after = try image.mounted { volume in try await volume.statistics() }
        #expect(after.freeBlockCount > before.freeBlockCount)
        #expect(image.faults(allowing: Self.tolerated) == [])
    }

    @Test("the reference tool reads the attributes that were stored")
    func referenceTool() throws {
        let image = try VolumeImage.make(.init(blockSize: 4096))
        try image.mounted { volume in
            let root = try await volume.rootDirectory()
            let file = try await volume.createFile(.of("f"), in: root, newFile)
            try await volume.setXattr(bytes("user.comment"), of: file, to: bytes("hello"), .create, caller: .system)
            for index in 0..<300 {
                try await volume.setXattr(
                    bytes("user.number\(index)"), of: file, to: bytes("value \(index)"), .create, caller: .system)
            }
            file.release()
            root.release()
        }
        // "Extended Attributes inline: 7", "Extended Attributes in bucket #0: 80"
        let counts = image.debugfs("xattr /f").split(separator: "\n").compactMap { line -> Int? in
            guard line.contains("inline: ") || line.contains("in bucket #") else { return nil }
            return line.split(separator: ":").last.flatMap { Int($0.filter(\.isNumber)) }
        }
        #expect(counts.reduce(0, +) == 301)
        #expect(counts.count > 3)
        #expect(image.faults(allowing: Self.tolerated) == [])
    }

    @Test("a value in pieces, when only single clusters are free")
    func fragmentedValue() throws {
        let image = try VolumeImage.make(.init(mebibytes: 64, blockSize: 1024))
        let value = (0..<60000).map { UInt8(truncatingIfNeeded: $0 &* 3) }
        let files = try image.mounted { volume in
            let root = try await volume.rootDirectory()
            defer { root.release() }
            return try await fillWithSmallFiles(volume, root)
        }
        // Every second one goes: holes of one cluster.
        try image.mounted { volume in
            let root = try await volume.rootDirectory()
            for index in stride(from: 0, to: files, by: 2) {
                try await volume.unlink(.of("fill \(index)"), in: root)
            }
            root.release()
        }
        try image.mounted { volume in
            let root = try await volume.rootDirectory()
            let file = try await volume.createFile(.of("f"), in: root, newFile)
            try await volume.setXattr(bytes("user.big"), of: file, to: value, .create, caller: .system)
            let found = try await volume.xattr(bytes("user.big"), of: file)
            #expect(found == value)
            try await volume.setXattr(bytes("user.big"), of: file, to: bytes("small"), .replace, caller: .system)
            try await volume.setXattr(bytes("user.big"), of: file, to: value, .replace, caller: .system)
            file.release()
            root.release()
        }
        #expect(image.faults(allowing: Self.tolerated) == [])
    }

    /// Takes the whole volume with long symlinks, one cluster each. Their number.
    private func fillWithSmallFiles(_ volume: MountedVolume, _ root: Inode) async throws -> Int {
        var count = 0
        let target = [UInt8](repeating: 0x61, count: 2000)
        var failure: FileSystemError?
        while failure == nil {
            do throws(FileSystemError) {
                try await volume.makeSymbolicLink(.of("fill \(count)"), in: root, target: target, newFile).release()
                count += 1
            } catch {
                failure = error
            }
        }
        #expect(failure == .noSpace)
        return count
    }
}
