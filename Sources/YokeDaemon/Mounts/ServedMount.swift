internal import DRBDLayout
internal import EngineKit
internal import FUSELayout
internal import FUSEServer
internal import FileSystem
internal import Glibc
internal import LinuxReactor
internal import Replication
internal import Synchronization

/// One mounted filesystem: a volume, its FUSE server and the kernel's side of it, on one reactor: the one of all volumes
/// if it is replicated or clustered, else one of its own.
///
/// **Threads.** Everything is confined to the thread of ``reactor``; the control plane uses the `async` functions, which
/// post there. `@unchecked Sendable` for that reason.
///
/// **Life.** ``mountVolume(_:)``, then ``serve(_:options:)`` with a mounted `/dev/fuse`, until the kernel ends the
/// connection (unmounted by whomever) or ``abort()``; then the server gives everything back, the volume is unmounted, the
/// device let go, and ``waitForEnd()`` returns. What failed on the way is logged; the end comes in any case.
final class ServedMount: @unchecked Sendable {
    /// Where the volume lies.
    enum Place: Sendable {
        case disk(DiskFile)
        /// A disk that several hosts share.
        case sharedDisk(DiskFile, VolumeReactor)
        case replicated(ResourceRunner, VolumeNumber)
    }

    enum Failure: Error {
        case mount(MountError)
        case refused(OpenRefusal)
        /// The peer may have the volume mounted, or mount it.
        case peerIsPrimary
        case cluster(ClusterFailure)
        case ended
    }

    let source: String
    let directory: String
    let reactor: Reactor
    let place: Place
    private let ownsReactor: Bool
    let writeLog: @Sendable (LogRecord) -> Void
    private let isEndingFlag = Atomic(false)

    // Confined to the reactor's thread.
    private let buffers: IOBufferPool
    private var environment: ReactorEnvironment?
    private var device: (any BlockDevice)?
    var volume: MountedVolume?
    /// What this host is in the cluster of the volume; nil for one that it has to itself.
    var membership: VolumeMembership?
    var clusterHost: ClusterHost?
    /// Where the heartbeat is listed while it runs.
    var clusterService: ClusterMembership?
    private var server: FileSystemServer<MountedVolume>?
    private var channel: FUSEChannel?
    private var servingWaiters: [Promise<Bool>] = []
    private var endWaiters: [Promise<Bool>] = []
    private var isWriting = false
    private var oldestReported = Instant.zero
    private var hasEnded = false

    /// - Parameter backend: of the reactor that is made for a volume on a disk of its own.
    init(
        source: String, directory: String, place: Place, backend: Reactor.Backend,
        log: @escaping @Sendable (LogRecord) -> Void
    ) throws(SystemError) {
        self.source = source
        self.directory = directory
        self.place = place
        writeLog = log
        switch place {
        case .disk:
            reactor = try Reactor(options: Reactor.Options(backend: backend, name: "yoke fs"))
            ownsReactor = true
            buffers = IOBufferPool(bytesKeptMax: 64 << 20)
            try reactor.start()
        case .sharedDisk(_, let volumes):
            reactor = volumes.reactor
            ownsReactor = false
            buffers = IOBufferPool(bytesKeptMax: 64 << 20)
        case .replicated(let runner, _):
            reactor = runner.reactor
            ownsReactor = false
            buffers = runner.buffers
        }
    }

    /// Of a replicated volume.
    var runner: ResourceRunner? {
        if case .replicated(let runner, _) = place { runner } else { nil }
    }

    // MARK: From the control plane

    /// The kernel has let go of it: whoever still waits for the end waits for writing back only. Usable from any thread.
    var isEnding: Bool { isEndingFlag.load(ordering: .acquiring) }

    /// Reads the volume and makes it ready. Afterwards ``serve(_:options:)`` or ``giveUp()``.
    func mountVolume(_ options: MountOptions, _ cluster: ClusterChoice) async -> Failure? {
        let outcome = await Promise<Failure?>.wait { promise in
            reactor.post { [self] in
                let environment = ReactorEnvironment(reactor: reactor, log: writeLog)
                self.environment = environment
                environment.spawn { [self] in promise.fulfil(await mountVolume(options, cluster, environment)) }
            }
        }
        return outcome ?? .ended
    }

