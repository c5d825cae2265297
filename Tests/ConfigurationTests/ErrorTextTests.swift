import Configuration
import Testing

/// Every row of drbd-config-and-tools 9: the first lines are the classic ones, and the exact place is known.
@Suite struct ErrorTextTests {
    struct Row: Sendable, CustomTestStringConvertible {
        var name: String
        var text: String
        /// The classic lines, joined by newlines; FILE is `t.conf`.
        var lines: String
        var column: Int?
        var exitCode: Int32 = 10
        var testDescription: String { name }

        init(_ name: String, _ text: String, _ lines: String, column: Int? = nil, exitCode: Int32 = 10) {
            self.name = name
            self.text = text
            self.lines = lines
            self.column = column
            self.exitCode = exitCode
        }
    }

    static let resourceItems =
        "protocol | on | disk | net | syncer | startup | handlers | ignore-on | stacked-on-top-of"
    static let hostItems = "disk | device | address | meta-disk | flexible-meta-disk"

    static let rows: [Row] = [
        Row(
            "missing ;", "resource a { protocol C\n on alpha { }\n}",
            "t.conf:2: Parse error: ';' expected,\n\tbut got 'on'", column: 2),
        Row(
            "unknown item in resource", "resource a { foo; }",
            "t.conf:1: Parse error: '\(resourceItems)' expected,\n\tbut got 'foo'", column: 14),
        Row(
            "unknown option", "resource a { net { foo; } }",
            "t.conf:1: Parse error: 'an option keyword' expected,\n\tbut got 'foo'", column: 20),
        Row(
            "end of file in a section", "resource a { net { timeout 60;\n",
            "t.conf:2: Parse error: 'an option' expected,\n\tbut got ''"),
        Row(
            "unknown top level", "foo",
            "t.conf:1: Parse error: 'global | common | resource | skip | include' expected,\n\tbut got 'foo'", column: 1
        ),
        Row(
            "host item", "resource a { on alpha { foo; } }",
            "t.conf:1: Parse error: '\(hostItems)' expected,\n\tbut got 'foo'", column: 25),
        Row(
            "syncer", "resource a { syncer { foo 1; } }",
            "t.conf:1: Parse error: 'a syncer option keyword' expected,\n\tbut got 'foo'"),
        Row(
            "address", "resource a { on alpha { address foo; } }",
            "t.conf:1: Parse error: 'ssocks | sdp | ipv4 | ipv6 | <ipv4 address> ' expected,\n\tbut got 'foo'",
            column: 33),
        Row(
            "out of range", "resource a { net { timeout 700; } }",
            "t.conf:1: timeout 700 => 700 out of range [1..600].", column: 28),
        Row(
            "with unit", "resource a { disk { resync-rate 9999G; } }",
            "t.conf:1: resync-rate 9999G => 10484711424k out of range [1..4194304]k."),
        Row(
            "with unit, in syncer", "resource a { syncer { rate 9999G; } }",
            "t.conf:1: resync-rate 9999G => 10484711424k out of range [1..4194304]k."),
        Row(
            "port", "resource a { on alpha { address 10.0.0.1:99999; } }",
            "t.conf:1: port 99999 => 99999 out of range [1..65535].", column: 42),
        Row(
            "minor-count", "global { minor-count 999; }",
            "t.conf:1: minor-count 999 => 999 out of range [1..255]."),
        Row(
            "not a number", "resource a { net { timeout abc; } }", "abc is not a valid number", column: 28, exitCode: 20
        ),
        Row(
            "protocol", "resource a { protocol D; }", "unknown protocol 'D', should be one of A,B,C", column: 23),
        Row(
            "protocol in net", "resource a { net { protocol D; } }",
            "unknown protocol 'D', should be one of A,B,C"),
        Row(
            "twice the same section", "resource a { net { } net { } \(twoHosts) }",
            "t.conf:1: conflicting use of net section 'a:net' ...\nt.conf:1: net section 'a:net' first used here."),
        Row(
            "resource twice", "resource a { \(twoHosts) }\nresource a { }",
            "t.conf:3: conflicting use of resource section 'a' ...\nt.conf:1: resource section 'a' first used here."),
        Row(
            "common twice", "common { } common { }",
            "t.conf:1: conflicting use of resource section 'common' ...\n"
                + "t.conf:1: resource section 'common' first used here."),
        Row(
            "minor twice",
            """
            resource a { on alpha { device /dev/drbd1; disk /dev/s1; address 10.0.0.1:7789; meta-disk internal; } }
            resource b { on alpha { device /dev/drbd1; disk /dev/s2; address 10.0.0.1:7790; meta-disk internal; } }
            """,
            "t.conf:2: conflicting use of device-minor 'device-minor:alpha:1' ...\n"
                + "t.conf:1: device-minor 'device-minor:alpha:1' first used here."),
        Row(
            "IP twice",
            """
            resource a { on alpha { device /dev/drbd1; disk /dev/s1; address 10.0.0.1:7789; meta-disk internal; } }
            resource b { on alpha { device /dev/drbd2; disk /dev/s2; address 10.0.0.1:7789; meta-disk internal; } }
            """,
            "t.conf:2: conflicting use of IP '10.0.0.1:7789' ...\nt.conf:1: IP '10.0.0.1:7789' first used here."),
        Row(
            "no address", "resource a { on alpha { device /dev/drbd1; disk /dev/sda; meta-disk internal; } }",
            "t.conf:1: in resource a, on alpha { ... }: 'address' keyword missing."),
        Row(
            "no device", "resource a { on alpha { disk /dev/sda; meta-disk internal; address 10.0.0.1:1; } }",
            "t.conf:1: in resource a, on alpha { ... }: 'device' keyword missing."),
        Row(
            "device name",
            "resource a { on alpha { device /dev/foo; disk /dev/sda; meta-disk internal; address 10.0.0.1:1; } }",
            "t.conf:1: device name must start with /dev/drbd\n\t(/dev/ is optional, but drbd is required)"),
        Row(
            "no minor",
            "resource a { on alpha { device /dev/drbd_x; disk /dev/sda; meta-disk internal; address 10.0.0.1:1; } }",
            "t.conf:1: no minor given nor device name contains a minor number"),
        Row(
            "minor mismatch",
            "resource a { on alpha { device drbd1 minor 2; disk /dev/sda; meta-disk internal; address 10.0.0.1:1; } }",
            """
            t.conf:1: explicit minor number must match with device name
            \tTry "device /dev/drbd2 minor 2;",
            \tor leave off either device name or explicit minor.
            \tArbitrary device names must start with /dev/drbd_
            \tmind the '_'! (/dev/ is optional, but drbd_ is required)
            """),
        Row(
            "quote not closed", "resource a { net { shared-secret \"foo; } }\n",
            "t.conf:1: Unterminated double quoted string\n  we don't allow embedded newlines\n"
                + "  >>>\"foo; } }...<<<", column: 34),
        Row(
            "token too long", "resource \(String(repeating: "a", count: 129)) { }",
            "t.conf:1: Token too long >>>aaaaaaaaaaaaaaaaaaaa...<<<", column: 10),
        Row(
            "host section in common",
            "common { on alpha { device drbd1; disk /dev/s; meta-disk internal; address 10.0.0.1:1; } }",
            "t.conf:1: in the common section, there are no host sections allowed."),
        Row(
            "mixed volumes",
            """
            resource a {
              on alpha { device /dev/drbd1; volume 0 { disk /dev/sda; } meta-disk internal; address 10.0.0.1:7789; } }
            """,
            "t.conf:2: mixing explicit and implicit volumes is not allowed\n"
                + "t.conf:1: in resource a: you must not mix implicit and explicit volumes"),
        Row("include missing", "include \"nofile.res\";", "t.conf:1: Failed to open include file 'nofile.res'."),
        Row("skip not closed", "skip foo { {}", "t.conf:1: reached eof while parsing this skip block."),
        Row("empty name", "resource \"\" { \(twoHosts) }", "Resource name is empty.", exitCode: 1),
        Row(
            "control character", "resource \"a\u{1}b\" { \(twoHosts) }",
            "Resource name is invalid - please don't use control characters.", exitCode: 1),
        Row(
            "keyword as a name", "resource net { }",
            "t.conf:1: Parse error: 'TK_STRING' expected,\n\tbut got 'net'"),
        Row(
            "digits as a name", "resource 1234 { }",
            "t.conf:1: Parse error: 'TK_STRING' expected,\n\tbut got '1234'"),
        Row(
            "keyword as a value", "resource a { net { shared-secret net; } }",
            "t.conf:1: Parse error: 'TK_STRING | TK_INTEGER' expected,\n\tbut got 'net'"),
        Row(
            "flag with another word", "resource a { net { allow-two-primaries maybe; } }",
            "t.conf:1: Parse error: 'yes | no | ;' expected,\n\tbut got 'maybe'"),
        Row(
            "equals sign", "resource a { net { shared-secret a=b; } }",
            "t.conf:1: Parse error: ';' expected,\n\tbut got '='"),
        Row(
            "lower-case unit in volume", "resource a { volume 0k { } }",
            "t.conf:1: Parse error: 'TK_INTEGER' expected,\n\tbut got '0k'"),
        Row(
            "one brace too many", "resource a { \(twoHosts) } }",
            "t.conf:2: Parse error: 'global | common | resource | skip | include' expected,\n\tbut got '}'"),
        Row(
            "usage-count", "global { usage-count maybe; }",
            "t.conf:1: Parse error: 'yes | no | ask' expected,\n\tbut got 'maybe'"),
        Row(
            "unknown global option", "global { foo 1; }",
            "t.conf:1: Parse error: 'dialog-refresh | minor-count | disable-ip-verification' expected,\n\tbut got 'foo'"
        ),
        Row(
            "address without brackets", "resource a { on alpha { address ipv6 fe80::1:7789; } }",
            "t.conf:1: Parse error: '[' expected,\n\tbut got 'fe80::1:7789'"),
        Row(
            "unknown item in a volume", "resource a { volume 0 { foo; } }",
            "t.conf:1: Parse error: 'device | disk | meta-disk | flex-meta-disk | }' expected,\n\tbut got 'foo'"),
        Row(
            "skip of a resource", "skip resource a { }",
            "t.conf:1: Parse error: '[ some_text ] {' expected,\n\tbut got 'resource'"),
        Row(
            "volumes differ",
            """
            resource a {
             on alpha { volume 0 { device drbd3; disk /dev/s; meta-disk internal; } address 10.0.0.1:7789; }
             on beta { volume 1 { device drbd4; disk /dev/s; meta-disk internal; } address 10.0.0.2:7789; } }
            """,
            "t.conf:2: in resource a, on alpha { ... }: volume 0 not defined on beta"),
    ]

