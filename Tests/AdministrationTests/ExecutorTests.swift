import Administration
import Testing

/// What runs after a failure, and what the exit status is: as observed with the 8.4 program and scripted tools.
@Suite struct ExecutorTests {
    @Test(
        "a status below 20 lets other resources go on, the highest one is the result; the resource's rest is left out")
    func plain() async {
        let run = await Run(
            "primary all", on: Example.two, results: ["setup primary 1": .exited(10), "setup primary 2": .exited(11)])
        #expect(run.runner.lines == ["setup primary 1", "setup primary 2"])
        #expect(run.status == 11)
        #expect(
            run.errors == """
                Command 'drbdsetup-84 primary 1' terminated with exit code 10
                Command 'drbdsetup-84 primary 2' terminated with exit code 11

                """)
        let severe = await Run("primary all", on: Example.two, results: ["setup primary 1": .exited(20)])
        #expect(severe.runner.lines == ["setup primary 1"])
        #expect(severe.status == 20)
    }

    @Test("below 10 the tool speaks for itself")
    func quietStatus() async {
        let run = await Run("primary web", on: Example.two, results: ["setup primary 1": .exited(5)])
        #expect(run.errors == "")
        #expect(run.status == 5)
    }

    @Test("time-outs follow the global settings and end with 20")
    func timeouts() async {
        let text = Example.two.replacingFirst(
            "disable-ip-verification;", with: "disable-ip-verification; cmd-timeout-short 7; cmd-timeout-long 9;")
        let role = await Run("role web", on: text, results: ["setup role": .timedOut])
        #expect(role.errors == "Command 'drbdsetup-84 role 1' did not terminate within 7 seconds\n")
        #expect(role.status == 20)
        #expect(await Run("attach web", on: text).runner.calls.map(\.timeoutSeconds) == [9, 9])
        #expect(await Run("primary web", on: text).runner.calls.map(\.timeoutSeconds) == [600])
        #expect(await Run("attach web", on: Example.two).runner.calls.map(\.timeoutSeconds) == [nil, nil])
        #expect(await Run("wait-connect web", on: text).runner.calls.map(\.timeoutSeconds) == [nil])
        let absent = await Run("role web", on: text, results: ["setup role": .notRun("no daemon")])
        #expect(absent.errors == "Can not execute 'drbdsetup-84 role 1': no daemon\n")
        #expect(absent.status == 20)
    }

    @Test(
        "queries of a volume that does not run are answered from its meta data",
        arguments: ["dstate", "get-gi", "show-gi"])
    func fallback(_ command: String) async {
        let good = await Run("\(command) web", on: Example.two)
        #expect(good.runner.lines == ["setup \(command) 1"])
        for code: Int32 in [10, 20] {
            let run = await Run(
                "\(command) web", on: Example.two, results: ["setup": .exited(code, errors: "not known\n")])
            #expect(run.runner.lines == ["setup \(command) 1", "meta 1 v08 /dev/sda7 internal \(command)"])
            #expect(run.status == 0)
            #expect(run.errors == "")
        }
        for code: Int32 in [11, 17] {
            let run = await Run(
                "\(command) web", on: Example.two, results: ["setup": .exited(code, errors: "1: refused\n")])
            #expect(run.runner.lines == ["setup \(command) 1"])
            #expect(run.errors == "1: refused\n")
            #expect(run.status == code)
        }
    }

    @Test("outdate: 17 is passed on, everything else goes to the meta data, whose failure is 5")
    func outdate() async {
        func run(_ setup: Int32, _ meta: Int32) async -> (Int32, Int) {
            let run = await Run(
                "outdate web", on: Example.two, results: ["setup": .exited(setup), "meta": .exited(meta)])
            return (run.status, run.runner.calls.count)
        }
        #expect(await run(0, 0) == (0, 1))
        #expect(await run(17, 0) == (17, 1))
        #expect(await run(5, 0) == (0, 2))
        #expect(await run(5, 5) == (5, 2))
        #expect(await run(10, 1) == (5, 2))
        #expect(await run(20, 0) == (0, 2))
    }

    @Test("up goes stage by stage over all resources")
    func upOrder() async {
        let run = await Run("up all", on: Example.two)
        #expect(
            run.runner.lines == [
                "setup new-resource web", "setup new-minor web 1 0", "setup new-resource db", "setup new-minor db 2 0",
                "setup new-minor db 3 1", "meta 1 v08 /dev/sda7 internal apply-al",
                "setup attach 1 /dev/sda7 /dev/sda7 internal", "meta 2 v08 /dev/sda8 internal apply-al",
                "setup attach 2 /dev/sda8 /dev/sda8 internal", "meta 3 v08 /dev/sdz flex-external apply-al",
                "setup attach 3 /dev/sda9 /dev/sdz flexible",
                "setup connect web ipv4:10.0.0.1:7789 ipv4:10.0.0.2:7789 --allow-two-primaries=yes",
                "setup connect db ipv4:10.0.0.1:7790 ipv4:10.0.0.2:7790 --cram-hmac-alg=sha1 --shared-secret=xx",
            ])
    }

    @Test("a resource that fails in up is left alone in later stages, others go on; the result is 1")
    func upFailures() async {
        let resource = await Run("up all", on: Example.two, results: ["setup new-resource db": .exited(10)])
        #expect(
            resource.errors == """
                Command 'drbdsetup-84 new-resource db' terminated with exit code 10
                drbdadm: new-minor db: skipped due to earlier error
                drbdadm: new-minor db: skipped due to earlier error

                """)
        #expect(resource.runner.lines.last?.hasPrefix("setup connect web") == true)
        #expect(!resource.runner.lines.contains { $0.contains("attach 2") })
        #expect(resource.status == 1)
        let attach = await Run("up all", on: Example.two, results: ["setup attach 2": .exited(10)])
        #expect(attach.runner.lines.contains { $0.hasPrefix("setup attach 3") })
        #expect(attach.runner.lines.filter { $0.hasPrefix("setup connect") }.count == 1)
        #expect(attach.status == 1)
        let replay = await Run("up web", on: Example.two, results: ["meta 1": .exited(1)])
        #expect(!replay.runner.lines.contains { $0.contains("attach") || $0.contains("connect") })
        #expect(replay.errors == "")
        #expect(replay.status == 1)
    }

    @Test("-v prints each line before it runs")
    func verbose() async {
        let run = await Run("-v primary web", on: Example.two, results: ["setup": .exited(17)])
        #expect(run.output == "drbdsetup-84 primary 1\n")
        #expect(run.errors == "Command 'drbdsetup-84 primary 1' terminated with exit code 17\n")
    }

    @Test("-s and -m name other tools in the lines")
    func toolNames() async {
        let run = await Run("-d -s /x/setup -m /x/meta attach web", on: Example.two)
        #expect(
            run.outputLines == [
                "/x/meta 1 v08 /dev/sda7 internal apply-al", "/x/setup attach 1 /dev/sda7 /dev/sda7 internal",
            ])
    }

    @Test("what a shell would take for itself is printed behind backslashes")
    func escaping() async {
        let run = await Run("-d connect db", on: Example.old)
        #expect(run.output.hasPrefix(#"drbdsetup-84 connect db ipv6:\[fd00::1\]:7790 ipv6:\[fd00::2\]:7790 "#))
        let handler = await Run("-d split-brain web", on: Example.old)
        #expect(handler.output == #"/bin/sh -c mail\ -s\ \"SB\"\ root"# + "\n")
    }

    @Test("wait-con-int waits for all resources at once and returns the worst")
    func waitForAll() async {
        let run = await Run("wait-con-int", on: Example.two, results: ["setup wait-connect 2": .exited(5)])
        #expect(
            run.runner.lines == [
                "setup wait-connect 1 --wfc-timeout=10", "setup wait-connect 2", "setup wait-connect 3",
            ])
        #expect(run.status == 5)
    }
}
