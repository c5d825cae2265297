internal import DRBDLayout
internal import EngineKit

// PRIMARY_IND on disk says that a crash must apply the activity log. It may go only when the log stands for nothing any
// more: no write in it is under way, and the bits of all blocks that differ are on disk.
// Spec: drbd-disk-and-state 5.5 step 5 ("a cleanly demoted node has already written its bitmap").
//
// Deviation: kernels write the superblock without the flag as soon as the state has changed.

extension ReplicationEngine {
    /// Takes PRIMARY_IND off the disk when that is safe, unless the node is Primary again by then.
    func payBitmap(_ volume: Volume, _ disk: Disk) {
        when({ engine in !disk.owesBitmap || volume.disk !== disk || !engine.isLogInUse(volume) }) { engine in
            guard disk.owesBitmap, volume.disk === disk, !disk.isAbandoned else { return }
            engine.writeBitmap(volume, .changed) { engine, isSuccess in
                guard isSuccess, disk.owesBitmap, volume.disk === disk else { return }
                guard !engine.isLogInUse(volume) else { return engine.payBitmap(volume, disk) }
                disk.owesBitmap = false
                disk.touch()
                engine.syncMetadata(volume) { $0.changed() }
            }
        }
    }

    /// Whether a write holds extents of the activity log.
    private func isLogInUse(_ volume: Volume) -> Bool {
        guard volume.counters.applicationPending == 0 else { return true }
        for index in requests.indexes where requests[index].volume === volume {
            if requests[index].flags.contains(.inActivityLog) { return true }
        }
        for index in peerRequests.indexes where peerRequests[index].volume === volume {
            if peerRequests[index].flags.contains(.inActivityLog) { return true }
        }
        return false
    }
}
