import EngineKit
import EngineSimulation
import Journal
import LayoutKit
import OCFS2Layout
import Testing

@testable import FileSystem

@Suite(.enabled(if: Tool.hasVolumeTools, "ocfs2-tools are not installed"))
struct SynchronousMountTests {
    private struct Change: Sendable, CustomTestStringConvertible {
        var testDescription: String
        var isOfNames = false
        var make: @Sendable (MountedVolume, Inode, Inode) async throws -> Void
        var isThere: @Sendable (MountedVolume, Inode, Inode) async throws -> Bool
    }

    /// What is done to the file or the root directory, and how one sees it.
    private static let changes: [Change] = [
        Change(testDescription: "write") { volume, file, _ in
            try await FileUnderTest(volume, file).write([1, 2, 3], at: 70_000)
        } isThere: { _, file, _ in
            file.attributes.size == 70_003
        },
        Change(testDescription: "truncate") { volume, file, _ in
            try await volume.setSize(of: file, to: 90_000)
        } isThere: { _, file, _ in
            file.attributes.size == 90_000
        },
        Change(testDescription: "fallocate") { volume, file, _ in
            try await volume.allocate(file, 0..<60_000, .allocate(keepsSize: false))
        } isThere: { _, file, _ in
            file.attributes.size == 60_000
        },
        Change(testDescription: "chmod") { volume, file, _ in
            var change = AttributeChange()
            change.mode = 0o600
            _ = try await volume.setAttributes(of: file, to: change, caller: .system)
        } isThere: { _, file, _ in
            file.attributes.mode & 0o777 == 0o600
        },
        Change(testDescription: "chattr") { volume, file, _ in
            try await volume.setInodeFlags(of: file, to: DinodeAttributes.noDump.rawValue, caller: .system)
        } isThere: { _, file, _ in
            file.attributes.attributeFlags.contains(.noDump)
        },
        Change(testDescription: "setxattr") { volume, file, _ in
            try await volume.setXattr(Array("user.a".utf8), of: file, to: [1], .createOrReplace, caller: .system)
        } isThere: { _, file, _ in
            file.attributes.dynamicFeatures.contains(.hasXattr)
        },
        Change(testDescription: "mkdir", isOfNames: true) { volume, _, root in
            try await volume.makeDirectory(.of("d"), in: root, newDirectory).release()
        } isThere: { volume, _, root in
            try await list(volume, root).contains("d")
        },
        Change(testDescription: "rename", isOfNames: true) { volume, _, root in
            try await volume.rename(.of("f"), in: root, to: .of("g"), in: root, .replace)
        } isThere: { volume, _, root in
            try await list(volume, root).contains("g")
        },
    ]

    /// Whether the change is there after a crash right behind it.
    private func survives(_ change: Change, _ options: MountOptions) throws -> Bool {
        let image = try VolumeImage.make()
        let number = try image.makeFile("f", byteCount: 10_000)
        let volume = try image.mount(options)
        let (environment, device) = (image.environment, image.device)
        let crashed = try environment.wait { () async throws -> VolumeImage in
            let root = try await volume.rootDirectory()
            defer { root.release() }
            let file = try await volume.inode(number)
            defer { file.release() }
            try await change.make(volume, file, root)
            return VolumeImage(environment: environment, device: device).copy()
        }
        image.unmount(volume)
        return try crashed.mounted { volume in
            let root = try await volume.rootDirectory()
            defer { root.release() }
            let file = try await volume.inode(number)
            defer { file.release() }
            return try await change.isThere(volume, file, root)
        }
    }

    @Test("sync makes every change durable, dirsync those of names, and without them none is at once")
    func durability() throws {
        var sync = MountOptions(), directories = MountOptions()
        sync.isSynchronous = true
        directories.hasSynchronousDirectories = true
        for change in Self.changes {
            #expect(try survives(change, sync), "sync, \(change.testDescription)")
            #expect(
                try survives(change, directories) == change.isOfNames, "dirsync, \(change.testDescription)")
            #expect(try !survives(change, MountOptions()), "neither, \(change.testDescription)")
        }
    }

    @Test("with localflocks the locks of flock(2) are not those of the cluster")
    func localLocks() throws {
        let image = try VolumeImage.make(.init(isLocal: false))
        for isLocal in [true, false] {
            var options = MountOptions()
            options.hasLocalFileLocks = isLocal
            let volume = try image.environment.wait { () async throws(MountError) in
                try await MountedVolume.mount(
                    device: image.device, environment: image.environment, locks: SharedLocks().host(),
                    options: options, nodeNumber: 0)
            }
            #expect(volume.sharesFileLocks == !isLocal)
            image.unmount(volume)
        }
    }
}
