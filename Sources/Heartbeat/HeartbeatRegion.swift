package import EngineKit
internal import LayoutKit
package import O2Layout

/// Why a heartbeat cannot be started.
package enum HeartbeatError: Error, Equatable, Sendable {
    case device(BlockDeviceError)
    /// The set of live nodes kept changing.
    case unstable
    /// It was stopped meanwhile.
    case stopped
}

/// The disk heartbeat of one volume: writes this node's sign of life every two seconds, reads the others', and says who
/// lives. Spec: o2cb 6, 7, 9.
///
/// **Fencing.** A node whose own writes do not get through for the write timeout must stop touching the volume before
/// the others, who wait one interval longer, recover it: ``onWriteTimeout`` is that moment.
package final class HeartbeatRegion {
    package struct Options: Sendable {
        /// Between two signs of life. Kernel members: 2000 ms, always.
        package var interval: Duration = .seconds(2)
        /// Signs missed before a node is dead, above 2. Equal on all nodes.
        package var deadThreshold = 31
        /// Rules broken on purpose; empty outside of simulations.
        package var plantedFaults: PlantedFaults = []

        package init() {}

        package var deadTime: Duration { interval * deadThreshold }
        package var writeTimeout: Duration { interval * (deadThreshold - 1) }
    }

    /// Iterations without a change until the start is done, and how often that may fail to come. Spec: o2cb 7.2.
    private static let steadyIterations = 3

    package let name: String
    package let node: NodeNumber
    package let options: Options
    /// Nodes of the configuration; others are not looked at.
    package var configured: NodeSet
    package private(set) var liveNodes: NodeSet = []
    /// The instant of the last own write that got through.
    package private(set) var lastWrite: Instant?

    /// Behind it this node is no member any more, unless a write gets through before; nil until it is steady.
    package private(set) var writeDeadline: Instant?

    package var onNodeUp: (NodeNumber) -> Void = { _ in }
    package var onNodeDown: (NodeNumber) -> Void = { _ in }
    package var onWriteTimeout: () -> Void = {}

    private let device: any BlockDevice
    private let start: UInt64
    private let blockByteCount: Int
    private let environment: any EngineEnvironment
    private let buffer: IOBuffer
    private var slots: [NodeNumber: NodeSlot] = [:]
    private var generation: UInt64 = 0
    private var written: HeartbeatBlock?
    private var steady = steadyIterations
    private var unsteady = 3 * steadyIterations
    private var state = State.idle
    private let changed = AsyncSignal()
    /// Counts the timeouts that were armed: only the last one fires.
    private var armed: UInt64 = 0
    private var foreign = false

    private enum State: Equatable {
        case idle, starting, running, failed(HeartbeatError), stopping, stopped
    }

    /// - Parameters:
    ///   - byteOffset: where the heartbeat file begins on the device; node n writes the n-th sector from there.
    ///   - blockByteCount: the logical sector size that all nodes see.
    package init(
        name: String, node: NodeNumber, configured: NodeSet, device: any BlockDevice, byteOffset: UInt64,
        blockByteCount: Int, options: Options, environment: any EngineEnvironment
    ) {
        precondition(options.deadThreshold > 2, "a dead threshold is above 2")
        self.name = name
        self.node = node
        self.configured = configured.inserting(node)
        self.device = device
        start = byteOffset
        self.blockByteCount = blockByteCount
        self.options = options
        self.environment = environment
        buffer = IOBuffer(byteCount: blockByteCount * (NodeNumber.countMax + 1))
    }

    // MARK: Life

    /// Returns when this node is seen by itself and nobody came or went for three iterations. Spec: o2cb 7.2, 7.5.
    package func begin() async throws(HeartbeatError) {
        precondition(state == .idle, "a heartbeat is started once")
        state = .starting
        repeat { generation = environment.random.next() } while generation == 0
        do throws(BlockDeviceError) {
            try await takeBaseline()
        } catch {
            state = .failed(.device(error))
            throw .device(error)
        }
        environment.spawn { [self] in await run() }
        while state == .starting { await changed.wait() }
        if case .failed(let error) = state { throw error }
        guard state == .running else { throw .stopped }
        armTimeout(since: environment.now)
    }

    /// Leaves cleanly: the others see it at their next look. Spec: o2cb 7.6.
    package func end() async {
        guard state == .running || state == .starting else { return }
        let wasRunning = state == .running
        state = .stopping
        armed += 1
        loseAll()
        while state != .stopped { await changed.wait() }
        guard wasRunning else { return }
        var block = nextBlock()
        block.generation = 0
        do throws(BlockDeviceError) {
            try await write(block)
        } catch {
            log(.error, "the last sign of life on \(name) cannot be written: errno \(error.errno)")
        }
    }

    /// Stops at once and says nothing to the others: this node must not touch the volume any more. Spec: o2cb 14.
    package func fence() {
        guard state == .running || state == .starting else { return }
        state = .stopping
        armed += 1
    }

    /// All live nodes wait for the same storage, and the lowest of them lets this node go on. Spec: o2cb 9.2.
    package func extendWriteTimeout() {
        guard state == .running else { return }
        armTimeout(since: environment.now)
    }

    private func loseAll() {
        for peer in liveNodes {
            _ = slots[peer]?.forget()
            liveNodes.remove(peer)
            onNodeDown(peer)
        }
    }

    // MARK: Iterations. Spec: o2cb 7.3.

    private func run() async {
        while state == .starting || state == .running {
            let began = environment.now
            await iterate()
            await environment.sleep(until: began + options.interval)
        }
        state = .stopped
        changed.notify()
    }

    private func iterate() async {
        let watched = configured.union(liveNodes)
        guard let first = watched.lowest, let last = Array(watched).last else { return }
        do throws(BlockDeviceError) {
            try await device.read(slice(first, through: last), at: offset(of: first))
        } catch {
            // Nothing is written either: the timeout runs.
            log(.error, "heartbeat blocks of \(name) cannot be read: errno \(error.errno)")
            return countUnsteady()
        }
        let isOwn = checkOwnSlot()
        let block = nextBlock()
        written = block
        let issued = environment.now
        var hasWritten = false
        var failure: BlockDeviceError?
        environment.spawn { [self] in
            do throws(BlockDeviceError) {
                try await write(block)
            } catch {
                failure = error
            }
            hasWritten = true
            changed.notify()
        }
        let hasChanged = look(at: watched, own: block)
        while !hasWritten {
            guard state == .starting || state == .running else { return }
            await changed.wait()
        }
        if let failure {
            log(.error, "Write error \(failure.errno) on device \"\(name)\"")
            return countUnsteady()
        }
        lastWrite = environment.now
        if isOwn, state == .running { armTimeout(since: issued) }
        if steady > 0, isOwn, !hasChanged {
            steady -= 1
            if steady == 0, state == .starting {
                state = .running
                changed.notify()
            }
        }
        countUnsteady()
    }

    private func countUnsteady() {
        guard steady > 0, state == .starting else { return }
        unsteady -= 1
        guard unsteady == 0 else { return }
        log(.error, "Unable to stabilize heartbeat on region \(name)")
        state = .failed(.unstable)
        changed.notify()
    }

    /// Whether somebody came or went.
    private func look(at watched: NodeSet, own: HeartbeatBlock) -> Bool {
        var hasChanged = false
        for peer in watched {
            let block = peer == node ? own : decode(peer)
            var slot = slots[peer] ?? NodeSlot(baseline: own)
            let isEarly = options.plantedFaults.contains(.buryEarly)
            let change = slot.see(block, deadThreshold: isEarly ? options.deadThreshold / 2 : options.deadThreshold)
            slots[peer] = slot
            switch change {
            case .none: continue
            case .up:
                liveNodes.insert(peer)
                checkDeadTime(peer, block)
                onNodeUp(peer)
            case .down:
                liveNodes.remove(peer)
                onNodeDown(peer)
            }
            hasChanged = true
        }
        return hasChanged
    }

    private func checkDeadTime(_ peer: NodeNumber, _ block: HeartbeatBlock?) {
        let own = options.deadTime.milliseconds
        guard let block, block.deadTimeMilliseconds != 0, block.deadTimeMilliseconds != own else { return }
        log(
            .error,
            "node \(peer) uses a heartbeat dead time of \(block.deadTimeMilliseconds) ms, this node \(own) ms: "
                + "set O2CB_HEARTBEAT_THRESHOLD to the same value on all nodes")
    }

    // MARK: Blocks

    private func takeBaseline() async throws(BlockDeviceError) {
        let whole = IOSlice(buffer: buffer, offset: 0, count: NodeNumber.countMax * blockByteCount)
        try await device.read(whole, at: start)
        for value in UInt8(0)..<255 {
            guard let peer = NodeNumber(value), let block = raw(peer) else { continue }
            slots[peer] = NodeSlot(baseline: block)
        }
        written = raw(node)
    }

    private func offset(of peer: NodeNumber) -> UInt64 { start + UInt64(peer.value) * UInt64(blockByteCount) }

    private func slice(_ first: NodeNumber, through last: NodeNumber) -> IOSlice {
        IOSlice(
            buffer: buffer, offset: Int(first.value) * blockByteCount,
            count: (Int(last.value) - Int(first.value) + 1) * blockByteCount)
    }

    private func raw(_ peer: NodeNumber) -> HeartbeatBlock? {
        try? HeartbeatBlock(unchecked: UnsafeRawBufferPointer(slice(peer, through: peer).bytes))
    }

    /// Nil: the checksum is wrong, which matters only for a node that lives.
    private func decode(_ peer: NodeNumber) -> HeartbeatBlock? {
        do throws(LayoutError) {
            return try HeartbeatBlock(decoding: UnsafeRawBufferPointer(slice(peer, through: peer).bytes))
        } catch {
            if liveNodes.contains(peer) { log(.error, "Node \(peer) has written a bad crc to \(name): \(error)") }
            return nil
        }
    }

    /// The own slot must hold what was written last: else another host uses this node's number.
    private func checkOwnSlot() -> Bool {
        guard let written, written.sequence != 0 else { return false }
        guard let found = raw(node) else { return false }
        if found.sequence == written.sequence, found.generation == written.generation, found.node == node.value {
            return true
        }
        let what =
            found.node != node.value
            ? "Another node is heartbeating on device"
            : found.generation != written.generation
                ? "Heartbeat generation mismatch on device" : "Heartbeat sequence mismatch on device"
        log(
            .critical,
            "\(what) (\(name)): expected(\(node):0x\(String(written.generation, radix: 16)), "
                + "0x\(String(written.sequence, radix: 16))), ondisk(\(found.node):"
                + "0x\(String(found.generation, radix: 16)), 0x\(String(found.sequence, radix: 16))): "
                + "is there a second host with node number \(node)?")
        return false
    }

    private func nextBlock() -> HeartbeatBlock {
        var sequence = UInt64(clamping: environment.wallTime.seconds)
        // A clock that stands still, or an interval below a second, must not look like death.
        if let written, written.generation == generation, written.sequence == sequence { sequence += 1 }
        return HeartbeatBlock(
            sequence: max(sequence, 1), node: node.value, generation: generation,
            deadTimeMilliseconds: options.deadTime.milliseconds)
    }

    private func write(_ block: HeartbeatBlock) async throws(BlockDeviceError) {
        let own = IOSlice(buffer: IOBuffer(byteCount: blockByteCount), offset: 0, count: blockByteCount)
        block.encode(into: own.bytes)
        try await device.write(own, at: offset(of: node), forceUnitAccess: true)
    }

    // MARK: The write timeout. Spec: o2cb 9.1.

    /// - Parameter start: when the sign of life was issued. What counts for the others is when it reached the disk, and
    ///   this host may have stood still since: a late completion must not prolong its membership.
    private func armTimeout(since start: Instant) {
        guard !options.plantedFaults.contains(.neverLapse) else { return }
        let deadline = start + options.writeTimeout
        // Too late: the timeout that was armed before fires in a moment.
        if writeDeadline != nil, deadline <= environment.now { return }
        armed += 1
        let number = armed
        writeDeadline = deadline
        environment.call(at: deadline) { [self] in
            guard number == armed, state == .running else { return }
            log(
                .critical,
                "Heartbeat write timeout to device \(name) after \(options.writeTimeout.milliseconds) milliseconds")
            onWriteTimeout()
        }
    }

    private func log(_ level: LogLevel, _ text: String) {
        environment.log(LogRecord(level, "o2hb: \(text)"))
    }
}

extension Duration {
    /// Whole milliseconds, as blocks and handshakes carry them.
    var milliseconds: UInt32 { UInt32(clamping: nanosecondsClamped / 1_000_000) }
}

extension NodeSet {
    func union(_ other: NodeSet) -> NodeSet {
        var set = self
        set.formUnion(other)
        return set
    }
}
