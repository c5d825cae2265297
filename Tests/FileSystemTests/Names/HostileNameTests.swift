import EngineKit
import EngineSimulation
import FileSystem
import Glibc
import OCFS2Layout
import Testing

@Suite(.enabled(if: Tool.hasVolumeTools, "ocfs2-tools are not installed"))
struct HostileNameTests {
    /// More by `YOKE_ROUNDS`.
    private static let rounds = getenv("YOKE_ROUNDS").flatMap { Int(String(cString: $0)) } ?? 120

    /// Directories of every form and attributes of every form, and which blocks they are made of.
    private func sample(_ recipe: VolumeImage.Recipe) throws -> (image: VolumeImage, blocks: [[UInt64]]) {
        let image = try VolumeImage.make(recipe)
        let before = image.device.copy(environment: image.environment)
        try image.mounted { volume in
            let root = try await volume.rootDirectory()
            for (place, count) in [3, 40, 400].enumerated() {
                let directory = try await volume.makeDirectory(.of("d\(place)"), in: root, newDirectory)
                for index in 0..<count {
                    let file = try await volume.createFile(.of("file with number \(index)"), in: directory, newFile)
                    if index % 40 == 0 {
                        for number in 0..<[2, 20, 120][place] {
                            let value = [UInt8](repeating: UInt8(number), count: number % 4 == 0 ? 300 : 20)
                            try await volume.setXattr(
                                Array("user.a\(number)".utf8), of: file, to: value, .create, caller: .system)
                        }
                    }
                    file.release()
                }
                directory.release()
            }
            root.release()
        }
        // What has a signature of a directory, an index or attributes, and changed; by kind.
        let signatures = ["INODE01", "DXDIR01", "DXLEAF1", "XATTR01", "DIRTRL1"].map { Array($0.utf8) }
        let size = recipe.blockSize
        var blocks = [[UInt64]](repeating: [], count: signatures.count)
        for number in 0..<image.device.byteCount / UInt64(size) {
            let bytes = image.device.bytes(at: number * UInt64(size), count: size)
            guard bytes != before.bytes(at: number * UInt64(size), count: size) else { continue }
            let trailer = Array(bytes[(size - 48)..<(size - 41)])
            guard let kind = signatures.firstIndex(where: { $0 == Array(bytes[0..<7]) || $0 == trailer }) else {
                continue
            }
            // Of the inodes: directories and those with attributes in the dinode.
            if kind == 0, bytes[0x29] & 0xf0 != 0x40, bytes[0x76] & 4 == 0 { continue }
            blocks[kind].append(number)
        }
        return (image, blocks.filter { !$0.isEmpty })
    }

    /// Does everything to everything; errors are expected, traps and endless loops are not.
    private func walk(_ volume: MountedVolume) async {
        guard let root = try? await volume.rootDirectory() else { return }
        defer { root.release() }
        for place in 0..<3 {
            guard let directory = try? await volume.lookup(.of("d\(place)"), in: root) else { continue }
            var names: [FileName] = []
            try? await volume.readDirectory(directory, from: .start) { entry in
                if let name = try? FileName(entry.name) { names.append(name) }
                return names.count < 2000
            }
            for (index, name) in names.enumerated() where !name.isDotOrDotDot {
                guard let file = try? await volume.lookup(name, in: directory) else { continue }
                _ = try? await volume.attributes(of: file)
                if let list = try? await volume.xattrNames(of: file, caller: .system), !list.isEmpty {
                    for attribute in list.split(separator: 0).prefix(30) {
                        _ = try? await volume.xattr(Array(attribute), of: file)
                    }
                    for number in 0..<3 {
                        let value = [UInt8](repeating: 7, count: 200 * number)
                        try? await volume.setXattr(
                            Array("user.a\(number)".utf8), of: file, to: value, .createOrReplace, caller: .system)
                        try? await volume.setXattr(
                            Array("user.new\(number)".utf8), of: file, to: value, .createOrReplace, caller: .system)
                        try? await volume.removeXattr(Array("user.a\(number + 4)".utf8), of: file, caller: .system)
                    }
                }
                file.release()
                if index % 7 == 0 { try? await volume.unlink(name, in: directory) }
                if index % 11 == 0 {
                    try? await volume.rename(name, in: directory, to: .of("new \(index)"), in: root, .replace)
                }
            }
            for index in 0..<30 {
                (try? await volume.createFile(.of("more \(index)"), in: directory, newFile))?.release()
            }
            try? await volume.rename(.of("d\(place)"), in: root, to: .of("d\((place + 1) % 3)"), in: root, .exchange)
            try? await volume.removeDirectory(.of("d\(place)"), in: root)
            directory.release()
        }
    }

    @Test(
        "damaged directories, indexes and attributes give errors, never a trap or an endless loop",
        arguments: [VolumeImage.Recipe(blockSize: 512, journalMebibytes: 8), .init(blockSize: 4096)])
    func damage(recipe: VolumeImage.Recipe) throws {
        let (image, blocks) = try sample(recipe)
        #expect(blocks.count == 5)
        let random = SeededRandom(seed: 77)
        var noticed = 0
        for round in 0..<Self.rounds {
            let hurt = image.copy(seed: UInt64(round))
            for _ in 0..<(1 + random.next(below: 6)) {
                let kind = blocks[Int(random.next(below: UInt64(blocks.count)))]
                let block = kind[Int(random.next(below: UInt64(kind.count)))] * UInt64(recipe.blockSize)
                var bytes = hurt.device.bytes(at: block, count: recipe.blockSize)
                for _ in 0..<(1 + random.next(below: 8)) {
                    let values: [UInt8] = [0, 1, 2, 4, 16, 127, 128, 254, 255, UInt8(random.next(below: 256))]
                    // Headers more often than the rest.
                    let range = random.next(below: 2) == 0 ? 256 : UInt64(recipe.blockSize)
                    bytes[Int(random.next(below: range))] = values[Int(random.next(below: 10))]
                }
                bytes.withUnsafeBytes { hurt.device.write(at: block, $0) }
            }
            var options = MountOptions()
            options.errors = round % 2 == 0 ? .continue : .remountReadOnly
            guard let volume = try? hurt.mount(options) else { continue }
            hurt.environment.wait { await walk(volume) }
            hurt.unmount(volume)
            if hurt.environment.records.contains(where: { $0.text.contains("corrupt metadata") }) { noticed += 1 }
        }
        #expect(noticed > Self.rounds / 20)
    }
}
