internal import DRBDLayout
internal import EngineKit

/// The attached disk of a volume: devices, superblock, bitmap and activity log in core.
final class Disk {
    let device: BackingDevice
    var options: DiskOptions
    let geometry: MetadataGeometry
    /// As last read or written; UUIDs and flags are filled in when it is written.
    var superblock: MetadataSuperblock
    var uuids: GenerationUUIDs
    var flags: MetadataFlags
    /// Found PRIMARY_IND at attach and both disks were not UpToDate together since. Spec: drbd-disk-and-state 4.
    var isCrashedPrimary = false
    /// Was Primary and not connected before this attach (degr-wfc-timeout). Spec: drbd-disk-and-state 8.1 step 12.
    var wasDegraded = false
    var bitmap: Bitmap
    var activityLog: ActivityLog
    /// Disk states found at attach, for a disk that is Negotiating.
    var negotiatedDisk = DiskState.diskless
    var negotiatedPeerDisk = DiskState.unknown

    // MARK: Durability of the superblock

    /// Counts the changes of what the superblock holds.
    private(set) var generation: UInt64 = 1
    /// The last change that is durable.
    var durableGeneration: UInt64 = 0
    /// The change that is being written.
    var writingGeneration: UInt64?

    // MARK: I/O

    /// Operations of all kinds on the devices; the disk is let go when none is left.
    var operationsPending = 0
    /// Bitmap blocks being written.
    var bitmapJobs: [BitmapJob] = []
    /// Changes of the whole bitmap under way; FULL_SYNC is taken back with the last one.
    var rewritesUnderWay = 0
    /// The transaction of the activity log under way.
    var isTransactionUnderWay = false
    /// An error was passed on while the peer synced from this disk: when the peer is UpToDate, this one is not.
    var owesInconsistent = false
    /// The handler was run for errors without an UpToDate peer.
    var hasToldOfErrors = false
    /// The flag PRIMARY_IND is over, but stays on disk until the bits that the activity log stood for are there.
    var owesBitmap = false
    /// A read or write of data failed; the bitmap is not to be trusted if it cannot be written any more.
    var hadIOError = false
    /// A flush failed: completed writes may be gone.
    var isDistrusted = false
    /// The superblock could not be written during the attach, which must fail.
    var hasMetadataError = false
    /// Detached by force: what still comes from the devices is not heeded.
    var isAbandoned = false
    /// Data writes that were completed, and how many of them a flush that succeeded has covered. Starts with one: what
    /// an earlier attach wrote may be in the cache still.
    var completedWrites: UInt64 = 1
    var flushedWrites: UInt64 = 0
    /// Completed data may still be lost with the power.
    var hasUnflushedData: Bool { completedWrites > flushedWrites }

    init(
        device: BackingDevice, options: DiskOptions, geometry: MetadataGeometry, superblock: MetadataSuperblock,
        bitmap: Bitmap, activityLog: ActivityLog
    ) {
        self.device = device
        self.options = options
        self.geometry = geometry
        self.superblock = superblock
        self.bitmap = bitmap
        self.activityLog = activityLog
        flags = superblock.flags
        uuids = GenerationUUIDs(superblock)
    }

    /// The superblock must be written again.
    func touch() {
        generation += 1
    }

    var isDirty: Bool { generation > durableGeneration }

    /// What is written now: always with the magic of a node that runs, so that a crash is noticed.
    /// Spec: drbd-disk-and-state 3.
    func encodedSuperblock() -> MetadataSuperblock {
        var block = superblock
        block.current = uuids.current
        block.bitmap = uuids.bitmap
        block.history0 = uuids.history0
        block.history1 = uuids.history1
        block.flags = flags.subtracting(.activityLogClean)
        if owesBitmap { block.flags.insert(.primaryIndicator) }
        block.hasUncleanMagic = true
        return block
    }

    /// Internal metadata shares its device with the data: a flush of one is a flush of both.
    var hasSeparateMetadata: Bool { device.metadataPlace != .internal }
}

extension BackingDevice.MetadataPlace {
    /// The layout's name for the place; nil: an index that cannot be.
    var placement: MetadataPlacement? {
        switch self {
        case .internal: .internal
        case .flexibleExternal: .flexibleExternal
        case .indexed(let index): UInt32(exactly: index).map { .indexed($0) }
        }
    }
}
