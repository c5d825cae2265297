internal import CYoke
internal import Glibc

/// What to run as a child process.
package struct ChildCommand: Equatable, Sendable {
    /// Program and arguments; a program without a slash is looked up in PATH.
    package var arguments: [String]
    /// The whole environment, `NAME=value` each.
    package var environment: [String]
    /// Nil for the daemon's own.
    package var workingDirectory: String?

    package init(arguments: [String], environment: [String], workingDirectory: String? = nil) {
        precondition(!arguments.isEmpty, "a command without a program")
        self.arguments = arguments
        self.environment = environment
        self.workingDirectory = workingDirectory
    }
}

/// How a child process ended.
package enum ChildExit: Equatable, Sendable {
    case exited(status: Int32)
    case killed(signal: Int32)
    /// It never ran.
    case notStarted(errno: Int32)
}

/// A child process of the daemon: a handler. It inherits standard output and error; its input is empty; no other
/// descriptor, blocked signal or signal action reaches it.
package final class ChildProcess {
    /// Nil until it was started and after it ended.
    package fileprivate(set) var processID: Int32?
    fileprivate var pendingSignal: Int32?
    fileprivate var completion: ((ChildExit) -> Void)?
    fileprivate var watch: DescriptorWatch?

    fileprivate init(completion: @escaping (ChildExit) -> Void) {
        self.completion = completion
    }

    /// Sends a signal, at once or as soon as it runs. Nothing happens when it has ended.
    package func send(signal: Int32) {
        if let processID {
            kill(processID, signal)
        } else if completion != nil {
            pendingSignal = signal
        }
    }

    fileprivate func end(_ exit: ChildExit) {
        processID = nil
        let told = completion
        completion = nil
        told?(exit)
    }
}

extension Reactor {
    /// Starts a child process on a worker thread (posix_spawn waits for the exec) and tells how it ended.
    @discardableResult
    package func spawn(_ command: ChildCommand, completion: @escaping (ChildExit) -> Void) -> ChildProcess {
        let child = ChildProcess(completion: completion)
        let isAccepted = offload {
            command.start()
        } completion: { [self] outcome in
            switch outcome {
            case .success(let processID): childStarted(child, processID)
            case .failure(let error): child.end(.notStarted(errno: error.code))
            }
        }
        if !isAccepted { addTimer(at: now) { child.end(.notStarted(errno: EAGAIN)) } }
        return child
    }

    private func childStarted(_ child: ChildProcess, _ processID: Int32) {
        child.processID = processID
        if let signal = child.pendingSignal { kill(processID, signal) }
        let descriptor = yoke_pidfd_open(processID)
        guard descriptor >= 0 else {
            waitOnWorker(child, processID)
            return
        }
        let exitHandler = ChildExitHandler(child: child, processID: processID, reactor: self)
        do throws(SystemError) {
            child.watch = try watch(descriptor: descriptor, handler: exitHandler)
        } catch {
            Glibc.close(descriptor)
            waitOnWorker(child, processID)
        }
    }

    /// Before Linux 5.3 a worker thread waits; that blocks it as long as the child runs.
    private func waitOnWorker(_ child: ChildProcess, _ processID: Int32) {
        let isAccepted = offload {
            ChildExit.wait(for: processID, options: 0) ?? .exited(status: -1)
        } completion: { exit in
            child.end(exit)
        }
        if !isAccepted { child.end(.exited(status: -1)) }
    }
}

/// Reaps a child when its pidfd becomes readable.
private final class ChildExitHandler: DescriptorHandler {
    private let child: ChildProcess
    private let processID: Int32
    private unowned let reactor: Reactor

    init(child: ChildProcess, processID: Int32, reactor: Reactor) {
        self.child = child
        self.processID = processID
        self.reactor = reactor
    }

    func descriptorReadable(_ watch: DescriptorWatch) {
        watch.exhausted()
        guard let exit = ChildExit.wait(for: processID, options: WNOHANG) else { return }
        let descriptor = watch.fileDescriptor
        reactor.unwatch(watch)
        close(descriptor)
        child.watch = nil
        child.end(exit)
    }
}

extension ChildExit {
    /// Nil while the process runs.
    fileprivate static func wait(for processID: Int32, options: Int32) -> ChildExit? {
        var status: Int32 = 0
        let reaped = retryingInterrupted { Int(waitpid(processID, &status, options)) }
        if reaped == 0 { return nil }
        // Somebody else reaped it; its status is lost.
        guard reaped == Int(processID) else { return .exited(status: -1) }
        if yoke_did_exit(status) != 0 { return .exited(status: yoke_exit_status(status)) }
        return .killed(signal: yoke_termination_signal(status))
    }
}

extension ChildCommand {
    fileprivate func start() -> Result<Int32, SystemError> {
        var processID: pid_t = 0
        let code = Self.withCStrings(arguments) { argumentPointers in
            Self.withCStrings(environment) { environmentPointers in
                yoke_spawn(&processID, arguments[0], argumentPointers, environmentPointers, workingDirectory)
            }
        }
        return code == 0
            ? .success(processID) : .failure(SystemError(operation: "spawn \(arguments[0])", code: code))
    }

    /// Calls `body` with a null-terminated array of C strings.
    private static func withCStrings(
        _ strings: [String], _ body: (UnsafePointer<UnsafeMutablePointer<CChar>?>) -> Int32
    ) -> Int32 {
        var pointers: [UnsafeMutablePointer<CChar>?] = strings.map { strdup($0) }
        pointers.append(nil)
        defer { for pointer in pointers { free(pointer) } }
        return pointers.withUnsafeBufferPointer { buffer in
            buffer.baseAddress.map { body($0) } ?? EINVAL
        }
    }
}
