import DRBDLayout
import EngineKit
import Replication
import Testing

@Suite("A source that yields to others")
struct SourceThrottleTests {
    /// How long a full sync of 30 MiB takes beside a writer, at most a minute.
    private func syncTime(rateMin: Int, targetIsPrimary: Bool = false) -> Duration {
        let pair = EnginePair(sectorCount: 65536)
        for node in [pair.a!, pair.b!] { node.diskOptions.resyncRate = 20_480 }
        pair.network.allowTwoPrimaries = targetIsPrimary
        pair.bringUpEqual()
        pair.a.diskOptions.rateMin = rateMin
        _ = pair.a.run(.diskOptions(VolumeNumber(0), pair.a.diskOptions))
        pair.a.promote()
        if targetIsPrimary { pair.b.promote() }
        let start = pair.now
        #expect(pair.a.run(.invalidateRemote(VolumeNumber(0))) == .success)
        while pair.now - start < .seconds(60), !pair.a.logged("Resync done") {
            _ = pair.a.startWrite(sector: 8, byteCount: 65536, fill: 7)
            pair.pass(.milliseconds(20))
        }
        return pair.now - start
    }

    @Test("c-min-rate lets a resync from this disk step back behind its applications")
    func throttled() {
        let free = syncTime(rateMin: 0)
        let slow = syncTime(rateMin: 250)
        #expect(free < .seconds(5))
        #expect(slow > free * 3)
    }

    @Test("a source does not step back where the peer is Primary")
    func peerIsPrimary() {
        #expect(syncTime(rateMin: 250, targetIsPrimary: true) < .seconds(8))
    }
}
