import DRBDLayout
@testable import Replication
import Testing

@testable import YokeDaemon

/// Expected lines: drbd-config-and-tools 13.
@Suite struct EventTextTests {
    private var paused: ResourceReport {
        var volume = Samples.volume(Samples.target)
        volume.snapshot.state.conn = .pausedSyncT
        volume.snapshot.state.userIsp = true
        volume.snapshot.receivedSectors = 4524 * 2
        volume.snapshot.outOfSyncBits = 302_628 / 4
        return Samples.report([volume])
    }

    @Test("the first dump names every object with its counters")
    func dump() {
        var volume = Samples.volume(Samples.target)
        volume.snapshot.writtenSectors = 308_144 * 2
        volume.snapshot.activityLogWrites = 1
        volume.snapshot.receivedSectors = 988 * 2
        volume.snapshot.outOfSyncBits = 306_164 / 4
        volume.snapshot.peerPending = 3
        let lines = EventText(hasStatistics: true).lines(.exists, Samples.report([volume]))
        #expect(
            lines == [
                "exists resource name:r0 role:Secondary suspended:no write-ordering:flush",
                "exists connection name:r0 peer-node-id:0 conn-name:peer connection:Connected role:Secondary"
                    + " congested:no",
                "exists device name:r0 volume:0 minor:0 disk:Inconsistent size:307152 read:0 written:308144"
                    + " al-writes:1 bm-writes:0 upper-pending:0 lower-pending:0 al-suspended:no blocked:no",
                "exists peer-device name:r0 peer-node-id:0 conn-name:peer volume:0 replication:SyncTarget"
                    + " peer-disk:UpToDate resync-suspended:no received:988 sent:0 out-of-sync:306164 pending:3"
                    + " unacked:0",
            ])
    }

    @Test("a change names only the fields that changed, and all counters")
    func change() {
        #expect(
            EventText(hasStatistics: true).changes(from: [Samples.target], to: paused) == [
                "change peer-device name:r0 peer-node-id:0 conn-name:peer volume:0 replication:PausedSyncT"
                    + " resync-suspended:user received:4524 sent:0 out-of-sync:302628 pending:0 unacked:0"
            ])
    }

    @Test("a lost connection changes connection and peer device, in that order")
    func lost() {
        let report = Samples.report([
            Samples.volume(DeviceState(role: .primary, conn: .networkFailure, disk: .upToDate))
        ])
        #expect(
            EventText(hasStatistics: false).changes(from: [Samples.connected], to: report) == [
                "change connection name:r0 peer-node-id:0 conn-name:peer connection:NetworkFailure role:Unknown",
                "change peer-device name:r0 peer-node-id:0 conn-name:peer volume:0 replication:Off"
                    + " peer-disk:DUnknown",
            ])
    }

    @Test("handlers are announced and answered")
    func helper() {
        let report = paused
        let line = EventText.helperLine(
            .response, report: report, volume: report.volumes[0], handler: "after-resync-target", status: 0)
        #expect(
            line == "response helper name:r0 peer-node-id:0 conn-name:peer volume:0 minor:0"
                + " helper:after-resync-target status:0")
    }
}
