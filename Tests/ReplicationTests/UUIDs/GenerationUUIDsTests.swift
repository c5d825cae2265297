import Testing

@testable import Replication

/// Spec: drbd-disk-and-state 7.2, 7.3.
struct GenerationUUIDsTests {
    private let random1: UInt64 = 0xD15E_ACE5_32D4_9969
    private let random2: UInt64 = 0x76C0_FCAA_7F7E_8A8C
    private let random3: UInt64 = 0x670B_ACD1_2CFA_01ED

    private func set(_ current: UInt64, _ bitmap: UInt64, _ history0: UInt64, _ history1: UInt64) -> GenerationUUIDs {
        GenerationUUIDs(current: current, bitmap: bitmap, history0: history0, history1: history1)
    }

    @Test("the rotation of two full cycles, as seen on two disks")
    func seenRotation() {
        var source = set(4, 0, 0, 0)
        var target = set(4, 0, 0, 0)

        let result1 = source.beginGeneration(random: random1, isPrimary: true)
        #expect(result1)
        #expect(source == set(random1, 4, 0, 0))
        var announced = source

        let result2 = source.startResyncAsSource(random: random2)
        #expect(result2 == random2)
        #expect(source == set(random1, random2, 4, 0))
        target.startResyncAsTarget(syncUUID: random2, isPrimary: false)
        #expect(target == set(random2, 0, 0, 0))

        source.finishResyncAsSource()
        #expect(source == set(random1, 0, random2, 4))
        target.finishResyncAsTarget(peer: announced, isPrimary: false)
        #expect(target == set(0xD15E_ACE5_32D4_9968, 0, random2, 4))

        let result3 = source.beginGeneration(random: random3, isPrimary: true)
        #expect(result3)
        #expect(source == set(random3, random1, random2, 4))
        source.setRole(isPrimary: false)
        announced = source

        let sync: UInt64 = 0xD15F_ACE5_32D4_9969
        let result4 = source.startResyncAsSource(random: 1)
        #expect(result4 == sync)
        #expect(source == set(0x670B_ACD1_2CFA_01EC, sync, random1, random2))
        target.startResyncAsTarget(syncUUID: sync, isPrimary: false)
        #expect(target == set(0xD15F_ACE5_32D4_9968, 0, random2, 4))

        source.finishResyncAsSource()
        #expect(source == set(0x670B_ACD1_2CFA_01EC, 0, sync, random1))
        target.finishResyncAsTarget(peer: announced, isPrimary: false)
        #expect(target == set(0x670B_ACD1_2CFA_01EC, 0, 0xD15F_ACE5_32D4_9968, random1))
    }

    @Test("an odd random sync UUID stays odd in the source's bitmap slot, the target's bit follows its role")
    func oddSyncUUID() {
        var source = set(9, 0, 0, 0)
        let result5 = source.startResyncAsSource(random: 0x302D_71BA_E460_7031)
        #expect(result5 == 0x302D_71BA_E460_7031)
        #expect(source.bitmap == 0x302D_71BA_E460_7031)
        var target = set(4, 0, 0, 0)
        target.startResyncAsTarget(syncUUID: 0x302D_71BA_E460_7031, isPrimary: false)
        #expect(target.current == 0x302D_71BA_E460_7030)
        target.startResyncAsTarget(syncUUID: 0x302D_71BA_E460_7030, isPrimary: true)
        #expect(target.current == 0x302D_71BA_E460_7031)
    }

    @Test("a new generation while a resync is open keeps what the bitmap counts from")
    func duringResync() {
        var source = set(0x101, 0x20, 0x30, 0x40)
        #expect(!source.isResyncOpen)
        let sync = source.startResyncAsSource(random: 1)
        #expect(source.isResyncOpen)
        source.beginGenerationKeepingBitmap(random: 0x500, isPrimary: true)
        #expect(source == set(0x501, sync, 0x101, 0x20))
        #expect(!source.isResyncOpen)
    }

    @Test("a resync that continues nothing is seen to be open too")
    func freshResync() {
        var source = set(0x101, 0, 0x30, 0x40)
        let sync = source.startResyncAsSource(random: source.freshSyncUUID)
        #expect(sync == 0x0001_0000_0000_0101)
        #expect(source.isResyncOpen)
        source.finishResyncAsSource()
        #expect(!source.isResyncOpen)
    }

    @Test("a new generation over an open one is told")
    func overOpenGeneration() {
        var uuids = set(0x11, 0x20, 0x30, 0x40)
        let result6 = uuids.beginGeneration(random: 0x50, isPrimary: true)
        #expect(!result6)
        #expect(uuids == set(0x51, 0x11, 0x30, 0x40))
    }

    @Test("the bitmap's generation loses its role bit when set, and becomes history when closed")
    func bitmapSlot() {
        var uuids = set(0x10, 0x20, 0x30, 0x40)
        uuids.setBitmap(0x61)
        #expect(uuids == set(0x10, 0x60, 0x30, 0x40))
        uuids.closeBitmap()
        #expect(uuids == set(0x10, 0, 0x60, 0x30))
        uuids.closeBitmap()
        #expect(uuids == set(0x10, 0, 0x60, 0x30))
        uuids.rotateBitmap(to: 0x71)
        #expect(uuids == set(0x10, 0x71, 0x60, 0x30))
        uuids.rotateBitmap(to: 0x81)
        #expect(uuids == set(0x10, 0x81, 0x71, 0x60))
    }

    @Test("the sync UUID wraps around instead of trapping")
    func wraps() {
        var uuids = set(0x10, 0xFFFF_0000_0000_0002, 0, 0)
        let result7 = uuids.startResyncAsSource(random: 5)
        #expect(result7 == 2)
    }

    @Test("new-current-uuid --clear-bitmap announces the just created generation but does not keep it")
    func skipInitialSync() {
        var own = set(4, 0, 0, 0)
        let sent = own.beginGenerationByAdministrator(
            random: 0xD513_11E7_7C34_40AE, isPrimary: false, clearsBitmap: true)
        #expect(sent == set(0xD513_11E7_7C34_40AE, 4, 0, 0))
        #expect(own == set(0xD513_11E7_7C34_40AE, 0, 0, 0))
        var peer = set(4, 0, 0, 0)
        peer.skipInitialSync(peerCurrent: sent.current, isPrimary: false)
        #expect(peer == own)
    }

    @Test("new-current-uuid without the flag closes the bitmap's generation first")
    func newCurrentByAdministrator() {
        var own = set(0x10, 0x20, 0x30, 0x40)
        let sent = own.beginGenerationByAdministrator(random: 0x50, isPrimary: false, clearsBitmap: false)
        #expect(sent == set(0x50, 0x10, 0x20, 0x30))
        #expect(own == sent)
    }

    @Test("four numbers of 16 digits are logged")
    func description() {
        #expect(
            set(random3 & ~1, 0, 0xD15F, 4).description
                == "670BACD12CFA01EC:0000000000000000:000000000000D15F:0000000000000004")
    }

    @Test("the planted fault rotates where nothing must be rotated")
    func fault() {
        var target = set(0x10, 0, 0x30, 0x40)
        target.startResyncAsTarget(syncUUID: 0x50, isPrimary: false, faults: .rotateOnSyncUUID)
        #expect(target == set(0x50, 0, 0x10, 0x30))
    }
}
