internal import DRBDLayout
internal import EngineKit

/// One volume of the resource: its state word, its disk if it has one, what is known of the peer's, and its I/O.
final class Volume {
    let number: VolumeNumber
    /// The words of rules and logs; changed only by the state machine.
    var state: DeviceState
    /// Size of the replicated device in sectors; 0 while unknown.
    var sizeSectors: UInt64 = 0
    var disk: Disk?
    /// The attach under way.
    var attachCommand: CommandID?

    // MARK: Applications

    /// How many applications hold the volume open.
    var openCount = 0
    /// Requests that came while I/O is held. Bounded by the applications' own depth.
    var heldRequests: RingQueue<ApplicationRequest> = RingQueue()
    /// Writes that hold their extents of the activity log and wait for I/O to go on.
    var heldStarts: RingQueue<Int> = RingQueue()
    /// Parts of reads that look for another copy while I/O is held.
    var heldReads: RingQueue<Int> = RingQueue()
    /// Reasons of the engine's own to hold application I/O for a moment (bitmap rewritten, new UUID not durable yet).
    var holdCount = 0
    /// Writes of applications and of the peer that are under way: none of them may overlap another one.
    var intervals = IntervalSet()
    /// Requests that wait for an overlapping one, in order of arrival. Indexes of the request table.
    var overlapWaiters: RingQueue<Int> = RingQueue()
    /// Requests that could not get their extents of the activity log yet, in order of arrival.
    var extentWaiters: RingQueue<ExtentWaiter> = RingQueue()
    /// Something changed for those that wait for extents.
    var shouldRetryExtents = false
    /// Requests whose extents are reserved and wait for the transaction, ordered by its sequence.
    var transactionWaiters: RingQueue<TransactionWaiter> = RingQueue()
    /// Sectors of writes in the transfer log.
    var inFlightSectors: UInt64 = 0
    /// Writes that the peer sent back and that are repeated when the peer's overlapping write is done.
    var postponed: [Int] = []

    /// Writes were answered that may be in no good copy any more: the next flush tells of it.
    var hasLostWrites = false

    // MARK: Peer

    /// The peer was Primary when the connection broke last: it may have written on alone.
    var hasLostPrimaryPeer = false
    /// Counts the changes of `conn`: tells whether something that waited still belongs to the same attempt.
    var connectionChanges = 0

    /// The own generations before the comparison corrected them, for a peer that has yet to compare.
    var uncorrectedUUIDs: GenerationUUIDs?
    /// The peer's generations as last announced, corrected by the comparison; nil: not known.
    var peerUUIDs: GenerationUUIDs?
    var peerChangedBits: UInt64 = 0
    var peerUUIDFlags: UUIDSet.Flags = []
    /// Set bits of the own bitmap when P_UUIDS was last sent. Spec: drbd-disk-and-state 7.4.
    var announcedChangedBits: UInt64 = 0
    /// Connection state that the peer told last.
    var peerConn = ConnectionState.standAlone
    /// How long the last wait for another resync after errors was.
    var repairDelay: Duration?
    /// Usable sectors of the peer's disk; 0: unknown or none.
    var peerDiskSectors: UInt64 = 0
    /// Largest request in bytes that the peer takes.
    var peerRequestByteCountMax = 4096
    /// Data generation that applications have seen last. Spec: drbd-disk-and-state 7.2.
    var exposedUUID: UInt64 = 0
    /// Counts writes and acknowledgements sent. Spec: drbd-wire 14.1.
    var packetSequence: UInt32 = 0
    var peerSequence: UInt32 = 0
    /// P_STATE of the handshake is sent and the peer's is awaited.
    var isHandshakeStateSent = false
    /// The volume came to a live connection: what it told may have been for nobody. It is told again when the peer
    /// shows that it knows the volume. Spec: drbd-wire 7.
    var isNewToConnection = false
    /// Who syncs from whom is decided by the roles as they are, and handlers run before it is done.
    var isDecidingSync = false
    /// Run the sync handshake with the peer's next P_STATE. Spec: drbd-wire 8.3 step 7.
    var considersResync = false
    /// A new current UUID is due when I/O is resumed. Spec: drbd-disk-and-state 7.3.
    var owesNewCurrentUUID = false
    /// New generations that were decided and are not durable yet.
    var generationsPending = 0
    /// A new generation is due when the diskless Primary that just connected goes on.
    var owesGenerationToPeer = false
    /// The mutex of two-step changes is taken (drbd-wire 8.4).
    var isChangingState = false
    /// The answer to the two-step request under way.
    var stateChangeReply: StateChangeResult?

