internal import Glibc

/// A process of this program that runs histories and tells about them through a pipe.
package struct WorkerProcess {
    package let lane: Int
    /// Histories of its lane that are done, by it or by those before it.
    package var done: Int
    /// Seed of the history that it is in.
    package var present: UInt64?
    /// When that began, in seconds.
    package var presentSince = 0.0
    /// A history that takes longer than so many seconds does not end by itself.
    package static let historyTimeMax = 60.0
    /// Where its lines come from.
    package let output: Int32

    private let errors: Int32
    private let process: pid_t
    private var buffer: [UInt8] = []

    package init?(name: String, lane: Int, done: Int, arguments: [String]) {
        self.lane = lane
        self.done = done
        var outputPipe: [Int32] = [0, 0]
        var errorPipe: [Int32] = [0, 0]
        guard pipe(&outputPipe) == 0, pipe(&errorPipe) == 0 else { return nil }
        for end in [outputPipe[0], errorPipe[0]] { _ = fcntl(end, F_SETFD, FD_CLOEXEC) }
        // What a trap says fits in a pipe; it must never block the worker.
        _ = fcntl(errorPipe[1], F_SETFL, O_NONBLOCK)
        var actions = posix_spawn_file_actions_t()
        posix_spawn_file_actions_init(&actions)
        defer { posix_spawn_file_actions_destroy(&actions) }
        posix_spawn_file_actions_adddup2(&actions, outputPipe[1], 1)
        posix_spawn_file_actions_adddup2(&actions, errorPipe[1], 2)
        posix_spawn_file_actions_addclose(&actions, outputPipe[1])
        posix_spawn_file_actions_addclose(&actions, errorPipe[1])
        var words: [UnsafeMutablePointer<CChar>?] = ([name] + arguments).map { strdup($0) } + [nil]
        defer { for word in words { free(word) } }
        var child: pid_t = 0
        // A trap prints its message at once and nothing else: the backtrace of the runtime takes seconds.
        setenv("SWIFT_BACKTRACE", "enable=no", 1)
        let status = posix_spawn(&child, "/proc/self/exe", &actions, nil, &words, environ)
        close(outputPipe[1])
        close(errorPipe[1])
        guard status == 0 else {
            close(outputPipe[0])
            close(errorPipe[0])
            return nil
        }
        process = child
        output = outputPipe[0]
        errors = errorPipe[0]
    }

    /// Reads what is there; false at the end.
    package mutating func readMore() -> Bool {
        var chunk = [UInt8](repeating: 0, count: 1 << 16)
        let count = read(output, &chunk, chunk.count)
        guard count > 0 else { return false }
        buffer.append(contentsOf: chunk[0..<count])
        return true
    }

    package mutating func nextLine() -> String? {
        guard let end = buffer.firstIndex(of: UInt8(ascii: "\n")) else { return nil }
        let line = String(decoding: buffer[0..<end], as: UTF8.self)
        buffer.removeSubrange(0...end)
        return line
    }

    /// Whether its history has taken too long.
    package func isOverdue(now: Double) -> Bool {
        present != nil && now - presentSince > Self.historyTimeMax
    }

    /// Ends it in the middle of its history; its pipe ends with it.
    package func end() {
        kill(process, SIGKILL)
    }

    /// Waits for its end; says how it came.
    package func wait() -> String {
        var status: Int32 = 0
        waitpid(process, &status, 0)
        let signal = status & 0x7f
        return signal == 0 ? "exit status \(status >> 8 & 0xff)" : "signal \(signal)"
    }

    /// What it wrote to its standard error.
    package func lastWords() -> String {
        var chunk = [UInt8](repeating: 0, count: 4096)
        let count = read(errors, &chunk, chunk.count)
        close(errors)
        close(output)
        guard count > 0 else { return "no message" }
        let text = String(decoding: chunk[0..<count], as: UTF8.self)
        return text.split(separator: "\n").prefix(3).joined(separator: " | ")
    }

    package func stop() {
        kill(process, SIGKILL)
        _ = wait()
        close(output)
        close(errors)
    }
}
