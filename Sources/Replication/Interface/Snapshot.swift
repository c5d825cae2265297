package import DRBDLayout

/// The state of a resource at one moment, for `/proc/drbd`, `drbdsetup status`, `events2` and `yoke status`.
package struct ResourceSnapshot: Sendable {
    package var name: String
    /// Nil while there is no network configuration.
    package var network: NetworkOptions?
    package var options: ResourceOptions
    /// Agreed protocol version; nil while not connected.
    package var agreedVersion: Int?
    /// `flush`, `drain` or `none`.
    package var writeOrdering: String
    /// Sorted by volume number.
    package var volumes: [VolumeSnapshot]
}

/// The state of one volume. Sector counts are of 512 bytes. Spec: drbd-config-and-tools 12, 15.
package struct VolumeSnapshot: Sendable {
    package var volume: VolumeNumber
    package var state: DeviceState
    /// Size of the replicated device; 0 while unknown.
    package var sizeSectors: UInt64
    package var diskOptions: DiskOptions?
    package var backing: BackingDevice?

    /// Sectors sent to and received from the peer, written to and read from the local disk.
    package var sentSectors: UInt64
    package var receivedSectors: UInt64
    package var writtenSectors: UInt64
    package var readSectors: UInt64
    /// Transactions of the activity log, bitmap blocks written.
    package var activityLogWrites: UInt64
    package var bitmapWrites: UInt64
    /// /proc/drbd: lo, pe, ua, ap, ep.
    package var localPending: Int
    package var peerPending: Int
    package var unacknowledged: Int
    package var applicationPending: Int
    package var epochs: Int
    /// Bits (4 KiB each) set in the bitmap.
    package var outOfSyncBits: UInt64
    package var isActivityLogSuspended: Bool
    package var isBlockedByUpper: Bool
    package var isBlockedByLower: Bool

    /// Nil unless a resync or verify runs.
    package var progress: SyncProgress?

    /// get-gi: current, bitmap, two of history; nil without a disk.
    package var uuids: [UInt64]?
    package var metadataFlags: MetadataFlags?
    /// Was Primary and not connected before this attach: `degr-wfc-timeout` applies. Spec: drbd-disk-and-state 18.
    package var wasDegraded = false
}

/// Facts for the progress bar. Spec: drbd-config-and-tools 15.
package struct SyncProgress: Sendable {
    /// Bits at the start.
    package var totalBits: UInt64
    /// Bits left (verify: blocks left), without those that failed.
    package var leftBits: UInt64
    /// Bits left and time at the mark that the current speed is computed from.
    package var markLeftBits: UInt64
    package var markAge: Duration
    /// Time since the start without pauses.
    package var runningTime: Duration
    /// KiB/s that the controller wishes; nil on the side that does not request.
    package var wantedRate: Int?
    package var positionSector: UInt64
}
