internal import DRBDLayout
internal import EngineKit

// on-congestion: what a writer under protocol A does when the link does not keep up. Spec: drbd-wire 18.
//
//     Connected -> Ahead   writes are only marked and told by P_OUT_OF_SYNC; the peer is Behind
//     Ahead -> SyncSource  when the peer has acknowledged all that was sent, one second later; no exchange of bitmaps

extension ReplicationEngine {
    private static let returnDelay = Duration.seconds(1)

    /// A write was sent: perhaps it was too much.
    func considerCongestion(_ volume: Volume) {
        guard let network = connection.network, network.wireProtocol == .a, network.onCongestion != .block,
            volume.state.conn == .connected, volume.state.disk == .upToDate, let disk = volume.usableDisk
        else { return }
        let isFull = network.congestionFill > 0 && volume.inFlightSectors >= UInt64(network.congestionFill)
        let isSpread = disk.activityLog.usedExtentCount >= network.congestionExtents
        guard isFull || isSpread else { return }
        log(.info, volume, "Congestion-\(isFull ? "fill" : "extents") threshold reached")
        closeEpoch()
        switch network.onCongestion {
        case .block:
            break
        case .disconnect:
            loseConnection(.disconnecting)
        case .pullAhead:
            guard change(volume, StateRequest(conn: .ahead), .soft).isSuccess else { return }
            // Before any P_OUT_OF_SYNC.
            sendState(volume, volume.state)
        }
    }

    /// A write left the transfer log: perhaps the peer has all that was sent.
    func considerReturn(_ volume: Volume) {
        guard volume.state.conn == .ahead, volume.inFlightSectors == 0 else { return }
        let serial = connection.serial
        after(Self.returnDelay) { engine in
            guard engine.connection.serial == serial, engine.connection.isLive, volume.state.conn == .ahead,
                volume.inFlightSectors == 0, volume.resync == nil
            else { return }
            engine.startResync(volume, asSource: true)
            engine.changed()
        }
    }
}
