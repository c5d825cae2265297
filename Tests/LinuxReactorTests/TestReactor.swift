internal import EngineKit
internal import Glibc
internal import LinuxReactor
internal import Synchronization
internal import Testing

/// A reactor on its own thread for one test.
final class TestReactor: Sendable {
    let reactor: Reactor
    private static let deadline = Duration.seconds(30)

    init(
        _ backend: Reactor.Backend, workerCount: Int = 2, ringEntryCount: Int = 512,
        owner: (any ReactorOwner)? = nil
    ) throws {
        var options = Reactor.Options(backend: backend, name: "test", workerCount: workerCount)
        options.ringEntryCount = ringEntryCount
        reactor = try Reactor(options: options)
        reactor.owner = owner
        try reactor.start()
    }

    deinit {
        reactor.stop()
        reactor.join()
    }

    /// Runs `body` on the reactor's thread and waits until it (or something it set up) finishes the outcome.
    func run<Value: Sendable>(
        _ body: @escaping @Sendable (Reactor, Outcome<Value>) throws -> Void
    ) async throws -> Value {
        let reactor = reactor
        return try await withCheckedThrowingContinuation { continuation in
            let isPosted = reactor.post {
                let outcome = Outcome(continuation, deadline: reactor.now + Self.deadline, reactor: reactor)
                do {
                    try body(reactor, outcome)
                } catch {
                    outcome.fail(error)
                }
            }
            if !isPosted { continuation.resume(throwing: TestFailure("the reactor takes no jobs")) }
        }
    }

    /// Runs `body` on the reactor's thread.
    @discardableResult
    func perform<Value: Sendable>(_ body: @escaping @Sendable (Reactor) throws -> Value) async throws -> Value {
        try await run { (reactor: Reactor, outcome: Outcome<Value>) in outcome.finish(try body(reactor)) }
    }
}

/// How a piece of a test ends; used on the reactor's thread, the first end counts.
final class Outcome<Value: Sendable> {
    private var continuation: CheckedContinuation<Value, any Error>?
    private var timer: ReactorTimer?
    private let reactor: Reactor

    init(_ continuation: CheckedContinuation<Value, any Error>, deadline: Instant, reactor: Reactor) {
        self.continuation = continuation
        self.reactor = reactor
        timer = reactor.addTimer(at: deadline) { [self] in fail(TestFailure("nothing happened for too long")) }
    }

    func finish(_ value: Value) {
        end()?.resume(returning: value)
    }

    func fail(_ error: any Error) {
        end()?.resume(throwing: error)
    }

    private func end() -> CheckedContinuation<Value, any Error>? {
        if let timer { reactor.cancel(timer) }
        timer = nil
        defer { continuation = nil }
        return continuation
    }
}

struct TestFailure: Error, CustomStringConvertible {
    var description: String

    init(_ description: String) {
        self.description = description
    }
}

/// A value that belongs to the thread of a test's reactor, carried through the test between two visits there.
final class Confined<Value>: @unchecked Sendable {
    let value: Value

    init(_ value: Value) {
        self.value = value
    }
}

extension Reactor.Backend {
    /// What the suites run over. io_uring may be switched off where they run.
    static let tested: [Reactor.Backend] = Reactor.isRingAvailable ? [.epoll, .ioUring] : [.epoll]
}

/// A directory that is removed with the object.
final class TemporaryDirectory: Sendable {
    let path: String

    init(in parent: String = "/tmp") throws {
        var template = Array("\(parent)/yoke-reactor-XXXXXX".utf8CString)
        guard mkdtemp(&template) != nil else { throw TestFailure("mkdtemp: \(errno)") }
        path = template.withUnsafeBufferPointer { String(cString: $0.baseAddress!) }
    }

    deinit {
        guard let directory = opendir(path) else { return }
        while let entry = readdir(directory) {
            let name = withUnsafePointer(to: &entry.pointee.d_name) {
                $0.withMemoryRebound(to: CChar.self, capacity: 256) { String(cString: $0) }
            }
            if name != "." && name != ".." { unlink("\(path)/\(name)") }
        }
        closedir(directory)
        rmdir(path)
    }

    /// Makes a sparse file.
    func file(_ name: String, byteCount: Int) throws -> String {
        let path = "\(path)/\(name)"
        let descriptor = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0o600)
        guard descriptor >= 0, ftruncate(descriptor, byteCount) == 0 else { throw TestFailure("\(path): \(errno)") }
        close(descriptor)
        return path
    }
}

extension IOBuffer {
    /// A buffer that is filled with one byte.
    static func filled(_ byte: UInt8, byteCount: Int) -> IOSlice {
        let buffer = IOBuffer(byteCount: byteCount)
        memset(buffer.base, Int32(byte), byteCount)
        return IOSlice(buffer: buffer, offset: 0, count: byteCount)
    }
}

extension IOSlice {
    /// The byte that all bytes are, or nil.
    var uniformByte: UInt8? {
        guard let first = bytes.first, bytes.allSatisfy({ $0 == first }) else { return nil }
        return first
    }
}
