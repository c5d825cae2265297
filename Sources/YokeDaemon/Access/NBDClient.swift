internal import EngineKit
internal import Glibc
internal import LinuxReactor
internal import NBDServer
internal import Replication

/// One NBD connection on the reactor of its resource: the socket on one side, the volume on the other.
///
/// Cost of a request beside the session's and the engine's own work: a slot in two tables. Replies of a round leave in
/// one system call.
final class NBDClient {
    /// Requests in one round before the other sockets get their turn.
    private static let receivesPerRoundMax = 16

    let session: NBDSession
    private let volume: VolumeNumber
    private unowned let runner: ResourceRunner
    private var socket: StreamSocket?
    private var actions: [NBDAction] = []
    private var isPerforming = false
    private var isMarked = false
    /// The socket takes nothing now.
    private var isFull = false
    private var holdsVolume = false
    private var slots: [Slot] = []
    private var freeSlots: [Int] = []
    private var deadlineTimer: ReactorTimer?

    private struct Slot {
        var id: NBDRequestID
        /// A trim or zeroing that must be durable: a flush follows it.
        var needsFlush: Bool
    }

    /// - Parameter session: fresh, or in transmission already when another reactor did the handshake.
    init(session: NBDSession, volume: VolumeNumber, runner: ResourceRunner) {
        self.session = session
        self.volume = volume
        self.runner = runner
    }

    /// Begins with a connection that was accepted here.
    func start(on socket: StreamSocket) {
        self.socket = socket
        socket.handler = self
        session.start(now: runner.reactor.now)
        if let deadline = session.deadline {
            deadlineTimer = runner.reactor.addTimer(at: deadline) { [weak self] in self?.deadlinePassed() }
        }
        mark()
    }

    /// Goes on with a session whose handshake was done elsewhere, by the actions that ended it.
    func resume(on socket: StreamSocket, with pending: [NBDAction]) {
        self.socket = socket
        actions += pending
        perform()
        mark()
    }

    /// Ends in order: what runs is answered first.
    func shutDown() {
        session.shutDown(into: &actions)
        perform()
    }

    /// Ends at once: the runner goes away.
    func abandon() {
        session.connectionLost(into: &actions)
        perform()
    }

    private func deadlinePassed() {
        session.tick(now: runner.reactor.now, into: &actions)
        perform()
    }

    private func mark() {
        guard !isMarked, !isFull, !session.output.isEmpty else { return }
        isMarked = true
        runner.clientsToFlush.append(self)
    }

    private func perform() {
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
        mark()
    }

    private func perform(_ action: NBDAction) {
        switch action {
        case .opened: opened()
        case .read(let id, let offset, let slice): submit(id, .read, offset, slice.count, slice)
        case .write(let id, let offset, let slice, let fua):
            submit(id, .write(forceUnitAccess: fua), offset, slice.count, slice)
        case .flush(let id): submit(id, .flush, 0, 0, nil)
        case .trim(let id, let offset, let count, let fua):
            submit(id, .discard, offset, Int(count), nil, needsFlush: fua)
        case .writeZeroes(let id, let offset, let count, let mayUnmap, let fua):
            submit(id, .writeZeroes(mayUnmap: mayUnmap), offset, Int(count), nil, needsFlush: fua)
        case .blockStatus(let id, _, _):
            session.completed(id, status: 0, into: &actions)
        case .resumeReading: socket?.resumeReading()
        case .close: closed()
        case .log(let record): runner.log(LogRecord(record.level, "drbd \(runner.name)/\(volume): \(record.text)"))
        }
    }

    private func opened() {
        if let deadlineTimer { runner.reactor.cancel(deadlineTimer) }
        deadlineTimer = nil
        do throws(OpenRefusal) {
            try runner.openVolume(volume)
            holdsVolume = true
        } catch {
            // Demoted since the handshake.
            session.shutDown(into: &actions)
        }
    }

    private func closed() {
        if let deadlineTimer { runner.reactor.cancel(deadlineTimer) }
        deadlineTimer = nil
        socket?.close()
        socket = nil
        letGoIfIdle()
    }

    /// Gives the volume back when nothing of this client is under way any more.
    private func letGoIfIdle() {
        guard session.isClosed, session.requestsInFlight == 0 else { return }
        if holdsVolume {
            holdsVolume = false
            runner.closeVolume(volume)
        }
        runner.forget(self)
    }

    private func submit(
        _ id: NBDRequestID, _ kind: ApplicationRequest.Kind, _ offset: UInt64, _ count: Int, _ data: IOSlice?,
        needsFlush: Bool = false
    ) {
        let slot = Slot(id: id, needsFlush: needsFlush)
        let index: Int
        if let free = freeSlots.popLast() {
            index = free
            slots[index] = slot
        } else {
            index = slots.count
            slots.append(slot)
        }
        runner.submit(
            kind, volume: volume, sector: offset >> 9, byteCount: count, data: data, token: UInt64(index), user: self)
    }
}

extension NBDClient: VolumeUser {
    func requestCompleted(token: UInt64, errno: Int32) {
        let index = Int(token)
        if slots[index].needsFlush && errno == 0 {
            slots[index].needsFlush = false
            return runner.submit(
                .flush, volume: volume, sector: 0, byteCount: 0, data: nil, token: token, user: self)
        }
        freeSlots.append(index)
        session.completed(slots[index].id, status: errno, into: &actions)
        perform()
        letGoIfIdle()
    }
}

extension NBDClient: StreamSocketHandler {
    func socketReadable(_ socket: StreamSocket) {
        for _ in 0..<Self.receivesPerRoundMax {
            let window = session.receiveWindow()
            guard !window.isEmpty else { return socket.pauseReading() }
            switch socket.receive(into: window) {
            case .bytes(let count):
                session.received(count, now: runner.reactor.now, into: &actions)
                perform()
                guard socket.isConnected, count == window.count else { return }
            case .wouldBlock: return
            case .end, .failed:
                session.connectionLost(into: &actions)
                return perform()
            }
        }
    }

    func socketWritable(_ socket: StreamSocket) {
        isFull = false
        mark()
    }
}

extension NBDClient: RoundClient {
    func flushAtEndOfRound() {
        isMarked = false
        guard let socket, !session.output.isEmpty else { return }
        switch session.withOutput(into: &actions, { socket.transmit(&$0) }) {
        case .drained: break
        case .full: isFull = true
        case .failed: session.connectionLost(into: &actions)
        }
        perform()
    }
}
