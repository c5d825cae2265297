internal import DRBDLayout
internal import EngineKit
internal import Glibc
internal import LinuxReactor
internal import Logging
internal import NBDServer
internal import Replication
internal import Synchronization
internal import YokeControl

/// The socket that serves all exports by name, `ROOT/run/yoke/nbd.sock`.
///
/// A small reactor does the handshake, which shows the export that is wanted; then the connection and its session move
/// to the reactor of the resource, so that data never crosses threads.
final class NBDFront: Sendable {
    fileprivate struct Entry {
        var runner: ResourceRunner
        var volume: VolumeNumber
        var names: [String]
        var answer: NBDExportAnswer
    }

    private struct State {
        var entries: [Entry] = []
        var reactor: Reactor?
    }

    private let state = Mutex(State())

    func start(_ daemon: Daemon) {
        let path = daemon.paths.path("/run/yoke/nbd.sock")
        do throws(SystemError) {
            let reactor = try Reactor(options: Reactor.Options(name: "yoke nbd", workerCount: 1))
            try reactor.start()
            state.withLock { $0.reactor = reactor }
            reactor.post { [self] in
                let listener = FrontListener(front: self, reactor: reactor, daemon: daemon)
                do throws(SystemError) {
                    _ = try reactor.listen(
                        on: .unix(path: path), options: NBDDoor.unixSocketOptions, backlog: 64, handler: listener)
                } catch {
                    daemon.logger.warning("no NBD socket for all exports at \(path): \(error)")
                }
            }
        } catch {
            daemon.logger.warning("no NBD socket for all exports: \(error)")
        }
    }

    func stop() {
        state.withLock { state in
            let reactor = state.reactor
            state.reactor = nil
            return reactor
        }?.stop()
    }

    /// Notes what the exports of a resource are now.
    func publish(resource runner: ResourceRunner, volumes: [VolumeReport]) {
        let fresh = volumes.enumerated().map { index, volume -> Entry in
            let number = volume.snapshot.volume
            let own = ["\(runner.name)/\(number)", "drbd\(volume.minor)"]
            return Entry(
                runner: runner, volume: number, names: index == 0 ? [runner.name] + own : own,
                answer: ResourceRunner.exportAnswer(name: runner.name, minor: volume.minor, volume.snapshot))
        }
        state.withLock { state in
            state.entries.removeAll { $0.runner === runner }
            state.entries += fresh
            state.entries.sort { ($0.runner.name, $0.volume) < ($1.runner.name, $1.volume) }
        }
    }

    func withdraw(resource runner: ResourceRunner) {
        state.withLock { $0.entries.removeAll { $0.runner === runner } }
    }

    fileprivate var entries: [Entry] { state.withLock { $0.entries } }
}

extension NBDFront: NBDExportDirectory {
    var nbdExports: [NBDExport] {
        entries.compactMap { entry in
            if case .export(let export) = entry.answer { export } else { nil }
        }
    }

    func nbdExport(named name: String) -> NBDExportAnswer {
        let entries = entries
        if name.isEmpty {
            return entries.count == 1
                ? entries[0].answer : .refused("say which export: qemu-img info --list, nbdinfo --list")
        }
        return entries.first { $0.names.contains(name) }?.answer ?? .unknown
    }
}

private final class FrontListener: ListeningSocketHandler {
    private let front: NBDFront
    private let reactor: Reactor
    private let daemon: Daemon
    private var clientCount = 0
    private var clients: [FrontClient] = []

    init(front: NBDFront, reactor: Reactor, daemon: Daemon) {
        self.front = front
        self.reactor = reactor
        self.daemon = daemon
    }

    func listener(_ listener: ListeningSocket, accepted socket: StreamSocket) {
        guard clients.count < NBDDoor.clientCountMax else { return }
        clientCount += 1
        // A pool of its own, which moves with the session to the thread that uses it from then on.
        let session = NBDSession(
            peer: "nbd.sock client \(clientCount)", directory: front, pool: IOBufferPool(bytesKeptMax: 8 << 20))
        let client = FrontClient(session: session, socket: socket, reactor: reactor) { [weak self] client, moves in
            self?.clients.removeAll { $0 === client }
            if let moves { self?.move(client.session, moves.socket, moves.actions, moves.exportName) }
        } log: { [daemon] record in
            daemon.log(record)
        }
        clients.append(client)
        client.start()
    }