    @Test("a mistake is told in the classic words, with its place and exit status", arguments: rows)
    func classicText(_ row: Row) throws {
        let loaded = load(row.text, path: "t.conf")
        let first = try #require(loaded.errors.first)
        #expect(first.lines.joined(separator: "\n") == row.lines)
        #expect(first.exitCode == row.exitCode)
        #expect(loaded.exitCode == row.exitCode)
        let location = try #require(first.location)
        #expect(first.text.contains("\tat t.conf:\(location.line):\(location.column)"))
        if let column = row.column { #expect(location.column == column) }
        #expect(loaded.configuration == nil)
    }

    @Test("a missing configuration file is named, exit 20")
    func noFile() {
        let loaded = ConfigurationLoader.load(
            path: "e2.conf", source: MemoryConfigurationSource(), identity: HostIdentity(nodeName: "alpha"))
        #expect(loaded.errors.first?.lines.first == "Can not open 'e2.conf'.")
        #expect(loaded.exitCode == 20)
    }

    @Test("several mistakes of one file are all named, none of them a consequence of another")
    func severalErrors() {
        let loaded = load(
            """
            resource a {
              protocol C
              net { timeoot 60; timeout 700; allow-two-primaries maybe; ping-int 5; }
              foo { bar { } baz; }
              disk { on-io-error explode; csums-alg md5; }
              \(twoHosts)
            }
            resource b { syncer { rate 10M } }
            """, path: "t.conf")
        #expect(
            loaded.errors.map { "\($0.location?.line ?? 0):\($0.kind.rawValue)" } == [
                "3:unexpectedToken", "3:unknownOption", "3:outOfRange", "3:unexpectedToken", "4:unexpectedToken",
                "5:invalidValue", "5:unknownOption", "9:unexpectedToken",
            ])
        #expect(loaded.errors[0].hints == ["a ';' is missing after 'C' at t.conf:2:12"])
        #expect(loaded.errors[1].hints == ["did you mean 'timeout'?"])
        #expect(loaded.errors[6].hints == ["'csums-alg' belongs into the 'net' section"])
    }

