#if canImport(Glibc)
    internal import Glibc
#endif

/// Asks the daemon to run a command: one blocking connection, no event loop, no thread.
package struct ControlClient {
    private let paths: InstallationPaths
    private let connectTimeoutSeconds: Int
    private let answerTimeoutSeconds: Int?

    /// - Parameter answerTimeoutSeconds: gives up when no part of the answer comes for so long; nil: never.
    package init(paths: InstallationPaths, connectTimeoutSeconds: Int = 5, answerTimeoutSeconds: Int? = nil) {
        self.paths = paths
        self.connectTimeoutSeconds = connectTimeoutSeconds
        self.answerTimeoutSeconds = answerTimeoutSeconds
    }

    /// Sends `request`, hands each piece of the answer to `onReply`, and returns the exit status.
    ///
    /// Waits as long as the command runs (`events2` runs until it is interrupted).
    package func run(
        _ request: ControlRequest, onReply: (ControlReply) -> Void
    ) throws(ControlError) -> Int32 {
        let descriptor = try connect()
        defer { close(descriptor) }
        try send(try ControlFrame.encode(request), to: descriptor)
        while true {
            let header = try receive(count: ControlFrame.headerByteCount, from: descriptor)
            let body = try receive(count: try ControlFrame.length(of: header), from: descriptor)
            let reply = try ControlFrame.decode(ControlReply.self, from: body)
            if case .exit(let status) = reply { return status }
            onReply(reply)
        }
    }

    private func connect() throws(ControlError) -> Int32 {
        let path = paths.controlSocket
        let descriptor = socket(AF_UNIX, Int32(SOCK_STREAM.rawValue) | Int32(SOCK_CLOEXEC.rawValue), 0)
        guard descriptor >= 0 else { throw .cannotConnect(path: path, reason: Self.text(of: errno)) }
        var timeout = timeval(tv_sec: connectTimeoutSeconds, tv_usec: 0)
        setsockopt(descriptor, SOL_SOCKET, SO_SNDTIMEO, &timeout, socklen_t(MemoryLayout<timeval>.size))
        if let answerTimeoutSeconds {
            timeout = timeval(tv_sec: answerTimeoutSeconds, tv_usec: 0)
            setsockopt(descriptor, SOL_SOCKET, SO_RCVTIMEO, &timeout, socklen_t(MemoryLayout<timeval>.size))
        }
        let status = UnixSocketAddress.withReachablePath(path) { reachable in
            UnixSocketAddress.withSocketAddress(path: reachable) { Glibc.connect(descriptor, $0, $1) }
        }
        if status == 0 { return descriptor }
        let code = status == nil ? ENAMETOOLONG : errno
        close(descriptor)
        switch code {
        case ENOENT, ECONNREFUSED: throw .notRunning(root: paths.root)
        case EACCES, EPERM: throw .notAllowed(path: path)
        case EAGAIN, EINPROGRESS:
            throw .cannotConnect(path: path, reason: "no answer within \(connectTimeoutSeconds) s")
        default: throw .cannotConnect(path: path, reason: Self.text(of: code))
        }
    }

    private func send(_ bytes: [UInt8], to descriptor: Int32) throws(ControlError) {
        var sent = 0
        while sent < bytes.count {
            let count = bytes.withUnsafeBytes {
                Glibc.send(descriptor, $0.baseAddress! + sent, $0.count - sent, Int32(MSG_NOSIGNAL))
            }
            if count < 0 {
                if errno == EINTR { continue }
                throw .connectionLost(reason: Self.text(of: errno))
            }
            sent += count
        }
    }

    private func receive(count: Int, from descriptor: Int32) throws(ControlError) -> [UInt8] {
        var bytes = [UInt8](repeating: 0, count: count)
        var received = 0
        while received < count {
            let part = bytes.withUnsafeMutableBytes {
                recv(descriptor, $0.baseAddress! + received, count - received, 0)
            }
            if part == 0 { throw .connectionLost(reason: "end of stream") }
            if part < 0 {
                if errno == EINTR { continue }
                if errno == EAGAIN, let answerTimeoutSeconds { throw .noAnswer(seconds: answerTimeoutSeconds) }
                throw .connectionLost(reason: Self.text(of: errno))
            }
            received += part
        }
        return bytes
    }

    private static func text(of code: Int32) -> String { String(cString: strerror(code)) }
}
