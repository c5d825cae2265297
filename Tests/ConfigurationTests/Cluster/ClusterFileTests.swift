import Configuration
import Testing

/// Spec: o2cb 2.
@Suite struct ClusterFileTests {
    static let canonical = """
        cluster:
        \tname = web
        \theartbeat_mode = local
        \tnode_count = 2

        node:
        \tcluster = web
        \tnumber = 0
        \tip_port = 7777
        \tip_address = 10.99.0.40
        \tname = hbA

        node:
        \tcluster = web
        \tnumber = 1
        \tip_port = 7777
        \tip_address = 10.99.0.41
        \tname = hbB


        """

    static func read(_ text: String) -> ClusterFileReader.Result {
        ClusterFileReader.read(Array(text.utf8), fileName: "cluster.conf")
    }

    /// The file if it is good, without places.
    static func text(_ text: String) -> String? { read(text).file?.text }

    @Test("what the tools write is read and written unchanged")
    func canonicalText() throws {
        let file = try #require(Self.read(Self.canonical).file)
        #expect(file.text == Self.canonical)
        let cluster = try #require(file.cluster(named: "web"))
        #expect(cluster.heartbeatMode == .local)
        #expect(cluster.nodes.map(\.name) == ["hbA", "hbB"])
        #expect(cluster.nodes.map(\.endpoint) == ["10.99.0.40:7777", "10.99.0.41:7777"])
        #expect(cluster.lowestUnusedNumber == 2)
    }

    static let sameMeaning: [(String, String)] = [
        ("blanks for tabs", canonical.replacing("\t", with: "        ")),
        ("no indentation", canonical.replacing("\t", with: "")),
        ("indented headers", canonical.replacing("node:", with: "  node:")),
        ("CRLF", canonical.replacing("\n", with: "\r\n")),
        ("no blanks around =", canonical.replacing(" = ", with: "=")),
        ("blank lines inside stanzas", canonical.replacing("\n", with: "\n\n")),
        ("lines of blanks", canonical.replacing("\n\n", with: "\n \t \n")),
        ("no empty lines between stanzas", canonical.replacing("\n\n", with: "\n")),
        ("comments in the first column", canonical.replacing("\n\t", with: "\n# ip_port = 1\n\t")),
        ("indented comments", canonical.replacing("\n\t", with: "\n\t# it's \\\n\t")),
        (
            "comments behind numbers and addresses",
            canonical
                .replacing("7777", with: "7777 # the port").replacing("0.41", with: "0.41\t# second")
        ),
        ("header: comment", canonical.replacing("node:", with: "node: # one")),
        ("blank before the colon", canonical.replacing("node:", with: "node :")),
        ("no newline at the end", String(canonical.dropLast(2))),
        ("trailing blanks", canonical.replacing("\n", with: "  \n")),
        ("mode in capitals", canonical.replacing("local", with: "LOCAL")),
        ("unknown attributes", canonical.replacing("\tname", with: "\tcolour = blue\n\tname")),
        ("repeated attributes", canonical.replacing("\tip_port", with: "\tip_port = 1\n\tip_port")),
        ("no node_count", canonical.replacing("\tnode_count = 2\n", with: "")),
        ("a comment in Latin-1", "# B\u{fc}ro\n" + canonical),
        ("other stanzas", canonical + "foo:\n\tx = 1\n"),
        ("a node of another cluster", canonical + "node:\n\tcluster = mail\n\tname = x\n"),
    ]

    @Test("what is unambiguous is read with its plain meaning", arguments: sameMeaning)
    func tolerance(name: String, text: String) {
        #expect(Self.text(text) == Self.canonical, "\(name)")
    }

    @Test("a byte that is no text does no harm in a comment")
    func otherEncoding() {
        let bytes = [UInt8(ascii: "#"), 0xfc, 0x0a] + Array(Self.canonical.utf8)
        #expect(ClusterFileReader.read(bytes, fileName: "f").file?.text == Self.canonical)
        let inName = Array("cluster:\n\tname = w".utf8) + [0xfc]
        #expect(ClusterFileReader.read(inName, fileName: "f").errors.map(\.kind) == [.notUTF8])
    }

