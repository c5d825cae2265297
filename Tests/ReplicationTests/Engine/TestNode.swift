import DRBDLayout
import EngineKit
import Replication

/// One host of an ``EnginePair``: the engine, its disk, and what came of its actions.
final class TestNode {
    let name: String
    unowned let pair: EnginePair
    var engine: ReplicationEngine
    let disk: TestDisk
    /// Of a volume other than 0.
    var secondDisk: TestDisk?
    let random: SeededRandom
    private let buffers = IOBufferPool()

    var isListening = false
    var isUp = true
    var log: [String] = []
    var completions: [UInt64: Int32] = [:]
    var results: [UInt64: CommandResult] = [:]
    /// Handlers that were called, in order.
    var handlers: [String] = []
    /// Exit status of handlers; 0 for others. Nil: the handler never ends.
    var handlerStatus: [String: Int32?] = [:]
    var changes: [StateChangeEvent] = []
    var releasedDevices = 0
    var diskOptions = DiskOptions()
    /// What its disk needs longer than the pair's.
    var extraDiskLatency = Duration.zero
    /// Counts the incarnations, so that late completions of a dead one go nowhere.
    var incarnation = 0
    private var lastID: UInt64 = 0
    /// What was read, by request.
    private var readBuffers: [UInt64: IOSlice] = [:]
    var faults: PlantedFaults

    init(name: String, pair: EnginePair, sectorCount: Int, seed: UInt64, faults: PlantedFaults) {
        self.name = name
        self.pair = pair
        self.faults = faults
        disk = TestDisk(sectorCount: sectorCount)
        random = SeededRandom(seed: seed)
        engine = ReplicationEngine(
            name: "r0", options: ResourceOptions(), random: random, digests: TestDigests(), buffers: buffers,
            faults: faults)
        diskOptions.resyncRate = 1 << 20
        diskOptions.planAhead = 0
        diskOptions.rateMin = 0
    }

    /// A new engine, as after the start of the daemon.
    func restart(options: ResourceOptions = ResourceOptions()) {
        incarnation += 1
        engine = ReplicationEngine(
            name: "r0", options: options, random: random, digests: TestDigests(), buffers: buffers, faults: faults)
        isUp = true
        isListening = false
    }

    var other: TestNode { self === pair.a ? pair.b : pair.a }

    // MARK: Engine

    func feed(_ input: Input) {
        guard isUp else { return }
        var actions: [Action] = []
        engine.handle(input, now: pair.now, into: &actions)
        for action in actions { perform(action) }
    }

    private func perform(_ action: Action) {
        switch action {
        case .listen: isListening = true
        case .stopListening: isListening = false
        case .connect(let id): pair.connect(self, id)
        case .transmit(let id): pair.transmit(self, id)
        case .resumeReceiving(let id): pair.resumeReceiving(self, id)
        case .close(let id): pair.close(self, id)
        case .submit(let operation): submit(operation)
        case .releaseBackingDevices: releasedDevices += 1
        case .complete(let id, let errno): completions[id.rawValue] = errno
        case .finish(let id, let result): results[id.rawValue] = result
        case .runHandler(let call):
            handlers.append(call.name)
            guard let status = handlerStatus[call.name, default: 0] else { return }
            later(.milliseconds(1)) { $0.feed(.handlerExited(call.id, status: status)) }
        case .log(let record): log.append(record.text)
        case .changed(let event): changes.append(event)
        }
    }

    private func submit(_ operation: DiskOperation) {
        later(pair.diskLatency + extraDiskLatency) { node in
            let disk = operation.device.volume == VolumeNumber(0) ? node.disk : node.secondDisk!
            guard !disk.isStuck else { return }
            let errno = disk.perform(operation)
            node.feed(.diskCompleted(operation.id, errno: errno))
        }
    }

    private func later(_ delay: Duration, _ body: @escaping (TestNode) -> Void) {
        let incarnation = incarnation
        pair.schedule(delay) { [weak self] in
            guard let self, self.incarnation == incarnation, self.isUp else { return }
            body(self)
        }
    }

    // MARK: State

    var snapshot: ResourceSnapshot { engine.snapshot(now: pair.now) }
    var volume: VolumeSnapshot { snapshot.volumes[0] }
    var state: DeviceState { volume.state }
    var outOfSync: UInt64 { volume.outOfSyncBits }

    /// `Connected Primary/Secondary UpToDate/UpToDate`
    var stateText: String {
        let state = state
        return "\(state.conn) \(state.role)/\(state.peer) \(state.disk)/\(state.pdsk)"
    }

    func logged(_ text: String) -> Bool { log.contains { $0.contains(text) } }

    // MARK: Commands

    func start(_ command: Command) -> UInt64 {
        lastID += 1
        feed(.command(CommandID(lastID), command))
        return lastID
    }

    /// Runs a command to its end; nil: it did not end in a minute.
    @discardableResult
    func run(_ command: Command) -> CommandResult? {
        let id = start(command)
        pair.run { self.results[id] != nil }
        return results[id]
    }

    /// Adds the volume, attaches its disk, connects.
    func bringUp(connects: Bool = true) {
        run(.addVolume(VolumeNumber(0)))
        attach()
        if connects { run(.connect(pair.network, ConnectOnce())) }
    }

    /// Attaches the disk of volume 0 (again).
    @discardableResult
    func attach() -> CommandResult? { run(.attach(VolumeNumber(0), disk.device, diskOptions)) }

    @discardableResult
    func promote(force: Bool = false) -> CommandResult? { run(.primary(VolumeNumber(0), force: force)) }
    @discardableResult
    func demote() -> CommandResult? { run(.secondary(VolumeNumber(0))) }

    // MARK: I/O

    func startRequest(
        _ kind: ApplicationRequest.Kind, sector: UInt64 = 0, byteCount: Int = 0, fill: UInt8 = 0,
        volume: VolumeNumber = VolumeNumber(0)
    ) -> UInt64 {
        lastID += 1
        var data: IOSlice?
        switch kind {
        case .read, .write:
            let slice = IOSlice(buffer: IOBuffer(byteCount: byteCount), offset: 0, count: byteCount)
            slice.bytes.initializeMemory(as: UInt8.self, repeating: fill)
            data = slice
            if kind == .read { readBuffers[lastID] = slice }
        case .flush, .discard, .writeZeroes: break
        }
        feed(
            .request(
                ApplicationRequest(
                    id: RequestID(lastID), volume: volume, kind: kind, sector: sector, byteCount: byteCount,
                    data: data)))
        return lastID
    }

    func startWrite(sector: UInt64, byteCount: Int = 4096, fill: UInt8) -> UInt64 {
        startRequest(.write(forceUnitAccess: false), sector: sector, byteCount: byteCount, fill: fill)
    }

    /// Error number, or nil when it was not answered in a minute.
    @discardableResult
    func write(sector: UInt64, byteCount: Int = 4096, fill: UInt8) -> Int32? {
        finish(startWrite(sector: sector, byteCount: byteCount, fill: fill))
    }

    @discardableResult
    func finish(_ id: UInt64) -> Int32? {
        pair.run { self.completions[id] != nil }
        return completions[id]
    }

    func flush() -> Int32? { finish(startRequest(.flush)) }

    func read(sector: UInt64, byteCount: Int = 4096) -> (errno: Int32?, bytes: [UInt8]) {
        let id = startRequest(.read, sector: sector, byteCount: byteCount)
        let errno = finish(id)
        return (errno, readBuffers[id].map { Array($0.bytes) } ?? [])
    }
}