    func listener(_ listener: ListeningSocket, acceptFailed errno: Int32) {
        daemon.logger.error("nbd: accept failed: \(SystemError.text(of: errno))")
    }

    /// Hands a session in transmission to the reactor of its resource.
    private func move(_ session: NBDSession, _ socket: StreamSocket, _ actions: [NBDAction], _ exportName: String) {
        guard let entry = front.entries.first(where: { $0.names.contains(exportName) }),
            let descriptor = socket.handOver()
        else { return socket.close() }
        let parcel = Parcel(session: session, actions: actions)
        let volume = entry.volume
        let runner = entry.runner
        let accepted = runner.reactor.post {
            let client = NBDClient(session: parcel.session, volume: volume, runner: runner)
            do throws(SystemError) {
                let adopted = try runner.reactor.adopt(descriptor: descriptor, handler: client)
                runner.clients.append(client)
                client.resume(on: adopted, with: parcel.actions)
            } catch {
                runner.log(LogRecord(.error, "drbd \(runner.name)/\(volume): nbd: \(error)"))
            }
        }
        if !accepted { close(descriptor) }
    }

    /// `@unchecked Sendable`: the sender lets go of everything in it.
    private final class Parcel: @unchecked Sendable {
        let session: NBDSession
        let actions: [NBDAction]

        init(session: NBDSession, actions: [NBDAction]) {
            self.session = session
            self.actions = actions
        }
    }
}

/// One connection during its handshake.
private final class FrontClient: StreamSocketHandler {
    struct Move {
        var socket: StreamSocket
        /// From ``NBDAction/opened(exportName:)`` on.
        var actions: [NBDAction]
        var exportName: String
    }

    let session: NBDSession
    private let socket: StreamSocket
    private let reactor: Reactor
    private let finished: (FrontClient, Move?) -> Void
    private let log: (LogRecord) -> Void
    private var timer: ReactorTimer?
    private var isFinished = false

    init(
        session: NBDSession, socket: StreamSocket, reactor: Reactor,
        finished: @escaping (FrontClient, Move?) -> Void, log: @escaping (LogRecord) -> Void
    ) {
        self.session = session
        self.socket = socket
        self.reactor = reactor
        self.finished = finished
        self.log = log
    }

    func start() {
        socket.handler = self
        session.start(now: reactor.now)
        if let deadline = session.deadline {
            timer = reactor.addTimer(at: deadline) { [weak self] in
                guard let self else { return }
                var actions: [NBDAction] = []
                session.tick(now: reactor.now, into: &actions)
                perform(&actions)
            }
        }
        flush()
    }

    func socketReadable(_ socket: StreamSocket) {
        while !isFinished {
            let window = session.receiveWindow()
            guard !window.isEmpty else { return socket.pauseReading() }
            var actions: [NBDAction] = []
            switch socket.receive(into: window) {
            case .bytes(let count): session.received(count, now: reactor.now, into: &actions)
            case .wouldBlock: return
            case .end, .failed: session.connectionLost(into: &actions)
            }
            perform(&actions)
            flush()
        }
    }

    func socketWritable(_ socket: StreamSocket) { flush() }

    private func flush() {
        guard !isFinished, !session.output.isEmpty else { return }
        var actions: [NBDAction] = []
        let result = session.withOutput(into: &actions) { socket.transmit(&$0) }
        if case .failed = result { session.connectionLost(into: &actions) }
        perform(&actions)
    }

    private func perform(_ actions: inout [NBDAction]) {
        for (index, action) in actions.enumerated() where !isFinished {
            switch action {
            case .opened(let name):
                finish(Move(socket: socket, actions: Array(actions[index...]), exportName: name))
            case .close: finish(nil)
            case .resumeReading: socket.resumeReading()
            case .log(let record): log(record)
            case .read, .write, .flush, .trim, .writeZeroes, .blockStatus:
                preconditionFailure("a request before the export was opened")
            }
        }
    }

    private func finish(_ move: Move?) {
        isFinished = true
        if let timer { reactor.cancel(timer) }
        if move == nil { socket.close() }
        finished(self, move)
    }
}
