import DRBDLayout
import EngineKit
import Replication
import Testing

@Suite("Connecting and the first sync")
struct InitialSyncTests {
    @Test("two fresh nodes connect and stay Inconsistent")
    func freshNodesConnect() {
        let pair = EnginePair()
        pair.a.bringUp()
        pair.b.bringUp()
        #expect(pair.run { pair.areConnected })
        #expect(pair.a.stateText == "Connected Secondary/Secondary Inconsistent/Inconsistent")
        #expect(pair.b.stateText == "Connected Secondary/Secondary Inconsistent/Inconsistent")
        #expect(pair.a.logged("uuid_compare()=0 by rule 10"))
        #expect(pair.a.logged("Handshake successful: Agreed network protocol version 101"))
    }

    @Test("primary --force starts a full sync to the peer")
    func forcedPrimarySyncs() {
        let pair = EnginePair()
        pair.a.bringUp()
        pair.b.bringUp()
        pair.run { pair.areConnected }
        #expect(pair.a.promote(force: true) == .success)
        #expect(pair.run { pair.areConnected && pair.b.state.disk == .upToDate && pair.a.state.pdsk == .upToDate })
        #expect(pair.a.stateText == "Connected Primary/Secondary UpToDate/UpToDate")
        #expect(pair.b.stateText == "Connected Secondary/Primary UpToDate/UpToDate")
        #expect(pair.areDisksEqual)
        #expect(pair.a.outOfSync == 0 && pair.b.outOfSync == 0)
        pair.pass(.seconds(1))
        let (own, peer) = (pair.a.volume.uuids!, pair.b.volume.uuids!)
        #expect(own.map { $0 & ~1 } == peer.map { $0 & ~1 })
        #expect(own[1] == 0 && own[3] == GenerationUUID.justCreated)
    }

    @Test("a write is on both disks before it is answered")
    func writeIsMirrored() {
        let pair = EnginePair()
        pair.bringUpEqual()
        #expect(pair.a.promote() == .success)
        #expect(pair.a.write(sector: 80, fill: 0x41) == 0)
        #expect(pair.b.disk.bytes(sector: 80, count: 4096).allSatisfy { $0 == 0x41 })
        #expect(pair.areDisksEqual)
        #expect(pair.a.flush() == 0)
        #expect(pair.a.outOfSync == 0)
    }

    @Test("disks that are declared equal while the peer's P_STATE is on its way are UpToDate on both sides")
    func declaredEqualAtOnce() {
        let pair = EnginePair()
        pair.wireLatency = .milliseconds(20)
        pair.a.bringUp()
        pair.b.bringUp()
        #expect(pair.run { pair.a.state.conn == .connected })
        #expect(pair.a.run(.newCurrentUUID(VolumeNumber(0), clearBitmap: true)) == .success)
        pair.pass(.seconds(1))
        #expect(pair.a.stateText == "Connected Secondary/Secondary UpToDate/UpToDate")
        #expect(pair.b.stateText == "Connected Secondary/Secondary UpToDate/UpToDate")
    }
}
