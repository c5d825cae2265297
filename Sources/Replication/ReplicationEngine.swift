package import EngineKit

/// One replicated resource on this host: its volumes, their disks, and the connection to the peer.
///
/// A pure state machine: inputs with the time in, actions out; no clock, socket, file, task or randomness of its own.
/// The daemon's reactor and the simulator drive the same code.
///
/// **Use.** Call ``handle(_:now:into:)`` for each input, carry out the actions in order, then look at
/// ``nextDeadline``. The engine never calls out and is never re-entered. It is confined to one thread.
///
/// **Inside.** An input changes state and appends actions; what follows from a state change and has to wait for a disk,
/// a handler or the peer is a list of steps (``SerialWork``). Each input ends with ``settle()``, which runs what became
/// possible: steps, requests that waited, one activity-log transaction for all new extents, P_BARRIER, and one
/// `transmit` for each socket. The parts lie in folders by subject: Connection, Volume, Writes, Reads, Resync,
/// Commands, Status.
package final class ReplicationEngine {
    package let name: String

    let random: any RandomSource
    let digests: any DigestProvider
    let buffers: IOBufferPool
    let faults: PlantedFaults

    var options: ResourceOptions
    /// Time of the input under way.
    var now = Instant.zero
    /// The owner's list while an input is handled.
    var actions: [Action] = []
    private var isHandling = false
    var lastSocketID: UInt32 = 0
    var lastHandlerRunID: UInt64 = 0

    /// Sorted by number.
    var volumes: [Volume] = []
    let connection = Connection()

    /// Requests of applications, cut into pieces of at most 1 MiB.
    var masters = SlotTable<MasterRequest>()
    var requests = SlotTable<LocalRequest>()
    var log = TransferLog()
    /// What the peer sent or asks for, as long as a disk works on it.
    var peerRequests = SlotTable<PeerRequest>()
    /// Memory that those hold, a page for each that holds none.
    var peerRequestByteCount = 0
    /// Reads of the peer that wait for room on the data socket, in order of arrival.
    var waitingReads: RingQueue<Int> = RingQueue()
    var metadataOperations = SlotTable<MetadataOperation>()
    /// Answers that wait until I/O is resumed.
    var heldCompletions: [(RequestID, errno: Int32)] = []
    var flushes: [PendingFlush] = []

    var worker = SerialWork(lane: .worker)
    var receiver = SerialWork(lane: .receiver)
    var commands = SerialWork(lane: .commands)
    var timers = TimerHeap()
    var handlerRuns: [HandlerRun] = []
    var durabilityWaits: [DurabilityWait] = []
    /// Asked again after each change.
    var conditionWaits: [ConditionWait] = []
    var needsSettling = false
    /// Steps in all lanes that have not begun.
    var stepsPending = 0
    /// Some volume has requests that wait for I/O to go on, for extents or for resync locks.
    var hasWaitingRequests = false
    /// Some volume has extents that wait for a transaction of the activity log.
    var hasPendingExtents = false
    /// State changes of all volumes; who waits for the next one remembers the number.
    var stateChangeCount: UInt64 = 0
    /// The command under way in its lane.
    var runningCommand: RunningCommand?

    /// - Parameters:
    ///   - name: name of the resource.
    ///   - random: for UUIDs, challenges and the coin flips of connection establishment.
    ///   - buffers: pool for payload that the engine receives or reads.
    ///   - faults: rules broken on purpose; for simulations.
    package init(
        name: String, options: ResourceOptions, random: any RandomSource, digests: any DigestProvider,
        buffers: IOBufferPool, faults: PlantedFaults = []
    ) {
        self.name = name
        self.options = options
        self.random = random
        self.digests = digests
        self.buffers = buffers
        self.faults = faults
    }

    /// A fresh identifier for a socket that the owner accepted.
    package func nextSocketID() -> SocketID {
        lastSocketID += 1
        return SocketID(lastSocketID)
    }

    /// Takes one input and appends what must be done to `actions`.
    package func handle(_ input: Input, now: Instant, into actions: inout [Action]) {
        precondition(!isHandling, "the engine of \(name) was entered twice")
        isHandling = true
        self.now = max(self.now, now)
        swap(&self.actions, &actions)
        dispatch(input)
        settle()
        swap(&self.actions, &actions)
        isHandling = false
    }

    private func dispatch(_ input: Input) {
        switch input {
        case .received(let socket, let count): received(socket, count: count)
        case .diskCompleted(let operation, let errno): diskCompleted(operation, errno: errno)
        case .request(let request): admit(request)
        case .transmitted(let socket): transmitted(socket)
        case .tick: tick()
        case .connected(let socket): socketConnected(socket)
        case .connectFailed(let socket, let errno): socketConnectFailed(socket, errno: errno)
        case .accepted(let socket, let address): socketAccepted(socket, from: address)
        case .listenFailed(let errno): listenFailed(errno: errno)
        case .socketEnded(let socket, let errno): socketEnded(socket, errno: errno)
        case .opened(let number): opened(number)
        case .closed(let number): closed(number)
        case .command(let id, let command): execute(command, id: id)
        case .handlerExited(let run, let status): handlerExited(run, status: status)
        case .resyncDependency(let number, let mustWait): resyncDependencyChanged(number, mustWait: mustWait)
        }
    }

    /// When ``Input/tick`` is wanted at the latest; nil: not at all.
    package var nextDeadline: Instant? {
        var earliest = timers.nextDeadline ?? .distantFuture
        earliest = min(earliest, connection.nextDeadline)
        for volume in volumes { earliest = min(earliest, volume.nextDeadline) }
        return earliest == .distantFuture ? nil : earliest
    }

    private func tick() {
        while let body = timers.popDue(now) { body(self) }
        connectionTick()
        for volume in volumes { volumeTick(volume) }
    }
}
