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

    @Test("JSON is well-formed and escapes")
    func json() {
        let value = JSONText.object([
            .init("a\"b", .string("x\ny\u{1}")), .init("n", .number(7)), .init("e", .array([])),
        ])
        #expect(value.text == "{\n  \"a\\\"b\": \"x\\ny\\u0001\",\n  \"n\": 7,\n  \"e\": []\n}\n")
    }
}
