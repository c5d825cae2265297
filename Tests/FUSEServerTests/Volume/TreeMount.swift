import EngineKit
import FUSELayout
import FUSEServer
import Glibc
import LinuxReactor

/// A ``MemoryTree`` mounted by the real kernel and served by a real reactor.
final class TreeMount: @unchecked Sendable {
    let directory: String
    /// Owned by the reactor's thread until ``end()`` has returned.
    let tree = MemoryTree()
    private let reactor: Reactor
    private let mount: FUSEMount
    private let ended = DispatchFlag()

    // Confined to the reactor's thread.
    private var environment: ReactorEnvironment?
    private var server: FileSystemServer<MemoryTree>?
    private var channel: FUSEChannel?
    private var changed: DispatchFlag?
    private(set) var log: [LogRecord] = []
    private(set) var statistics = FileSystemServerStatistics()

    init(backend: Reactor.Backend = .automatic, options: FileSystemServerOptions = FileSystemServerOptions()) throws {
        var template = Array("/tmp/yoke-tree-XXXXXX".utf8CString)
        guard mkdtemp(&template) != nil else { fatalError("mkdtemp: errno \(errno)") }
        directory = String(decoding: template.dropLast().map { UInt8(bitPattern: $0) }, as: UTF8.self)
        reactor = try Reactor(options: Reactor.Options(backend: backend, name: "tree"))
        mount = try FUSEMount.mount(source: "yoke-tree", on: directory, FUSEMountOptions(subtype: "yoke-tree"))
        try reactor.start()
        reactor.post { [self] in serve(options) }
    }

    private func serve(_ options: FileSystemServerOptions) {
        let environment = ReactorEnvironment(reactor: reactor) { [unowned self] in log.append($0) }
        self.environment = environment
        let server = FileSystemServer(
            operations: tree, root: tree.root.retain(), options: options, pool: IOBufferPool(), host: self)
        self.server = server
        let channel = FUSEChannel(descriptor: mount.descriptor, reactor: reactor, handler: self)
        self.channel = channel
        do {
            try channel.start()
        } catch {
            fatalError("cannot watch /dev/fuse: \(error)")
        }
    }

    /// Changes the tree on the reactor's thread, and waits until the tickets that `body` sends are back.
    func change(_ body: @escaping @Sendable (MemoryTree, FileSystemServer<MemoryTree>) -> Void) {
        let done = DispatchFlag()
        reactor.post { [self] in
            guard let server else { return }
            changed = done
            body(tree, server)
        }
        done.wait()
    }

    /// Takes the mount away and waits until the server has given everything back.
    func end() {
        // Not lazily: the server must see the end of the connection.
        var tries = 0
        while umount2(directory, 0) != 0 {
            tries += 1
            guard errno == EBUSY, tries < 200 else { fatalError("umount \(directory): errno \(errno)") }
            usleep(10_000)
        }
        ended.wait()
        reactor.stop()
        reactor.join()
        rmdir(directory)
    }
}

extension TreeMount: FUSEChannelHandler {
    func receiveWindow() -> UnsafeMutableRawBufferPointer {
        server?.receiveWindow() ?? UnsafeMutableRawBufferPointer(start: nil, count: 0)
    }

    func received(_ count: Int) { server?.received(count) }

    func channelLost() {
        server?.connectionLost()
        environment?.spawn { [self] in
            await server?.shutDown()
            if let server { statistics = server.statistics }
            server = nil
            ended.set()
        }
    }
}

extension TreeMount: FileSystemServerHost {
    var now: Instant { reactor.now }

    func start(_ body: @escaping () async -> Void) { environment?.spawn(body) }

    func repliesAreWaiting() {
        while let server, let channel, !server.replies.isEmpty {
            let isTaken = server.replies.withFirst { channel.write($0, $1) }
            server.replyWritten(isTaken: isTaken)
        }
    }

    func mayReadAgain() { channel?.resume() }
    func isServing() {}
    func drainRequests() { channel?.drain() }

    func send(_ notification: FUSENotification, _ completion: @escaping (Int32) -> Void) {
        channel?.notify(notification.bytes) { [self] errno in
            completion(errno)
            changed?.set()
            changed = nil
        }
    }

    func log(_ record: LogRecord) { environment?.log(record) }
}

/// Set once by one thread, awaited by another.
final class DispatchFlag: Sendable {
    private let descriptor: Int32
    private let other: Int32

    init() {
        let pipes = closedOnExec { pipe(&$0) }
        descriptor = pipes[0]
        other = pipes[1]
    }

    func set() { close(other) }

    func wait() {
        var byte: UInt8 = 0
        while read(descriptor, &byte, 1) < 0 && errno == EINTR {}
        close(descriptor)
    }
}
