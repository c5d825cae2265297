import EngineKit
import Glibc
import NBDLayout
import NBDServer

/// A real NBD server on a Unix socket with a disk in memory, served by one thread that polls.
///
/// Completions are given in reverse order of each batch, so that clients see replies out of order.
final class MemoryServer: @unchecked Sendable {
    /// What the server saw; read after ``stop()``.
    struct Counters {
        var connections = 0
        var connectionsAtOnce = 0
        var reads = 0
        var writes = 0
        var writesWithFUA = 0
        var flushes = 0
        var trims = 0
        var zeroings = 0
        var zeroingsThatMayUnmap = 0
        var violations = 0
        /// Most writes that were unflushed when a flush came.
        var writesBeforeFlush = 0
    }

    private final class Connection {
        let descriptor: Int32
        let session: NBDSession
        var actions: [NBDAction] = []
        var isOpen = true

        init(descriptor: Int32, session: NBDSession) {
            self.descriptor = descriptor
            self.session = session
        }
    }

    let path: String
    private let directory: TestDirectory
    /// Requests that touch this byte of the disk fail with EIO.
    private let badOffset: UInt64?
    private let listener: Int32
    private var thread = pthread_t()
    private let stopPipe: [Int32]
    private let pool = IOBufferPool()

    // Owned by the server's thread until it has ended.
    private(set) var disk: [UInt8]
    private(set) var counters = Counters()
    private var connections: [Connection] = []

    init(export: NBDExport, badOffset: UInt64? = nil, refusal: String? = nil) {
        var template = Array("/tmp/yoke-nbd-XXXXXX".utf8CString)
        guard mkdtemp(&template) != nil else { fatalError("mkdtemp: errno \(errno)") }
        path = String(decoding: template.dropLast().map { UInt8(bitPattern: $0) }, as: UTF8.self) + "/socket"
        directory = TestDirectory([export])
        if let refusal { directory.refusals = [export.name: refusal, "": refusal] }
        self.badOffset = badOffset
        disk = [UInt8](repeating: 0, count: Int(export.sizeBytes))
        listener = Self.listen(on: path)
        stopPipe = closedOnExec { pipe(&$0) }
        let argument = Unmanaged.passRetained(self).toOpaque()
        pthread_create(
            &thread, nil,
            { argument in
                Unmanaged<MemoryServer>.fromOpaque(argument!).takeRetainedValue().serve()
                return nil
            }, argument)
    }

    /// Ends the thread; after this the disk and the counters may be read.
    func stop() {
        var byte: UInt8 = 0
        write(stopPipe[1], &byte, 1)
        pthread_join(thread, nil)
        close(stopPipe[0])
        close(stopPipe[1])
        close(listener)
        unlink(path)
        rmdir(String(path.dropLast("/socket".count)))
    }

    /// The address as libnbd, QEMU and fio want it.
    var uri: String { "nbd+unix:///?socket=\(path)" }

    func uri(export: String) -> String { "nbd+unix:///\(export)?socket=\(path)" }

    private static func listen(on path: String) -> Int32 {
        let descriptor = socket(AF_UNIX, Int32(SOCK_STREAM.rawValue) | Int32(SOCK_CLOEXEC.rawValue), 0)
        var address = sockaddr_un()
        address.sun_family = sa_family_t(AF_UNIX)
        withUnsafeMutableBytes(of: &address.sun_path) { $0.copyBytes(from: Array(path.utf8)) }
        let bound = withUnsafePointer(to: &address) {
            $0.withMemoryRebound(to: sockaddr.self, capacity: 1) {
                bind(descriptor, $0, socklen_t(MemoryLayout<sockaddr_un>.size))
            }
        }
        guard bound == 0, Glibc.listen(descriptor, 16) == 0 else { fatalError("listen: errno \(errno)") }
        return descriptor
    }

    // MARK: The server's thread

    private func serve() {
        while true {
            var polls = [
                pollfd(fd: stopPipe[0], events: Int16(POLLIN), revents: 0),
                pollfd(fd: listener, events: Int16(POLLIN), revents: 0),
            ]
            for connection in connections {
                var events = connection.session.receiveWindow().isEmpty ? 0 : Int16(POLLIN)
                if !connection.session.output.isEmpty { events |= Int16(POLLOUT) }
                polls.append(pollfd(fd: connection.descriptor, events: events, revents: 0))
            }
            _ = poll(&polls, nfds_t(polls.count), -1)
            if polls[0].revents != 0 { break }
            for (index, connection) in connections.enumerated() where polls[index + 2].revents != 0 {
                receive(connection)
                work(connection)
            }
            connections.removeAll { !$0.isOpen }
            if polls[1].revents != 0 { accept() }
        }
        for connection in connections { close(connection.descriptor) }
        connections.removeAll()
    }