    // MARK: Resync and verify

    var resync: Resync?
    /// Counts the resyncs and their early ends: tells whether a block that was asked for is still wanted.
    var resyncCount: UInt64 = 0
    /// The peer sent P_PING since this node became source of the resync: a target does that before it ends it.
    var mayTargetBeDone = false
    var resyncExtents = ResyncExtents()
    /// Peer's resync and verify reads that wait for their extent.
    var lockWaiters: RingQueue<Int> = RingQueue()
    /// Peer's resync reads that step back behind applications (c-min-rate).
    var yieldingReads: RingQueue<Int> = RingQueue()
    /// The next of them has its time.
    var isYieldTimerArmed = false
    var bitmapReceiver: BitmapReceiver?
    /// The own bitmap went out in this exchange: what becomes out of sync now must be told. Spec: drbd-wire 10.1.
    var isBitmapSent = false
    /// Where the next verify starts, in sectors. Spec: drbd-disk-and-state 14.6.
    var verifyStart: UInt64 = 0
    /// Stop sector of the verify that was asked for.
    var verifyStop: UInt64?
    /// The device grew while one of the disks was on its way: the new range is to be synced when both are there.
    var owesGrowthSync = false

    // MARK: Timers

    /// Next piece of resync or verify requests.
    var resyncTickAt: Instant?
    /// When to look for requests that the peer owes too long.
    var requestCheckAt: Instant?
    /// No request is judged before (drbd-wire 20: not within ko-count * timeout after a reconnect).
    var requestCheckNotBefore = Instant.zero
    var diskCheckAt: Instant?

    var counters = VolumeCounters()

    init(number: VolumeNumber, state: DeviceState) {
        self.number = number
        self.state = state
    }

    var nextDeadline: Instant {
        var earliest = Instant.distantFuture
        if let resyncTickAt { earliest = min(earliest, resyncTickAt) }
        if let requestCheckAt { earliest = min(earliest, requestCheckAt) }
        if let diskCheckAt { earliest = min(earliest, diskCheckAt) }
        return earliest
    }

    var hasWaitingRequests: Bool {
        !heldRequests.isEmpty || !heldStarts.isEmpty || !heldReads.isEmpty || !extentWaiters.isEmpty
            || !lockWaiters.isEmpty
    }

    /// The attached disk, when it may be written to.
    var usableDisk: Disk? { state.disk >= .inconsistent && state.disk != .unknown ? disk : nil }
}

/// What a volume counts, for status. Spec: drbd-config-and-tools 15.
struct VolumeCounters {
    var sentSectors: UInt64 = 0
    var receivedSectors: UInt64 = 0
    var writtenSectors: UInt64 = 0
    var readSectors: UInt64 = 0
    var activityLogWrites: UInt64 = 0
    var bitmapWrites: UInt64 = 0
    /// Operations on the local disk under way (`lo`).
    var localPending = 0
    /// Requests to the peer without answer (`pe`).
    var peerPending = 0
    /// Requests of the peer not answered yet (`ua`).
    var unacknowledged = 0
    /// Requests of applications under way (`ap`).
    var applicationPending = 0
    /// Sectors that the local disk moved for applications and peer, without resync; for the throttle.
    var otherSectors: UInt64 = 0
}
