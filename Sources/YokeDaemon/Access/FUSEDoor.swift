internal import EngineKit
internal import FUSEServer
internal import Glibc
internal import LinuxReactor
internal import Replication

/// The server of one FUSE mount on the reactor of its resource: `/dev/fuse` on one side, the volume on the other.
final class FUSEDoor {
    /// Requests in one round before the other sockets get their turn.
    private static let requestsPerRoundMax = 32

    private let server: SingleFileServer
    private let volume: VolumeNumber
    private unowned let runner: ResourceRunner
    private let descriptor: Int32
    private var watch: DescriptorWatch?
    private var actions: [FUSEAction] = []
    private var isPerforming = false
    private var isMarked = false
    private var slots: [FUSERequestID] = []
    private var freeSlots: [Int] = []
    /// Told when the mount has ended and nothing is under way.
    private var ended: [() -> Void] = []
    private(set) var isEnded = false

    init(fileName: String, sizeBytes: UInt64, descriptor: Int32, volume: VolumeNumber, runner: ResourceRunner) {
        server = SingleFileServer(
            file: SingleFileServer.File(name: fileName, sizeBytes: sizeBytes), pool: runner.buffers)
        self.descriptor = descriptor
        self.volume = volume
        self.runner = runner
    }

    func start() throws(SystemError) {
        watch = try runner.reactor.watch(descriptor: descriptor, handler: self)
    }

    func whenEnded(_ body: @escaping () -> Void) {
        if isEnded { body() } else { ended.append(body) }
    }

    /// Ends the mount from this side: who still uses the device gets errors.
    func abort() {
        lost()
    }

    private func lost() {
        guard let watch else { return }
        self.watch = nil
        runner.reactor.unwatch(watch)
        close(descriptor)
        server.connectionLost()
        endIfIdle()
    }

    private func endIfIdle() {
        guard server.isClosed, server.requestsInFlight == 0, !isEnded else { return }
        isEnded = true
        let told = ended
        ended = []
        for body in told { body() }
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
        if !isMarked, !server.replies.isEmpty {
            isMarked = true
            runner.clientsToFlush.append(self)
        }
    }

    private func perform(_ action: FUSEAction) {
        switch action {
        case .read(let id, let offset, let slice): submit(id, .read, offset, slice.count, slice)
        case .write(let id, let offset, let slice):
            submit(id, .write(forceUnitAccess: false), offset, slice.count, slice)
        case .flush(let id): submit(id, .flush, 0, 0, nil)
        case .writeZeroes(let id, let offset, let count, let mayUnmap):
            submit(id, .writeZeroes(mayUnmap: mayUnmap), offset, Int(count), nil)
        case .resumeReading: watch?.resume()
        case .ready: break
        case .log(let record):
            runner.log(LogRecord(record.level, "drbd \(runner.name)/\(volume): device node: \(record.text)"))
        }
    }

    private func submit(
        _ id: FUSERequestID, _ kind: ApplicationRequest.Kind, _ offset: UInt64, _ count: Int, _ data: IOSlice?
    ) {
        let index: Int
        if let free = freeSlots.popLast() {
            index = free
            slots[index] = id
        } else {
            index = slots.count
            slots.append(id)
        }
        runner.submit(
            kind, volume: volume, sector: offset >> 9, byteCount: count, data: data, token: UInt64(index), user: self)
    }
}

extension FUSEDoor: VolumeUser {
    func requestCompleted(token: UInt64, errno: Int32) {
        freeSlots.append(Int(token))
        server.completed(slots[Int(token)], status: errno, into: &actions)
        perform()
        endIfIdle()
    }
}

extension FUSEDoor: DescriptorHandler {
    func descriptorReadable(_ watch: DescriptorWatch) {
        for _ in 0..<Self.requestsPerRoundMax {
            let window = server.receiveWindow()
            guard !window.isEmpty else { return watch.pause() }
            let count = read(descriptor, window.baseAddress, window.count)
            if count > 0 {
                server.received(count, into: &actions)
                perform()
                guard self.watch != nil else { return }
                continue
            }
            switch errno {
            case EAGAIN: return watch.exhausted()
            // The request was taken back.
            case EINTR, ENOENT: continue
            default: return lost()
            }
        }
    }
}

extension FUSEDoor: RoundClient {
    func flushAtEndOfRound() {
        isMarked = false
        while watch != nil, !server.replies.isEmpty {
            server.replies.withFirst { head, payload in
                withUnsafeTemporaryAllocation(of: iovec.self, capacity: 2) { pieces in
                    pieces[0] = iovec(
                        iov_base: UnsafeMutableRawPointer(mutating: head.baseAddress), iov_len: head.count)
                    pieces[1] = iovec(
                        iov_base: UnsafeMutableRawPointer(mutating: payload.baseAddress), iov_len: payload.count)
                    // An error means that the kernel does not wait for this reply any more.
                    _ = writev(descriptor, pieces.baseAddress, payload.isEmpty ? 1 : 2)
                }
            }
            server.replyWritten()
        }
    }
}
