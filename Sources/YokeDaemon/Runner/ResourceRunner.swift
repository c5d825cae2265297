internal import CryptoDigests
internal import DRBDLayout
package import EngineKit
package import LinuxReactor
package import Replication

/// What a runner needs of the daemon around it. Called on the runner's thread; must not block.
package protocol RunnerHost: AnyObject, Sendable {
    func log(_ record: LogRecord)
    /// The command line and environment of a handler; nil when none is configured. May read files: called on a worker
    /// thread.
    func handler(_ name: String, resource: String, volume: VolumeNumber?, peer: PeerFacts) -> ChildCommand?
    /// The states of volumes that other resources may wait for.
    func stateChanged(of runner: ResourceRunner, volumes: [VolumeReport])
    /// The network configuration was given up, by a command or by the engine itself: its addresses are free.
    func connectionGone(of runner: ResourceRunner)
    /// The resource gave up its connection (StandAlone), by command or by itself: its addresses are free.
    func networkConfigurationGone(of runner: ResourceRunner)
}

/// What handlers are told of the peer. Spec: drbd-disk-and-state 17.
package struct PeerFacts: Sendable {
    /// `ipv4`, `ipv6`, `ssocks`; empty without network configuration.
    package var family = ""
    package var address = ""
    /// Minors of the volumes, in order.
    package var minors: [Int] = []
    package var minor: Int?
}

