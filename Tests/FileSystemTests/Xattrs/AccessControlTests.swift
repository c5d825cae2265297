import EngineKit
import EngineSimulation
import FileSystem
import OCFS2Layout
import Testing

@Suite(.enabled(if: Tool.hasVolumeTools, "ocfs2-tools are not installed"))
struct AccessControlTests {
    private static let access = Array("system.posix_acl_access".utf8)
    private static let inherited = Array("system.posix_acl_default".utf8)

    /// Version 2, then tag, permissions and id of each entry.
    private func acl(_ entries: [(tag: UInt16, permissions: UInt16, id: UInt32)]) -> [UInt8] {
        var bytes: [UInt8] = [2, 0, 0, 0]
        for entry in entries {
            withUnsafeBytes(of: entry.tag.littleEndian) { bytes += $0 }
            withUnsafeBytes(of: entry.permissions.littleEndian) { bytes += $0 }
            withUnsafeBytes(of: entry.id.littleEndian) { bytes += $0 }
        }
        return bytes
    }

    private let none = UInt32.max

    @Test("an access ACL is stored as the chapter's example shows, and the mode follows")
    func golden() throws {
        let image = try VolumeImage.make(.init(blockSize: 1024))
        let list = acl([(1, 6, none), (2, 6, 5), (4, 4, none), (8, 4, 7), (0x10, 6, none), (0x20, 4, none)])
        let number = try image.mounted { volume in
            let root = try await volume.rootDirectory()
            let file = try await volume.createFile(.of("f"), in: root, newFile)
            try await volume.setXattr(Self.access, of: file, to: list, .createOrReplace, caller: .system)
            #expect(file.attributes.mode == 0o100664)
            let found = try await volume.xattr(Self.access, of: file)
            #expect(found == list)
            defer {
                file.release()
                root.release()
            }
            return file.number
        }
        // Spec: ocfs2-disk-2 16.8.
        let block = image.device.bytes(at: number * 1024, count: 1024)
        #expect(Array(block[0x300..<0x310]) == [1] + [UInt8](repeating: 0, count: 15))
        #expect(Array(block[0x314..<0x320]) == [0xd0, 0, 0, 0x82, 0x30, 0, 0, 0, 0, 0, 0, 0])
        #expect(Array(block[0x3d0...]) == Array(list.dropFirst(4)))
        #expect(image.faults() == [])
    }

