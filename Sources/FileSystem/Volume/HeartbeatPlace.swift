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
    /// Bytes of the signs of life of all nodes: a sector each. Spec: o2cb 6.1.
    var heartbeatByteCount: Int { HeartbeatRegion.nodeCount * device.sectorByteCount }

    /// Where they lie.
    func heartbeatBlocks() async throws(FileSystemError) -> [UInt64] {
        try await dataBlocks(
            of: try await systemInode(.heartbeat), count: geometry.blocks(coveringBytes: UInt64(heartbeatByteCount)))
    }

    fileprivate func heartbeatOffset() async throws(FileSystemError) -> UInt64 {
        let blocks = try await heartbeatBlocks()
        guard let first = blocks.first, zip(blocks, blocks.dropFirst()).allSatisfy({ $0 + 1 == $1 }) else {
            let number = try await systemInode(.heartbeat).number
            throw report(Corruption(block: number, inode: number, what: "the heartbeat file is not in one piece"))
        }
        return geometry.byteOffset(ofBlock: first)
    }
}
