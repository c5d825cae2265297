/// Steps that run one after the other, each of which may wait for a disk, a handler or the peer.
///
/// What follows a state change must happen in order and part of it only when metadata is durable; a list of steps says
/// that without a thread. A step that cannot finish at once returns ``Outcome/waits`` and arranges that
/// ``ReplicationEngine/resume(_:)`` is called. Steps get the engine as an argument and never keep it: a list of waiting
/// steps must not hold the engine alive.
struct SerialWork {
    enum Outcome { case done, waits }
    typealias Step = (ReplicationEngine) -> Outcome

    /// Which list a waiting step belongs to.
    enum Lane: Int {
        /// What follows state changes.
        case worker
        /// What a packet of the data socket started; no further packet is looked at before it ends.
        case receiver
        /// Administrative commands, one at a time.
        case commands
    }

    /// Permission to go on, given out to one waiting step.
    struct Ticket {
        let lane: Lane
        let serial: UInt64
    }

    let lane: Lane
    private var steps: RingQueue<Step> = RingQueue()
    private var isWaiting = false
    /// Counts the steps and the dropped lists, so that a late answer resumes nobody else.
    private var serial: UInt64 = 0

    init(lane: Lane) {
        self.lane = lane
    }

    /// Nothing to do and nothing awaited.
    var isIdle: Bool { steps.isEmpty && !isWaiting }
    private var canRun: Bool { !steps.isEmpty && !isWaiting }
    /// Steps that have not begun.
    var count: Int { steps.count }

    mutating func append(_ step: @escaping Step) {
        steps.append(step)
    }

    /// The next step, marked as under way.
    mutating func begin() -> Step? {
        guard canRun, let step = steps.popFirst() else { return nil }
        serial += 1
        isWaiting = true
        return step
    }

    /// The step under way ended.
    mutating func end() {
        isWaiting = false
    }

    var ticket: Ticket { Ticket(lane: lane, serial: serial) }

    /// False: the ticket is from a step that is over or was dropped.
    mutating func resume(_ ticket: Ticket) -> Bool {
        guard ticket.serial == serial, isWaiting else { return false }
        isWaiting = false
        return true
    }

    /// Forgets all steps, also the one that waits.
    mutating func removeAll() {
        steps = RingQueue()
        isWaiting = false
        serial += 1
    }
}