    private func accept() {
        let descriptor = Glibc.accept(listener, nil, nil)
        guard descriptor >= 0 else { return }
        _ = fcntl(descriptor, F_SETFD, FD_CLOEXEC)
        _ = fcntl(descriptor, F_SETFL, O_NONBLOCK)
        counters.connections += 1
        let session = NBDSession(peer: "client \(counters.connections)", directory: directory, pool: pool)
        session.start(now: .zero)
        let connection = Connection(descriptor: descriptor, session: session)
        connections.append(connection)
        counters.connectionsAtOnce = max(counters.connectionsAtOnce, connections.count)
        work(connection)
    }

    private func receive(_ connection: Connection) {
        let window = connection.session.receiveWindow()
        guard !window.isEmpty else { return }
        let count = recv(connection.descriptor, window.baseAddress, window.count, 0)
        if count > 0 {
            connection.session.received(count, now: .zero, into: &connection.actions)
        } else if count == 0 || (errno != EAGAIN && errno != EINTR) {
            connection.session.connectionLost(into: &connection.actions)
        }
    }

    /// Carries out actions and sends until nothing moves any more.
    private func work(_ connection: Connection) {
        repeat {
            while !connection.actions.isEmpty {
                let batch = connection.actions
                connection.actions.removeAll()
                for action in batch.reversed() { perform(action, connection) }
            }
        } while connection.isOpen && flush(connection)
    }

    /// Sends what the socket takes; whether that led to new actions.
    private func flush(_ connection: Connection) -> Bool {
        while !connection.session.output.isEmpty {
            let count = connection.session.output.withSegments(limit: 64) { pieces in
                var vectors = pieces.map {
                    iovec(iov_base: UnsafeMutableRawPointer(mutating: $0.baseAddress), iov_len: $0.count)
                }
                return vectors.withUnsafeMutableBufferPointer { vectors in
                    var message = msghdr()
                    message.msg_iov = vectors.baseAddress
                    message.msg_iovlen = vectors.count
                    return sendmsg(connection.descriptor, &message, Int32(MSG_NOSIGNAL))
                }
            }
            guard count > 0 else {
                if errno != EAGAIN { connection.session.connectionLost(into: &connection.actions) }
                break
            }
            connection.session.sent(count, into: &connection.actions)
        }
        return !connection.actions.isEmpty
    }

    private func perform(_ action: NBDAction, _ connection: Connection) {
        let session = connection.session
        switch action {
        case .read(let id, let offset, let slice):
            counters.reads += 1
            disk.withUnsafeBytes {
                slice.bytes.copyMemory(
                    from: UnsafeRawBufferPointer(rebasing: $0[Int(offset)..<Int(offset) + slice.count]))
            }
            session.completed(id, status: status(offset, UInt64(slice.count)), into: &connection.actions)
        case .write(let id, let offset, let slice, let fua):
            counters.writes += 1
            if fua { counters.writesWithFUA += 1 }
            disk.withUnsafeMutableBytes {
                UnsafeMutableRawBufferPointer(rebasing: $0[Int(offset)..<Int(offset) + slice.count])
                    .copyMemory(from: UnsafeRawBufferPointer(slice.bytes))
            }
            session.completed(id, status: status(offset, UInt64(slice.count)), into: &connection.actions)
        case .flush(let id):
            counters.flushes += 1
            counters.writesBeforeFlush = max(counters.writesBeforeFlush, counters.writes)
            session.completed(id, status: 0, into: &connection.actions)
        case .trim(let id, let offset, let count, _):
            counters.trims += 1
            zero(offset, count)
            session.completed(id, status: 0, into: &connection.actions)
        case .writeZeroes(let id, let offset, let count, let mayUnmap, _):
            counters.zeroings += 1
            if mayUnmap { counters.zeroingsThatMayUnmap += 1 }
            zero(offset, count)
            session.completed(id, status: 0, into: &connection.actions)
        case .blockStatus(let id, let offset, let count):
            session.completed(id, extents: extents(offset, count), into: &connection.actions)
        case .close(let reason):
            if reason == .protocolViolation { counters.violations += 1 }
            close(connection.descriptor)
            connection.isOpen = false
        case .opened, .resumeReading, .log:
            break
        }
    }

    private func status(_ offset: UInt64, _ count: UInt64) -> Int32 {
        guard let badOffset, offset <= badOffset, badOffset < offset + count else { return 0 }
        return EIO
    }

    private func zero(_ offset: UInt64, _ count: UInt64) {
        disk.withUnsafeMutableBytes {
            _ = memset($0.baseAddress! + Int(offset), 0, Int(count))
        }
    }

    /// Blocks of 64 KiB that hold only zeroes are holes.
    private func extents(_ offset: UInt64, _ count: UInt64) -> [NBDExtent] {
        var result: [NBDExtent] = []
        var position = Int(offset)
        let end = Int(offset + count)
        while position < end {
            let next = min(end, (position / 65536 + 1) * 65536)
            let status: NBDExtent.Status = disk[position..<next].allSatisfy { $0 == 0 } ? [.hole, .zero] : []
            if let last = result.last, last.status == status {
                result[result.count - 1].length += UInt32(next - position)
            } else {
                result.append(NBDExtent(length: UInt32(next - position), status: status))
            }
            position = next
        }
        return result
    }
}
