import EngineKit
import FileSystem
import OCFS2Layout
import Testing

/// Random operations on a volume and on a ``NameModel`` beside it; both must answer the same.
final class NameWorkload {
    let volume: MountedVolume
    let random: SeededRandom
    var model = NameModel()
    /// The inode of each node of the model, referenced.
    private var inodes: [Int: Inode] = [:]
    /// How many different names there are, and how long they may be.
    var nameCount: UInt64 = 60
    var nameByteCountMax: UInt64 = 40
    private(set) var doneCount = 0, refusedCount = 0

    init(volume: MountedVolume, seed: UInt64) {
        self.volume = volume
        random = SeededRandom(seed: seed)
    }

    /// Takes what is in the root already (`lost+found`) into the model.
    func start() async throws(FileSystemError) {
        let root = try await volume.rootDirectory()
        inodes[NameModel.root] = root
        var names: [[UInt8]] = []
        try await volume.readDirectory(root, from: .start) { entry in
            names.append(Array(entry.name))
            return true
        }
        for name in names where name != [0x2E] && name != [0x2E, 0x2E] {
            let inode = try await volume.lookup(FileName(name), in: root)
            inodes[try model.create(name, in: NameModel.root, .directory)] = inode
        }
    }

    /// Continues with another mount of the same volume.
    func moved(to volume: MountedVolume, seed: UInt64) -> NameWorkload {
        let other = NameWorkload(volume: volume, seed: seed)
        other.model = model
        other.nameCount = nameCount
        other.nameByteCountMax = nameByteCountMax
        return other
    }

    /// After ``moved(to:seed:)``: finds the inode of every node by its names.
    func findInodes() async throws(FileSystemError) {
        inodes[NameModel.root] = try await volume.rootDirectory()
        var queue = [NameModel.root]
        while let directory = queue.popLast() {
            for (name, node) in model.nodes[directory]!.entries.sorted(by: { $0.value < $1.value }) {
                let inode = try await volume.lookup(FileName(name), in: inodes[directory]!)
                if inodes[node] == nil {
                    inodes[node] = inode
                    if inode.isDirectory { queue.append(node) }
                } else {
                    #expect(inodes[node]! === inode)
                    inode.release()
                }
            }
        }
    }

    func releaseAll() {
        for node in inodes.keys.sorted() { inodes[node]!.release() }
        inodes = [:]
    }

    // MARK: Steps

    private func pick(_ list: [Int]) -> Int { list[Int(random.next(below: UInt64(list.count)))] }

    /// The `n`th name always has the same bytes, any of 1 to 255 but `/`.
    private func name() -> [UInt8] {
        let bytes = SeededRandom(seed: 1000 + random.next(below: nameCount))
        let count = 1 + bytes.next(below: nameByteCountMax)
        return (0..<count).map { _ in
            let byte = UInt8(1 + bytes.next(below: 255))
            return byte == 0x2F || byte == 0x2E ? 0x5F : byte
        }
    }

    func step() async {
        let directories = model.directories, files = model.files
        let directory = pick(directories), name = name()
        switch random.next(below: 100) {
        case 0..<34: await create(name, in: directory)
        case 34..<44: if !files.isEmpty { await link(pick(files), to: name, in: directory) }
        case 44..<62:
            await both { model throws(FileSystemError) in
                try model.unlink(name, in: directory)
            } real: { volume, inodes throws(FileSystemError) in
                try await volume.unlink(FileName(name), in: inodes[directory]!)
            }
        case 62..<68:
            await both { model throws(FileSystemError) in
                try model.removeDirectory(name, in: directory)
            } real: { volume, inodes throws(FileSystemError) in
                try await volume.removeDirectory(FileName(name), in: inodes[directory]!)
            }
        default: await rename(name, in: directory, directories)
        }
    }