    private func mountVolume(
        _ options: MountOptions, _ cluster: ClusterChoice, _ environment: ReactorEnvironment
    ) async -> Failure? {
        do throws(Failure) {
            let device = try openDevice()
            self.device = device
            if let wanted = try await clusteredVolume(on: device, cluster) {
                try await mountAsMember(wanted, of: cluster, device, options, environment)
            } else {
                try await mountAlone(device, options, environment)
            }
            return nil
        } catch {
            await endMembership()
            closeDevice()
            return error
        }
    }

    private func openDevice() throws(Failure) -> any BlockDevice {
        switch place {
        case .disk(let disk), .sharedDisk(let disk, _): return FileDevice(disk: disk, reactor: reactor)
        case .replicated(let runner, let volume):
            do throws(OpenRefusal) {
                return try ReplicatedDevice(runner: runner, volume: volume)
            } catch {
                throw .refused(error)
            }
        }
    }

    /// The host has the volume to itself, as far as it can know.
    private func mountAlone(
        _ device: any BlockDevice, _ options: MountOptions, _ environment: ReactorEnvironment
    ) async throws(Failure) {
        if case .replicated(let runner, let number) = place, runner.snapshot(of: number)?.state.peer == .primary {
            throw .peerIsPrimary
        }
        do throws(MountError) {
            volume = try await MountedVolume.mount(
                device: device, environment: environment, locks: LocalLocks(), options: options, nodeNumber: 0)
        } catch {
            throw .mount(error)
        }
    }

    /// Serves the requests of `mount` from now on. False when the root directory cannot be read: the reason is logged.
    func serve(_ mount: FUSEMount, options: FileSystemServerOptions) async -> Bool {
        let outcome = await Promise<Bool>.wait { promise in
            reactor.post { [self] in
                environment?.spawn { [self] in await serve(mount, options, promise) }
                watchRequests()
            }
        }
        return outcome ?? false
    }

    /// Tells the log of requests that wait for long, each time when the oldest is another one.
    private func watchRequests() {
        reactor.addTimer(at: reactor.now + Self.slowRequestAge) { [weak self] in
            guard let self, !hasEnded else { return }
            reportSlowRequests()
            watchRequests()
        }
    }

    private static let slowRequestAge = Duration.seconds(10)

    private func reportSlowRequests() {
        let limit = Instant(nanoseconds: reactor.now.nanoseconds - Self.slowRequestAge.nanosecondsClamped)
        guard let requests = server?.requests(olderThan: limit), let first = requests.first,
            first.since != oldestReported
        else { return }
        oldestReported = first.since
        let list = requests.prefix(8).map { request in
            let seconds = (reactor.now - request.since).nanosecondsClamped / 1_000_000_000
            let name = request.opcode.map { "\($0)" } ?? "request"
            return "\(name) of node \(request.node) by process \(request.process) for \(seconds) s"
        }
        writeLog(
            LogRecord(
                .warning, "\(source): \(requests.count) requests wait: \(list.joined(separator: ", "))"))
        let waits = server?.waits(of: first.node) ?? ""
        writeLog(LogRecord(.notice, "\(source): \(waits); journal: \(volume?.journalWaits ?? "none")"))
    }

    private func serve(_ mount: FUSEMount, _ options: FileSystemServerOptions, _ promise: Promise<Bool>) async {
        guard let volume else { return promise.fulfil(false) }
        do throws(FileSystemError) {
            let root = try await volume.rootDirectory()
            let policy = volume.locks.isLocal ? KernelCachePolicy<Inode>() : SharedCachePolicy()
            let server = FileSystemServer(
                operations: volume, root: root, options: options, policy: policy, pool: buffers, host: self)
            self.server = server
            if !volume.locks.isLocal { volume.kernelCache = server }
            servingWaiters.append(promise)
            let channel = FUSEChannel(descriptor: mount.descriptor, reactor: reactor, handler: self)
            self.channel = channel
            do throws(SystemError) {
                try channel.start()
            } catch {
                writeLog(LogRecord(.error, "\(options.name): \(error)"))
                channel.abort()
            }
        } catch {
            writeLog(LogRecord(.error, "\(options.name): the root directory cannot be read: \(error)"))
            close(mount.descriptor)
            promise.fulfil(false)
        }
    }

