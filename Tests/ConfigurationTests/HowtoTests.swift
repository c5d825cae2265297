import Configuration
import Testing

@Suite struct HowtoTests {
    @Test("the Fedora howto's files are read and understood, also as the 8.4 program does")
    func fedora() throws {
        let loaded = load(
            "include \"drbd.d/global_common.conf\";\ninclude \"drbd.d/*.res\";\n", node: "server1",
            files: [
                "/etc/drbd.d/global_common.conf": Howto.fedoraGlobal, "/etc/drbd.d/r0.res": Howto.fedora,
            ], addresses: ["127.0.0.1", "10.181.76.0"], path: "/etc/drbd.conf")
        #expect(loaded.diagnostics == [])
        #expect(
            loaded.dump == """
                # /etc/drbd.conf
                global {
                    usage-count no;
                    cmd-timeout-medium 600;
                    cmd-timeout-long 0;
                }

                # resource r0 on server1: not ignored, not stacked
                # defined at /etc/drbd.d/r0.res:1
                resource r0 {
                    on server1 {
                        device           /dev/drbd0 minor 0;
                        disk             /dev/loop7;
                        meta-disk        internal;
                        address          ipv4 10.181.76.0:7789;
                    }
                    on server2 {
                        device           /dev/drbd0 minor 0;
                        disk             /dev/loop7;
                        meta-disk        internal;
                        address          ipv4 10.181.76.1:7789;
                    }
                    net {
                        allow-two-primaries yes;
                        after-sb-0pri    discard-zero-changes;
                        after-sb-1pri    discard-secondary;
                        after-sb-2pri    disconnect;
                    }
                    disk {
                        resync-rate      1000M;
                    }
                    startup {
                        become-primary-on both;
                    }
                }


                """)
        let resources = try #require(loaded.configuration).resources
        #expect(loaded.foreignAddresses(of: resources) == [])
        let disk = OptionValues(.disk, resources[0].effectiveDiskOptions(resources[0].hosts[0].volumes[0]))
        #expect(disk.number("resync-rate") == 1_024_000)
    }

    @Test("on the other machine the Fedora howto's address is missed, with the classic words")
    func fedoraForeignAddress() throws {
        let loaded = load(Howto.fedora, node: "server1", path: "/etc/drbd.d/r0.res")
        let problems = loaded.foreignAddresses(of: try #require(loaded.configuration).resources)
        #expect(
            problems.first?.lines == [
                "/etc/drbd.d/r0.res:15: in resource r0, on server1:", "\tIP 10.181.76.0 not found on this host.",
            ])
    }

    @Test("the wiki howto as printed: every missing brace and every missing address is named")
    func wiki() {
        let loaded = load(Howto.wiki, node: "node1", path: "/etc/drbd.conf")
        let unclosed = loaded.errors.filter { $0.kind == .unclosedBlock }
        #expect(unclosed.map(\.openedAt?.line) == [9, 14, 22, 30, 26, 7])
        #expect(
            unclosed.map { $0.hints.first ?? "" } == [
                "'startup {' opened at /etc/drbd.conf:9:3 is not closed; a '}' is missing before line 14",
                "'net {' opened at /etc/drbd.conf:14:3 is not closed; a '}' is missing before line 22",
                "'on node1 {' opened at /etc/drbd.conf:22:3 is not closed; a '}' is missing before line 26",
                "'disk {' opened at /etc/drbd.conf:30:3 is not closed at the end of the file",
                "'on node2 {' opened at /etc/drbd.conf:26:3 is not closed at the end of the file; "
                    + "a '}' is probably missing before line 30, where 'disk {' begins",
                "'resource res0 {' opened at /etc/drbd.conf:7:1 is not closed at the end of the file",
            ])
        let others = loaded.errors.filter { $0.kind != .unclosedBlock }
        #expect(
            others.flatMap(\.lines) == [
                "/etc/drbd.conf:22: in resource res0, on node1 { ... }: 'address' keyword missing.",
                "/etc/drbd.conf:26: in resource res0, on node2 { ... }: 'address' keyword missing.",
            ])
        #expect(loaded.exitCode == 10)
    }

    @Test("the first problem of the wiki howto begins with the very words of the 8.4 program")
    func wikiClassicWords() {
        let loaded = load(Howto.wiki, node: "node1", path: "wiki.conf")
        #expect(
            loaded.errors.first?.text == """
                wiki.conf:14: Parse error: 'an option keyword' expected,
                \tbut got 'net'
                \tat wiki.conf:14:3
                \thint: 'startup {' opened at wiki.conf:9:3 is not closed; a '}' is missing before line 14
                """)
    }

    @Test("the wiki howto with its braces and addresses put in is good")
    func wikiRepaired() {
        let text = Howto.wiki
            .replacing("  net {", with: "  }\n  net {")
            .replacing("  on node1 {", with: "  }\n  on node1 {\n    address 10.0.0.1:7789;")
            .replacing("  on node2 {", with: "  }\n  on node2 {\n    address 10.0.0.2:7789;")
            .replacing("  disk {", with: "  }\n  disk {")
        let loaded = load(text + "\n  }\n}\n", node: "node2")
        #expect(loaded.diagnostics == [])
        #expect(loaded.configuration?.resources.first?.ownHost?.names == ["node2"])
    }
}
