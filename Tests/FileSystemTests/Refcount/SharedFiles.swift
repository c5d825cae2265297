import EngineKit
import Journal
import LayoutKit
import OCFS2Layout

@testable import FileSystem

extension MountedVolume {
    /// Makes `copies` share all extents of `original`, as the reference host's reflink leaves them. Spec: ocfs2-disk-2 17.2
    ///
    /// - Parameters:
    ///   - original: flushed, with contents in few extents. The copies are empty.
    ///   - slot: whose allocator gives the block of the tree.
    func share(_ original: Inode, with copies: [Inode], slot: Int? = nil) async throws(FileSystemError) {
        let tree = ExtentTree(self, .data(original))
        var extents: [Extent] = []
        try await tree.forEach { extent throws(FileSystemError) in extents.append(extent) }
        let reservation = try await reserve(SpaceNeeds(metadataBlocks: 1 + 4 * copies.count))
        defer { reservation.release() }
        let allocator = try await usedSpace().suballocator(.extentAlloc, slot: slot ?? self.slot)
        try await allocator.hold.acquire()
        defer { allocator.hold.release() }
        allocator.promised += 1
        try await transaction(credits: 100) { handle throws(FileSystemError) in
            let claimed = try await allocator.take(near: nil, handle)
            let root = self.freshBlock(claimed.number, .refcountBlock)
            RefcountBlock.initialize(
                root.bytes, block: claimed.number, generation: self.nextGeneration, claimed.place, self.parameters)
            root.bytes[RefcountBlock.Field.inodeCount] = UInt32(1 + copies.count)
            handle.modify(root)
            for extent in extents.sorted(by: { $0.block < $1.block }) {
                RefcountBlock.records(root.bytes).append(
                    RefcountRecord(
                        start: UInt64(self.geometry.cluster(ofBlock: extent.block)), clusters: extent.count,
                        count: UInt32(1 + copies.count)))
            }
            for inode in [original] + copies {
                handle.modify(inode.block)
                inode.attributes.dynamicFeatures.insert(.hasRefcount)
                inode.block.bytes[Dinode.Field.refcountRoot] = claimed.number
                if inode !== original {
                    inode.attributes.size = original.attributes.size
                    inode.fileData.setStoredSize(original.attributes.size)
                }
                for extent in extents {
                    var shared = extent
                    shared.flags.insert(.refcounted)
                    let tree = ExtentTree(self, .data(inode))
                    if inode === original {
                        try await tree.replace(shared, reservation, handle)
                    } else {
                        try await tree.insert(shared, reservation, handle)
                    }
                }
                inode.fileData.forget()
                inode.storeAttributes(handle)
            }
        }
    }
}