    /// Ends a volume that nobody serves.
    func giveUp() async {
        _ = await Promise<Bool>.wait { promise in
            reactor.post { [self] in
                endWaiters.append(promise)
                environment?.spawn { [self] in await end() }
            }
        }
        stopReactor()
    }

    /// Waits until the mount has ended and the volume is clean.
    func waitForEnd() async {
        _ = await Promise<Bool>.wait { promise in
            reactor.post { [self] in
                if hasEnded { promise.fulfil(true) } else { endWaiters.append(promise) }
            }
        }
        stopReactor()
    }

    /// Whoever waits for the end goes on without it.
    func abandonWaiting() {
        reactor.post { [self] in
            for waiter in endWaiters { waiter.fulfil(false) }
            endWaiters = []
        }
    }

    /// Cuts the kernel off: who still uses the mount gets errors.
    func abort() {
        reactor.post { [self] in channel?.abort() }
    }

    private func stopReactor() {
        if ownsReactor { reactor.stop() }
    }

    // MARK: The end, on the reactor's thread

    private func end() async {
        await server?.shutDown()
        server = nil
        writeLog(LogRecord(.debug, "\(source): no request is under way any more"))
        await volume?.unmount()
        volume = nil
        writeLog(LogRecord(.debug, "\(source): the volume is clean"))
        await endMembership()
        closeDevice()
        hasEnded = true
        for waiter in servingWaiters { waiter.fulfil(false) }
        servingWaiters = []
        for waiter in endWaiters { waiter.fulfil(true) }
        endWaiters = []
    }

    private func closeDevice() {
        switch device {
        case let device as FileDevice where device.isIdle: device.close()
        case let device as FileDevice:
            // After the end of membership, on a disk that hangs. Its claim stays until the daemon ends.
            writeLog(LogRecord(.error, "\(source): requests to \(device.disk.path) hang; it is not let go"))
        case let device as ReplicatedDevice: device.close()
        default: break
        }
        device = nil
    }
}

extension ServedMount: FUSEChannelHandler {
    func receiveWindow() -> UnsafeMutableRawBufferPointer {
        server?.receiveWindow() ?? UnsafeMutableRawBufferPointer(start: nil, count: 0)
    }

    func received(_ count: Int) {
        // Whoever slept for long must know it before anything is answered.
        _ = membership?.isMember()
        server?.received(count)
    }

    func channelLost() {
        isEndingFlag.store(true, ordering: .releasing)
        server?.connectionLost()
        environment?.spawn { [self] in await end() }
    }
}

extension ServedMount: FileSystemServerHost {
    var now: Instant { reactor.now }

    func start(_ body: @escaping () async -> Void) { environment?.spawn(body) }

    func repliesAreWaiting() {
        guard !isWriting else { return }
        isWriting = true
        while let server, let channel, !server.replies.isEmpty {
            let isTaken = server.replies.withFirst { channel.write($0, $1) }
            server.replyWritten(isTaken: isTaken)
        }
        isWriting = false
    }

    func mayReadAgain() { channel?.resume() }

    func isServing() {
        for waiter in servingWaiters { waiter.fulfil(true) }
        servingWaiters = []
    }

    func drainRequests() { channel?.drain() }

    func send(_ notification: FUSENotification, _ completion: @escaping (Int32) -> Void) {
        guard let channel else { return completion(0) }
        channel.notify(notification.bytes, completion)
    }

    func log(_ record: LogRecord) { writeLog(record) }
}