    @Test("nodes may come before their cluster")
    func freeOrder() throws {
        let parts = Self.canonical.split(separator: "\n\n").map { $0 + "\n" }
        #expect(Self.text((parts.dropFirst() + parts.prefix(1)).joined()) == Self.canonical)
    }

    @Test("a value keeps its blanks and #, and a backslash continues it")
    func rawValues() {
        let names = Self.read("cluster:\n name = web # x\n node_count = 0\ncluster:\n name=a\\\n b\\c\n node_count=0\n")
        #expect(names.file?.clusters.map(\.name) == ["web # x", "a\n b\\c"])
    }

    @Test("one empty line follows each stanza: clusters, then regions, then nodes")
    func orderOfStanzas() {
        let file = ClusterFile(clusters: [
            Cluster(name: "a", nodes: [ClusterNode(name: "n", number: 3, address: "10.0.0.1")]),
            Cluster(name: "b", heartbeatMode: .global, nodeCount: 9, regions: ["U"]),
        ])
        let headers = file.text.split(separator: "\n").filter { $0.hasSuffix(":") }
        #expect(headers == ["cluster:", "cluster:", "heartbeat:", "node:"])
        #expect(Self.text(file.text) == file.text)
    }

    struct Fault: Sendable, CustomTestStringConvertible {
        var text: String
        var message: String
        var hint: String
        var testDescription: String { message }
    }

    static let clusterStanza = "cluster:\n\tname = web\n\tnode_count = 1\n"
    static func node(_ change: (String, String)) -> String {
        let stanza = "node:\n\tcluster = web\n\tname = n\n\tnumber = 0\n\tip_address = 10.0.0.1\n\tip_port = 7777\n"
        return clusterStanza + stanza.replacing(change.0, with: change.1)
    }

    static let faults: [Fault] = [
        Fault(
            text: "cluster\n", message: "cluster.conf:1: 'cluster' found, expected 'name = value' or 'name:'",
            hint: "a ':' is missing behind 'cluster'"),
        Fault(
            text: "cluster: web\n",
            message: "cluster.conf:1: 'web' behind 'cluster:' found, expected the end of the line",
            hint: "write the name on a line of its own: <TAB>name = web"),
        Fault(
            text: "\tname = web\n",
            message:
                "cluster.conf:1: attribute 'name' outside of a stanza found, expected 'cluster:' or 'node:' before it",
            hint: "put the header above this line"),
        Fault(
            text: "cluster:\n\tname web\n",
            message: "cluster.conf:2: 'name web' found, expected 'name = value' or 'name:'",
            hint: "a '=' is missing behind 'name'"),
        Fault(
            text: "cluster:\n\tnode_count = 1\n",
            message: "cluster.conf:1: 'cluster:' without 'name' found, expected 'name = VALUE'",
            hint: "add the line: <TAB>name = web"),
        Fault(
            text: clusterStanza.replacing("1", with: "one"),
            message: "cluster.conf:3: node_count = 'one' found, expected a decimal number",
            hint: "write digits only, for example node_count = 1"),
        Fault(
            text: clusterStanza + "\theartbeat_mode = remote\n",
            message: "cluster.conf:4: heartbeat_mode = 'remote' found, expected local or global",
            hint: "heartbeat_mode = local"),
        Fault(
            text: clusterStanza + clusterStanza,
            message: "cluster.conf:4: cluster 'web' a second time found, expected only the one of line 1",
            hint: "remove one of them"),
        Fault(
            text: node(("10.0.0.1", "alpha")),
            message: "cluster.conf:8: ip_address = 'alpha' found, "
                + "expected an IPv4 address, four numbers from 0 to 255 with dots",
            hint: "write the address itself, not a host name: getent ahostsv4 NAME shows it"),
        Fault(
            text: node(("10.0.0.1", "fd00::1")),
            message: "cluster.conf:8: ip_address = 'fd00::1' found, "
                + "expected an IPv4 address, four numbers from 0 to 255 with dots",
            hint: "members talk over IPv4 only: give the host's IPv4 address"),
        Fault(
            text: node(("number = 0", "number = -3")),
            message: "cluster.conf:7: number = '-3' found, expected a decimal number",
            hint: "write digits only, for example number = 1"),
        Fault(
            text: node(("\tip_port = 7777\n", "")),
            message: "cluster.conf:4: 'node:' without 'ip_port' found, expected 'ip_port = VALUE'",
            hint: "add the line: <TAB>ip_port = 7777"),
        Fault(
            text: node(("name = n", "name =")),
            message: "cluster.conf:6: 'name' without a value found, expected 'name = VALUE'",
            hint: "add the line: <TAB>name = the host's name"),
        Fault(
            text: node(("", "")) + node(("", "")).dropFirst(clusterStanza.count),
            message: "cluster.conf:10: node name 'n' a second time found, expected only the one of line 4",
            hint: "every node has its own name"),
    ]

