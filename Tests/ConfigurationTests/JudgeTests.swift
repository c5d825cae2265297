import Configuration
import Testing

/// Comparison with the real 8.4 program, where drbd-utils is installed.
@Suite(
    .enabled(if: ClassicProgram.isInstalled, "needs /lib/drbd/drbdadm-84 (package drbd-utils)"))
struct JudgeTests {
    private static let head = "global { disable-ip-verification; }\n"

    static let good: [String] = [
        DumpTests.old,
        head + resource(""),
        head + Howto.fedora,
        head + EquivalenceTests.eight3,
        head + EquivalenceTests.eight4,
        "common { net { } disk { } startup { } }\n" + head,
        "global { udev-always-use-vnr; minor-count 5; dialog-refresh 5; cmd-timeout-short 7; cmd-timeout-medium 121; "
            + "cmd-timeout-long 600; usage-count ask; disable-ip-verification; }\n" + resource("net { }"),
        "global { dialog-refresh 1; cmd-timeout-short 5; cmd-timeout-medium 120; usage-count yes; }",
        head
            + """
            resource v {
              volume 1 { device /dev/drbd_data minor 11; disk /dev/vg/b; meta-disk /dev/vg/md; }
              on alpha { volume 0 { device drbd10; disk /dev/vg/a; meta-disk internal; disk { on-io-error detach; } }
                         address 10.0.0.1:7001; options { cpu-mask 3; } }
              on beta { volume 0 { device /dev/drbd10; disk /dev/vg/a; meta-disk internal; } address 10.0.0.2:7001; }
            }
            """,
        head
            + """
            resource "a b" { device /dev/drbd5; disk "/dev/my disk"; meta-disk /dev/x [ 3 ];
              floating 10.0.0.1:7002; floating ipv6 [fd00::1]:7002 { device /dev/drbd6; disk { al-extents 300; } } }
            resource c { options { on-no-data-accessible suspend-io; }
              on "gamma" { device minor 7; disk /dev/c; meta-disk internal; address ssocks 10.0.0.3:1;
                           alternate-link-address 1.2.3.4:5; }
              net { shared-secret on; cram-hmac-alg "sha1"; data-integrity-alg ""; sndbuf-size 0; protocol b; }
              startup { become-primary-on gamma delta; wait-after-sb; outdated-wfc-timeout 5; }
              handlers { split-brain "a \\"b\\" \\\\ $x;"; } proxy { memlimit 100M; } }
            skip "old" { resource c { } "}" }
            """,
    ]

    @Test("dump is, byte for byte, what the 8.4 program prints", arguments: good)
    func dump(_ text: String) throws {
        let classic = try ClassicProgram.run(text, "dump")
        let loaded = load(text)
        #expect(classic.exitCode == 0)
        #expect(loaded.errors == [])
        #expect(loaded.dump == classic.output)
    }

    /// What the 8.4 program does not notice while it parses, or where ours says more on purpose.
    static let ownOnly: Set<String> = [
        // Ours goes on and needs no second complaint; the classic one has further or repeated lines.
        "port", "no device", "device name", "mixed volumes", "host section in common", "control character",
        // The program of this version prints the whole line in front of the marker.
        "quote not closed",
        // Accepted by the classic program without a word.
        "volumes differ",
    ]

    @Test(
        "an error begins with the words of the 8.4 program and has its exit status",
        arguments: ErrorTextTests.rows.filter { !ownOnly.contains($0.name) })
    func errors(_ row: ErrorTextTests.Row) throws {
        let classic = try ClassicProgram.run(row.text, "sh-nop", errors: true)
        let lines = classic.output.split(separator: "\n", omittingEmptySubsequences: true).map(String.init)
            .filter { !$0.contains("__DRBD_NODE__") && !$0.contains("PRETENDING") }
        // "(TK 260)" is an internal number of the classic program.
        let plain = lines.map { line in
            line.hasPrefix("\tbut got") ? String(line.prefix(upTo: line.firstTokenNumber)) : line
        }
        #expect(plain.joined(separator: "\n") == row.lines)
        #expect(classic.exitCode == row.exitCode)
    }
}

extension String {
    /// The index of ` (TK `, or the end.
    fileprivate var firstTokenNumber: Index {
        var index = startIndex
        while index < endIndex {
            if self[index...].hasPrefix(" (TK ") { return index }
            index = self.index(after: index)
        }
        return endIndex
    }
}
