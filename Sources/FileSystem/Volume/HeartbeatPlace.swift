package import EngineKit
internal import Journal
package import OCFS2Layout

extension VolumeProbe {
    /// Where the heartbeat file of the volume begins, in bytes. Reads only; needs no lock, since the place never changes.
    /// Spec: o2cb 6.1.
    package static func heartbeatOffset(
        of superblock: Superblock, on device: any BlockDevice, environment: any EngineEnvironment
    ) async throws(MountError) -> UInt64 {
        var options = MountOptions()
        options.isReadOnly = true
        let volume = MountedVolume(
            device: device, environment: environment, locks: LocalLocks(), options: options,
            cache: BlockCache(
                device: device, blockSize: superblock.parameters.blockSize, byteCountMax: 1 << 20),
            superblock: superblock, nodeNumber: 0)
        let outcome: Result<UInt64, MountError>
        do throws(FileSystemError) {
            try await volume.loadSystemDirectory()
            outcome = .success(try await volume.heartbeatOffset())
        } catch {
            outcome = .failure(MountError(error))
        }
        await volume.unmount()
        return try outcome.get()
    }
}

extension MountedVolume {
    /// Spec: o2cb 6.1.
    fileprivate func heartbeatOffset() async throws(FileSystemError) -> UInt64 {
        let inode = try await systemInode(.heartbeat)
        let byteCount = UInt64(HeartbeatRegion.nodeCount * device.sectorByteCount)
        let blocks = try await dataBlocks(of: inode, count: geometry.blocks(coveringBytes: byteCount))
        guard let first = blocks.first, let last = blocks.last, last - first + 1 == UInt64(blocks.count) else {
            throw report(
                Corruption(block: inode.number, inode: inode.number, what: "the heartbeat file is not in one piece"))
        }
        return geometry.byteOffset(ofBlock: first)
    }
}
