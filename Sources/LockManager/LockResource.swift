internal import EngineKit
internal import O2Layout

/// One node's lock, granted or waiting, as the master or its own node keeps it.
final class Lock {
    /// What this node has asked the master and has no answer to yet.
    enum Outstanding {
        case create, convert, unlock
    }

    let cookie: LockCookie
    let node: NodeNumber
    /// Granted; while blocked the mode that is waited for.
    var mode: LockMode
    /// While converting.
    var convertMode: LockMode?
    /// The list it is on; nil: none (yet, or any more).
    var list: MigratedLock.List?
    var valueFlags: MigratedLock.ValueFlags = []
    /// The last value received or written; what is transmitted if the master dies. Spec: o2dlm 11.
    var value = ValueBlock.zero
    /// The highest mode that this lock keeps waiting and that its node was not told yet.
    var highestBlocked: LockMode?
    /// A blocking message is on its way.
    var isBlockingUnderWay = false
    /// A grant was decided and is not delivered yet.
    var isGrantUnderWay = false
    var outstanding: Outstanding?
    /// This node has asked the master to take its request back.
    var isCancelling = false
    /// Own locks only.
    weak var user: DomainLock?

    init(cookie: LockCookie, node: NodeNumber, mode: LockMode) {
        self.cookie = cookie
        self.node = node
        self.mode = mode
    }
}

/// A named thing that nodes lock, as this node knows it. Spec: o2dlm 1, 7.
final class LockResource {
    let name: ResourceName
    /// The master; nil: not known.
    var owner: NodeNumber?
    /// Being mastered, or a request of this node is outstanding.
    var isInProgress = false
    var isRecovering = false
    /// Dead nodes whose locks were dropped here and whose recovery has not ended.
    ///
    /// Deviation: kernels go on when any recovery has ended. Of two that died together the second may not have been made
    /// known to the filesystems yet.
    var dropped: NodeSet = []
    var isMigrating = false
    /// This copy is given up; a new user waits and starts again.
    var isDroppingReference = false
    /// Rounds of ASSERT_MASTER under way: dereferences are put off.
    var assertRounds = 0
    var dereferencesPutOff: NodeSet = []

    var granted: [Lock] = []
    var converting: [Lock] = []
    var blocked: [Lock] = []
    /// The master's value block.
    var value = ValueBlock.zero
    /// Master: nodes that have or may have a copy.
    var references: NodeSet = []
    /// Local tasks that rely on it.
    var userCount = 0
    var isQueued = false
    /// Since when nobody uses it.
    var unusedSince: Instant?
    /// Told whenever a state or the owner changes.
    let changed = AsyncSignal()

    init(name: ResourceName) {
        self.name = name
    }

    var awaitsRecovery: Bool { !dropped.isEmpty }
    var isUnsettled: Bool { isInProgress || isRecovering || awaitsRecovery || isMigrating }
    var allLocks: [Lock] { granted + converting + blocked }
    var hasLocks: Bool { !(granted.isEmpty && converting.isEmpty && blocked.isEmpty) }

    func find(_ cookie: LockCookie, _ node: NodeNumber) -> Lock? {
        allLocks.first { $0.cookie == cookie && $0.node == node }
    }

    /// Puts `lock` at the tail of `list`, off its present one.
    func move(_ lock: Lock, to list: MigratedLock.List) {
        remove(lock)
        switch list {
        case .granted: granted.append(lock)
        case .converting: converting.append(lock)
        case .blocked: blocked.append(lock)
        }
        lock.list = list
    }

    func remove(_ lock: Lock) {
        switch lock.list {
        case .granted: granted.removeAll { $0 === lock }
        case .converting: converting.removeAll { $0 === lock }
        case .blocked: blocked.removeAll { $0 === lock }
        case nil: break
        }
        lock.list = nil
    }

    /// A lowering on the list of conversions was granted by a master that died before it could say so: it waits for
    /// nobody, and others for it. Spec: o2dlm 13.4 step 4.
    func putLoweringsFirst() {
        func isLowering(_ lock: Lock) -> Bool { lock.convertMode.map { lock.mode > $0 } ?? false }
        converting = converting.filter(isLowering) + converting.filter { !isLowering($0) }
    }

    func removeAll(where isGone: (Lock) -> Bool) -> Bool {
        let gone = allLocks.filter(isGone)
        for lock in gone { remove(lock) }
        return !gone.isEmpty
    }
}

/// The temporary state of a name whose master is being found or moved. Spec: o2dlm 1, 8.
final class MasteryEntry {
    enum Kind: Equatable {
        /// Somebody else decides.
        case block
        /// This node decides.
        case master
        case migration(newMaster: NodeNumber)
    }

    let name: ResourceName
    var kind: Kind
    /// Known by a YES or an assertion; of a migration the old master.
    var master: NodeNumber?
    /// Nodes that may become master.
    var maybe: NodeSet
    var votes: NodeSet
    var responses: NodeSet = []
    /// The members as of now; differs from `votes` when somebody came or went.
    var nodes: NodeSet
    let changed = AsyncSignal()

    init(name: ResourceName, kind: Kind, maybe: NodeSet, nodes: NodeSet) {
        self.name = name
        self.kind = kind
        self.maybe = maybe
        self.nodes = nodes
        votes = nodes
    }
}
