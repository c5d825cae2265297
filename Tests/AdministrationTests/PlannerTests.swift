import Administration
import Testing

@Suite struct PlannerTests {
    @Test("the chapter's example: up runs exactly the lines of the 8.4 program")
    func upLines() async {
        let run = await Run("-d up web", on: Example.old)
        #expect(run.status == 0)
        #expect(
            run.outputLines == [
                "drbdsetup-84 new-resource web --cpu-mask=3",
                "drbdsetup-84 new-minor web 1 0",
                "drbdmeta 1 v08 /dev/sda7 internal apply-al",
                "drbdsetup-84 attach 1 /dev/sda7 /dev/sda7 internal --resync-after=0 --resync-rate=30M --size=10G "
                    + "--disk-flushes=no --disk-barrier=no --fencing=resource-only --on-io-error=detach "
                    + "--al-extents=257",
                "drbdsetup-84 connect web ipv4:10.0.0.1:7789 ipv4:10.0.0.2:7789 --use-rle=yes --csums-alg=md5 "
                    + "--verify-alg=sha1 --protocol=C --allow-two-primaries=yes --cram-hmac-alg=sha1 "
                    + "--shared-secret=FooFunFactory --after-sb-0pri=discard-zero-changes "
                    + "--after-sb-1pri=discard-secondary --after-sb-2pri=disconnect --sndbuf-size=512k "
                    + "--tcp-cork=no --max-buffers=8000",
            ])
    }

    @Test("both forms of handing options on give them at the end of the line")
    func setupOptions() async {
        let lines: [(String, String)] = [
            ("-d -- --overwrite-data-of-peer primary web", "drbdsetup-84 primary 1 --overwrite-data-of-peer"),
            ("-d primary --force web", "drbdsetup-84 primary 1 --force"),
            ("-d primary web --force", "drbdsetup-84 primary 1 --force"),
            ("primary -d --forc web", "drbdsetup-84 primary 1 --force"),
            ("-d -W--force primary web", "drbdsetup-84 primary 1 --force"),
            ("-d primary --overwrite-data-of-peer web", "drbdsetup-84 primary 1 --overwrite-data-of-peer"),
            ("-d create-md --force web", "drbdmeta 1 v08 /dev/sda7 internal create-md --force"),
            (
                "-d disconnect --force web",
                "drbdsetup-84 disconnect ipv4:10.0.0.1:7789 ipv4:10.0.0.2:7789 --force"
            ),
            ("-d verify --start=10 web", "drbdsetup-84 verify 1 --start=10"),
        ]
        for (commandLine, expected) in lines {
            let run = await Run(commandLine, on: Example.two)
            #expect(run.outputLines == [expected], "\(commandLine)")
        }
        for commandLine in ["-d -- --discard-my-data connect web", "-d connect --discard-my-data web"] {
            let run = await Run(commandLine, on: Example.two)
            #expect(run.output.hasSuffix(" --allow-two-primaries=yes --discard-my-data\n"))
        }
    }

    @Test("resources are named by name, name and volume, minor, or all")
    func targets() async {
        let pairs: [(String, [String])] = [
            ("db", ["2", "3"]), ("db/1", ["3"]), ("minor-2", ["2"]), ("all", ["1", "2", "3"]),
            ("web/0 db", ["1", "2", "3"]),
        ]
        for (target, minors) in pairs {
            let run = await Run("-d primary \(target)", on: Example.two)
            #expect(run.outputLines == minors.map { "drbdsetup-84 primary \($0)" })
        }
    }

    @Test("unknown names, commands and options are told in the classic words, exit 1")
    func usageErrors() async {
        let nonex = await Run("-d primary web nonex", on: Example.two)
        #expect(nonex.errors == "'nonex' not defined in your config (for this host).\n")
        #expect(nonex.outputLines == ["drbdsetup-84 primary 1"])
        #expect(nonex.status == 1)
        let upNonex = await Run("up web nonex", on: Example.two)
        #expect(upNonex.runner.calls.isEmpty)
        #expect(upNonex.status == 1)
        let unknown = await Run("foo", on: Example.two)
        #expect(unknown.errors == "drbdadm: Unknown command 'foo'\n")
        #expect(unknown.status == 1)
        let syncer = await Run("syncer web", on: Example.two)
        #expect(syncer.errors == "drbdadm: Unknown command 'syncer'\n")
        let option = await Run("primary --x web", on: Example.two)
        #expect(option.errors == "drbdadm: unrecognized option '--x'\ntry 'drbdadm help'\n")
        #expect(option.status == 1)
        let short = await Run("-Z", on: Example.two)
        #expect(short.errors == "drbdadm: invalid option -- 'Z'\ntry 'drbdadm help'\n")
        let missing = await Run("-c", on: Example.two)
        #expect(missing.errors == "drbdadm: option requires an argument -- 'c'\ntry 'drbdadm help'\n")
        let none = await Run("primary", on: Example.two)
        #expect(none.errors == "No resource names specified\n")
        #expect(none.output.hasPrefix("\nUSAGE: drbdadm primary [OPTION...] {all|RESOURCE...}\n"))
        #expect(none.output.contains("OPTIONS FOR primary:\n  --force[=...]\n"))
        #expect(none.status == 1)
        let nothing = await Run("", on: Example.two)
        #expect(nothing.errors == "No command specified\n")
        #expect(nothing.status == 1)
        let whole = await Run("connect db/1", on: Example.two)
        #expect(whole.errors == "connect operates on whole resources, but you specified a specific volume!\n")
        #expect(whole.status == 1)
        let empty = await Run("up all", on: "global { }")
        #expect(empty.errors == "no resources defined!\n")
        #expect(empty.status == 1)
        let foreign = await Run("primary all", on: Example.two, node: "zeta")
        #expect(foreign.errors.hasPrefix("WARN: no normal resources defined for this host (zeta)!?\n"))
        #expect(foreign.status == 1)
    }

    @Test("the values for scripts are one a line")
    func shellValues() async {
        let values: [(String, String)] = [
            ("sh-resources", "web db\n"), ("sh-resource all", "web\ndb\n"), ("sh-mod-parms", "minor_count=64\n"),
            ("sh-dev all", "/dev/drbd1\n/dev/drbd0\n"), ("sh-minor web", "1\n"), ("sh-ll-dev web", "/dev/sda7\n"),
            ("sh-md-dev db", "/dev/sdc1\n"), ("sh-md-idx all", "internal\n3\n"), ("sh-ip all", "10.0.0.1\nfd00::1\n"),
            ("sh-udev web", "RESOURCE=web\nDEVICE=drbd1\nDISK=sda7\n"), ("sh-nop", ""),
        ]
        for (command, expected) in values {
            let run = await Run(command, on: Example.old)
            #expect(run.output == expected, "\(command)")
            #expect(run.status == 0)
        }
        let lower = await Run("sh-lr-of web", on: Example.old)
        #expect(lower.errors == "sh-lower-resource only available in stacked mode\n")
        #expect(lower.status == 1)
        let flexible = await Run("sh-md-idx db/1", on: Example.two)
        #expect(flexible.output == "flexible\n")
        let udev = await Run("sh-udev minor-3", on: Example.two)
        #expect(udev.output == "RESOURCE=db/1\nDEVICE=drbd_data\nDISK=sda9\n")
    }

    @Test("sh-status has the blank lines that scripts know")
    func shStatus() async {
        let run = await Run("sh-status", on: Example.two)
        #expect(
            run.output == """
                _drbd_version=8.4.11
                _drbd_api=1
                _config_file=/etc/drbd.conf


                _conf_res_name=web
                _conf_file_line=/etc/drbd.conf:2

                _stacked_on=
                _stacked_on_device=
                _stacked_on_minor=
                _conf_volume=0
                _conf_res_name=db
                _conf_file_line=/etc/drbd.conf:6

                _stacked_on=
                _stacked_on_device=
                _stacked_on_minor=
                _conf_volume=0
                _conf_volume=1

                """)
        #expect(run.runner.lines == ["setup sh-status 1", "setup sh-status 2", "setup sh-status 3"])
    }

    @Test("dump prints all, dump R the resource; a foreign address is refused there, exit 10")
    func dump() async {
        let all = await Run("dump", on: Example.two)
        #expect(all.output.hasPrefix("# /etc/drbd.conf\nglobal {\n"))
        let one = await Run("dump db", on: Example.two)
        #expect(one.output.hasPrefix("# resource db on alpha: not ignored, not stacked\n"))
        let foreign = await Run("dump", on: Example.two.replacingFirst("disable-ip-verification;", with: ""))
        #expect(foreign.errors.contains("in resource web, on alpha:\n\tIP 10.0.0.1 not found on this host.\n"))
        #expect(foreign.status == 10)
        #expect(foreign.output == "")
    }

    @Test("a wrong configuration stops every command with its status, whatever else would happen")
    func wrongConfiguration() async {
        let syntax = await Run("up all", on: "resource a { foo; }")
        #expect(syntax.status == 10)
        #expect(syntax.errors.hasPrefix("/etc/drbd.conf:1: Parse error:"))
        let number = await Run("sh-nop", on: "resource a { net { timeout abc; } }")
        #expect(number.status == 20)
    }

    @Test("sh-b-pri promotes named hosts only, five tries a second apart")
    func becomePrimary() async {
        let good = await Run("sh-b-pri all", on: Example.two)
        #expect(good.runner.lines == ["setup primary 1"])
        let bad = await Run("sh-b-pri all", on: Example.two, results: ["setup primary": .exited(11)])
        #expect(bad.runner.lines.count == 5)
        #expect(bad.runner.pauses == 4)
        #expect(bad.status == 11)
    }

    @Test("handlers run their command with the environment that scripts expect")
    func handlers() async {
        let run = await Run("split-brain minor-1", on: Example.two, results: ["sh": .exited(3)])
        #expect(run.status == 3)
        #expect(run.errors == "")
        #expect(run.runner.lines == ["sh -c env; exit 3"])
        guard case .shell(let variables) = run.runner.calls[0].tool else {
            Issue.record("no shell")
            return
        }
        #expect(
            variables.map { "\($0.name)=\($0.value)" }.sorted() == [
                "DRBD_CONF=/etc/drbd.conf", "DRBD_DONT_WARN_ON_VERSION_MISMATCH=1", "DRBD_LL_DISK=/dev/sda7",
                "DRBD_MINOR=1", "DRBD_PEER=beta", "DRBD_PEERS=beta", "DRBD_PEER_ADDRESS=10.0.0.2",
                "DRBD_PEER_AF=ipv4", "DRBD_RESOURCE=web", "DRBD_VOLUME=0",
            ])
        #expect(run.runner.calls[0].timeoutSeconds == nil)
        let fence = await Run("fence-peer db", on: Example.two, results: ["sh": .exited(20)])
        guard case .shell(let all) = fence.runner.calls[0].tool else {
            Issue.record("no shell")
            return
        }
        #expect(all.contains(EnvironmentVariable("DRBD_MINOR", "2 3")))
        #expect(!all.contains { $0.name == "DRBD_VOLUME" || $0.name == "DRBD_LL_DISK" })
        #expect(fence.status == 20)
        let none = await Run("out-of-sync web", on: Example.two)
        #expect(none.status == 0)
        #expect(none.runner.calls.isEmpty)
        let unclear = await Run("split-brain db", on: Example.two)
        #expect(
            unclear.errors
                == "split-brain requires a specific volume id, but none is specified.\n"
                + "Try 'split-brain minor-<minor_number>' or 'split-brain db/<vnr>'\n")
        #expect(unclear.status == 1)
    }

    @Test("a resource with one host says what is missing instead of connecting")
    func alone() async {
        let text = """
            global { disable-ip-verification; }
            resource a { on alpha { device minor 1; disk /dev/x; address 10.0.0.1:1; meta-disk internal; } }
            """
        let run = await Run("connect a", on: text)
        #expect(run.errors == "/etc/drbd.conf:2: in resource a:\n\tMissing section 'on <PEER> { ... }'.\n")
        #expect(run.status == 10)
    }

    @Test("below a root, disks are opened where they are there")
    func rootedPaths() async {
        let facts = FakeFacts()
        facts.rooted = ["/dev/sda8": "/r/dev/sda8"]
        let run = await Run("-d attach db", on: Example.two, facts: facts)
        #expect(
            run.outputLines.prefix(2) == [
                "drbdmeta 2 v08 /r/dev/sda8 internal apply-al",
                "drbdsetup-84 attach 2 /r/dev/sda8 /r/dev/sda8 internal",
            ])
    }

    @Test("create-md writes a device uuid after the meta data, which -d does not list")
    func createMetadata() async {
        let run = await Run("-- --force create-md db/1", on: Example.two)
        #expect(
            run.runner.lines == [
                "meta 3 v08 /dev/sdz flex-external create-md --force",
                "meta 3 v08 /dev/sdz flex-external write-dev-uuid 00C0FFEE00000001",
            ])
        let dry = await Run("-d create-md db/1", on: Example.two)
        #expect(dry.outputLines == ["drbdmeta 3 v08 /dev/sdz flex-external create-md"])
        let refused = await Run("create-md all", on: Example.two, results: ["meta 1": .exited(40)])
        #expect(refused.runner.lines == ["meta 1 v08 /dev/sda7 internal create-md"])
        #expect(refused.status == 40)
    }

    @Test("-t reads a further file, for dump and sh-nop only")
    func fileToTest() async {
        func run(_ commandLine: String) async -> Run {
            await Run(
                commandLine, on: Example.two,
                files: ["/tmp/x.res": "resource x { device minor 9; disk /dev/x; meta-disk internal; foo; }"])
        }
        let test = await run("-t /tmp/x.res sh-nop")
        #expect(test.status == 10)
        #expect(test.errors.hasPrefix("/tmp/x.res:1: Parse error: 'protocol | on |"))
        #expect(await run("-t /tmp/x.res sh-resources").output == "web db\n")
        #expect(await run("-t /tmp/nofile dump").status == 10)
    }

    @Test("--node and --root are taken with the classic options; -c names the file")
    func ownOptions() async {
        let node = await Run("--node beta -d connect web", on: Example.two)
        #expect(node.output.hasPrefix("drbdsetup-84 connect web ipv4:10.0.0.2:7789 ipv4:10.0.0.1:7789"))
        let root = await Run("--root=/r sh-resources", on: "foo", files: ["/r/etc/drbd.conf": Example.two])
        #expect(root.output == "web db\n")
        let file = await Run("-c /x.conf sh-resources", on: "foo", files: ["/x.conf": Example.two])
        #expect(file.output == "web db\n")
        let absent = await Run("-c /no.conf sh-resources", on: "foo")
        #expect(absent.errors == "Can not open '/no.conf'.\n\tNo such file or directory\n")
        #expect(absent.status == 20)
    }

    @Test("help, version and the hidden commands are printed, exit 0")
    func help() async {
        let general = await Run("help", on: "")
        #expect(general.output.contains("\nCOMMANDS:\n attach                             status      "))
        let hidden = await Run("hidden-commands", on: "")
        #expect(hidden.output.contains("\n pri-lost                           initial-split-brain  "))
        let version = await Run("-V", on: "")
        #expect(version.output.contains("DRBDADM_VERSION=8.4.11\n"))
        #expect(await Run("help connect", on: "").output.contains("\n  --after-sb-0pri=...\n"))
        #expect([general, hidden, version].allSatisfy { $0.status == 0 })
    }

    @Test("warnings of the configuration are shown by commands that act on it, not by queries and sh-*")
    func warnings() async {
        let text = Example.two.replacingFirst("net { allow-two-primaries; }", with: "")
        let up = await Run("-d up all", on: text)
        #expect(up.errors.contains("become-primary-on is set to both, but allow-two-primaries is not set."))
        #expect(up.status == 0)
        let query = await Run("sh-dev all", on: text)
        #expect(query.errors == "")
    }
}

extension String {
    func replacingFirst(_ part: String, with other: String) -> String {
        var index = startIndex
        while index < endIndex {
            if self[index...].hasPrefix(part) {
                return self[..<index] + other + self[self.index(index, offsetBy: part.count)...]
            }
            index = self.index(after: index)
        }
        return self
    }
}
