internal import CYoke
internal import EngineKit
internal import Glibc

// Sockets and other descriptors of a reactor. All of it is called on the reactor's thread.
extension Reactor {
    /// Begins to connect. The outcome always comes as an event to `handler`, never from inside this call.
    ///
    /// - Parameters:
    ///   - local: the own address to bind to (its port may be 0); nil leaves it to the kernel.
    ///   - timeout: after this the attempt fails with ETIMEDOUT; nil leaves it to the kernel (about two minutes).
    package func connect(
        to remote: SocketAddress, from local: SocketAddress? = nil, options: SocketOptions = SocketOptions(),
        timeout: Duration? = nil, handler: any StreamSocketHandler
    ) -> StreamSocket {
        preconditionOnThread()
        let descriptor = socket(remote.family, YOKE_SOCKET_STREAM, 0)
        guard descriptor >= 0 else { return failing(errno, handler) }
        options.apply(to: descriptor, family: remote.family)
        if let local {
            let code = Self.bind(descriptor, to: local)
            if code != 0 {
                Glibc.close(descriptor)
                return failing(code, handler)
            }
        }
        // Before the descriptor is watched: an unconnected socket reports a hang-up.
        let status = remote.withSystemAddress { Glibc.connect(descriptor, $0, $1) == 0 ? 0 : errno } ?? EINVAL
        guard status == 0 || status == EINPROGRESS || status == EINTR else {
            Glibc.close(descriptor)
            return failing(status, handler)
        }
        let stream = StreamSocket(connecting: descriptor, handler: handler, reactor: self)
        do throws(SystemError) {
            try watch(stream)
            awaitOutput(stream)
        } catch {
            Glibc.close(descriptor)
            return failing(error.code, handler)
        }
        if let timeout { stream.armConnectTimer(timeout) }
        return stream
    }

    /// Listens on `address`; port 0 lets the kernel choose. A Unix socket's path that nobody listens on is replaced.
    /// Errors: EADDRINUSE, EADDRNOTAVAIL and what else socket, bind and listen may say.
    ///
    /// - Parameter backlog: connections that wait to be accepted. Spec: drbd-wire 2.3 (5).
    package func listen(
        on address: SocketAddress, options: SocketOptions = SocketOptions(), backlog: Int32 = 5,
        handler: any ListeningSocketHandler
    ) throws(SystemError) -> ListeningSocket {
        preconditionOnThread()
        let descriptor = socket(address.family, YOKE_SOCKET_STREAM, 0)
        guard descriptor >= 0 else { throw SystemError(operation: "socket for \(address)", code: errno) }
        do throws(SystemError) {
            if address.family == AF_UNIX {
                try Self.removeStaleSocket(address)
            } else {
                _ = yoke_set_option(descriptor, SOL_SOCKET, SO_REUSEADDR, 1)
            }
            options.apply(to: descriptor, family: address.family)
            if address.family == AF_INET6 {
                // One address means one address: `[::]` would else take the IPv4 port as well.
                _ = yoke_set_option(descriptor, Int32(IPPROTO_IPV6), IPV6_V6ONLY, 1)
            }
            let code = Self.bind(descriptor, to: address)
            guard code == 0 else { throw SystemError(operation: "bind \(address)", code: code) }
            guard Glibc.listen(descriptor, backlog) == 0 else {
                throw SystemError(operation: "listen on \(address)", code: errno)
            }
            let listener = ListeningSocket(
                descriptor: descriptor, address: SocketAddress.query(getsockname, of: descriptor) ?? address,
                options: options, handler: handler, reactor: self)
            try watch(listener)
            return listener
        } catch {
            Glibc.close(descriptor)
            throw error
        }
    }

    /// Watches a descriptor of the caller's for readability. It must be non-blocking.
    package func watch(
        descriptor: Int32, handler: any DescriptorHandler
    ) throws(SystemError) -> DescriptorWatch {
        preconditionOnThread()
        let watch = DescriptorWatch(descriptor: descriptor, handler: handler, reactor: self)
        try self.watch(watch)
        return watch
    }

    /// Stops watching; the caller closes the descriptor. No event follows.
    package func unwatch(_ watch: DescriptorWatch) {
        preconditionOnThread()
        watch.handler = nil
        if watch.fileDescriptor >= 0 { removeSource(watch) }
    }

    private func failing(_ code: Int32, _ handler: any StreamSocketHandler) -> StreamSocket {
        let stream = StreamSocket(failing: code, handler: handler, reactor: self)
        queueIfReady(stream)
        return stream
    }

    /// 0 or the error number.
    private static func bind(_ descriptor: Int32, to address: SocketAddress) -> Int32 {
        address.withSystemAddress { Glibc.bind(descriptor, $0, $1) == 0 ? 0 : errno } ?? EINVAL
    }

    /// Removes the socket of a process that is gone. One that still answers is in use.
    private static func removeStaleSocket(_ address: SocketAddress) throws(SystemError) {
        let probe = socket(AF_UNIX, YOKE_SOCKET_STREAM, 0)
        guard probe >= 0 else { throw SystemError(operation: "socket for \(address)", code: errno) }
        defer { Glibc.close(probe) }
        let status = address.withSystemAddress { Glibc.connect(probe, $0, $1) == 0 ? 0 : errno } ?? EINVAL
        switch status {
        case ECONNREFUSED: unlink(address.host)
        case ENOENT: break
        case 0, EAGAIN: throw SystemError(operation: "bind \(address)", code: EADDRINUSE)
        default: throw SystemError(operation: "bind \(address)", code: status)
        }
    }
}