    @Test("a fault names the line, what was found, what was expected and the way out", arguments: faults)
    func faultTexts(_ fault: Fault) throws {
        let result = Self.read(fault.text)
        #expect(result.file == nil)
        let first = try #require(result.errors.first)
        #expect(first.lines == [fault.message.replacing(" found, expected", with: ", expected")])
        #expect(first.hints == [fault.hint])
    }

    @Test("a file that has lost its headers in print: each is named where it belongs")
    func missingHeaders() {
        let headless = Self.canonical.split(separator: "\n", omittingEmptySubsequences: false)
            .filter { !$0.hasSuffix(":") }.joined(separator: "\n")
        let result = Self.read(headless)
        #expect(result.file == nil)
        #expect(
            result.errors.map { $0.hints } == [
                ["write 'cluster:' on a line of its own above this one"],
                ["write 'node:' on a line of its own above this one"],
                ["write 'node:' on a line of its own above this one"],
            ])
        var lines = headless.split(separator: "\n", omittingEmptySubsequences: false).map(String.init)
        for (error, header) in zip(result.errors, ["cluster:", "node:", "node:"]).reversed() {
            lines.insert(header, at: (error.location?.line ?? 0) - 1)
        }
        #expect(Self.text(lines.joined(separator: "\n")) == Self.canonical)
    }

    @Test(
        "what is left out is said",
        arguments: [
            ("Cluster:\n\tname = x\n", Diagnostic.Kind.unknownOption),
            (clusterStanza + "node:\n\tcluster = mail\n", .missingKeyword),
            (clusterStanza + "\tname = web\n", .duplicateOption),
        ])
    func warnings(text: String, kind: Diagnostic.Kind) {
        #expect(Self.read(text).warnings.map(\.kind) == [kind])
    }

    @Test("a missing file is an empty configuration, an unreadable one is not")
    func missingFile() {
        let result = ClusterFileReader.load(path: "/none", source: MemoryConfigurationSource())
        #expect(result.file == ClusterFile() && result.diagnostics.isEmpty)
        #expect(ClusterFileReader.load(path: "/", source: FileConfigurationSource()).file == nil)
    }

    @Test("hostile bytes end in a result")
    func noise() {
        var state: UInt64 = 7
        let alphabet = Array("clusternode: =\n\t#\\\r09\u{1}".utf8) + [0xff, 0xc3]
        for _ in 0..<500 {
            var bytes: [UInt8] = []
            for _ in 0..<60 {
                state = state &* 6_364_136_223_846_793_005 &+ 1_442_695_040_888_963_407
                bytes.append(alphabet[Int(state >> 33) % alphabet.count])
            }
            let result = ClusterFileReader.read(bytes, fileName: "f")
            #expect((result.file == nil) == !result.errors.isEmpty)
        }
    }
}
