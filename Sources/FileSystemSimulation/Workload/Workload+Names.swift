import EngineKit
import FileSystem
import OCFS2Layout

// Operations on names and attributes.
extension Workload {
    private static let types: [FileType] = [
        .regular, .regular, .regular, .regular, .regular, .directory, .directory, .symlink, .fifo, .blockDevice,
    ]

    private func text(_ name: [UInt8]) -> String {
        name.count > 16
            ? "\(String(decoding: name[..<8], as: UTF8.self))..\(name.count)" : String(decoding: name, as: UTF8.self)
    }

    func create() async throws(SimulationFailure) {
        let type = Self.types[Int(random.next(below: UInt64(Self.types.count)))]
        let directory = pick(model.directories)!, name = name()
        operation = "create \(type) \(text(name)) in \(directory)"
        let targetCount = random.next(below: 4) == 0 ? 3000 : 20
        let target = type == .symlink ? (0..<targetCount).map { _ in UInt8(0x61 + random.next(below: 26)) } : []
        try await compare { model throws(FileSystemError) in
            try model.create(
                name, in: directory, type, permissions: type == .symlink ? 0o777 : 0o644, target: target)
        } real: { [self] node throws(FileSystemError) in
            let parent = try await inode(of: directory)
            let inode = try await make(FileName(name), in: parent, type, target: target)
            guard let node else { return inode.release() }
            inodes[node] = inode
            model.nodes[node]!.identity = TreeModel.Identity(number: inode.number, generation: inode.generation)
        }
    }

    private func make(
        _ name: FileName, in parent: Inode, _ type: FileType, target: [UInt8]
    ) async throws(FileSystemError) -> Inode {
        let new = NewNode(mode: type.modeBits | 0o644, caller: .system)
        switch type {
        case .regular: return try await volume.createFile(name, in: parent, new)
        case .directory: return try await volume.makeDirectory(name, in: parent, new)
        case .symlink: return try await volume.makeSymbolicLink(name, in: parent, target: target, new)
        default: return try await volume.makeNode(name, in: parent, new, deviceNumber: 0x0701)
        }
    }

    func link() async throws(SimulationFailure) {
        guard let node = pick(model.named.filter { model.nodes[$0]!.type != .directory }) else { return }
        let directory = pick(model.directories)!, name = name()
        operation = "link \(node) to \(text(name)) in \(directory)"
        guard let inode = try await done({ [self] () throws(FileSystemError) in try await inode(of: node) }) else {
            return
        }
        try await compare { model throws(FileSystemError) in
            try model.link(node, to: name, in: directory)
        } real: { [self] _ throws(FileSystemError) in
            try await volume.link(inode, to: FileName(name), in: self.inode(of: directory))
        }
    }

    /// A name that is there, most times.
    private func usedName(in directory: Int) -> [UInt8] {
        let names = model.nodes[directory]!.entries.keys.sorted { $0.lexicographicallyPrecedes($1) }
        guard !names.isEmpty, random.next(below: 8) != 0 else { return name() }
        return names[Int(random.next(below: UInt64(names.count)))]
    }

    func unlink() async throws(SimulationFailure) {
        let directory = pick(model.directories)!, name = usedName(in: directory)
        operation = "unlink \(text(name)) in \(directory)"
        try await compare { model throws(FileSystemError) in
            try model.unlink(name, in: directory)
        } real: { [self] _ throws(FileSystemError) in
            try await volume.unlink(FileName(name), in: self.inode(of: directory))
        }
    }

    func removeDirectory() async throws(SimulationFailure) {
        let directory = pick(model.directories)!, name = usedName(in: directory)
        // fsck.ocfs2 wants it.
        guard directory != TreeModel.root || name != Array("lost+found".utf8) else { return }
        operation = "rmdir \(text(name)) in \(directory)"
        try await compare { model throws(FileSystemError) in
            try model.removeDirectory(name, in: directory)
        } real: { [self] _ throws(FileSystemError) in
            try await volume.removeDirectory(FileName(name), in: self.inode(of: directory))
        }
    }

    func rename() async throws(SimulationFailure) {
        let directory = pick(model.directories)!, name = usedName(in: directory)
        let newDirectory = random.next(below: 2) == 0 ? directory : pick(model.directories)!
        let newName = random.next(below: 2) == 0 ? self.name() : usedName(in: newDirectory)
        let lost = Array("lost+found".utf8)
        guard name != lost, newName != lost else { return }
        let modes: [RenameMode] = [.replace, .replace, .noReplace, .exchange]
        let mode = modes[Int(random.next(below: 4))]
        operation = "rename \(text(name)) in \(directory) to \(text(newName)) in \(newDirectory), \(mode)"
        // By their old paths.
        guard
            let from = try await done({ [self] () throws(FileSystemError) in try await inode(of: directory) }),
            let to = try await done({ [self] () throws(FileSystemError) in try await inode(of: newDirectory) })
        else { return }
        try await compare { model throws(FileSystemError) in
            try model.rename(name, in: directory, to: newName, in: newDirectory, mode)
        } real: { [self] _ throws(FileSystemError) in
            try await volume.rename(FileName(name), in: from, to: FileName(newName), in: to, mode)
        }
    }

    func changeMode() async throws(SimulationFailure) {
        guard let node = pick(model.named), model.nodes[node]!.type != .symlink else { return }
        let permissions = UInt16(0o600 + random.next(below: 0o100))
        operation = "chmod \(node) to \(String(permissions, radix: 8))"
        try await compare { model throws(FileSystemError) in
            model.nodes[node]!.permissions = permissions
            model.touch(node)
        } real: { [self] _ throws(FileSystemError) in
            var change = AttributeChange()
            change.mode = permissions
            _ = try await volume.setAttributes(of: inode(of: node), to: change, caller: .system)
        }
    }

    func list() async throws(SimulationFailure) {
        let directory = pick(model.directories)!
        operation = "list \(directory)"
        var listed: [[UInt8]: UInt64] = [:]
        var twice: [UInt8]?
        let isDone: Void? = try await done { [self] () throws(FileSystemError) in
            try await volume.readDirectory(inode(of: directory), from: .start) { entry in
                if listed.updateValue(entry.number, forKey: Array(entry.name)) != nil { twice = Array(entry.name) }
                return true
            }
        }
        guard isDone != nil else { return }
        if let twice { throw SimulationFailure("lists \(text(twice)) twice") }
        listed[[0x2E]] = nil
        listed[[0x2E, 0x2E]] = nil
        let expected = model.nodes[directory]!.entries.mapValues { model.nodes[$0]!.identity.number }
        guard listed == expected else {
            throw SimulationFailure("lists \(listed.count) names, \(expected.count) are there")
        }
    }
}
