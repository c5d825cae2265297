import Glibc

/// A program of this machine that tests make or check volumes with.
enum Tool {
    struct Outcome {
        /// Exit status, or 256 + signal.
        var status: Int32
        /// Standard output and standard error together.
        var text: String
    }

    /// Whether the reference tools of the format are installed; tests that need them are skipped otherwise.
    static let hasVolumeTools = exists("mkfs.ocfs2") && exists("fsck.ocfs2") && exists("debugfs.ocfs2")

    static func exists(_ name: String) -> Bool { path(name) != nil }

    private static func path(_ name: String) -> String? {
        ["/usr/bin/", "/usr/sbin/", "/bin/", "/sbin/"].map { $0 + name }.first { access($0, X_OK) == 0 }
    }

    /// Runs a program to its end; `timeout` ends it when it hangs.
    static func run(_ name: String, _ arguments: [String], seconds: Int = 60) -> Outcome {
        guard let program = path(name), let timeout = path("timeout") else {
            return Outcome(status: -1, text: "\(name) is not installed")
        }
        var pipe: [Int32] = [-1, -1]
        guard Glibc.pipe(&pipe) == 0 else { return Outcome(status: -1, text: "pipe: errno \(errno)") }
        for descriptor in pipe { _ = fcntl(descriptor, F_SETFD, FD_CLOEXEC) }
        defer { close(pipe[0]) }
        var actions = posix_spawn_file_actions_t()
        posix_spawn_file_actions_init(&actions)
        posix_spawn_file_actions_addopen(&actions, 0, "/dev/null", O_RDONLY, 0)
        posix_spawn_file_actions_adddup2(&actions, pipe[1], 1)
        posix_spawn_file_actions_adddup2(&actions, pipe[1], 2)
        defer { posix_spawn_file_actions_destroy(&actions) }
        let words = [timeout, "--kill-after=5", "\(seconds)", program] + arguments
        var argv: [UnsafeMutablePointer<CChar>?] = words.map { strdup($0) }
        argv.append(nil)
        defer { for word in argv { free(word) } }
        var pid: pid_t = 0
        let error = posix_spawn(&pid, timeout, &actions, nil, argv, environ)
        close(pipe[1])
        guard error == 0 else { return Outcome(status: -1, text: "posix_spawn: errno \(error)") }
        let output = readAll(pipe[0])
        var status: Int32 = 0
        while waitpid(pid, &status, 0) < 0 && errno == EINTR {}
        let code = status & 0x7f == 0 ? (status >> 8) & 0xff : 256 + (status & 0x7f)
        return Outcome(status: code, text: String(decoding: output, as: UTF8.self))
    }

    private static func readAll(_ descriptor: Int32) -> [UInt8] {
        var output: [UInt8] = []
        var chunk = [UInt8](repeating: 0, count: 65536)
        while true {
            let count = read(descriptor, &chunk, chunk.count)
            if count < 0 && errno == EINTR { continue }
            guard count > 0 else { return output }
            output += chunk[..<count]
        }
    }
}
