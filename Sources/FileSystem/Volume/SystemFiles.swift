internal import EngineKit
internal import Journal
package import OCFS2Layout

/// A file of the system directory. Spec: ocfs2-disk 4.
package struct SystemFile: Hashable, Sendable {
    package var kind: SystemInode
    /// 0 for those that are not per slot.
    package var slot: Int

    package init(_ kind: SystemInode, slot: Int = 0) {
        self.kind = kind
        self.slot = slot
    }

    package var name: String { kind.isPerSlot ? kind.name(slot: slot) : kind.name }
}

extension MountedVolume {
    /// Reads the system directory and notes where every file is that this code uses.
    func loadSystemDirectory() async throws(FileSystemError) {
        let directory = try await anyInode(parameters.systemDirectoryBlock)
        defer { directory.release() }
        var numbers: [String: UInt64] = [:]
        for entry in try await LinearDirectory(directory).entries() {
            numbers[String(decoding: entry.name, as: UTF8.self)] = entry.number
        }
        var places: [SystemFile: UInt64] = [:]
        for kind in SystemInode.allCases where kind.exists(features) {
            for slot in 0..<(kind.isPerSlot ? Int(parameters.slotCount) : 1) {
                let file = SystemFile(kind, slot: slot)
                places[file] = numbers[file.name]
            }
        }
        systemNumbers = places
    }

    /// The system file; stays referenced until the unmount, is not to be released.
    package func systemInode(_ kind: SystemInode, slot: Int = 0) async throws(FileSystemError) -> Inode {
        let file = SystemFile(kind, slot: slot)
        if let known = systemInodes[file] { return known }
        guard let number = systemNumbers[file] else {
            throw report(
                Corruption(block: parameters.systemDirectoryBlock, what: "the system directory has no \(file.name)"))
        }
        let inode = try await anyInode(number)
        if let first = systemInodes[file] {
            inode.release()
            return first
        }
        guard inode.attributes.flags.isSuperset(of: kind.flags) else {
            let flags = inode.attributes.flags.rawValue
            inode.release()
            throw report(
                Corruption(block: number, what: "\(file.name) has flags 0x\(String(flags, radix: 16))"))
        }
        systemInodes[file] = inode
        return inode
    }

    /// The orphan directory of a slot; not to be released.
    package func orphanDirectory(slot: Int) async throws(FileSystemError) -> Inode {
        try await systemInode(.orphanDirectory, slot: slot)
    }
}
