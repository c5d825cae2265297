internal import DRBDLayout
internal import EngineKit

// A disk that is Inconsistent beside an UpToDate peer although both are Connected: blocks of a resync failed, or an error
// was passed on. It asks for another resync by itself, at growing distances.
//
// Deviation: with kernels only a reconnect helps (drbd-wire 11.5). The way is one that they understand: a P_STATE that
// tells of WFBitMapT makes a Connected peer run the sync handshake (drbd-wire 8.3 step 7). A kernel source that stays
// SyncSource is left alone.

extension ReplicationEngine {
    private static let repairDelayMin = Duration.seconds(10)
    private static let repairDelayMax = Duration.seconds(320)

    /// Follows a change of state.
    func considerRepair(_ volume: Volume, from old: DeviceState, to new: DeviceState) {
        if new.disk == .upToDate { volume.repairDelay = nil }
        guard needsRepair(new), !needsRepair(old) else { return }
        let delay = min(volume.repairDelay.map { $0 * 2 } ?? Self.repairDelayMin, Self.repairDelayMax)
        volume.repairDelay = delay
        armRepair(volume, after: delay)
    }

    /// Whether the disk is Inconsistent and no resync is under way that would change it.
    func isLeftInconsistent(_ volume: Volume) -> Bool { needsRepair(volume.state) }

    private func needsRepair(_ state: DeviceState) -> Bool {
        state.conn == .connected && state.disk == .inconsistent && state.pdsk == .upToDate
    }

    private func armRepair(_ volume: Volume, after delay: Duration) {
        let serial = connection.serial
        after(delay) { engine in
            guard engine.connection.serial == serial, engine.connection.isLive, engine.needsRepair(volume.state) else {
                return
            }
            guard volume.peerConn <= .connected, volume.resync == nil, volume.usableDisk != nil else {
                return engine.armRepair(volume, after: delay)
            }
            engine.log(.info, volume, "asking for another resync of the blocks that failed")
            engine.sendUUIDs(volume)
            if engine.change(volume, StateRequest(conn: .wfBitMapT), .soft).isSuccess {
                engine.sendState(volume, volume.state)
            }
            engine.changed()
        }
    }
}
