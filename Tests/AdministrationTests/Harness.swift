import Administration
import Configuration

/// Facts of a machine on which nothing runs, unless told otherwise.
final class FakeFacts: AdministrationFacts {
    var shown: [String: String] = [:]
    var rooted: [String: String] = [:]

    func runningConfiguration(of resource: String) async -> String? { shown[resource] }
    func resolvedPath(_ path: String) -> String { rooted[path] ?? path }
    func randomDeviceUUID() -> UInt64 { 0x00c0_ffee_0000_0001 }
}

/// Notes every call and answers with what was set for it.
final class FakeRunner: ToolRunner {
    var calls: [ToolCall] = []
    var pauses = 0
    /// Results by the beginning of the line; the longest that fits counts.
    var results: [String: ToolResult] = [:]

    func run(_ call: ToolCall) async -> ToolResult {
        calls.append(call)
        let text = Self.text(call)
        let best = results.keys.filter { text.hasPrefix($0) }.max { $0.utf8.count < $1.utf8.count }
        return best.flatMap { results[$0] } ?? .exited(0)
    }

    func pause() async { pauses += 1 }

    static func text(_ call: ToolCall) -> String {
        let words = call.arguments.joined(separator: " ")
        return switch call.tool {
        case .drbdsetup: "setup \(words)"
        case .drbdmeta: "meta \(words)"
        case .shell: "sh \(words)"
        }
    }

    var lines: [String] { calls.map(Self.text) }
}

final class FakeOutput: AdministrationOutput {
    var output = ""
    var errors = ""

    func standardOutput(_ text: String) { output += text }
    func standardError(_ text: String) { errors += text }
}

/// One run of drbdadm on a configuration in memory.
struct Run {
    var facts = FakeFacts()
    var runner = FakeRunner()
    var printed = FakeOutput()
    var status: Int32 = -1

    var output: String { printed.output }
    var errors: String { printed.errors }
    var outputLines: [String] { output.split(separator: "\n").map(String.init) }

    init(
        _ commandLine: String, on text: String, node: String = "alpha", facts: FakeFacts = FakeFacts(),
        results: [String: ToolResult] = [:], addresses: [String] = ["127.0.0.1"], files: [String: String] = [:]
    ) async {
        self.facts = facts
        runner.results = results
        let context = AdministrationContext(
            program: ProgramIdentity(version: "1.0"),
            source: MemoryConfigurationSource(files: files.merging(["/etc/drbd.conf": text]) { first, _ in first }),
            identity: { override, _ in HostIdentity(nodeName: override ?? node, addressTexts: addresses) },
            facts: facts, runner: runner, output: printed)
        status = await AdministrationProgram.run(commandLine.split(separator: " ").map(String.init), context)
    }
}

enum Example {
    /// drbd-config-and-tools 6.4, with the resource that `after` names.
    static let old = """
        global { usage-count no; disable-ip-verification; minor-count 64; dialog-refresh 1; }
        common { protocol C; syncer { rate 10M; al-extents 257; verify-alg sha1; csums-alg md5; cpu-mask 3; use-rle; }
          startup { degr-wfc-timeout 120; }
          handlers { outdate-peer "/usr/lib/drbd/outdate-peer.sh on alpha 1.2.3.4 192.168.22.11 beta";
                     split-brain "mail -s \\"SB\\" root"; } }
        resource web {
          startup { become-primary-on both; wfc-timeout 30; }
          disk { on-io-error detach; fencing resource-only; no-disk-barrier; no-disk-flushes; size 10G; }
          net { allow-two-primaries; cram-hmac-alg sha1; shared-secret "FooFunFactory";
                after-sb-0pri discard-zero-changes; after-sb-1pri discard-secondary; after-sb-2pri disconnect;
                sndbuf-size 512k; no-tcp-cork; max-buffers 8000; }
          syncer { rate 30M; after db; }
          on alpha { device /dev/drbd1; disk /dev/sda7; address 10.0.0.1:7789; meta-disk internal; }
          on beta  { device /dev/drbd1; disk /dev/sda7; address 10.0.0.2:7789; flexible-meta-disk /dev/sdb1; }
        }
        resource db { device minor 0; disk /dev/vg/db; meta-disk /dev/sdc1[3];
          on alpha { address ipv6 [fd00::1]:7790; }
          on beta { address ipv6 [fd00::2]:7790; } }
        """

    /// Two resources, the second with two volumes.
    static let two = """
        global { disable-ip-verification; }
        resource web { net { allow-two-primaries; } startup { wfc-timeout 10; become-primary-on both; }
          handlers { split-brain "env; exit 3"; before-resync-target "exit 5"; fence-peer "fence"; }
          on alpha { device /dev/drbd1; disk /dev/sda7; address 10.0.0.1:7789; meta-disk internal; }
          on beta { device /dev/drbd1; disk /dev/sda7; address 10.0.0.2:7789; meta-disk internal; } }
        resource db { net { cram-hmac-alg sha1; shared-secret xx; } handlers { split-brain "x"; fence-peer "y"; }
          volume 0 { device /dev/drbd2; disk /dev/sda8; meta-disk internal; }
          volume 1 { device /dev/drbd_data minor 3; disk /dev/sda9; meta-disk /dev/sdz; }
          on alpha { address 10.0.0.1:7790; }
          on beta { address 10.0.0.2:7790; } }
        """
}
