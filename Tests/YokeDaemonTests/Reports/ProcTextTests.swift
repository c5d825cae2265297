import DRBDLayout
@testable import Replication
import Testing

@testable import YokeDaemon

/// Expected texts: drbd-config-and-tools 15.
@Suite struct ProcTextTests {
    @Test("a running resync is printed as the kernel prints it")
    func syncing() {
        let text = ProcText.text(of: [Samples.report([Samples.syncing])])
        #expect(
            text == """
                version: 8.4.11 (api:1/proto:100-101)
                srcversion: YOKE\(String(repeating: " ", count: 20))
                 0: cs:SyncTarget ro:Secondary/Secondary ds:Inconsistent/UpToDate C r-----
                    ns:0 nr:20784 dw:327940 dr:0 al:1 bm:0 lo:0 pe:0 ua:0 ap:0 ep:1 wo:f oos:286368
                \t[>...................] sync'ed:  8.0% (286368/307152)K
                \tfinish: 0:01:50 speed: 2,596 (2,968) want: 5,640 K/sec

                """)
    }

    @Test(
        "flags, letter and unconfigured minors",
        arguments: [
            (
                DeviceState(conn: .wfConnection, disk: .inconsistent), true,
                " 0: cs:WFConnection ro:Secondary/Unknown ds:Inconsistent/DUnknown C r----s"
            ),
            (
                DeviceState(disk: .upToDate), false,
                " 0: cs:StandAlone ro:Secondary/Unknown ds:UpToDate/DUnknown   r-----"
            ),
            (
                DeviceState(
                    role: .secondary, peer: .secondary, conn: .pausedSyncT, disk: .inconsistent, pdsk: .upToDate,
                    userIsp: true), false,
                " 0: cs:PausedSyncT ro:Secondary/Secondary ds:Inconsistent/UpToDate C r--u--"
            ),
            (
                DeviceState(role: .primary, conn: .wfConnection, disk: .upToDate, suspFen: true), false,
                " 0: cs:WFConnection ro:Primary/Unknown ds:UpToDate/DUnknown C s-----"
            ),
            (DeviceState(), false, " 0: cs:Unconfigured"),
        ])
    func firstLine(state: DeviceState, logSuspended: Bool, expected: String) {
        var volume = Samples.volume(state)
        volume.snapshot.isActivityLogSuspended = logSuspended
        let report = Samples.report([volume], network: state.conn == .standAlone ? nil : NetworkOptions())
        let lines = ProcText.text(of: [report]).split(separator: "\n", omittingEmptySubsequences: false)
        #expect(lines[2] == expected)
    }

    @Test("the odd arithmetic at start and end of a resync is the kernel's")
    func oddValues() {
        var progress = Samples.syncing.snapshot.progress!
        progress.leftBits = 76788
        #expect(ProcText.progressBar(progress, state: Samples.target)?.contains("sync'ed:  1.4%") == true)
        progress.leftBits = 1008 / 4
        #expect(
            ProcText.progressBar(progress, state: Samples.target)
                == "\t[===================>] sync'ed:100.0% (1008/307152)K")
        progress.leftBits = 80_000
        #expect(ProcText.perMille(progress) == 0)
        progress.totalBits = 0
        #expect(ProcText.perMille(progress) == 1000)
    }

    @Test("above 4 GiB the bar counts MiB, and a stalled resync says so")
    func bigAndStalled() {
        let progress = SyncProgress(
            totalBits: 2 << 20, leftBits: 1 << 20, markLeftBits: 1 << 20, markAge: .seconds(181),
            runningTime: .seconds(600), wantedRate: 250, positionSector: 0)
        let lines = ProcText.progressLines(progress, state: Samples.target)
        #expect(lines?.hasPrefix("\t[=========>..........] sync'ed: 50.1% (4096/8192)M\n") == true)
        #expect(lines?.hasSuffix(" speed: 0 (6,988) want: 250 K/sec (stalled)\n") == true)
    }

    @Test("a paused resync has no bar")
    func paused() {
        var state = Samples.target
        state.conn = .pausedSyncT
        #expect(ProcText.progressBar(Samples.syncing.snapshot.progress!, state: state) == nil)
    }

    @Test("minors are sorted, with an empty line at a gap")
    func gap() {
        let first = Samples.report([Samples.volume(DeviceState(), minor: 3)])
        let second = Samples.report([Samples.volume(DeviceState(), minor: 0), Samples.volume(DeviceState(), minor: 1)])
        let text = ProcText.text(of: [first, second])
        #expect(text.hasSuffix(" 0: cs:Unconfigured\n 1: cs:Unconfigured\n\n 3: cs:Unconfigured\n"))
    }
}
