import Administration
import Configuration
import Glibc
import Testing

/// A daemon that serves a cluster, in memory.
final class FakeClusterService: ClusterService {
    /// Nil: no daemon answers.
    var current: ClusterServiceState? = ClusterServiceState()
    var refusal: String?
    private(set) var calls: [String] = []

    func register(_ cluster: String, file: String) -> ClusterServiceAnswer {
        calls.append("register \(cluster)")
        guard current != nil else { return .unreachable("yoked does not run\n") }
        if let refusal { return .refused(refusal) }
        current?.cluster = cluster
        current?.ownNode = 0
        return .done
    }

    func unregister(_ cluster: String) -> ClusterServiceAnswer {
        calls.append("unregister \(cluster)")
        current = ClusterServiceState()
        return .done
    }

    func state() -> ClusterServiceState? { current }
}

/// What a run printed and left.
struct ClusterOutcome: Equatable {
    var output = ""
    var errors = ""
    var status: Int32 = 0
}

/// A root of its own with the files of `o2cb`.
final class ClusterHost: AdministrationOutput {
    let root: String
    let service = FakeClusterService()
    /// What is typed, line by line.
    var input: [String] = []
    private(set) var outcome = ClusterOutcome()

    init(file: String? = nil, settings: String? = nil) throws {
        var template = Array("/tmp/yoke-cluster-XXXXXX".utf8CString)
        root = try #require(mkdtemp(&template).map { String(cString: $0) })
        mkdir(root + "/etc", 0o755)
        if let file { try AtomicFile.replace(path, with: file) }
        if let settings { try AtomicFile.replace(settingsPath, with: settings) }
    }

    deinit { _ = Self.shell("rm -r '\(root)'") }

    var path: String { root + "/etc/ocfs2/cluster.conf" }
    var settingsPath: String { root + "/etc/default/o2cb" }
    var file: String { Self.contents(path) }
    var settings: String { Self.contents(settingsPath) }

    static func contents(_ path: String) -> String {
        (try? FileConfigurationSource().read(path)).map { String(decoding: $0, as: UTF8.self) } ?? ""
    }

    func standardOutput(_ text: String) { outcome.output += text }
    func standardError(_ text: String) { outcome.errors += text }

    @discardableResult
    func run(_ words: [String]) -> ClusterOutcome {
        outcome = ClusterOutcome()
        outcome.status = ClusterProgram.run(
            words,
            ClusterProgramContext(
                root: root, source: FileConfigurationSource(), hostName: "hbA", service: service, output: self,
                resolve: { $0 == "localhost" ? .address("127.0.0.1") : .failed("Name or service not known") },
                isBlockDevice: { $0.hasPrefix("/dev/sd") },
                readLine: { self.input.isEmpty ? nil : self.input.removeFirst() }))
        return outcome
    }

    @discardableResult
    func run(_ line: String) -> ClusterOutcome { run(line.split(separator: " ").map(String.init)) }

    static func shell(_ command: String) -> (output: String, status: Int32) {
        guard let pipe = popen(command, "r") else { return ("", -1) }
        var bytes: [UInt8] = []
        var piece = [UInt8](repeating: 0, count: 4096)
        while case let count = fread(&piece, 1, piece.count, pipe), count > 0 { bytes += piece[..<count] }
        return (String(decoding: bytes, as: UTF8.self), (pclose(pipe) >> 8) & 0xff)
    }
}

/// The real `o2cb` of ocfs2-tools, where it is installed.
struct RealClusterProgram {
    static let path = "/usr/sbin/o2cb"
    static let isInstalled = access(path, X_OK) == 0

    let file: String

    func run(_ words: [String]) -> ClusterOutcome {
        let quoted = words.map { "'" + $0.replacing("'", with: "'\\''") + "'" }.joined(separator: " ")
        let errors = file + ".err"
        defer { unlink(errors) }
        // By its short name, as getopt prints it.
        let command = "PATH=/usr/sbin:$PATH; o2cb --config-file='\(file)' \(quoted) 2>'\(errors)'"
        let (output, status) = ClusterHost.shell(command)
        return ClusterOutcome(output: output, errors: ClusterHost.contents(errors), status: status)
    }
}
