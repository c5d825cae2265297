internal import DRBDLayout
internal import EngineKit
internal import LinuxReactor
package import NBDServer
package import Replication

/// Where NBD clients of one volume knock: a Unix socket, and TCP if it was asked for. On the resource's reactor.
final class NBDDoor {
    /// Connections at one time; more are closed at once.
    static let clientCountMax = 64

    /// A Unix socket does not grow its buffer by itself: with the 208 KiB that it has, a sender of 128 KiB replies waits
    /// after each for its reader, and reads get half as far. TCP is left to the kernel's tuning.
    static let unixSocketOptions: SocketOptions = {
        var options = SocketOptions()
        options.sendBufferByteCount = 2 << 20
        return options
    }()

    let volume: VolumeNumber
    private unowned let runner: ResourceRunner
    private var listeners: [ListeningSocket] = []
    private var clientCount = 0

    init(volume: VolumeNumber, runner: ResourceRunner) {
        self.volume = volume
        self.runner = runner
    }

    func open(_ address: SocketAddress) throws(SystemError) -> SocketAddress {
        if let same = listeners.first(where: { $0.address == address }) { return same.address }
        let options = address.port == 0 ? Self.unixSocketOptions : SocketOptions()
        let listener = try runner.reactor.listen(on: address, options: options, backlog: 64, handler: self)
        listeners.append(listener)
        return listener.address
    }

    func close() {
        for listener in listeners { listener.close() }
        listeners = []
    }

    /// Stops listening on TCP.
    func closeTCP() -> Bool {
        let count = listeners.count
        for listener in listeners where listener.address.port != 0 { listener.close() }
        listeners.removeAll { $0.address.port != 0 }
        return listeners.count < count
    }

    var addresses: [SocketAddress] { listeners.map(\.address) }
}

extension NBDDoor: ListeningSocketHandler {
    func listener(_ listener: ListeningSocket, accepted socket: StreamSocket) {
        guard runner.clients.count < Self.clientCountMax else {
            return runner.log(
                LogRecord(.warning, "drbd \(runner.name)/\(volume): nbd: \(Self.clientCountMax) clients, refused one"))
        }
        clientCount += 1
        let session = NBDSession(
            peer: "client \(clientCount)", directory: NBDDirectory(runner: runner, standard: volume),
            pool: runner.buffers)
        let client = NBDClient(session: session, volume: volume, runner: runner)
        runner.clients.append(client)
        client.start(on: socket)
    }

    func listener(_ listener: ListeningSocket, acceptFailed errno: Int32) {
        runner.log(
            LogRecord(
                .error, "drbd \(runner.name)/\(volume): nbd: accept failed: \(SystemError.text(of: errno))"))
    }
}

/// The exports of one resource as a session sees them.
///
/// A door serves its own volume; other volumes of the resource are listed at the shared socket.
private final class NBDDirectory: NBDExportDirectory {
    private unowned let runner: ResourceRunner
    private let standard: VolumeNumber

    init(runner: ResourceRunner, standard: VolumeNumber) {
        self.runner = runner
        self.standard = standard
    }

    var nbdExports: [NBDExport] {
        guard case .export(let export) = runner.exportAnswer(for: standard) else { return [] }
        return [export]
    }

    func nbdExport(named name: String) -> NBDExportAnswer {
        guard name.isEmpty || runner.exportNames(of: standard).contains(name) else { return .unknown }
        return runner.exportAnswer(for: standard)
    }
}

// MARK: Exports of a runner

extension ResourceRunner {
    /// What clients may call a volume: `r0/0`, `drbd1`, and `r0` for its lowest volume.
    func exportNames(of volume: VolumeNumber) -> [String] {
        guard let record = record(of: volume) else { return [] }
        let own = ["\(name)/\(volume)", "drbd\(record.minor)"]
        return volumes.first?.number == volume ? [name] + own : own
    }

    /// The export of a volume, or why it cannot be had now.
    func exportAnswer(for volume: VolumeNumber) -> NBDExportAnswer {
        guard let snapshot = snapshot(of: volume), let record = record(of: volume) else { return .unknown }
        return Self.exportAnswer(name: name, minor: record.minor, snapshot)
    }

    package static func exportAnswer(name: String, minor: Int, _ snapshot: VolumeSnapshot) -> NBDExportAnswer {
        guard snapshot.state.role == .primary else {
            return .refused(
                "\(name) is Secondary on this host: make it Primary first: yoke drbdadm primary \(name)")
        }
        guard snapshot.sizeSectors > 0 else {
            return .refused("\(name)/\(snapshot.volume) has no size yet: attach a disk, or connect to the peer")
        }
        let blockSize = max(512, snapshot.backing?.logicalBlockSize ?? 512)
        return .export(
            NBDExport(
                name: "\(name)/\(snapshot.volume)", description: "DRBD volume drbd\(minor)",
                sizeBytes: snapshot.sizeSectors << 9, minimumBlock: blockSize,
                zeroesAreFast: snapshot.backing?.discardZeroes ?? false))
    }

    /// Serves the kernel's nbd driver at the other end of a socket pair; takes the descriptor, false when it could not.
    func serveKernel(_ descriptor: Int32, _ export: NBDExport, _ volume: VolumeNumber) -> Bool {
        let session = NBDSession(
            peer: "kernel", directory: NBDDirectory(runner: self, standard: volume), pool: buffers)
        let client = NBDClient(session: session, volume: volume, runner: self)
        guard let socket = try? reactor.adopt(descriptor: descriptor, handler: client) else { return false }
        clients.append(client)
        var actions: [NBDAction] = []
        session.startTransmission(of: export, into: &actions)
        client.resume(on: socket, with: actions)
        return true
    }

    func forget(_ client: NBDClient) {
        clients.removeAll { $0 === client }
    }

    /// Ends all sessions in order; for a stop of the daemon.
    package func shutDownClients() {
        for client in clients { client.shutDown() }
    }

    func closeClients() {
        for door in doors { door.close() }
        doors = []
        for client in clients { client.abandon() }
        for device in devices { device.abort() }
        devices = []
        clients = []
        clientsToFlush = []
    }

    /// The door of a volume; made when it is first asked for.
    func door(of volume: VolumeNumber) -> NBDDoor? {
        if let door = doors.first(where: { $0.volume == volume }) { return door }
        guard record(of: volume) != nil else { return nil }
        let door = NBDDoor(volume: volume, runner: self)
        doors.append(door)
        return door
    }

    func closeDoor(of volume: VolumeNumber) {
        doors.first { $0.volume == volume }?.close()
        doors.removeAll { $0.volume == volume }
    }
}
