import Administration
import Testing

@Suite struct AdjustTests {
    /// A configuration with these items, and `show` of the same resource with these differences.
    private func adjust(
        _ items: String = "", net: String = "", disk: String = "", options: String = "",
        change: (String) -> String = { $0 }, command: String = "adjust web"
    ) async -> Run {
        let facts = FakeFacts()
        facts.shown["web"] = change(
            """
            resource web {
                options {
                    \(options)
                }
                net {
                    \(net)
                }
                _remote_host {
                    address\t\t\tipv4 10.0.0.2:7789;
                }
                _this_host {
                    address\t\t\tipv4 10.0.0.1:7789;
                    volume 0 {
                        device\t\t\tminor 1;
                        disk\t\t\t"/dev/sda7";
                        meta-disk\t\t\tinternal;
                        disk {
                            \(disk)
                        }
                    }
                }
            }

            """)
        let text = """
            global { disable-ip-verification; }
            resource web { \(items)
              on alpha { device /dev/drbd1; disk /dev/sda7; address 10.0.0.1:7789; meta-disk internal; }
              on beta { device /dev/drbd1; disk /dev/sda7; address 10.0.0.2:7789; meta-disk internal; } }
            """
        return await Run(command, on: text, facts: facts)
    }

    private func lines(
        _ items: String = "", net: String = "", disk: String = "", options: String = "",
        change: (String) -> String = { $0 }
    ) async -> [String] {
        await adjust(items, net: net, disk: disk, options: options, change: change).runner.lines
    }

    static let attach = [
        "meta 1 v08 /dev/sda7 internal apply-al", "setup attach 1 /dev/sda7 /dev/sda7 internal",
    ]
    static let connect = ["setup connect web ipv4:10.0.0.1:7789 ipv4:10.0.0.2:7789"]

    @Test("nothing differs: nothing runs, whatever the spelling of values and defaults")
    func nothing() async {
        #expect(await lines() == [])
        #expect(await lines("net { protocol C; timeout 60; }") == [])
        #expect(await lines("net { protocol a; }", net: "protocol A; # x, default") == [])
        #expect(
            await lines(
                "net { sndbuf-size 512k; verify-alg sha1; }", net: "sndbuf-size 524288; verify-alg \"sha1\";") == [])
        #expect(await lines("disk { resync-rate 100M; }", disk: "resync-rate\t102400k; # bytes/second") == [])
        #expect(await lines("disk { size 10G; }", disk: "size 20971520s;") == [])
        #expect(await lines("options { cpu-mask 3; }", options: "cpu-mask \"3\";") == [])
    }

    @Test("changed options are set together, from their defaults")
    func options() async {
        #expect(
            await lines("net { allow-two-primaries; }", net: "allow-two-primaries yes; verify-alg \"crc32c\";") == [
                "setup net-options ipv4:10.0.0.1:7789 ipv4:10.0.0.2:7789 --set-defaults --allow-two-primaries=yes"
            ])
        #expect(
            await lines("disk { resync-rate 100M; }", disk: "resync-rate 102400k; al-extents 300;") == [
                "setup disk-options 1 --set-defaults --resync-rate=100M"
            ])
        #expect(
            await lines("disk { on-io-error pass_on; no-disk-flushes; size 1G; }", disk: "size 2097152s;") == [
                "setup disk-options 1 --set-defaults --disk-flushes=no --on-io-error=pass_on"
            ])
        #expect(
            await lines("options { on-no-data-accessible suspend-io; }") == [
                "setup resource-options web --set-defaults --on-no-data-accessible=suspend-io"
            ])
        #expect(await lines(options: "cpu-mask \"3\";") == ["setup resource-options web --set-defaults"])
    }

    @Test("a changed size is a resize")
    func size() async {
        #expect(await lines("disk { size 10G; }") == ["setup resize 1 --size=10G", "setup check-resize 1"])
        #expect(await lines(disk: "size 100s;") == ["setup resize 1", "setup check-resize 1"])
    }

    @Test("another disk is exchanged, a lost one attached")
    func disks() async {
        #expect(await lines(change: { $0.replacingFirst("sda7", with: "sda9") }) == ["setup detach 1"] + Self.attach)
        #expect(
            await lines(change: { $0.replacingFirst("internal", with: "\"/dev/x\" [ 3 ]") })
                == ["setup detach 1"] + Self.attach)
        let diskless = await lines(change: {
            $0.replacingFirst("disk\t\t\t\"/dev/sda7\";", with: "").replacingFirst("meta-disk\t\t\tinternal;", with: "")
        })
        #expect(diskless == Self.attach)
    }

    @Test("a volume with another minor or number is made anew")
    func minors() async {
        let made = ["setup new-minor web 1 0"] + Self.attach
        #expect(
            await lines(change: { $0.replacingFirst("minor 1", with: "minor 5") })
                == ["setup detach 5", "setup del-minor 5"] + made)
        #expect(
            await lines(change: { $0.replacingFirst("volume 0", with: "volume 3") })
                == ["setup detach 1", "setup del-minor 1"] + made)
    }

    @Test("another address is disconnected first; without a connection it is made")
    func connections() async {
        #expect(
            await lines(change: { $0.replacingFirst("10.0.0.2", with: "10.0.0.9") })
                == ["setup disconnect ipv4:10.0.0.1:7789 ipv4:10.0.0.9:7789"] + Self.connect)
        #expect(
            await lines(change: { $0.replacingFirst("address\t\t\tipv4 10.0.0.2:7789;", with: "") }) == Self.connect)
    }

    @Test("what does not run is brought up, resource after resource within a stage")
    func nothingRuns() async {
        let run = await Run("adjust all", on: Example.two)
        #expect(
            run.runner.lines.map { $0.split(separator: " ").prefix(3).joined(separator: " ") } == [
                "setup new-resource web", "setup new-resource db", "setup new-minor web", "setup new-minor db",
                "setup new-minor db", "meta 1 v08", "setup attach 1", "meta 2 v08", "setup attach 2", "meta 3 v08",
                "setup attach 3", "setup connect web", "setup connect db",
            ])
    }

    @Test("garbage instead of a running configuration counts as not running")
    func garbage() async {
        for text in ["", "}", "resource", "resource web", "resource db {", "\"", "drbdsetup: error"] {
            let facts = FakeFacts()
            facts.shown = ["web": text]
            let run = await Run("adjust web", on: Example.two, facts: facts)
            #expect(run.runner.lines.contains("setup new-minor web 1 0"), "\(text)")
        }
    }

    @Test("progress is a line a stage with the names, failures behind them")
    func progress() async {
        let run = await Run(
            "adjust-with-progress all", on: Example.two, results: ["setup attach 2": .exited(10)])
        #expect(
            run.output == """
                [
                     create res: web db
                   prepare disk: web db
                    adjust disk: web db:failed(attach:10)
                     adjust net: web
                ]

                """)
        #expect(run.status == 1)
    }
}
