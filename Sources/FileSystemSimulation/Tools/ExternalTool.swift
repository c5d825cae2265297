internal import Glibc

/// A program of this machine that makes or checks volumes: the reference tools of the format.
package enum ExternalTool {
    package struct Outcome: Sendable {
        /// Exit status, 256 + signal, or -1 when it could not be started.
        package var status: Int32
        /// Standard output and standard error together.
        package var text: String
    }

    package static var hasVolumeTools: Bool {
        ["mkfs.ocfs2", "fsck.ocfs2", "timeout"].allSatisfy { path($0) != nil }
    }

    private static func path(_ name: String) -> String? {
        ["/usr/bin/", "/usr/sbin/", "/bin/", "/sbin/"].map { $0 + name }.first { access($0, X_OK) == 0 }
    }

    /// Runs a program to its end, or ends it after `seconds`.
    package static func run(_ name: String, _ arguments: [String], seconds: Int = 60) -> Outcome {
        guard let program = path(name), let timeout = path("timeout") else {
            return Outcome(status: -1, text: "\(name) is not installed")
        }
        var ends: [Int32] = [-1, -1]
        guard pipe(&ends) == 0 else { return Outcome(status: -1, text: "pipe: errno \(errno)") }
        for end in ends { _ = fcntl(end, F_SETFD, FD_CLOEXEC) }
        defer { close(ends[0]) }
        var actions = posix_spawn_file_actions_t()
        posix_spawn_file_actions_init(&actions)
        posix_spawn_file_actions_addopen(&actions, 0, "/dev/null", O_RDONLY, 0)
        posix_spawn_file_actions_adddup2(&actions, ends[1], 1)
        posix_spawn_file_actions_adddup2(&actions, ends[1], 2)
        defer { posix_spawn_file_actions_destroy(&actions) }
        var words = ([timeout, "--kill-after=5", "\(seconds)", program] + arguments).map { strdup($0) }
        words.append(nil)
        defer { for word in words { free(word) } }
        var pid: pid_t = 0
        let error = posix_spawn(&pid, timeout, &actions, nil, words, environ)
        close(ends[1])
        guard error == 0 else { return Outcome(status: -1, text: "posix_spawn: errno \(error)") }
        var output: [UInt8] = []
        var chunk = [UInt8](repeating: 0, count: 65536)
        while true {
            let count = read(ends[0], &chunk, chunk.count)
            if count < 0, errno == EINTR { continue }
            guard count > 0 else { break }
            output += chunk[..<count]
        }
        var status: Int32 = 0
        while waitpid(pid, &status, 0) < 0, errno == EINTR {}
        let code = status & 0x7f == 0 ? (status >> 8) & 0xff : 256 + (status & 0x7f)
        return Outcome(status: code, text: String(decoding: output, as: UTF8.self))
    }
}
