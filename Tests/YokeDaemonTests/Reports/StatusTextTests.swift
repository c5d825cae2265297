import DRBDLayout
@testable import Replication
import Testing

@testable import YokeDaemon

/// Expected texts: drbd-config-and-tools 12.2.
@Suite struct StatusTextTests {
    @Test("the short form shows what is not ordinary")
    func short() {
        var volume = Samples.volume(Samples.target)
        volume.snapshot.outOfSyncBits = 304_080 / 4
        #expect(
            StatusText().text(of: Samples.report([volume])) == """
                r0 role:Secondary
                  disk:Inconsistent
                  peer role:Secondary
                    replication:SyncTarget peer-disk:UpToDate done:1.00


                """)
    }

    @Test("the long form wraps at 80 columns")
    func verbose() {
        var volume = Samples.volume(Samples.target)
        volume.snapshot.writtenSectors = 310_688 * 2
        volume.snapshot.receivedSectors = 3532 * 2
        volume.snapshot.activityLogWrites = 1
        volume.snapshot.outOfSyncBits = 303_620 / 4
        #expect(
            StatusText(isVerbose: true, hasStatistics: true).text(of: Samples.report([volume])) == """
                r0 role:Secondary suspended:no
                    write-ordering:flush
                  volume:0 minor:0 disk:Inconsistent
                      size:307152 read:0 written:310688 al-writes:1 bm-writes:0 upper-pending:0
                      lower-pending:0 al-suspended:no blocked:no
                  peer connection:Connected role:Secondary congested:no
                    volume:0 replication:SyncTarget peer-disk:UpToDate done:1.15
                        resync-suspended:no
                        received:3532 sent:0 out-of-sync:303620 pending:0 unacked:0


                """)
    }

    @Test("a frozen Primary says who froze it")
    func frozen() {
        var volume = Samples.volume(
            DeviceState(role: .primary, conn: .wfConnection, disk: .upToDate, suspFen: true))
        volume.snapshot.isBlockedByUpper = true
        let text = StatusText(isVerbose: true).text(of: Samples.report([volume]))
        #expect(
            text == """
                r0 role:Primary suspended:fencing
                  volume:0 minor:0 disk:UpToDate blocked:upper
                  peer connection:Connecting role:Unknown congested:no
                    volume:0 replication:Off peer-disk:DUnknown resync-suspended:no


                """)
    }

    @Test("without network configuration there is no line for the peer")
    func standAlone() {
        let text = StatusText().text(of: Samples.report([Samples.volume(DeviceState(disk: .upToDate))], network: nil))
        #expect(text == "r0 role:Secondary\n  disk:UpToDate\n\n")
    }

    @Test("waiting for the peer")
    func connecting() {
        let state = DeviceState(conn: .wfConnection, disk: .upToDate)
        #expect(
            StatusText().text(of: Samples.report([Samples.volume(state)]))
                == "r0 role:Secondary\n  disk:UpToDate\n  peer connection:Connecting\n\n")
    }
}
