import Configuration
import DRBDLayout
import Testing

@testable import YokeDaemon

/// Spec: drbd-config-and-tools 11.
@Suite struct SetupInvocationTests {
    @Test(
        "both orders of command and device mean the same",
        arguments: [
            ["primary", "0", "--force"], ["0", "primary", "--force"],
            ["/dev/drbd0", "primary", "--overwrite-data-of-peer"],
            ["/dev/drbd0", "primary", "-o"], ["primary", "--force", "0"], ["0", "primary", "-f"],
        ])
    func orders(words: [String]) throws {
        let call = try SetupInvocation(parsing: words)
        #expect(call.command == "primary")
        #expect(call.arguments.count == 1)
        #expect(call.has("force"))
    }

    @Test("options of a section are taken with =, without, as flags and in 8.3's spelling")
    func options() throws {
        let call = try SetupInvocation(parsing: [
            "attach", "0", "/dev/vda", "/dev/vda", "internal", "--resync-rate=10M", "--on-io-error", "pass_on",
            "--no-disk-flushes", "--al-updates=no", "--disk-drain",
        ])
        #expect(call.arguments == ["0", "/dev/vda", "/dev/vda", "internal"])
        let found = call.entries.map { "\($0.name)=\($0.value)" }
        #expect(
            found == [
                "resync-rate=10M", "on-io-error=pass_on", "disk-flushes=no", "al-updates=no", "disk-drain=yes",
            ])
    }

    @Test("the one-letter options of 8.3 are read")
    func classic() throws {
        let call = try SetupInvocation(parsing: [
            "/dev/drbd0", "net", "10.0.0.1:7788", "10.0.0.2:7788", "C", "-m", "-a", "sha1", "-x", "geheim", "-c20",
        ])
        #expect(call.command == "net")
        #expect(call.arguments == ["/dev/drbd0", "10.0.0.1:7788", "10.0.0.2:7788", "C"])
        #expect(call.entries.map(\.name) == ["allow-two-primaries", "cram-hmac-alg", "shared-secret", "connect-int"])
        #expect(call.entries.map(\.value) == ["yes", "sha1", "geheim", "20"])
    }

    @Test(
        "what is wrong is said in the classic words",
        arguments: [
            (["primary", "0", "-x"], "primary: invalid option -- 'x'"),
            (["primary", "0", "--x"], "primary: unrecognized option '--x'"),
            (["primary"], "Missing argument 'minor'"),
            (["primary", "0", "1"], "primary: Excess arguments: '1'"),
            (["frobnicate", "0"], "drbdsetup: Unknown command 'frobnicate'"),
            (["disk-options", "0", "--on-io-error=foo"], "Option --on-io-error: invalid argument 'foo'"),
            (["disk-options", "0", "--resync-rate=abc"], "abc is not a valid number"),
            (["net-options", "a", "b", "--timeout=9999"], "timeout 9999 => 9999 out of range [1..600]."),
            (["net-options", "a", "b", "--timeout"], "net-options: option '--timeout' requires an argument"),
            ([], "USAGE: drbdsetup command"),
        ])
    func refusals(words: [String], text: String) {
        let refusal = #expect(throws: SetupInvocation.Refusal.self) { try SetupInvocation(parsing: words) }
        #expect(refusal?.text.hasPrefix(text) == true, "\(refusal?.text ?? "nothing")")
    }

    @Test("al-extents outside the range is clamped as the kernel does")
    func clamped() throws {
        let call = try SetupInvocation(parsing: ["disk-options", "0", "--al-extents=7"])
        #expect(call.entries.first?.value == "67")
    }
}

@Suite struct EndpointTextTests {
    @Test(
        "addresses with family, brackets and port",
        arguments: [
            ("ipv4:10.0.0.1:7789", "ipv4 10.0.0.1:7789"), ("10.0.0.1", "ipv4 10.0.0.1:7788"),
            ("ipv6:[fd00::1]:7790", "ipv6 [fd00::1]:7790"), ("[::1]:1", "ipv6 [::1]:1"),
        ])
    func good(text: String, shown: String) {
        #expect(EndpointText(text)?.shown == shown)
    }

    @Test(
        "what is no address is refused",
        arguments: [
            "", ":", "foo", "10.0.0.1:0", "10.0.0.1:99999", "ipv6:10.0.0.1:1", "ssocks:10.0.0.1:7788", "[fd00::1",
            "ipv4:[::1]:1",
        ])
    func bad(text: String) {
        #expect(EndpointText(text) == nil)
    }
}

/// Spec: drbd-config-and-tools 12.3, drbd-disk-and-state 18.
@Suite struct WaitTimesTests {
    @Test("a longer time for a degraded start is lowered, with the classic remark")
    func lowered() {
        let times = WaitTimes(connection: 1, degraded: 0, outdated: 0)
        #expect(times.degraded == 1 && times.outdated == 1)
        #expect(
            times.notices == """
                degr-wfc-timeout has to be shorter than wfc-timeout
                degr-wfc-timeout implicitly set to wfc-timeout (1s)
                outdated-wfc-timeout has to be shorter than degr-wfc-timeout
                outdated-wfc-timeout implicitly set to degr-wfc-timeout (1s)

                """)
        #expect(WaitTimes(connection: 30, degraded: 20, outdated: 10).notices.isEmpty)
        #expect(WaitTimes(connection: 0, degraded: 20, outdated: 20).notices.isEmpty)
    }

    @Test("which time holds depends on the peer's disk and on the last life")
    func limits() {
        let times = WaitTimes(connection: 30, degraded: 20, outdated: 10)
        #expect(times.limit(peerDisk: .outdated, wasDegraded: true) == 10)
        #expect(times.limit(peerDisk: .unknown, wasDegraded: true) == 20)
        #expect(times.limit(peerDisk: .unknown, wasDegraded: false) == 30)
    }
}
