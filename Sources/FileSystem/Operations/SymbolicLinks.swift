import EngineKit
import Journal
import LayoutKit
import OCFS2Layout

extension MountedVolume {
    /// The target of a symbolic link. Spec: ocfs2-disk 7.2.
    package func readLink(_ inode: Inode) async throws(FileSystemError) -> [UInt8] {
        guard inode.isSymlink else { throw .invalidArgument }
        try await inode.lock(.shared)
        defer { inode.unlock(.shared) }
        let size = inode.attributes.size
        guard size > 0, size <= UInt64(NewContent.targetByteCountMax) else {
            throw corrupt(inode, "symlink of \(size) bytes")
        }
        let count = Int(size)
        if inode.attributes.clusters == 0 {
            guard count < geometry.fastSymlinkCapacity else {
                throw corrupt(inode, "fast symlink of \(size) bytes")
            }
            return Array(UnsafeRawBufferPointer(inode.block.bytes.part(offset: Dinode.contentOffset, count: count)))
        }
        guard case .extent(let extent) = try await ExtentTree(self, .data(inode)).lookup(0) else {
            throw corrupt(inode, "symlink without its first cluster")
        }
        let blockCount = geometry.blocks(coveringBytes: size)
        guard blockCount <= geometry.blocks(inClusters: extent.count) else {
            throw corrupt(inode, "symlink in pieces")
        }
        var target: [UInt8] = []
        for block in try await blocks((0..<blockCount).map { extent.block + $0 }, .plain, for: inode) {
            target += UnsafeRawBufferPointer(block.bytes).prefix(count - target.count)
        }
        return target
    }

    private func corrupt(_ inode: Inode, _ what: String) -> FileSystemError {
        report(Corruption(block: inode.number, inode: inode.number, what: what))
    }
}
