package import EngineKit
internal import LayoutKit
package import O2Layout

/// Numbers the locks of a host, over all its domains. Spec: o2dlm 9.
package final class CookieCounter {
    private var last: UInt64 = 0

    package init() {}

    func next(_ node: NodeNumber) -> LockCookie {
        last = last & 0x00ff_ffff_ffff_ffff == 0x00ff_ffff_ffff_ffff ? 1 : last + 1
        return LockCookie(node: node, counter: last)
    }
}

/// A lock space that nodes share: the distributed lock manager of the O2CB stack, protocol 1.3. Spec: o2dlm.
///
/// **Shape.** Messages are answered by synchronous handlers (``handle(_:from:payload:)``), which never wait: what needs
/// the network itself goes to a task. Requests of this node are straight-line tasks. Everything runs on the executor of
/// the environment, so that between two waits nothing else happens.
///
/// **Who lives** is not decided here: ``nodeUp(_:)`` and ``nodeDown(_:)`` come from the heartbeat, or from whoever
/// judges. Before ``nodeDown(_:)`` the messenger has ended every request to that node with `hostDown`.
///
/// **Invariants.** Each resource has at most one master; only the master grants; granted modes are compatible; a lock
/// of a dead node keeps others out until its recovery has ended; a value block is never older than the last EX holder
/// that gave it up, or it is zero.
package final class LockDomain {
    /// Where the domain stands. Spec: o2dlm 6.1.
    package enum Phase: Sendable {
        case new, joined, shuttingDown, leaving, left
    }

    /// When unused resources are given up. Spec: o2dlm 7.
    package struct Purging: Sendable {
        /// How long a resource stays that nobody uses.
        package var age = Duration.seconds(8)
        /// Between two looks.
        package var period = Duration.seconds(4)

        package init() {}
    }

    package static let protocolVersion = ProtocolVersion(1, 3)

    package let name: String
    package let key: UInt32
    package let node: NodeNumber
    /// The configuration that members compare. Spec: o2dlm 6.4.
    package let configuration: [NodeAddress]
    package let fileSystemVersion: ProtocolVersion
    let messenger: any ClusterMessenger
    let environment: any EngineEnvironment
    let cookies: CookieCounter

    /// Rules broken on purpose; empty outside of simulations.
    package var plantedFaults: PlantedFaults = []
    /// When unused resources are given up.
    package var purging = Purging()
    /// Called before the locks of a dead member are touched, perhaps more than once for one death. Spec: o2dlm 13.1.
    package var onEviction: (NodeNumber) -> Void = { _ in }

    package internal(set) var phase = Phase.new
    /// Nodes that the heartbeat sees, this one included.
    package internal(set) var liveNodes: NodeSet
    /// How often each node came or went: one that is back is another one.
    var lives: [NodeNumber: Int] = [:]
    /// The domain's nodes, this one included.
    package internal(set) var members: NodeSet = []
    var exiting: NodeSet = []
    /// Dead members whose locks are not recovered yet.
    package internal(set) var recoveryMap: NodeSet = []
    var joiningNode: NodeNumber?
    var minorVersion = protocolVersion.minor

    var resources: [ResourceName: LockResource] = [:]
    var entries: [ResourceName: MasteryEntry] = [:]
    var recovery = RecoveryState()
    /// Resources whose queues must be looked at, in order.
    var queued: [LockResource] = []
    var isQueueRunning = false
    var lastMigration: UInt64 = 0
    /// Told when membership, recovery or the set of resources changes.
    let changed = AsyncSignal()

    package init(
        name: String, node: NodeNumber, configuration: [NodeAddress], liveNodes: NodeSet,
        fileSystemVersion: ProtocolVersion = ProtocolVersion(1, 0), cookies: CookieCounter,
        messenger: any ClusterMessenger, environment: any EngineEnvironment
    ) {
        self.name = name
        key = MessageKey.domain(name)
        self.node = node
        self.configuration = configuration
        self.liveNodes = liveNodes.inserting(node)
        self.fileSystemVersion = fileSystemVersion
        self.cookies = cookies
        self.messenger = messenger
        self.environment = environment
    }

    var isFullyJoined: Bool { phase == .joined || phase == .shuttingDown }
    var others: NodeSet { members.removing(node) }

    // MARK: Sending

    func send(
        _ type: LockMessageType, _ payload: [UInt8], to node: NodeNumber,
        _ completion: @escaping (MessengerAnswer) -> Void
    ) {
        messenger.send(
            type, key: type.isJoining ? MessageKey.joining : key, payload, to: node, completion)
    }

    func ask(_ type: LockMessageType, _ payload: [UInt8], _ node: NodeNumber) async -> MessengerAnswer {
        await withUnsafeContinuation { continuation in
            send(type, payload, to: node) { continuation.resume(returning: $0) }
        }
    }

    func pause(milliseconds: Int) async {
        await environment.sleep(until: environment.now + .milliseconds(milliseconds))
    }

    /// Waits for `signal`, at most `milliseconds`.
    func wait(_ signal: AsyncSignal, atMost milliseconds: Int) async {
        environment.call(at: environment.now + .milliseconds(milliseconds)) { signal.notify() }
        await signal.wait()
    }

    func log(_ level: LogLevel, _ text: String) {
        environment.log(LogRecord(level, "o2dlm: \(name): \(text)"))
    }

    // MARK: Receiving

    /// Answers a request of another node. Nil: there is no handler, the messenger says so.
    ///
    /// What cannot be decoded is answered with -EINVAL: its sender is broken.
    package func handle(_ type: LockMessageType, from sender: NodeNumber, payload: UnsafeRawBufferPointer) -> Int32? {
        guard phase != .left, phase != .leaving || type.isJoining else { return nil }
        do throws(LayoutError) {
            return try dispatch(type, payload)
        } catch {
            log(.error, "message \(type.rawValue) from node \(sender): \(error)")
            return type == .masterRequest ? 0 : -22
        }
    }

    private func dispatch(_ type: LockMessageType, _ bytes: UnsafeRawBufferPointer) throws(LayoutError) -> Int32 {
        switch type {
        case .masterRequest: answer(masterRequest: try MasterMessage(decoding: bytes))
        case .assertMaster: answer(assertMaster: try MasterMessage(decoding: bytes))
        case .createLock: answer(create: try LockRequestMessage(decoding: bytes))
        case .convertLock: answer(convert: try LockRequestMessage(decoding: bytes))
        case .proxyAST: answer(proxyAST: try ProxyASTMessage(decoding: bytes))
        case .unlockLock: answer(unlock: try UnlockMessage(decoding: bytes))
        case .dereference: answer(dereference: try ResourceMessage(decoding: bytes, as: type))
        case .dereferenceDone: answer(dereferenceDone: try ResourceMessage(decoding: bytes, as: type))
        case .migrateRequest: answer(migrateRequest: try MigrateRequestMessage(decoding: bytes))
        case .migrateResource: answer(migrated: try MigratedResource(decoding: bytes))
        case .queryJoin: answer(queryJoin: try QueryJoinMessage(decoding: bytes))
        case .assertJoined: answer(assertJoined: try JoinMessage(decoding: bytes))
        case .cancelJoin: answer(cancelJoin: try JoinMessage(decoding: bytes))
        case .queryRegion: answer(queryRegion: try QueryRegionMessage(decoding: bytes))
        case .queryNodeInfo: answer(queryNodeInfo: try QueryNodeInfoMessage(decoding: bytes))
        case .beginExitDomain: answer(beginExit: try ExitMessage(decoding: bytes))
        case .exitDomain: answer(exit: try ExitMessage(decoding: bytes))
        case .masterRequery: answer(requery: try ResourceMessage(decoding: bytes, as: type))
        case .lockRequest: answer(lockRequest: try RecoveryMessage(decoding: bytes))
        case .recoveryDataDone: answer(recoveryDataDone: try RecoveryMessage(decoding: bytes))
        case .beginRecovery: answer(beginRecovery: try RecoveryMessage(decoding: bytes))
        case .finalizeRecovery: answer(finalizeRecovery: try RecoveryMessage(decoding: bytes))
        }
    }

    // MARK: Resources

    /// All resources in the order of their names: nothing that is sent may depend on hashing.
    var resourcesInOrder: [LockResource] {
        resources.values.sorted { $0.name < $1.name }
    }

    /// The resource as handlers see it: a copy that is being given up does not exist.
    func present(_ name: ResourceName) -> LockResource? {
        guard let resource = resources[name], !resource.isDroppingReference else { return nil }
        return resource
    }

    func makeResource(_ name: ResourceName) -> LockResource {
        let resource = LockResource(name: name)
        resources[name] = resource
        return resource
    }

    func drop(_ resource: LockResource) {
        if resources[resource.name] === resource { resources[resource.name] = nil }
        resource.changed.notify()
        changed.notify()
    }
}
