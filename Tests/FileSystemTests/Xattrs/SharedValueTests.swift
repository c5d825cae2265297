import EngineKit
import EngineSimulation
import Journal
import LayoutKit
import OCFS2Layout
import Testing

@testable import FileSystem

/// Values that reflinked files share: freed by the last one only. Spec: ocfs2-disk-2 16.4, 17.2.
@Suite(.enabled(if: Tool.hasVolumeTools, "ocfs2-tools are not installed"))
struct SharedValueTests {
    private static let name = Array("user.big".utf8)

    /// Lets `copy` share the clusters of the only value of `original`, as a reflink of the reference host leaves it.
    private func share(_ original: Inode, with copy: Inode, _ volume: MountedVolume) async throws {
        let key = try XattrKey(Self.name, volume)
        guard let (holder, index) = try await XattrSet(original).find(key),
            let (copyHolder, copyIndex) = try await XattrSet(copy).find(key)
        else { throw FileSystemError.noAttribute }
        let tree = try holder.valueTree(of: holder.storage[index])
        let copyTree = try copyHolder.valueTree(of: copyHolder.storage[copyIndex])
        var extents: [Extent] = []
        try await tree.forEach { extent throws(FileSystemError) in extents.append(extent) }
        let old = try await ValueFreeing.prepare(copyTree, copy)
        defer { old.release() }
        let reservation = try await volume.reserve(SpaceNeeds(metadataBlocks: 6))
        defer { reservation.release() }
        try await old.exclusively { () throws(FileSystemError) in
            try await old.lock()
            try await volume.transaction(credits: 60) { handle throws(FileSystemError) in
                try await old.carryOut(reservation, handle)
                let claimed = try await reservation.claimMetadataBlock(handle)
                let root = volume.freshBlock(claimed.number, .refcountBlock)
                RefcountBlock.initialize(
                    root.bytes, block: claimed.number, generation: volume.nextGeneration, claimed.place,
                    volume.parameters)
                root.bytes[RefcountBlock.Field.inodeCount] = 2
                handle.modify(root)
                for extent in extents.sorted(by: { $0.block < $1.block }) {
                    RefcountBlock.records(root.bytes).append(
                        RefcountRecord(
                            start: UInt64(volume.geometry.cluster(ofBlock: extent.block)), clusters: extent.count,
                            count: 2))
                    var shared = extent
                    shared.flags.insert(.refcounted)
                    try await tree.replace(shared, reservation, handle)
                    try await copyTree.insert(shared, reservation, handle)
                }
                for inode in [original, copy] {
                    inode.attributes.dynamicFeatures.insert(.hasRefcount)
                    inode.block.bytes[Dinode.Field.refcountRoot] = claimed.number
                    inode.storeAttributes(handle)
                }
            }
        }
    }

    @Test(
        "a shared value stays with the others when one removes or replaces it, and goes with the last",
        arguments: 0..<3)
    func freeing(way: Int) throws {
        let image = try VolumeImage.make(.init(blockSize: 1024))
        let value = (0..<20000).map { UInt8(truncatingIfNeeded: $0 &* 11) }
        try image.mounted { volume in
            let root = try await volume.rootDirectory()
            let original = try await volume.createFile(.of("f"), in: root, newFile)
            let copy = try await volume.createFile(.of("g"), in: root, newFile)
            for inode in [original, copy] {
                try await volume.setXattr(Self.name, of: inode, to: value, .create, caller: .system)
            }
            try await share(original, with: copy, volume)
            for inode in [original, copy, root] { inode.release() }
        }
        #expect(image.faults(allowing: XattrTests.tolerated) == [])
        try image.mounted { volume in
            let root = try await volume.rootDirectory()
            let original = try await volume.lookup(.of("f"), in: root)
            switch way {
            case 0: try await volume.removeXattr(Self.name, of: original, caller: .system)
            case 1: try await volume.setXattr(Self.name, of: original, to: [1], .replace, caller: .system)
            default: try await volume.unlink(.of("f"), in: root)
            }
            original.release()
            root.release()
        }
        #expect(image.faults(allowing: XattrTests.tolerated) == [])
        try image.mounted { volume in
            let root = try await volume.rootDirectory()
            let copy = try await volume.lookup(.of("g"), in: root)
            let found = try await volume.xattr(Self.name, of: copy)
            #expect(found == value)
            copy.release()
            try await volume.unlink(.of("g"), in: root)
            root.release()
        }
        #expect(image.faults(allowing: XattrTests.tolerated) == [])
    }
}