/// The owner of one ``ReplicationEngine``: gives it its sockets, disks, clock, handlers and applications.
///
/// **Threads.** Everything is confined to the thread of ``reactor``, which all runners share (``VolumeReactor``); other
/// threads use ``ask(_:)`` and
/// ``execute(_:prepare:)``, which post there. `@unchecked Sendable` for that reason.
///
/// **Order.** ``handle(_:)`` feeds one input and carries out the actions in the order of the list. Actions that lead to
/// new inputs (a completed read lets an NBD session ask for more) append to the same list, so nothing overtakes.
/// Sockets are written to once a round, in ``roundEnded(_:)``.
package final class ResourceRunner: @unchecked Sendable {
    package let name: String
    package let reactor: Reactor
    /// Who else lives on the reactor; what belongs to the cluster is found there.
    let shared: VolumeReactor
    package let host: any RunnerHost

    /// Made on the reactor's thread by the first use.
    let engine: ReplicationEngine
    let buffers: IOBufferPool

    // Confined to the thread of the reactor.
    private var actions: [Action] = []
    private var isPerforming = false
    var network = RunnerNetwork()
    var volumes: [VolumeRecord] = []
    var commands: [UInt64: (CommandResult) -> Void] = [:]
    private var lastCommand: UInt64 = 0
    var requests = RequestTable()
    var events = EventFanout()
    var waiters: [StateWaiter] = []
    /// Clients with something to send at the end of the round.
    var clientsToFlush: [any RoundClient] = []
    var clients: [NBDClient] = []
    var doors: [NBDDoor] = []
    var devices: [FUSEDoor] = []
    /// Option entries that are in force, for `show` and for changes that keep the others.
    var settings = RunnerSettings()
    /// Why the connection was given up, for `yoke status`.
    var trouble: String?
    /// Told of each change of a volume's state, before anything that follows from it.
    private var stateWatchers: [(owner: ObjectIdentifier, tell: StateWatcher)] = []
    /// Answers the engine's question whether the peer is dead, instead of the configured handler. False: the handler shall.
    var fencePeer: ((HandlerRunID) -> Bool)?
    private var isStateChanged = false
    private(set) var isEnding = false

    package init(
        name: String, options: ResourceOptions, host: any RunnerHost, on shared: VolumeReactor
    ) {
        self.name = name
        self.host = host
        self.shared = shared
        reactor = shared.reactor
        buffers = IOBufferPool()
        engine = ReplicationEngine(
            name: name, options: options, random: SystemRandom(), digests: SystemDigests(), buffers: buffers)
        reactor.post { [self] in shared.add(self) }
    }

    typealias StateWatcher = (_ volume: VolumeNumber, _ old: DeviceState, _ new: DeviceState) -> Void

    /// Until ``endWatch(_:)``. On the reactor's thread.
    func watchState(_ owner: AnyObject, _ tell: @escaping StateWatcher) {
        stateWatchers.append((ObjectIdentifier(owner), tell))
    }

    func endWatch(_ owner: AnyObject) {
        stateWatchers.removeAll { $0.owner == ObjectIdentifier(owner) }
    }

    // MARK: From other threads

    /// Runs `body` on the reactor's thread; nil when the runner has ended.
    package func ask<Value: Sendable>(_ body: @escaping @Sendable (ResourceRunner) -> Value) async -> Value? {
        await Promise<Value>.wait { promise in
            reactor.post { [self] in
                guard !isEnding else { return }
                promise.fulfil(body(self))
            }
        }
    }

    /// Gives the engine a command and waits for its result.
    ///
    /// - Parameter prepare: runs on the reactor's thread just before; a result means that the command is not given.
    package func execute(
        _ command: Command, prepare: @escaping @Sendable (ResourceRunner) -> CommandResult? = { _ in nil }
    ) async -> CommandResult {
        let result = await Promise<CommandResult>.wait { promise in
            reactor.post { [self] in
                guard !isEnding else { return }
                if let result = prepare(self) { return promise.fulfil(result) }
                begin(command) { promise.fulfil($0) }
            }
        }
        return result ?? .failed(.invalidRequest, info: "the resource is being taken down")
    }

    /// Leaves the reactor. The engine was taken down before, or the daemon gives up waiting for that.
    package func stop() async {
        _ = await ask { runner in
            runner.isEnding = true
            runner.closeEverything()
            runner.shared.remove(runner)
        }
    }

    // MARK: On the reactor's thread

    func begin(_ command: Command, then completion: @escaping (CommandResult) -> Void) {
        lastCommand += 1
        commands[lastCommand] = completion
        handle(.command(CommandID(lastCommand), command))
    }

    /// Feeds one input to the engine and carries out what follows.
    func handle(_ input: Input) {
        guard !isEnding else { return }
        engine.handle(input, now: reactor.now, into: &actions)
        guard !isPerforming else { return }
        isPerforming = true
        var index = 0
        while index < actions.count {
            let action = actions[index]
            index += 1
            perform(action)
        }
        actions.removeAll(keepingCapacity: true)
        isPerforming = false
        if isStateChanged {
            isStateChanged = false
            stateChanged()
        }
    }

    private func perform(_ action: Action) {
        switch action {
        case .listen: listen()
        case .stopListening: stopListening()
        case .connect(let id): connect(id)
        case .transmit(let id): network.markForTransmit(id)
        case .resumeReceiving(let id): network.socket(id)?.resumeReading()
        case .close(let id): close(id)
        case .submit(let operation): submit(operation)
        case .releaseBackingDevices(let volume): releaseBackingDevices(of: volume)
        case .complete(let id, let errno): complete(id, errno: errno)
        case .finish(let id, let result): commands.removeValue(forKey: id.rawValue)?(result)
        case .runHandler(let call): run(call)
        case .log(let record): log(record)
        case .changed(let event):
            if case .volume(let volume, let old, let new) = event {
                for watcher in stateWatchers { watcher.tell(volume, old, new) }
            }
            publish(event)
            isStateChanged = true
        }
    }

    private func stateChanged() {
        let report = report()
        evaluateWaiters(report)
        host.stateChanged(of: self, volumes: report.volumes)
    }

    private func closeEverything() {
        closeClients()
        closeNetwork()
        for volume in volumes { closeDisks(of: volume) }
        for waiter in waiters { waiter.answer(.gone) }
        waiters = []
        let pending = commands
        commands = [:]
        for key in pending.keys.sorted() {
            pending[key]?(.failed(.invalidRequest, info: "the resource is being taken down"))
        }
    }
}

extension ResourceRunner: RoundMember {
    package func roundEnded() {
        guard !isEnding else { return }
        transmitAll()
        while !clientsToFlush.isEmpty {
            let clients = clientsToFlush
            clientsToFlush.removeAll(keepingCapacity: true)
            for client in clients { client.flushAtEndOfRound() }
            // Room in a client's socket may have led to new requests, and those to packets.
            transmitAll()
        }
    }

    package var nextDeadline: Instant? { engine.nextDeadline }

    package func deadlineReached() {
        handle(.tick)
    }
}

/// A client on the runner's thread that sends once a round.
protocol RoundClient: AnyObject {
    func flushAtEndOfRound()
}
