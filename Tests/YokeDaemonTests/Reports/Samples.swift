import DRBDLayout
import EngineKit
@testable import Replication

@testable import YokeDaemon

/// Reports as the chapters show them: a 300 MiB device, resource r0, volume 0, minor 0.
enum Samples {
    static func volume(
        _ state: DeviceState, minor: Int = 0, number: UInt16 = 0, sizeKiB: UInt64 = 307_152
    ) -> VolumeReport {
        let snapshot = VolumeSnapshot(
            volume: VolumeNumber(number), state: state, sizeSectors: sizeKiB * 2, diskOptions: DiskOptions(),
            backing: nil, sentSectors: 0, receivedSectors: 0, writtenSectors: 0, readSectors: 0,
            activityLogWrites: 0, bitmapWrites: 0, localPending: 0, peerPending: 0, unacknowledged: 0,
            applicationPending: 0, epochs: 1, outOfSyncBits: 0, isActivityLogSuspended: false,
            isBlockedByUpper: false, isBlockedByLower: false, progress: nil, uuids: nil, metadataFlags: nil)
        return VolumeReport(minor: minor, snapshot: snapshot)
    }

    static func report(_ volumes: [VolumeReport], network: NetworkOptions? = NetworkOptions()) -> ResourceReport {
        let snapshot = ResourceSnapshot(
            name: "r0", network: network, options: ResourceOptions(), agreedVersion: 101, writeOrdering: "flush",
            volumes: volumes.map(\.snapshot))
        return ResourceReport(snapshot: snapshot, volumes: volumes)
    }

    static let connected = DeviceState(
        role: .primary, peer: .secondary, conn: .connected, disk: .upToDate, pdsk: .upToDate)
    static let target = DeviceState(
        role: .secondary, peer: .secondary, conn: .syncTarget, disk: .inconsistent, pdsk: .upToDate)

    /// The resync of the example of drbd-config-and-tools 15.
    static var syncing: VolumeReport {
        var volume = volume(target)
        volume.snapshot.receivedSectors = 20784 * 2
        volume.snapshot.writtenSectors = 327_940 * 2
        volume.snapshot.activityLogWrites = 1
        volume.snapshot.outOfSyncBits = 286_368 / 4
        volume.snapshot.progress = SyncProgress(
            totalBits: 307_152 / 4, leftBits: 286_368 / 4, markLeftBits: 286_368 / 4 + 649 * 6,
            markAge: .seconds(6), runningTime: .seconds(7), wantedRate: 5640, positionSector: 41568)
        return volume
    }
}
