import Dispatch
import Glibc
import Synchronization
import Testing

@testable import YokeControl

/// Answers with what it was asked; `wait` stays until the client goes away.
private final class EchoService: ControlService {
    let cancelled = Atomic<Bool>(false)

    func run(_ request: ControlRequest, output: ControlOutput) async -> Int32 {
        switch request.command.first {
        case "wait":
            output.standardOutput("waiting\n")
            while !Task.isCancelled { await Task.yield() }
            cancelled.store(true, ordering: .relaxed)
            return 0
        case "big":
            output.standardOutput(String(repeating: "x", count: 3_000_000))
            return 0
        default:
            output.standardOutput(request.command.joined(separator: " ") + "\n")
            output.standardError("to stderr\n")
            return 17
        }
    }
}

@Suite struct ControlServerTests {
    private func makePaths(suffix: String = "") -> InstallationPaths {
        var template = Array("/tmp/yoke-control-XXXXXX".utf8CString)
        mkdtemp(&template)
        let root = String(decoding: template.dropLast().map { UInt8(bitPattern: $0) }, as: UTF8.self) + suffix
        mkdir(root, 0o755)
        return InstallationPaths(root: root)
    }

    private func withServer(
        suffix: String = "", _ body: @escaping @Sendable (InstallationPaths, EchoService) throws -> Void
    ) async throws {
        let paths = makePaths(suffix: suffix)
        let lock = try DaemonLock(paths: paths)
        let service = EchoService()
        let server = try await ControlServer.start(paths: paths, service: service)
        // The client blocks: a thread of its own, so that the tasks of the server keep theirs.
        try await withCheckedThrowingContinuation { (continuation: CheckedContinuation<Void, any Error>) in
            DispatchQueue(label: "client").async {
                continuation.resume(with: Result { try body(paths, service) })
            }
        }
        await server.stop()
        withExtendedLifetime(lock) {}
    }

    @Test("a command's output, errors and exit status reach the client in order")
    func echo() async throws {
        try await withServer { paths, _ in
            var replies: [ControlReply] = []
            let status = try ControlClient(paths: paths).run(ControlRequest(command: ["role", "r0"])) {
                replies.append($0)
            }
            #expect(status == 17)
            #expect(replies == [.standardOutput("role r0\n"), .standardError("to stderr\n")])
        }
    }

    @Test("an answer longer than a frame comes in pieces")
    func big() async throws {
        try await withServer { paths, _ in
            var count = 0
            let status = try ControlClient(paths: paths).run(ControlRequest(command: ["big"])) {
                if case .standardOutput(let text) = $0 { count += text.utf8.count }
            }
            #expect(status == 0)
            #expect(count == 3_000_000)
        }
    }

    @Test("a root with a path longer than a socket address allows works")
    func longRoot() async throws {
        try await withServer(suffix: "-" + String(repeating: "long", count: 30)) { paths, _ in
            let status = try ControlClient(paths: paths).run(ControlRequest(command: ["x"])) { _ in }
            #expect(status == 17)
        }
    }

    @Test("only the owner may use the socket")
    func mode() async throws {
        try await withServer { paths, _ in
            var status = stat()
            #expect(stat(paths.controlSocket, &status) == 0)
            #expect(status.st_mode & 0o777 == 0o600)
        }
    }

    @Test(
        "hostile bytes are answered with a reason and a closed connection",
        arguments: [
            [0xff, 0xff, 0xff, 0xff], [0, 0, 0, 2, 0x7b, 0x7b], Array("GET / HTTP/1.0\r\n\r\n".utf8),
        ] as [[UInt8]])
    func hostile(bytes: [UInt8]) async throws {
        try await withServer { paths, _ in
            let descriptor = socket(AF_UNIX, Int32(SOCK_STREAM.rawValue), 0)
            defer { close(descriptor) }
            let status = UnixSocketAddress.withSocketAddress(path: paths.controlSocket) {
                connect(descriptor, $0, $1)
            }
            #expect(status == 0)
            #expect(send(descriptor, bytes, bytes.count, 0) == bytes.count)
            var answer: [UInt8] = []
            var part = [UInt8](repeating: 0, count: 4096)
            while case let count = recv(descriptor, &part, part.count, 0), count > 0 { answer += part.prefix(count) }
            #expect(String(decoding: answer, as: UTF8.self).contains("yoked refused the request"))
        }
    }

    @Test("a client of another release is told so")
    func version() async throws {
        try await withServer { paths, _ in
            var request = ControlRequest(command: ["x"])
            request.version = 99
            var text = ""
            let status = try ControlClient(paths: paths).run(request) {
                if case .standardError(let part) = $0 { text += part }
            }
            #expect(status == 20)
            #expect(text.contains("of one release"))
        }
    }

    @Test("without a daemon the error says how to start one")
    func notRunning() {
        let paths = makePaths()
        #expect(throws: ControlError.notRunning(root: paths.root)) {
            try ControlClient(paths: paths).run(ControlRequest(command: ["x"])) { _ in }
        }
        #expect(
            ControlError.notRunning(root: "/tmp/a").description
                == "yoked is not running under /tmp/a: start it with: yoked --root /tmp/a")
    }

    @Test("a second daemon under one root is refused with the first one's number")
    func secondDaemon() throws {
        let paths = makePaths()
        let first = try DaemonLock(paths: paths)
        #expect(throws: DaemonLock.Failure.taken(root: paths.root, processID: "\(getpid())")) {
            try DaemonLock(paths: paths)
        }
        withExtendedLifetime(first) {}
    }

    @Test("a device is looked for below the root first")
    func resolve() {
        let paths = makePaths()
        close(open(paths.path("/disk0"), O_CREAT | O_RDWR, 0o600))
        #expect(paths.resolveDevice("/disk0") == paths.root + "/disk0")
        #expect(paths.resolveDevice("/dev/null") == "/dev/null")
        #expect(paths.resolveDevice(paths.root + "/disk0") == paths.root + "/disk0")
        #expect(InstallationPaths(root: "/").controlSocket == "/run/yoke/yoked.sock")
    }
}