    @Test("chmod changes the ACL, and an ACL that says no more than the mode is not stored")
    func modeAndACL() throws {
        let image = try VolumeImage.make()
        try image.mounted { volume in
            let root = try await volume.rootDirectory()
            let file = try await volume.createFile(.of("f"), in: root, newFile)
            let list = acl([(1, 6, none), (2, 7, 5), (4, 4, none), (0x10, 7, none), (0x20, 4, none)])
            try await volume.setXattr(Self.access, of: file, to: list, .createOrReplace, caller: .system)
            var change = AttributeChange()
            change.mode = 0o501
            _ = try await volume.setAttributes(of: file, to: change, caller: .system)
            #expect(file.attributes.mode == 0o100501)
            let found = try await volume.xattr(Self.access, of: file)
            #expect(found == acl([(1, 5, none), (2, 7, 5), (4, 4, none), (0x10, 0, none), (0x20, 1, none)]))
            let minimal = acl([(1, 7, none), (4, 5, none), (0x20, 0, none)])
            try await volume.setXattr(Self.access, of: file, to: minimal, .createOrReplace, caller: .system)
            #expect(file.attributes.mode == 0o100750)
            await #expect(throws: FileSystemError.noAttribute) { _ = try await volume.xattr(Self.access, of: file) }
            for wrong in [
                acl([(1, 7, none)]), acl([(1, 7, none), (2, 7, 5), (4, 5, none), (0x20, 0, none)]), [2, 0, 0],
                [1, 0, 0, 0], acl([(4, 7, none), (1, 5, none), (0x20, 0, none)]),
            ] {
                await #expect(throws: FileSystemError.invalidArgument) {
                    try await volume.setXattr(Self.access, of: file, to: wrong, .createOrReplace, caller: .system)
                }
            }
            await #expect(throws: FileSystemError.accessDenied) {
                try await volume.setXattr(Self.inherited, of: file, to: minimal, .createOrReplace, caller: .system)
            }
            file.release()
            root.release()
        }
        #expect(image.faults() == [])
    }

    @Test("a default ACL is inherited and replaces the umask", arguments: [512, 1024, 4096])
    func inheritance(blockSize: Int) throws {
        let image = try VolumeImage.make(.init(blockSize: blockSize, journalMebibytes: 8))
        let label = Array("security.selinux".utf8), context = Array("system_u:object_r:etc_t:s0\0".utf8)
        try image.mounted { volume in
            let root = try await volume.rootDirectory()
            let directory = try await volume.makeDirectory(.of("d"), in: root, newDirectory)
            let list = acl([
                (1, 7, none), (2, 7, 5), (2, 6, 6), (4, 5, none), (8, 4, 7), (0x10, 7, none), (0x20, 5, none),
            ])
            try await volume.setXattr(Self.inherited, of: directory, to: list, .createOrReplace, caller: .system)
            let new = NewNode(
                mode: 0o666, umask: 0o077, caller: Caller(uid: 9, gid: 8), securityAttributes: [(label, context)])
            let file = try await volume.createFile(.of("f"), in: directory, new)
            #expect(file.attributes.mode == 0o100664)
            let fileACL = try await volume.xattr(Self.access, of: file)
            #expect(
                fileACL
                    == acl([
                        (1, 6, none), (2, 7, 5), (2, 6, 6), (4, 5, none), (8, 4, 7), (0x10, 6, none), (0x20, 4, none),
                    ]))
            let stored = try await volume.xattr(label, of: file)
            #expect(stored == context)
            var newChild = new
            newChild.mode = 0o755
            let child = try await volume.makeDirectory(.of("c"), in: directory, newChild)
            #expect(child.attributes.mode == 0o040755)
            let childDefault = try await volume.xattr(Self.inherited, of: child)
            #expect(childDefault == list)
            let plain = try await volume.createFile(.of("g"), in: root, new)
            #expect(plain.attributes.mode == 0o100600)
            for inode in [plain, child, file, directory, root] { inode.release() }
        }
        #expect(image.faults(allowing: XattrTests.tolerated) == [])
    }

    @Test("a directory with the set-group-ID bit passes its group on")
    func setGroupID() throws {
        let image = try VolumeImage.make()
        try image.mounted { volume in
            let root = try await volume.rootDirectory()
            let directory = try await volume.makeDirectory(
                .of("d"), in: root, NewNode(mode: 0o2775, caller: Caller(uid: 1, gid: 50)))
            let caller = Caller(uid: 7, gid: 7, groups: [60])
            let file = try await volume.createFile(.of("f"), in: directory, NewNode(mode: 0o2755, caller: caller))
            #expect(file.attributes.gid == 50 && file.attributes.uid == 7)
            #expect(file.attributes.mode == 0o100755)
            let child = try await volume.makeDirectory(.of("c"), in: directory, NewNode(mode: 0o755, caller: caller))
            #expect(child.attributes.gid == 50 && child.attributes.mode == 0o042755)
            var change = AttributeChange()
            change.uid = 8
            var special = AttributeChange()
            special.mode = 0o6755
            _ = try await volume.setAttributes(of: file, to: special, caller: .system)
            let capability = Array("security.capability".utf8)
            try await volume.setXattr(capability, of: file, to: [1, 2, 3], .create, caller: .system)
            let changed = try await volume.setAttributes(of: file, to: change, caller: .system)
            #expect(changed.mode == 0o100755 && changed.uid == 8)
            await #expect(throws: FileSystemError.noAttribute) { _ = try await volume.xattr(capability, of: file) }
            for inode in [child, file, directory, root] { inode.release() }
        }
        #expect(image.faults() == [])
    }
}
