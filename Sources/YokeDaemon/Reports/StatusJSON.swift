internal import DRBDLayout
internal import Replication

/// `drbdsetup status --json`, with the keys of DRBD 9.
package enum StatusJSON {
    package static func value(of reports: [ResourceReport]) -> JSONText {
        .array(reports.map(value(of:)))
    }

    private static func value(of report: ResourceReport) -> JSONText {
        let state = ResourceState(report.snapshot.volumes.map(\.state))
        return .object([
            .init("name", .string(report.name)), .init("node-id", .number(0)),
            .init("role", .string(state.role.name)), .init("suspended", .boolean(state.suspended != "no")),
            .init("suspended-reason", .string(state.suspended)),
            .init("write-ordering", .string(report.snapshot.writeOrdering)),
            .init("devices", .array(report.volumes.map(device))),
            .init("connections", .array(report.hasNetwork ? [connection(report, state)] : [])),
        ])
    }

    private static func device(_ volume: VolumeReport) -> JSONText {
        let snapshot = volume.snapshot
        return .object([
            .init("volume", .number(UInt64(snapshot.volume.rawValue))), .init("minor", .number(UInt64(volume.minor))),
            .init("disk-state", .string(snapshot.state.disk.name)), .init("size", .number(snapshot.sizeKiB)),
            .init("read", .number(snapshot.readSectors / 2)), .init("written", .number(snapshot.writtenSectors / 2)),
            .init("al-writes", .number(snapshot.activityLogWrites)),
            .init("bm-writes", .number(snapshot.bitmapWrites)),
            .init("upper-pending", .number(UInt64(snapshot.applicationPending))),
            .init("lower-pending", .number(UInt64(snapshot.localPending))),
            .init("al-suspended", .boolean(snapshot.isActivityLogSuspended)),
            .init("blocked", .string(snapshot.blockedWord)),
        ])
    }

    private static func connection(_ report: ResourceReport, _ state: ResourceState) -> JSONText {
        .object([
            .init("peer-node-id", .number(0)), .init("name", .string("peer")),
            .init("connection-state", .string(state.connection)), .init("congested", .boolean(false)),
            .init("peer-role", .string(state.peer.name)),
            .init("peer_devices", .array(report.volumes.map { peerDevice($0.snapshot) })),
        ])
    }

    private static func peerDevice(_ snapshot: VolumeSnapshot) -> JSONText {
        let state = snapshot.state
        return .object([
            .init("volume", .number(UInt64(snapshot.volume.rawValue))),
            .init("replication-state", .string(state.replicationWord)),
            .init("peer-disk-state", .string(state.pdsk.name)),
            .init("resync-suspended", .string(state.resyncSuspendedWord)),
            .init("received", .number(snapshot.receivedSectors / 2)), .init("sent", .number(snapshot.sentSectors / 2)),
            .init("out-of-sync", .number(snapshot.outOfSyncKiB)),
            .init("pending", .number(UInt64(snapshot.peerPending))),
            .init("unacked", .number(UInt64(snapshot.unacknowledged))),
            .init("percent-in-sync", .decimal(TextColumns.hundredths(snapshot.doneHundredths))),
        ])
    }
}