    @Test("an unclosed brace in the middle of a file is named with the line that opened it; the rest is still read")
    func unclosedInTheMiddle() {
        let loaded = load(
            """
            resource a {
              on alpha {
                volume 0 {
                  device /dev/drbd1; disk /dev/sda7; meta-disk internal;
                address 10.0.0.1:7789;
              }
              on beta { device /dev/drbd1; disk /dev/sda7; address 10.0.0.2:7789; meta-disk internal; }
            resource b { foo; }
            """, path: "t.conf")
        #expect(loaded.errors.filter { $0.kind == .unclosedBlock }.map(\.openedAt?.line) == [3, 1])
        #expect(loaded.errors.last?.found == "foo")
    }

    @Test("an item of another section is a wrong item where it is indented as one, not a sign of a lost brace")
    func misplacedItem() {
        let loaded = load("resource a {\n  syncer {\n    protocol C;\n    rate 5M;\n  }\n\(twoHosts) }")
        #expect(loaded.errors.map(\.kind) == [.unknownOption])
        #expect(loaded.errors[0].hints == ["'protocol' belongs into the 'net' section"])
    }

    @Test("a file full of mistakes is answered with some of them, one full of warnings is still good")
    func manyProblems() {
        let wrong = load("resource a { net { " + String(repeating: "foo 1; ", count: 10_000) + "} \(twoHosts) }")
        #expect(wrong.errors.count == 51)
        #expect(wrong.errors.last?.kind == .tooManyErrors)
        let sloppy = load("resource a { net { " + String(repeating: "timeout 5; ", count: 10_000) + "} \(twoHosts) }")
        #expect(sloppy.errors == [])
        #expect(sloppy.warnings.count == 50)
    }

    @Test("a resource that the end of the file closes is accepted, with a warning")
    func resourceClosedByEndOfFile() {
        let loaded = load("resource a {\n\(twoHosts)\n")
        #expect(loaded.errors == [])
        #expect(loaded.warningKinds == [.endOfFileClosesResource])
    }
}
