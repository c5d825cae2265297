import DRBDLayout
@testable import Replication
import Testing

@testable import YokeDaemon

/// Expected texts: drbd-config-and-tools 11.1, 12.1, 12.4, 16.
@Suite struct QueryTextTests {
    private static let uuids: [UInt64] = [
        0xA40C_31DC_27DD_D02D, 0, 0xBCF9_751A_1AE4_AD6A, 0x670C_ACD1_2CFA_01EC,
    ]

    @Test("role, cstate and dstate")
    func oneLine() {
        let volume = Samples.volume(Samples.connected)
        #expect(QueryText.role(volume) == "Primary/Secondary")
        #expect(QueryText.connectionState(volume) == "Connected")
        #expect(QueryText.diskState(volume) == "UpToDate/UpToDate")
        #expect(QueryText.connectionState(Samples.volume(DeviceState())) == "Unconfigured")
    }

    @Test("get-gi has four numbers and seven flags")
    func generationIdentifiers() {
        #expect(
            QueryText.generationIdentifiers(uuids: Self.uuids, flags: MetadataFlags(rawValue: 0x17))
                == "A40C31DC27DDD02D:0000000000000000:BCF9751A1AE4AD6A:670CACD12CFA01EC:1:1:1:1:0:0:0")
    }

    @Test("show-gi draws arrows at the columns of the flags")
    func showGI() {
        let text = QueryText.explainedGenerationIdentifiers(uuids: Self.uuids, flags: MetadataFlags(rawValue: 0x17))
        let lines = text.split(separator: "\n", omittingEmptySubsequences: false)
        #expect(lines[0].isEmpty)
        #expect(lines[1] == "       +--<  Current data generation UUID  >-")
        #expect(lines[6].hasSuffix(":1:1:1:1:0:0:0"))
        #expect(lines[7].firstIndex(of: "^").map { lines[7].distance(from: lines[7].startIndex, to: $0) } == 68)
        #expect(lines[16] == "flags: Primary, Connected, UpToDate")
        #expect(lines[17] == "meta-data: need apply-al")
    }

    @Test("sh-status prints shell variables")
    func shellStatus() {
        #expect(
            QueryText.shellStatus(Samples.syncing, of: Samples.report([Samples.syncing])) == """
                _minor=0
                _res_name=r0
                _volume=0
                _known=Configured

                _cstate=SyncTarget
                _role=Secondary
                _peer=Secondary
                _disk=Inconsistent
                _pdsk=UpToDate

                _flags_susp=
                _flags_aftr_isp=
                _flags_peer_isp=
                _flags_user_isp=

                _resynced_percent=8.0

                _sh_status_process



                """)
    }

    @Test("show prints what can be parsed again")
    func show() {
        var volume = Samples.volume(Samples.connected)
        volume.backing = BackingPaths(disk: "/dev/vda", metaDisk: "/dev/vda", index: "internal")
        var report = Samples.report([volume])
        report.localAddress = "ipv4 10.99.0.20:7788"
        report.remoteAddress = "ipv4 10.99.0.21:7788"
        report.netOptions = [
            ShownOption(name: "timeout", value: "60", unit: "1/10 seconds", isDefault: true),
            ShownOption(name: "allow-two-primaries", value: "yes"),
            ShownOption(name: "verify-alg", value: "\"crc32c\""),
        ]
        #expect(
            ShowText().text(of: report) == """
                resource r0 {
                    options {
                    }
                    net {
                        allow-two-primaries\tyes;
                        verify-alg      \t"crc32c";
                    }
                    _remote_host {
                        address\t\t\tipv4 10.99.0.21:7788;
                    }
                    _this_host {
                        address\t\t\tipv4 10.99.0.20:7788;
                        volume 0 {
                            device\t\t\tminor 0;
                            disk\t\t\t"/dev/vda";
                            meta-disk\t\t\tinternal;
                            disk {
                            }
                        }
                    }
                }


                """)
        #expect(
            ShowText(withDefaults: true).text(of: report).contains(
                "        timeout         \t60; # 1/10 seconds, default\n"))
    }

    @Test("drbd-overview pads its columns and repeats the progress bar")
    func overview() {
        let text = OverviewText.text(of: [Samples.report([Samples.syncing])], configured: [:])
        let lines = text.split(separator: "\n")
        #expect(lines[0] == " 0:??not-found??  SyncTarget Secondary/Secondary Inconsistent/UpToDate ")
        #expect(lines[1] == "\t[>...................] sync'ed:  8.0% (286368/307152)K                 ")
    }

    @Test("drbd-overview has a line for what the configuration names and nobody brought up")
    func overviewOfWhatIsDown() {
        let text = OverviewText.text(of: [], configured: [1: "res0/0", 12: "mail/0"])
        #expect(text == " 1:res0/0  Unconfigured . . \n12:mail/0  Unconfigured . . \n")
    }
}
