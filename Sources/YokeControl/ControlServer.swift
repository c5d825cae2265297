internal import NIOCore
internal import NIOPosix
internal import Synchronization

#if canImport(Glibc)
    internal import Glibc
#endif

/// What the daemon does with requests.
package protocol ControlService: Sendable {
    /// Runs one command and returns its exit status. Cancelled when the client goes away.
    func run(_ request: ControlRequest, output: ControlOutput) async -> Int32
}

/// The daemon's end of the control socket: accepts connections, one command on each.
///
/// Its event loop only moves bytes; commands run in tasks of their own.
package final class ControlServer: Sendable {
    /// Connections at one time; more are closed at once.
    package static let connectionCountMax = 128
    /// A client sends its request within this time, or is closed.
    package static let requestTimeoutSeconds: Int64 = 10

    private let channel: any Channel
    private let group: MultiThreadedEventLoopGroup
    private let paths: InstallationPaths

    private init(channel: any Channel, group: MultiThreadedEventLoopGroup, paths: InstallationPaths) {
        self.channel = channel
        self.group = group
        self.paths = paths
    }

    /// Opens the control socket, mode 0600. The caller holds the ``DaemonLock`` of the root, so that a socket file
    /// found there is a leftover.
    package static func start(
        paths: InstallationPaths, service: any ControlService
    ) async throws(ControlError) -> ControlServer {
        let path = paths.controlSocket
        let descriptor = try listen(path: path)
        let group = MultiThreadedEventLoopGroup(numberOfThreads: 1)
        let count = ConnectionCount()
        do {
            let channel = try await ServerBootstrap(group: group)
                .childChannelInitializer { channel in
                    channel.eventLoop.makeCompletedFuture {
                        guard count.enter() else {
                            throw ControlError.badFrame("more than \(connectionCountMax) connections")
                        }
                        channel.closeFuture.whenComplete { _ in count.leave() }
                        try channel.pipeline.syncOperations.addHandler(
                            ControlConnectionHandler(service: service))
                    }
                }
                .withBoundSocket(descriptor).get()
            return ControlServer(channel: channel, group: group, paths: paths)
        } catch {
            close(descriptor)
            throw .cannotConnect(path: path, reason: "\(error)")
        }
    }

    /// Closes the socket and all connections.
    package func stop() async {
        try? await channel.close()
        unlink(paths.controlSocket)
        try? await group.shutdownGracefully()
    }

    private static func listen(path: String) throws(ControlError) -> Int32 {
        let type = Int32(SOCK_STREAM.rawValue) | Int32(SOCK_CLOEXEC.rawValue) | Int32(SOCK_NONBLOCK.rawValue)
        let descriptor = socket(AF_UNIX, type, 0)
        guard descriptor >= 0 else { throw .cannotConnect(path: path, reason: String(cString: strerror(errno))) }
        unlink(path)
        // The mode of the file is that of the descriptor: there is no moment in which others could connect.
        fchmod(descriptor, 0o600)
        let status = UnixSocketAddress.withReachablePath(path) { reachable in
            UnixSocketAddress.withSocketAddress(path: reachable) { bind(descriptor, $0, $1) }
        }
        guard status == 0, Glibc.listen(descriptor, 64) == 0 else {
            let reason = status == nil ? "path too long" : String(cString: strerror(errno))
            close(descriptor)
            throw .cannotConnect(path: path, reason: reason)
        }
        chmod(path, 0o600)
        return descriptor
    }
}

/// Connections that are open, counted on one event loop and read on it.
private final class ConnectionCount: Sendable {
    private let count = Atomic<Int>(0)

    func enter() -> Bool {
        if count.add(1, ordering: .relaxed).newValue <= ControlServer.connectionCountMax { return true }
        leave()
        return false
    }

    func leave() { count.subtract(1, ordering: .relaxed) }
}
