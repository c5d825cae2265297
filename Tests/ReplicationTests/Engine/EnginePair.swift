import DRBDLayout
import EngineKit
import Replication

/// Two engines with disks in memory and wires in between, in virtual time. Deterministic: events are ordered by time
/// and number.
final class EnginePair {
    private struct Event {
        let time: Instant
        let order: UInt64
        let body: () -> Void
    }

    /// One end of a stream.
    final class End {
        let node: TestNode
        let id: SocketID
        weak var peer: End?
        var incoming: [UInt8] = []
        var isClosed = false
        /// The wire works on what it took last (a slow link).
        var isSending = false
        /// The stream ends after what is incoming.
        var isEnding = false
        var endErrno: Int32 = 0

        /// When it was made, among all.
        let order: Int

        init(node: TestNode, id: SocketID, order: Int) {
            self.node = node
            self.id = id
            self.order = order
        }
    }

    private(set) var now = Instant(nanoseconds: 1_000_000_000)
    private var events: [Event] = []
    private var lastOrder: UInt64 = 0
    private var ends: [End] = []
    private var streamCount = 0
    private(set) var a: TestNode!
    private(set) var b: TestNode!

    var network = NetworkOptions()
    var diskLatency = Duration.microseconds(100)
    var wireLatency = Duration.microseconds(50)
    /// Nothing crosses the wire; existing streams stall.
    var isCut = false
    /// Bytes from a to b and from b to a.
    var bytesMoved = 0
    /// Called with each piece on the wire; for tests that look at it.
    var onBytes: ((TestNode, [UInt8]) -> Void)?
    /// Changes the pieces on the wire.
    var alterBytes: ((inout [UInt8]) -> Void)?
    /// What each stream of a node may carry, and in which time.
    var slowLink: (from: String, byteCount: Int, interval: Duration)?

    init(sectorCount: Int = 16384, bSectorCount: Int? = nil, faults: PlantedFaults = []) {
        network.socketCheckTimeout = 1
        a = TestNode(name: "a", pair: self, sectorCount: sectorCount, seed: 1, faults: faults)
        b = TestNode(name: "b", pair: self, sectorCount: bSectorCount ?? sectorCount, seed: 2, faults: faults)
    }

    // MARK: Time

    func schedule(_ delay: Duration, _ body: @escaping () -> Void) {
        lastOrder += 1
        events.append(Event(time: now + delay, order: lastOrder, body: body))
    }

    /// The next thing happens. False: nothing will ever happen.
    private func step(limit: Instant) -> Bool {
        let next = events.indices.min {
            (events[$0].time, events[$0].order) < (events[$1].time, events[$1].order)
        }
        let nodes: [TestNode] = [a, b]
        var deadline = Instant.distantFuture
        for node in nodes where node.isUp { deadline = min(deadline, node.engine.nextDeadline ?? .distantFuture) }
        if let next, events[next].time <= max(now, deadline) {
            guard events[next].time <= limit else { return false }
            now = max(now, events[next].time)
            let event = events.remove(at: next)
            event.body()
            return true
        }
        guard deadline != .distantFuture, deadline <= limit else { return false }
        now = max(now, deadline)
        for node in nodes where node.isUp {
            if let due = node.engine.nextDeadline, due <= now { node.feed(.tick) }
        }
        return true
    }

    /// Runs until `condition` holds; false if it does not within `limit` of virtual time.
    @discardableResult
    func run(limit: Duration = .seconds(60), until condition: () -> Bool) -> Bool {
        let end = now + limit
        var steps = 0
        while !condition() {
            steps += 1
            precondition(steps < 2_000_000, "no end in sight")
            guard step(limit: end) else { return condition() }
        }
        return true
    }

    /// Lets time pass.
    func pass(_ time: Duration) {
        let end = now + time
        while step(limit: end) {}
        now = max(now, end)
    }

    // MARK: Wires

    func connect(_ node: TestNode, _ id: SocketID) {
        schedule(wireLatency) { [self] in
            let other = node.other
            guard !isCut else {
                schedule(.seconds(network.connectInterval)) { node.feed(.connectFailed(id, errno: 110)) }
                return
            }
            guard other.isUp, other.isListening else {
                node.feed(.connectFailed(id, errno: 111))
                return
            }
            streamCount += 1
            let near = End(node: node, id: id, order: streamCount)
            let far = End(node: other, id: other.engine.nextSocketID(), order: streamCount)
            near.peer = far
            far.peer = near
            ends += [near, far]
            node.feed(.connected(id))
            other.feed(.accepted(far.id, from: node.name))
        }
    }

