import Configuration
import Testing

@Suite struct LexerTests {
    private func tokens(_ text: String) throws -> [Token] {
        var lexer = Lexer(bytes: Array(text.utf8), file: "f")
        var result: [Token] = []
        while true {
            let token = try lexer.next()
            if token.kind == .endOfFile { return result }
            result.append(token)
        }
    }

    @Test("words, numbers and addresses are told apart by the longest match")
    func kinds() throws {
        let text = "on-io-error 10M 512k 123456789 10.0.0.1 10.0.0.1.2 fe80::1%eth0 ::ffff:1.2.3.4 ab::cd-x \"on\" ="
        #expect(
            try tokens(text).map { "\($0.kind) \($0.text)" } == [
                "word on-io-error", "integer 10M", "word 512k", "word 123456789", "ipv4 10.0.0.1", "word 10.0.0.1.2",
                "ipv6 fe80::1%eth0", "ipv6 ::ffff:1.2.3.4", "word ab", "symbol :", "symbol :", "word cd-x", "quoted on",
                "invalid =",
            ])
    }

    @Test("an address and its port are separate tokens, in both families")
    func addresses() throws {
        #expect(
            try tokens("10.0.0.1:7789;[fd00::1]:7790").map(\.text) == [
                "10.0.0.1", ":", "7789", ";", "[", "fd00::1", "]", ":", "7790",
            ])
    }

    @Test("a backslash protects the next character of a string and is dropped")
    func quoting() throws {
        #expect(try tokens(#""a \"b\" \\ \n c""#).map(\.text) == [#"a "b" \ n c"#])
        #expect(try tokens("\"\"").map(\.text) == [""])
        let longest = String(repeating: "x", count: 255)
        #expect(try tokens("\"\(longest)\"").map(\.text) == [longest])
        #expect(throws: Diagnostic.self) { try tokens("\"\(longest)x\"") }
        #expect(throws: Diagnostic.self) { try tokens("\"a\\\nb\"") }
    }

    @Test("lines and columns count from one; comments run to the end of the line")
    func places() throws {
        let all = try tokens("a # { \"\n\tb\r\n  c")
        #expect(all.map { "\($0.text)@\($0.location.line):\($0.location.column)" } == ["a@1:1", "b@2:2", "c@3:3"])
        #expect(all.map(\.startsLine) == [true, true, true])
    }

    @Test("a skipped block may hold anything with balanced braces, but not in comments and strings")
    func skipping() {
        for body in ["don't \" }", "\"}\" }", "# }\n }", "{ { } } }"] {
            var lexer = Lexer(bytes: Array(body.utf8), file: "f")
            let isClosed = lexer.skipBlock()
            let rest = try? lexer.next()
            #expect(isClosed)
            #expect(rest?.kind == .endOfFile)
        }
        var open = Lexer(bytes: Array("{ }".utf8), file: "f")
        let isClosed = open.skipBlock()
        #expect(!isClosed)
    }

    @Test("numbers with units count bytes and are rounded up to the option's unit")
    func quantities() {
        #expect(Quantity.parse("10M", in: .kibibytes) == 10240)
        #expect(Quantity.parse("1M", in: .sectors) == 2048)
        #expect(Quantity.parse("1k", in: .sectors) == 2)
        #expect(Quantity.parse("1s", in: .kibibytes) == 1)
        #expect(Quantity.parse("512k", in: .bytes) == 524_288)
        #expect(Quantity.parse("100", in: .sectors) == 100)
        #expect(Quantity.parse("99999999999999999999G", in: .bytes) == .max)
        #expect(Quantity.parse("-1", in: .count) == -1)
        for text in ["", "-", "k", "1.5M", "12x", "1 2"] { #expect(Quantity.parse(text, in: .count) == nil) }
    }

    @Test("addresses compare by value, not by spelling")
    func ipAddresses() {
        #expect(IPAddress("fd00:0:0::1")?.bytes == IPAddress("fd00::1")?.bytes)
        #expect(IPAddress("::ffff:10.0.0.1")?.bytes.suffix(4) == [10, 0, 0, 1])
        #expect(IPAddress("1:2:3:4:5:6:7:8")?.bytes.count == 16)
        for text in ["", "1.2.3", "256.1.1.1", "1::2::3", "1:2:3:4:5:6:7:8:9", ":1", "1:", "fe80::1%", "12345::"] {
            #expect(IPAddress(text) == nil, "\(text)")
        }
    }

    @Test("no bytes make the parser trap or run on")
    func hostileBytes() {
        let pieces = [
            "resource ", "a", " { ", " } ", "\"", "\\", "\n", "net", " on ", "[", "]", ":", ";", "::", "1", "disk ",
            "volume ", "0", "address ", "10.0.0.1", "ipv6 ", "floating ", "global", "common", "skip", "include",
            "\u{0}", "\u{e9}", "#", "%", "device", "minor ", "meta-disk ", "syncer", "rate", "99999999G", "connection",
            "path", "host ", "template-file ", "stacked-on-top-of ", "become-primary-on ", "startup", "no-", "proxy ",
            "via ", "plugin",
        ]
        var state: UInt64 = 42
        for _ in 0..<4000 {
            var bytes: [UInt8] = []
            for _ in 0..<40 {
                state = state &* 6_364_136_223_846_793_005 &+ 1_442_695_040_888_963_407
                let choice = Int(state >> 33)
                bytes += Array(pieces[choice % pieces.count].utf8)
                if choice % 97 == 0 { bytes.append(UInt8(truncatingIfNeeded: state >> 8)) }
            }
            let loaded = ConfigurationLoader.load(
                bytes: bytes, fileName: "f", source: MemoryConfigurationSource(),
                identity: HostIdentity(nodeName: "a"))
            #expect(loaded.configuration != nil || !loaded.errors.isEmpty)
            if let configuration = loaded.configuration { _ = ConfigurationDump.all(configuration) }
        }
    }

    @Test("every prefix of a good configuration is read without a trap")
    func prefixes() {
        let bytes = Array((DumpTests.old + EquivalenceTests.nine).utf8)
        for length in bytes.indices {
            _ = ConfigurationParser.parse(bytes: Array(bytes[..<length]), fileName: "f")
        }
    }
}
