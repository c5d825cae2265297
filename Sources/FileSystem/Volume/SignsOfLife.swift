internal import EngineKit
internal import OCFS2Layout

// A host that mounts alone must be alone: the heartbeat file says who else has the volume mounted. Spec: ocfs2-disk 13.3.
extension MountedVolume {
    /// Two of the interval in which a living host writes, and some slack.
    private static let watchTime = Duration.milliseconds(4500)
    /// The part of a heartbeat block that changes, and where its generation lies (0: left cleanly). Spec: o2cb 6.2.
    private static let usedByteCount = 28
    private static let generationOffset = 16

    /// Throws when another host writes signs of life. Waits for them only if somebody has not left cleanly.
    func requireSolitude() async throws(MountError) {
        guard !features.isLocal, locks.isLocal, systemNumbers[SystemFile(.heartbeat)] != nil else { return }
        let before = try await signsOfLife()
        guard before.contains(where: Self.isOpen) else { return }
        environment.log(.notice, "a host may have the volume mounted: looking for its signs of life")
        await environment.sleep(until: environment.now + Self.watchTime)
        let after = try await signsOfLife()
        guard let node = after.indices.first(where: { after[$0] != before[$0] && Self.isOpen(after[$0]) }) else {
            return
        }
        throw .inUse(node: node)
    }

    private static func isOpen(_ block: [UInt8]) -> Bool {
        block[generationOffset..<generationOffset + 8].contains { $0 != 0 }
    }

    /// The used part of each node's block.
    private func signsOfLife() async throws(MountError) -> [[UInt8]] {
        do throws(FileSystemError) {
            guard let first = try await heartbeatBlocks().first else { return [] }
            let (sector, byteCount) = (device.sectorByteCount, heartbeatByteCount)
            let slice = IOSlice(buffer: IOBuffer(byteCount: byteCount), offset: 0, count: byteCount)
            do throws(BlockDeviceError) {
                try await device.read(slice, at: geometry.byteOffset(ofBlock: first))
            } catch {
                throw .device(error)
            }
            return (0..<HeartbeatRegion.nodeCount).map { node in
                Array(slice.bytes[node * sector..<node * sector + Self.usedByteCount])
            }
        } catch {
            throw MountError(error)
        }
    }
}
