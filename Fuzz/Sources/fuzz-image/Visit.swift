import EngineKit
import FileSystem

/// A walk through a volume with some changes on the way. Every operation may fail.
final class Visit {
    private let volume: MountedVolume
    private var nodesLeft = 160
    private let buffer = IOSlice(buffer: IOBuffer(byteCount: 65536), offset: 0, count: 65536)
    private static let new = NewNode(mode: 0o755, caller: .system)

    init(_ volume: MountedVolume) {
        self.volume = volume
    }

    func run() async {
        await attempt { _ = try await self.volume.statistics() }
        guard let root = try? await volume.rootDirectory() else { return }
        await walk(root, depth: 0)
        await change(root)
        await walk(root, depth: 0)
        root.release()
    }

    private func attempt(_ body: () async throws -> Void) async {
        do {
            try await body()
        } catch {
            precondition(!"\(error)".isEmpty)
        }
    }

    // MARK: Reading

    private func walk(_ directory: Inode, depth: Int) async {
        var names: [FileName] = []
        await attempt {
            try await self.volume.readDirectoryWithInodes(directory, from: .start) { entry, inode in
                inode?.release()
                if let name = try? FileName(entry.name), !name.isDotOrDotDot { names.append(name) }
                return names.count < 400
            }
        }
        for name in names {
            guard nodesLeft > 0 else { return }
            nodesLeft -= 1
            guard let child = try? await volume.lookup(name, in: directory) else { continue }
            await read(child)
            if child.isDirectory, depth < 12 {
                await walk(child, depth: depth + 1)
                if depth == 0 { await change(child) }
            }
            child.release()
        }
        nodesLeft += depth == 0 ? 30 : 0
    }

    private func read(_ inode: Inode) async {
        await attempt { _ = try await self.volume.attributes(of: inode) }
        await attempt {
            let names = try await self.volume.xattrNames(of: inode, caller: .system)
            for name in names.split(separator: 0).prefix(80) {
                _ = try await self.volume.xattr(Array(name), of: inode)
            }
        }
        if inode.isSymlink { await attempt { _ = try await self.volume.readLink(inode) } }
        guard inode.isRegular else { return }
        let size = inode.attributes.size
        for offset in [0, size / 2, size > 5000 ? size - 5000 : size] {
            await attempt { _ = try await self.volume.read(inode, at: offset, into: self.buffer) }
        }
        await attempt {
            var offset: UInt64 = 0
            for _ in 0..<100 {
                offset = try await self.volume.seek(inode, from: offset, to: .data)
                offset = try await self.volume.seek(inode, from: offset, to: .hole)
            }
        }
    }

    // MARK: Changing

    private func change(_ directory: Inode) async {
        let volume = volume
        for name in ["small", "plain", "scattered", "reserved", "attributes", "slow", "a rather long name 7"] {
            guard let file = try? await volume.lookup(FileName(name.utf8), in: directory) else { continue }
            await change(file, name)
            file.release()
        }
        await attempt {
            try await volume.makeDirectory(FileName("new".utf8), in: directory, Self.new).release()
            try await BaseImage.file(volume, "made", in: directory, [0..<300, 100_000..<180_000])
            try await volume.rename(
                FileName("made".utf8), in: directory, to: FileName("renamed".utf8), in: directory, .replace)
        }
        await attempt { try await volume.unlink(FileName("renamed".utf8), in: directory) }
        await attempt { try await volume.unlink(FileName("scattered".utf8), in: directory) }
        await attempt { try await volume.removeDirectory(FileName("new".utf8), in: directory) }
        await attempt {
            let moved = try await volume.lookup(FileName("large".utf8), in: directory)
            defer { moved.release() }
            try await volume.rename(
                FileName("plain".utf8), in: directory, to: FileName("moved".utf8), in: moved, .replace)
        }
        for index in 0..<12 {
            await attempt {
                try await volume.createFile(FileName("one of many names \(index)".utf8), in: directory, Self.new)
                    .release()
            }
        }
        await attempt { try await volume.syncFile(directory, dataOnly: false) }
    }

    private func change(_ file: Inode, _ name: String) async {
        let volume = volume
        await attempt {
            try await volume.setXattr(
                Array("user.added".utf8), of: file, to: [UInt8](repeating: 9, count: 900), .createOrReplace,
                caller: .system)
            try await volume.removeXattr(Array("user.attribute 9".utf8), of: file, caller: .system)
        }
        guard file.isRegular else { return }
        let size = Int(clamping: min(file.attributes.size, 1 << 40))
        await attempt { try await BaseImage.write(volume, file, [10..<5000, size..<size + 20_000]) }
        await attempt { try await BaseImage.write(volume, file, [(1 << 22)..<(1 << 22) + 9000]) }
        await attempt { try await volume.allocate(file, 8192..<60_000, .punchHole) }
        await attempt { try await volume.setSize(of: file, to: UInt64(size / 2)) }
        await attempt { try await volume.unlink(FileName((name + "?").utf8), in: file) }
    }
}
