import Configuration
import Glibc
import Testing

/// The real 8.4 program as judge, where it is installed (drbd-utils).
enum ClassicProgram {
    static let path = "/lib/drbd/drbdadm-84"
    static let isInstalled = access(path, X_OK) == 0

    struct Outcome: Equatable {
        var output: String
        var exitCode: Int32
    }

    /// Runs it as node `alpha` on a file with this text; FILE in the arguments stands for the file.
    ///
    /// With `errors`, the output is standard error instead of standard output.
    static func run(_ text: String, _ arguments: String, errors: Bool = false) throws -> Outcome {
        var template = Array("/tmp/yoke-judge-XXXXXX".utf8CString)
        let directory = try #require(mkdtemp(&template).map { String(cString: $0) })
        defer {
            unlink("\(directory)/t.conf")
            rmdir(directory)
        }
        let file = try #require(fopen("\(directory)/t.conf", "w"))
        fputs(text, file)
        fclose(file)
        let redirection = errors ? "2>&1 >/dev/null" : "2>/dev/null"
        let command = "cd \(directory) && __DRBD_NODE__=alpha \(path) -c t.conf \(arguments) \(redirection)"
        let (text, status) = try output(of: command)
        return Outcome(output: text.replacing("\(directory)/", with: "/tmp/"), exitCode: (status >> 8) & 0xff)
    }

    /// What a shell command prints.
    static func shell(_ command: String) throws -> String { try output(of: command).0 }

    private static func output(of command: String) throws -> (String, Int32) {
        let pipe = try #require(popen(command, "r"))
        var bytes: [UInt8] = []
        var piece = [UInt8](repeating: 0, count: 4096)
        while true {
            let count = fread(&piece, 1, piece.count, pipe)
            if count == 0 { break }
            bytes += piece[..<count]
        }
        return (String(decoding: bytes, as: UTF8.self), pclose(pipe))
    }
}
