internal import DRBDLayout
internal import EngineKit

/// The connection to the peer: its configuration, how far it is, its two sockets.
///
///     off -> resting -> establishing -> features -> authenticating -> live -> closing -> resting ...
///                                                                             closing -> off
final class Connection {
    enum Phase {
        /// No network configuration (StandAlone).
        case off
        /// Between two attempts (Unconnected).
        case resting
        /// Sockets are being made (WFConnection).
        case establishing
        /// P_CONNECTION_FEATURES is awaited.
        case features
        case authenticating
        /// The parameters are sent; packets of all kinds flow (WFReportParams and above).
        case live
        /// The sockets are gone; what follows from that is being done.
        case closing
    }

    var phase = Phase.off
    /// The state as far as it is that of the connection: WFReportParams stands for all that is above.
    var state = ConnectionState.standAlone
    var network: NetworkOptions?
    var once = ConnectOnce()
    /// Counts the connections, so that late answers go nowhere.
    var serial: UInt64 = 0

    var establishment: ConnectionEstablishment?
    var authentication: ChallengeResponse?
    /// Sockets in use, being made or being closed.
    var channels: [SocketChannel] = []
    var data: SocketChannel?
    var meta: SocketChannel?
    var dialect = WireDialect.beforeAgreement
    /// This node accepted the meta socket. Spec: drbd-wire 2.4.
    var resolvesConflicts = false
    /// The peer does a dry run. Spec: drbd-wire 6.1.
    var peerWantsDryRun = false
    /// Reason states of the attempt under way ended without a connection: pause before the next.
    var pausesBeforeRetry = false

    // MARK: Receiving

    /// The data socket may hold packets that could not be looked at; to be tried again when something changed.
    var needsResume = false
    var epoch = ReceivedEpoch()
    var sequenceWaitSince: Instant?
    var sequenceWaitedFor: UInt32 = 0
    /// Since when the peer's write waits for an own one.
    var conflictSince: Instant?

    // MARK: Sending

    var replies = ReplyBacklog()

    // MARK: Keep-alive

    /// Some socket has bytes that the owner was not told of.
    var needsTransmit = false

    /// When anything last came on either socket.
    var lastReceived = Instant.zero
    /// When P_PING is due unless something comes.
    var pingAt: Instant?
    /// P_PINGs on the way, each with what waits for its answer.
    var pings: RingQueue<(ReplicationEngine) -> Void> = RingQueue()
    /// Until when the next P_PING_ACK has to come.
    var pingAckDueAt: Instant?
    /// When to look whether the sockets still take bytes.
    var sendCheckAt: Instant?
    /// When the step under way of connecting is given up.
    var phaseDeadline: Instant?

    // MARK: Connection-wide state changes

    /// The mutex of connection-wide two-step changes is taken.
    var isChangingState = false
    var stateChangeReply: StateChangeResult?

    var isLive: Bool { phase == .live }
    var wireProtocol: NetworkOptions.WireProtocol { network?.wireProtocol ?? .c }
    var allowsTwoPrimaries: Bool { network?.allowTwoPrimaries ?? false }
    var epochSizeMax: Int { max(1, network?.epochSizeMax ?? 2048) }
    var pingTimeout: Duration { .deciseconds(max(1, network?.pingTimeout ?? 5)) }
    var pingInterval: Duration { .seconds(max(1, network?.pingInterval ?? 10)) }
    /// The longest that the peer may take for a request; nil: no limit. Spec: drbd-wire 20.
    var requestTimeout: Duration? {
        guard let network, network.koCount > 0, network.timeout > 0 else { return nil }
        return .deciseconds(network.timeout * network.koCount)
    }

    /// Bytes that were ever put on the data socket.
    var dataPosition: UInt64 { data?.output.totalAppended ?? 0 }

    var nextDeadline: Instant {
        var earliest = Instant.distantFuture
        if let next = establishment?.nextDeadline { earliest = min(earliest, next) }
        if let pingAt { earliest = min(earliest, pingAt) }
        if let pingAckDueAt { earliest = min(earliest, pingAckDueAt) }
        if let sendCheckAt { earliest = min(earliest, sendCheckAt) }
        if let phaseDeadline { earliest = min(earliest, phaseDeadline) }
        return earliest
    }

    func channel(_ id: SocketID) -> SocketChannel? {
        if let data, data.id == id { return data }
        if let meta, meta.id == id { return meta }
        return channels.first { $0.id == id }
    }
}

/// The peer's writes since its last P_BARRIER. Spec: drbd-wire 13.
///
/// While it is drained and flushed no packet of the data socket is looked at, so there is never more than one.
struct ReceivedEpoch {
    enum Stage: Equatable {
        case open
        /// P_BARRIER came; writes are still under way.
        case draining
        /// The disks are being flushed.
        case flushing
    }

    var stage = Stage.open
    /// Number of the P_BARRIER that came.
    var barrier: UInt32 = 0
    /// Writes that count for P_BARRIER_ACK.
    var writeCount = 0
    /// Writes that a disk works on.
    var pendingCount = 0
    /// Disks that its writes were given to.
    var disks: [Disk] = []
    /// Those that are being flushed.
    var flushing: [Disk] = []
    /// A disk could not be flushed: what was written may be gone.
    var hasFailedFlush = false

    /// A write was given to a disk.
    mutating func note(_ disk: Disk) {
        if disks.last !== disk, !disks.contains(where: { $0 === disk }) { disks.append(disk) }
    }
}
