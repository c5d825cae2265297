import DRBDLayout
@testable import Replication
import Testing

@testable import YokeDaemon

@Suite struct HealthTests {
    @Test(
        "the level follows what a failure now would cost",
        arguments: [
            (Samples.connected, Health.Level.healthy),
            (Samples.target, .degraded),
            (DeviceState(role: .primary, conn: .wfConnection, disk: .upToDate), .degraded),
            (DeviceState(conn: .connected, disk: .inconsistent, pdsk: .inconsistent), .broken),
            (DeviceState(role: .primary, conn: .wfConnection, disk: .upToDate, suspFen: true), .broken),
            (DeviceState(role: .primary, conn: .connected, disk: .diskless, pdsk: .upToDate), .degraded),
            (DeviceState(), .broken),
        ])
    func level(state: DeviceState, expected: Health.Level) {
        #expect(Health(of: Samples.report([Samples.volume(state)])).level == expected)
    }

    @Test("a split brain is broken and says how to choose a side")
    func splitBrain() {
        var report = Samples.report([Samples.volume(DeviceState(role: .primary, disk: .upToDate))])
        report.trouble = "Split-Brain detected"
        let health = Health(of: report)
        #expect(health.level == .broken)
        #expect(health.sentence.contains("--discard-my-data connect r0"))
    }

    @Test("the worst volume speaks for the resource")
    func worst() {
        let volumes = [Samples.volume(Samples.connected), Samples.volume(Samples.target, minor: 1, number: 1)]
        let report = Samples.report(volumes)
        #expect(Health(of: report).level == .degraded)
        #expect(HumanStatus.exitStatus(of: [report]) == 1)
    }

    @Test("status for people fits on a screen")
    func text() {
        let text = HumanStatus.text(of: [Samples.report([Samples.syncing])], node: "alpha")
        #expect(
            text == """
                r0: degraded - receiving from the peer: 6.7 % done, 2,596 KiB/s, 0:01:50 left
                  role        Secondary, peer Secondary
                  connection  Connected, protocol C
                  volume 0    drbd0, 299.9 MiB, disk Inconsistent, peer UpToDate, out of sync 279.6 MiB
                             [>...................] sync'ed:  8.0% (286368/307152)K

                """)
    }

    @Test("with more than one thing the first line is for the host: how many are well, or what is worst")
    func headline() {
        var report = Samples.report([Samples.volume(Samples.connected)])
        var mount = MountReport(source: "/dev/drbd0", directory: "/srv")
        func first() -> String {
            String(HumanStatus.text(of: [report], [mount], node: "alpha").prefix { $0 != "\n" })
        }
        #expect(first() == "alpha: healthy - 1 resource, 1 mount")
        mount.obstacle = "the peer is not connected"
        #expect(first() == "alpha: degraded - /srv: waits - the peer is not connected")
        #expect(HumanStatus.exitStatus(of: [report], [mount]) == 1)
        report = Samples.report([Samples.volume(DeviceState())])
        #expect(first().hasPrefix("alpha: BROKEN - r0: not configured"))
    }

    @Test("a terminal gets colours, everything else plain text")
    func colours() {
        let report = Samples.report([Samples.volume(Samples.connected)])
        let coloured = HumanStatus.text(of: [report], node: "alpha", isColoured: true)
        #expect(coloured.hasPrefix("r0: \u{1b}[32mhealthy\u{1b}[0m - "))
        #expect(!HumanStatus.text(of: [report], node: "alpha").contains("\u{1b}"))
    }

    @Test("a frozen mount is broken")
    func frozen() {
        var member = MountReport.Member(cluster: "web", node: 1, members: [0, 1], alive: [1])
        member.isFrozen = true
        let mount = MountReport(source: "/dev/drbd0", directory: "/srv", member: member)
        #expect(mount.health == .broken && mount.text.hasPrefix("/dev/drbd0 on /srv: FROZEN\n"))
    }

    @Test("JSON is well-formed and escapes")
    func json() {
        let value = JSONText.object([
            .init("a\"b", .string("x\ny\u{1}")), .init("n", .number(7)), .init("e", .array([])),
        ])
        #expect(value.text == "{\n  \"a\\\"b\": \"x\\ny\\u0001\",\n  \"n\": 7,\n  \"e\": []\n}\n")
    }
}
