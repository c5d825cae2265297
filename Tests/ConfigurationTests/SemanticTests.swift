import Configuration
import Testing

@Suite struct SemanticTests {
    @Test("a third host is refused with a clear sentence")
    func threeHosts() {
        let loaded = load(
            resource("\n on gamma { device /dev/drbd1; disk /dev/sda7; address 10.0.0.3:7789; meta-disk internal; }"),
            path: "t.conf")
        #expect(
            loaded.errors.map(\.text) == [
                """
                t.conf:3: in resource a:
                \tthere are 3 host sections (alpha, beta, gamma), but a resource has two hosts at most
                \tat t.conf:3:2
                \thint: remove the third host section; more than two hosts are not supported
                """
            ])
        #expect(loaded.exitCode == 10)
    }

    @Test("stacked resources are refused, exit 10")
    func stacked() {
        let loaded = load("resource s { stacked-on-top-of a { device /dev/drbd10; address 1.2.3.4:5; } }")
        #expect(loaded.errorLines.last == "\t'stacked-on-top-of a' is not supported")
        #expect(loaded.exitCode == 10)
    }

    @Test("become-primary-on both without allow-two-primaries is a warning with the fix")
    func becomePrimary() {
        let loaded = load(resource("startup { become-primary-on both; }"))
        #expect(loaded.errors == [])
        #expect(loaded.warningKinds == [.becomePrimaryWithoutTwoPrimaries])
        #expect(loaded.warnings[0].text.contains("add 'net { allow-two-primaries; }'"))
        let named = load(resource("startup { become-primary-on alpha beta; }"))
        #expect(named.warningKinds == [.becomePrimaryWithoutTwoPrimaries])
        #expect(load(resource("startup { become-primary-on alpha; }")).diagnostics == [])
        let inherited = load(
            "common { net { allow-two-primaries; } }" + resource("startup { become-primary-on both; }"))
        #expect(inherited.diagnostics == [])
    }

    @Test("a machine without a host section is told which names were tried")
    func noOwnHost() {
        let loaded = load(
            resource(""), node: "gamma.example.org", addresses: ["127.0.0.1", "10.0.0.9"],
            otherNames: ["gamma", "web3"])
        #expect(loaded.configuration?.ownResources.isEmpty == true)
        #expect(
            loaded.warnings.first?.lines.dropFirst() == [
                "\tsections: 'alpha', 'beta'",
                "\ttried: node name 'gamma.example.org'; short name 'gamma'; other names 'gamma', 'web3'; "
                    + "local addresses 127.0.0.1, 10.0.0.9",
            ])
    }

    @Test("own sections are found by node name, short name, qualified name and alias; the exact name wins")
    func matching() throws {
        func own(_ node: String, others: [String] = [], _ names: [String] = ["alpha", "beta"]) -> String? {
            let text = """
                resource a { device minor 1; disk /dev/x; meta-disk internal;
                 on \(names[0]) { address 10.0.0.1:1; } on \(names[1]) { address 10.0.0.2:1; } }
                """
            return load(text, node: node, otherNames: others).configuration?.resources.first?.ownHost?.title
        }
        #expect(own("beta") == "beta")
        #expect(own("beta.example.org") == "beta")
        #expect(own("beta", ["alpha", "beta.example.org"]) == "beta.example.org")
        #expect(own("host7", others: ["beta.example.org", "beta"]) == "beta")
        #expect(own("gamma") == nil)
        // Two qualified names with one short name are two machines.
        #expect(own("web.a.org", ["web.b.org", "x"]) == nil)
        #expect(own("beta", ["beta", "beta.example.org"]) == "beta")
        #expect(own("delta", ["alpha delta", "beta"]) == "alpha delta")
    }

    private static let twoFloating =
        "resource a { device minor 1; disk /dev/x; meta-disk internal; floating 127.0.0.1:1; floating 127.0.0.1:2; }"

    @Test("two sections of this machine are an error in the classic words")
    func twoOwn() {
        let loaded = load(
            Self.twoFloating,
            path: "t.conf")
        #expect(
            loaded.errorLines == [
                "t.conf:1: in resource a, on 127.0.0.1:1 { ... } ... on 127.0.0.1:2 { ... }:",
                "\tThere are multiple host sections for this node.",
            ])
        let chosen = load(
            Self.twoFloating,
            node: "127.0.0.1:2")
        #expect(chosen.configuration?.resources.first?.ownHost?.title == "127.0.0.1:2")
    }

    @Test("a floating host is found by its local address")
    func floating() {
        let text = """
            resource a { device minor 1; disk /dev/x; meta-disk internal;
              floating 10.0.0.1:1; floating ipv6 [fd00:0::2]:1; }
            """
        let loaded = load(text, node: "any", addresses: ["127.0.0.1", "fd00::2"])
        #expect(loaded.configuration?.resources.first?.ownHost?.title == "ipv6 [fd00:0::2]:1")
        #expect(loaded.configuration?.resources.first?.peerHost?.address.address == "10.0.0.1")
    }

    @Test("a lower device that two resources share is a conflict, also as meta-data device")
    func sharedDisk() {
        func pair(_ first: String, _ second: String) -> [String] {
            load(
                """
                resource a { on alpha { device minor 1; \(first) address 10.0.0.1:1; } }
                resource b { on alpha { device minor 2; \(second) address 10.0.0.1:2; } }
                """, path: "t.conf"
            ).errorLines
        }
        let conflict = [
            "t.conf:2: conflicting use of disk 'disk:alpha:/dev/s' ...",
            "t.conf:1: disk 'disk:alpha:/dev/s' first used here.",
        ]
        #expect(pair("disk /dev/s; meta-disk internal;", "disk /dev/s; meta-disk internal;") == conflict)
        #expect(pair("disk /dev/s; meta-disk internal;", "disk /dev/t; meta-disk /dev/s;") == conflict)
        #expect(
            pair("disk /dev/s; meta-disk /dev/m[0];", "disk /dev/t; meta-disk /dev/m[0];").first
                == "t.conf:2: conflicting use of meta-disk 'alpha:/dev/m[0]' ...")
        #expect(pair("disk /dev/s; meta-disk /dev/m[0];", "disk /dev/t; meta-disk /dev/m[1];") == [])
    }

    @Test("loopback addresses may repeat on different hosts, others may not")
    func loopback() {
        func pair(_ address: String) -> Bool {
            load(
                """
                resource a { device minor 1; disk /dev/x; meta-disk internal;
                  on alpha { address \(address):1; } on beta { address \(address):1; } }
                """
            ).errors.isEmpty
        }
        #expect(pair("127.0.0.1"))
        #expect(!pair("10.0.0.1"))
    }

    @Test("a keyword that is not served yet says so once, by name")
    func notServed() {
        let loaded = load(
            """
            common { net { csums-alg md5; data-integrity-alg ""; on-congestion block; } }
            resource a { \(twoHosts) net { csums-alg sha1; on-congestion pull-ahead; }
              disk { read-balancing prefer-local; rs-discard-granularity 64k; } options { quorum majority; } }
            """)
        #expect(loaded.errors == [])
        #expect(loaded.warningKinds == [.notServed, .notServed, .notServed])
        #expect(loaded.warnings[0].lines[0].contains("'csums-alg md5' is understood but not served yet"))
        #expect(loaded.warnings[1].lines[0].contains("'rs-discard-granularity 64k'"))
        #expect(loaded.warnings[2].lines[0].contains("'quorum'"))
    }

    @Test("resync-after of a resource that does not exist is dropped with the classic words")
    func resyncAfter() throws {
        let loaded = load(resource("disk { resync-after foo; resync-rate 5M; }"), path: "t.conf")
        #expect(
            loaded.warnings[0].lines == [
                "t.conf:1: in resource a:", "\tresource 'foo' mentioned in 'resync-after' option is not known.",
            ])
        #expect(try #require(loaded.configuration).resources[0].options.map(\.name) == ["resync-rate"])
    }

    @Test("what is said closest to a volume wins, whole sections are never replaced")
    func inheritance() throws {
        let loaded = load(
            """
            common { disk { c-plan-ahead 1; c-max-rate 1M; c-min-rate 2M; } }
            resource v { volume 0 { disk { c-delay-target 3; c-max-rate 4M; al-extents 777; } }
             on alpha { volume 0 { device drbd10; disk /dev/a; meta-disk internal; disk { al-extents 500; } }
                        address 10.0.0.1:7001; }
             on beta { volume 0 { device drbd10; disk /dev/a; meta-disk internal;  } address 10.0.0.2:7001; }
             disk { al-updates no; c-min-rate 3M; } }
            """)
        let resource = try #require(loaded.configuration?.resources.first)
        let alpha = resource.effectiveDiskOptions(resource.hosts[0].volumes[0])
        #expect(
            alpha.map { "\($0.name) \($0.value)" } == [
                "c-max-rate 4M", "c-delay-target 3", "c-min-rate 3M", "al-updates no", "c-plan-ahead 1",
                "al-extents 500",
            ])
        let beta = OptionValues(.disk, resource.effectiveDiskOptions(resource.hosts[1].volumes[0]))
        #expect(beta.number("al-extents") == 777)
        #expect(alpha.first { $0.name == "c-plan-ahead" }?.origin == .common)
        #expect(alpha.first { $0.name == "al-extents" }?.origin == .host)
    }

    @Test("an option given twice in one section counts once, the last time, with a warning")
    func duplicates() throws {
        let loaded = load(resource("net { timeout 60; ping-int 5; timeout 80; }"))
        #expect(loaded.warningKinds == [.duplicateOption])
        let net = try #require(loaded.configuration?.resources.first).effectiveOptions(.net)
        #expect(net.map { "\($0.name) \($0.value)" } == ["ping-int 5", "timeout 80"])
    }

    @Test("activity-log extents out of range are brought into it, as the kernel does")
    func clamped() throws {
        let loaded = load(resource("syncer { al-extents 31; }"))
        #expect(loaded.errors == [])
        #expect(loaded.warningKinds == [.outOfRange])
        #expect(try #require(loaded.configuration).resources[0].options[0].value == "67")
    }

    @Test("includes are relative to their file, sorted, read once, and bounded in depth")
    func includes() throws {
        let loaded = load(
            "include \"d/*.res\"; include \"d/a.res\"; include \"d/none*\";",
            files: [
                "/tmp/d/b.res": "resource b { device minor 2; disk /dev/b; meta-disk internal; floating 1.1.1.1:1; }",
                "/tmp/d/a.res": "include \"sub/c.inc\"; resource a { \(twoHosts) }", "/tmp/d/sub/c.inc": "common { }",
            ])
        #expect(loaded.errors == [])
        #expect(loaded.files == ["/tmp/t.conf", "/tmp/d/a.res", "/tmp/d/sub/c.inc", "/tmp/d/b.res"])
        #expect(loaded.configuration?.resources.map(\.name) == ["a", "b"])
        let deep = Dictionary(uniqueKeysWithValues: (0..<20).map { ("/tmp/f\($0)", "include \"f\($0 + 1)\";") })
        #expect(load("include \"f0\";", files: deep).errors.map(\.kind) == [.includeTooDeep])
        let linked = MemoryConfigurationSource(
            files: ["/c": "include \"x\"; include \"y\";", "/x": "common { }"], links: ["/y": "/x"])
        let once = ConfigurationLoader.load(path: "/c", source: linked, identity: HostIdentity(nodeName: "n"))
        #expect(once.diagnostics == [])
    }

    @Test("below a root the usual places and absolute includes are looked for there")
    func root() {
        let source = MemoryConfigurationSource(
            files: [
                "/r/etc/drbd.conf": "include \"/etc/drbd.d/*.res\";", "/r/etc/drbd.d/a.res": resource(""),
                "/etc/drbd.conf": "foo", "/r/dev/loop7": "",
            ])
        let loaded = ConfigurationLoader.load(
            source: source, identity: HostIdentity(nodeName: "alpha"), root: "/r/")
        #expect(loaded.path == "/r/etc/drbd.conf")
        #expect(loaded.configuration?.resources.map(\.name) == ["a"])
        #expect(resolvedPath("/dev/loop7", root: "/r", source: source) == "/r/dev/loop7")
        #expect(resolvedPath("/dev/loop8", root: "/r", source: source) == "/dev/loop8")
        #expect(resolvedPath("/dev/loop7", root: "/", source: source) == "/dev/loop7")
    }

    @Test("the classic search order is kept")
    func searchOrder() {
        let source = MemoryConfigurationSource(files: ["/etc/drbd-83.conf": "common { }", "/etc/drbd.conf": "foo"])
        let loaded = ConfigurationLoader.load(source: source, identity: HostIdentity(nodeName: "alpha"))
        #expect(loaded.path == "/etc/drbd-83.conf")
        #expect(loaded.errors == [])
    }

    @Test("aliases come from the hosts file, by name and by own address")
    func hostsFile() {
        let text = """
            127.0.0.1 localhost box
            127.0.1.1 box.example.org box   # comment other
            10.0.0.1 web1 www
            10.0.0.2 web2
            """
        let aliases = HostIdentity.aliases(
            of: "box", addresses: ["127.0.0.1", "10.0.0.1"], hostsFile: Array(text.utf8))
        #expect(aliases == ["box.example.org", "web1", "www"])
    }

    @Test("the classic override of the node name speaks up, ours does not; ours wins")
    func nodeOverride() {
        let source = MemoryConfigurationSource()
        let classic = HostIdentity.current(
            nodeOverride: nil, environment: ["__DRBD_NODE__": "alpha"], source: source, root: "/")
        #expect(classic.notice == "\n   found __DRBD_NODE__ in environment\n   PRETENDING that I am >>alpha<<\n\n")
        let ours = HostIdentity.current(
            nodeOverride: nil, environment: ["__DRBD_NODE__": "alpha", "YOKE_NODE": "beta"], source: source, root: "/")
        #expect(ours.nodeName == "beta")
        #expect(ours.notice == nil)
        let option = HostIdentity.current(
            nodeOverride: "gamma", environment: ["YOKE_NODE": "beta"], source: source, root: "/")
        #expect(option.nodeName == "gamma")
        let system = HostIdentity.current(nodeOverride: nil, environment: [:], source: source, root: "/")
        #expect(!system.nodeName.isEmpty)
        #expect(system.addresses.contains { $0.isLoopback })
    }
}