    private func end(_ node: TestNode, _ id: SocketID) -> End? {
        ends.first { $0.node === node && $0.id == id && !$0.isClosed }
    }

    func transmit(_ node: TestNode, _ id: SocketID) {
        schedule(.zero) { [self] in
            guard let end = end(node, id), !end.isSending else { return }
            var bytes: [UInt8] = []
            let slow = slowLink?.from == node.name ? slowLink : nil
            _ = node.engine.withOutputQueue(of: id) { queue in
                queue.withSegments(limit: .max) { pieces in
                    for piece in pieces where bytes.count < slow?.byteCount ?? .max { bytes += piece }
                }
                if let slow, bytes.count > slow.byteCount { bytes.removeLast(bytes.count - slow.byteCount) }
                queue.consume(bytes.count)
            }
            guard !bytes.isEmpty else { return }
            if let slow {
                end.isSending = true
                schedule(slow.interval) { [self] in
                    end.isSending = false
                    transmit(node, id)
                }
            }
            alterBytes?(&bytes)
            bytesMoved += bytes.count
            onBytes?(node, bytes)
            node.feed(.transmitted(id))
            guard let peer = end.peer else { return }
            schedule(wireLatency) { [self] in
                guard !isCut else { return }
                peer.incoming += bytes
                deliver(peer)
            }
        }
    }

    private func deliver(_ end: End) {
        while !end.isClosed, !end.incoming.isEmpty, end.node.isUp {
            let window = end.node.engine.receiveWindow(for: end.id)
            guard window.count > 0 else { return }
            let count = min(window.count, end.incoming.count)
            window.copyBytes(from: end.incoming[..<count])
            end.incoming.removeFirst(count)
            end.node.feed(.received(end.id, count: count))
        }
        if end.isEnding, end.incoming.isEmpty, !end.isClosed {
            forget(end)
            end.node.feed(.socketEnded(end.id, errno: end.endErrno))
        }
    }

    func resumeReceiving(_ node: TestNode, _ id: SocketID) {
        schedule(.zero) { [self] in
            if let end = end(node, id) { deliver(end) }
        }
    }

    func close(_ node: TestNode, _ id: SocketID) {
        guard let end = end(node, id) else { return }
        forget(end)
        guard let peer = end.peer else { return }
        schedule(wireLatency) { [self] in
            guard !isCut else { return }
            peer.isEnding = true
            deliver(peer)
        }
    }

    private func forget(_ end: End) {
        end.isClosed = true
        ends.removeAll { $0 === end }
    }

    /// The cable is pulled: neither side hears anything any more.
    func cut() {
        isCut = true
        ends.removeAll()
    }

    /// Puts bytes into a stream as if the other node had sent them.
    func inject(_ bytes: [UInt8], into node: TestNode, onDataSocket: Bool) {
        // The data socket is connected first.
        let streams = ends.filter { $0.node === node && !$0.isClosed }.sorted { $0.order < $1.order }
        guard let end = onDataSocket ? streams.first : streams.last else { return }
        end.incoming += bytes
        deliver(end)
    }

    /// Both ends of all streams get an error.
    func reset() {
        let all = ends
        ends.removeAll()
        for end in all where !end.isClosed {
            end.isClosed = true
            schedule(.zero) { end.node.feed(.socketEnded(end.id, errno: 104)) }
        }
    }

    /// The power of a node goes.
    func crash(_ node: TestNode) {
        node.isUp = false
        node.disk.crash()
        for end in ends where end.node === node {
            end.isClosed = true
            guard let peer = end.peer else { continue }
            schedule(wireLatency) { [self] in
                peer.isEnding = true
                peer.endErrno = 104
                deliver(peer)
            }
        }
        ends.removeAll { $0.node === node }
    }

    // MARK: Common situations

    var areConnected: Bool { a.state.conn == .connected && b.state.conn == .connected }

    /// Both up, connected, equal and UpToDate without a sync.
    func bringUpEqual() {
        a.bringUp()
        b.bringUp()
        run { self.areConnected }
        a.run(.newCurrentUUID(VolumeNumber(0), clearBitmap: true))
        run { self.b.state.disk == .upToDate }
    }

    var areDisksEqual: Bool {
        let sectors = min(a.volume.sizeSectors, b.volume.sizeSectors)
        return sectors > 0 && a.disk.hasSameData(as: b.disk, sectors: sectors)
    }
}
