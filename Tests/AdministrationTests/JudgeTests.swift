import Administration
import Glibc
import Testing

/// The real 8.4 program as judge, where it is installed (drbd-utils).
private enum ClassicProgram {
    static let path = "/lib/drbd/drbdadm-84"
    static let isInstalled = access(path, X_OK) == 0

    /// Its standard output and exit status on a file with this text, as node `alpha`.
    static func run(_ text: String, _ arguments: String) throws -> (output: String, status: Int32) {
        var template = Array("/tmp/yoke-judge-XXXXXX".utf8CString)
        let directory = try #require(mkdtemp(&template).map { String(cString: $0) })
        defer {
            unlink("\(directory)/t.conf")
            rmdir(directory)
        }
        let file = try #require(fopen("\(directory)/t.conf", "w"))
        fputs(text, file)
        fclose(file)
        let command =
            "cd \(directory) && __DRBD_NODE__=alpha \(path) -c t.conf \(arguments) "
            + "2>/dev/null </dev/null"
        let pipe = try #require(popen(command, "r"))
        var bytes: [UInt8] = []
        var piece = [UInt8](repeating: 0, count: 4096)
        while true {
            let count = fread(&piece, 1, piece.count, pipe)
            if count == 0 { break }
            bytes += piece[..<count]
        }
        let status = pclose(pipe)
        return (String(decoding: bytes, as: UTF8.self), (status >> 8) & 0xff)
    }
}

@Suite(.enabled(if: ClassicProgram.isInstalled, "needs /lib/drbd/drbdadm-84 (package drbd-utils)"))
struct JudgeTests {
    static let commands = [
        "attach", "status", "disk-options", "detach", "connect", "net-options", "disconnect", "up", "resource-options",
        "down", "primary", "secondary", "invalidate", "invalidate-remote", "outdate", "resize", "pause-sync",
        "resume-sync", "wait-connect", "role", "cstate", "dstate", "create-md", "show-gi", "get-gi",
        "dump-md", "wipe-md", "apply-al", "sh-resource", "sh-dev", "sh-minor", "sh-ll-dev", "sh-md-dev",
        "sh-md-idx", "sh-ip", "sh-lr-of", "sh-b-pri", "new-resource", "split-brain", "fence-peer", "sh-new-minor",
        "new-minor", "suspend-io", "resume-io", "set-gi", "new-current-uuid", "check-resize", "verify", "syncer",
    ]

    static let others = [
        "sh-resources", "sh-nop", "sh-mod-parms", "primary db/1", "primary minor-3", "primary web db/0",
        "connect db/1", "connect web/0", "up db/1", "primary nonex", "primary web nonex", "hidden-commands",
        "-- --force primary web", "primary --force web", "primary db --force", "-W--force primary web",
        "-- --discard-my-data up all", "-- --discard-my-data connect web", "connect --timeout 5 web",
        "connect --timeout=5 web", "-- --force create-md all", "disconnect --force web", "detach --force db",
        "-- --size=5G resize all", "foo", "primary --x web", "-S primary all", "before-resync-target web",
        "split-brain minor-3", "fence-peer db/1", "sh-udev web", "sh-udev db", "sh-udev db/1", "sh-udev minor-2",
    ]

    @Test("-d lists, line by line, what the 8.4 program would run", arguments: commands)
    func everyCommand(_ command: String) async throws {
        for text in [Example.old, Example.two] {
            for target in ["all", "web", "db"] { try await compare("-d \(command) \(target)", on: text) }
        }
    }

    @Test("other command lines give the same lines and the same status", arguments: others)
    func otherLines(_ line: String) async throws {
        try await compare("-d \(line)", on: Example.two)
    }

    private func compare(_ line: String, on text: String) async throws {
        let classic = try ClassicProgram.run(text, line)
        // It names drbdsetup by the place where it found it.
        let ours = await Run("-s /lib/drbd/drbdsetup-84 \(line)", on: text)
        #expect(ours.output == classic.output, "\(line)")
        #expect(ours.status == classic.status, "\(line)")
    }
}