    private func create(_ name: [UInt8], in directory: Int) async {
        let types: [FileType] = [.regular, .regular, .regular, .directory, .directory, .symlink, .fifo, .blockDevice]
        let type = types[Int(random.next(below: UInt64(types.count)))]
        let new = NewNode(mode: type.modeBits | 0o644, caller: .system)
        let longTarget = random.next(below: 4) == 0
        let expected: Result<Int, FileSystemError>
        do throws(FileSystemError) {
            expected = .success(try model.create(name, in: directory, type))
        } catch {
            expected = .failure(error)
        }
        do throws(FileSystemError) {
            let name = try FileName(name)
            let inode: Inode
            switch type {
            case .regular: inode = try await volume.createFile(name, in: inodes[directory]!, new)
            case .directory: inode = try await volume.makeDirectory(name, in: inodes[directory]!, new)
            case .symlink:
                let target = [UInt8](repeating: 0x61, count: longTarget ? 3900 : 20)
                inode = try await volume.makeSymbolicLink(name, in: inodes[directory]!, target: target, new)
                let read = try await volume.readLink(inode)
                #expect(read == target)
            default: inode = try await volume.makeNode(name, in: inodes[directory]!, new, deviceNumber: 0x0701)
            }
            guard case .success(let node) = expected else {
                Issue.record("created, but expected \(expected)")
                return
            }
            inodes[node] = inode
            doneCount += 1
        } catch {
            guard case .failure(error) = expected else {
                Issue.record("\(error), but expected \(expected)")
                return
            }
            refusedCount += 1
        }
    }

    private func link(_ file: Int, to name: [UInt8], in directory: Int) async {
        await both { model throws(FileSystemError) in
            try model.link(file, to: name, in: directory)
        } real: { volume, inodes throws(FileSystemError) in
            try await volume.link(inodes[file]!, to: FileName(name), in: inodes[directory]!)
        }
    }

    private func rename(_ name: [UInt8], in directory: Int, _ directories: [Int]) async {
        let newDirectory = random.next(below: 2) == 0 ? directory : pick(directories)
        let newName = self.name()
        let modes: [RenameMode] = [.replace, .replace, .noReplace, .exchange]
        let mode = modes[Int(random.next(below: 4))]
        await both { model throws(FileSystemError) in
            try model.rename(name, in: directory, to: newName, in: newDirectory, mode)
        } real: { volume, inodes throws(FileSystemError) in
            try await volume.rename(
                FileName(name), in: inodes[directory]!, to: FileName(newName), in: inodes[newDirectory]!, mode)
        }
    }

    /// Runs both and compares what they throw; lets go of inodes that have no name any more.
    private func both(
        _ modelled: (inout NameModel) throws(FileSystemError) -> Void,
        real: (MountedVolume, [Int: Inode]) async throws(FileSystemError) -> Void
    ) async {
        var expected: FileSystemError?, found: FileSystemError?
        do throws(FileSystemError) {
            try modelled(&model)
        } catch {
            expected = error
        }
        do throws(FileSystemError) {
            try await real(volume, inodes)
        } catch {
            found = error
        }
        #expect(found == expected)
        if expected == nil { doneCount += 1 } else { refusedCount += 1 }
        for node in inodes.keys.sorted() where model.nodes[node] == nil {
            inodes[node]!.release()
            inodes[node] = nil
        }
    }

    // MARK: Check

    /// Every directory lists what the model has, with the right inodes and link counts.
    func check() async throws(FileSystemError) {
        for directory in model.directories {
            let node = model.nodes[directory]!, inode = inodes[directory]!
            var listed: [[UInt8]: UInt64] = [:]
            try await volume.readDirectory(inode, from: .start) { entry in
                #expect(listed.updateValue(entry.number, forKey: Array(entry.name)) == nil)
                return true
            }
            #expect(listed.removeValue(forKey: [0x2E]) == inode.number)
            #expect(listed.removeValue(forKey: [0x2E, 0x2E]) == inodes[node.parent]!.number)
            #expect(listed == node.entries.mapValues { inodes[$0]!.number })
        }
        for (number, node) in model.nodes.sorted(by: { $0.key < $1.key }) {
            let attributes = try await volume.attributes(of: inodes[number]!)
            #expect(attributes.linkCount == node.links)
            #expect(FileType(mode: attributes.mode) == node.type)
        }
    }
}
