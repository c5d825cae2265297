internal import DRBDLayout
internal import EngineKit
internal import Replication

// What engines write to their metadata, seen on its way to the disk.
extension World {
    func observeMetadata(host: SimulatedHost, _ operation: DiskOperation) {
        guard case .write = operation.kind, let data = operation.data, data.count >= 512 else { return }
        let bytes = UnsafeRawBufferPointer(data.bytes)
        if number32(bytes, 0) == 0x69cb_65a2, bytes[12] == 0 { return observeTransaction(bytes) }
        let volume = Int(operation.device.volume.rawValue)
        let places = MetadataForge.places(
            isInternal: host.plan.hasInternalMetadata,
            capacity: UInt64(host.disks[volume].metadata.byteCount / 512))
        if Int(operation.offset) == places.superblock { observeSuperblock(host: host, volume: volume, bytes) }
    }

    private func observeTransaction(_ bytes: UnsafeRawBufferPointer) {
        reach(.activityLogTransaction)
        let updates = Int(bytes[14]) << 8 | Int(bytes[15])
        let start = Int(bytes[18]) << 8 | Int(bytes[19])
        for update in 0..<min(updates, 64) {
            let slot = Int(bytes[36 + 2 * update]) << 8 | Int(bytes[37 + 2 * update])
            guard slot >= start, slot - start < 919 else { continue }
            if number32(bytes, 420 + 4 * (slot - start)) != .max { reach(.activityLogEviction) }
        }
    }

    /// A target takes the sync UUID for its current one and forgets its bitmap UUID; its history stays.
    /// Spec: drbd-disk-and-state 7.3.
    private func observeSuperblock(host: SimulatedHost, volume: Int, _ bytes: UnsafeRawBufferPointer) {
        let uuids = (0..<4).map { number64(bytes, 8 + 8 * $0) }
        let before = knowledge.uuids[host.index][volume]
        knowledge.uuids[host.index][volume] = uuids
        trace.note(
            .action, host: host.index, uuids[0], uuids[1],
            "superblock \(volume): " + uuids.map { String($0, radix: 16) }.joined(separator: ":")
                + " flags \(String(number32(bytes, 56), radix: 16))")
        let state = host.states[volume].conn
        guard let before, state == .wfSyncUUID || state == .syncTarget, uuids[0] & ~1 != before[0] & ~1 else { return }
        if uuids[1] != 0 || uuids[2] != before[2] || uuids[3] != before[3] {
            fail(
                "volume \(volume): \(host.name) takes a sync UUID and changes its history: "
                    + before.map { String($0, radix: 16) }.joined(separator: ":") + " becomes "
                    + uuids.map { String($0, radix: 16) }.joined(separator: ":"))
        }
    }

    private func number32(_ bytes: UnsafeRawBufferPointer, _ offset: Int) -> UInt32 {
        UInt32(bigEndian: bytes.loadUnaligned(fromByteOffset: offset, as: UInt32.self))
    }

    private func number64(_ bytes: UnsafeRawBufferPointer, _ offset: Int) -> UInt64 {
        UInt64(bigEndian: bytes.loadUnaligned(fromByteOffset: offset, as: UInt64.self))
    }
}
