import DRBDLayout
import Testing

@testable import Replication

/// Spec: drbd-disk-and-state 4, 7.3, 8.1.
struct MetadataFlagsTests {
    private func state(
        _ role: Role, _ peer: Role, _ conn: ConnectionState, _ disk: DiskState, _ pdsk: DiskState
    ) -> DeviceState {
        DeviceState(role: role, peer: peer, conn: conn, disk: disk, pdsk: pdsk)
    }

    private func flags(_ state: DeviceState, before: UInt32 = 0, crashed: Bool = false) -> UInt32 {
        StateRules.metadataFlags(MetadataFlags(rawValue: before), after: state, isCrashedPrimary: crashed).rawValue
    }

    @Test("the flags of the seen time line")
    func timeLine() {
        #expect(flags(state(.secondary, .unknown, .standAlone, .inconsistent, .unknown), before: 0x80) == 0x00)
        #expect(flags(state(.secondary, .secondary, .connected, .inconsistent, .inconsistent)) == 0x24)
        #expect(flags(state(.primary, .secondary, .syncSource, .upToDate, .inconsistent)) == 0x37)
        #expect(flags(state(.secondary, .primary, .syncTarget, .inconsistent, .upToDate)) == 0x04)
        #expect(flags(state(.primary, .secondary, .connected, .upToDate, .upToDate)) == 0x17)
        #expect(flags(state(.secondary, .primary, .connected, .upToDate, .upToDate)) == 0x15)
        #expect(flags(state(.primary, .unknown, .wfConnection, .upToDate, .unknown)) == 0x13)
        #expect(flags(state(.secondary, .unknown, .standAlone, .upToDate, .unknown)) == 0x11)
        #expect(flags(state(.secondary, .secondary, .wfBitMapS, .upToDate, .outdated), crashed: true) == 0x75)
    }

    @Test("FULL_SYNC and AL_DISABLED stay, AL_CLEAN goes")
    func kept() {
        let idle = state(.secondary, .unknown, .standAlone, .inconsistent, .unknown)
        #expect(flags(idle, before: 0x1ff) == 0x108)
    }

    @Test("who keeps the writes of a Primary without a disk carries its mark")
    func disklessPrimary() {
        #expect(flags(state(.secondary, .primary, .connected, .upToDate, .diskless)) & 2 == 2)
        #expect(flags(state(.secondary, .primary, .connected, .upToDate, .inconsistent)) & 2 == 0)
        #expect(flags(state(.secondary, .secondary, .connected, .upToDate, .diskless)) & 2 == 0)
    }

    @Test("Outdated is consistent, but was not up to date")
    func outdated() {
        #expect(flags(state(.secondary, .unknown, .standAlone, .outdated, .unknown)) == 0x01)
    }

    @Test("crashed Primary ends when both disks become UpToDate")
    func crashedPrimary() {
        let good = state(.secondary, .secondary, .connected, .upToDate, .upToDate)
        let syncing = state(.secondary, .secondary, .syncSource, .upToDate, .inconsistent)
        #expect(StateRules.clearsCrashedPrimary(from: syncing, to: good))
        #expect(!StateRules.clearsCrashedPrimary(from: good, to: good))
        #expect(!StateRules.clearsCrashedPrimary(from: good, to: syncing))
    }

    @Test(
        "the disk state at attach follows from three flags and the fencing policy",
        arguments: [
            (UInt32(0x00), DiskOptions.Fencing.dontCare, DiskState.inconsistent),
            (0x10, .dontCare, .inconsistent),
            (0x01, .dontCare, .outdated),
            (0x11, .dontCare, .upToDate),
            (0x11, .resourceOnly, .consistent),
            (0x11, .resourceAndStonith, .consistent),
            (0x31, .resourceOnly, .upToDate),
            (0x21, .resourceOnly, .outdated),
        ])
    func attached(flags: UInt32, fencing: DiskOptions.Fencing, disk: DiskState) {
        #expect(StateRules.attachedDiskState(MetadataFlags(rawValue: flags), fencing: fencing) == disk)
    }

    @Test("a new generation begins when a Primary's peer stops following", arguments: DiskState.allCases)
    func peerDataLost(old: DiskState) {
        for new in DiskState.allCases {
            let follows: Set<DiskState> = [.inconsistent, .consistent, .upToDate]
            let lost =
                follows.contains(old)
                ? !follows.contains(new) : old == .unknown && [.diskless, .failed, .outdated].contains(new)
            let before = state(.primary, .secondary, .connected, .upToDate, old)
            let after = state(.primary, .unknown, .connected, .upToDate, new)
            let reason = StateRules.newGeneration(from: before, to: after, bitmapUUID: 0)
            #expect((reason == .peerDataLost) == lost, "\(old) -> \(new)")
        }
    }

    @Test("no new generation on a Secondary of a Secondary, on bad data, or while one is open")
    func noNewGeneration() {
        let before = state(.secondary, .secondary, .connected, .upToDate, .upToDate)
        var after = state(.secondary, .unknown, .networkFailure, .upToDate, .unknown)
        #expect(StateRules.newGeneration(from: before, to: after, bitmapUUID: 0) == nil)
        after.role = .primary
        #expect(StateRules.newGeneration(from: before, to: after, bitmapUUID: 0) == .peerDataLost)
        #expect(StateRules.newGeneration(from: before, to: after, bitmapUUID: 7) == nil)
        #expect(StateRules.newGeneration(from: before, to: after, bitmapUUID: 0, faults: .forgetNewCurrentUUID) == nil)
        after.disk = .inconsistent
        #expect(StateRules.newGeneration(from: before, to: after, bitmapUUID: 0) == nil)
    }

    @Test("a Primary whose disk was being attached when the connection broke goes on in a new generation")
    func attachedAlone() {
        let before = state(.primary, .secondary, .connected, .negotiating, .inconsistent)
        var after = state(.primary, .unknown, .networkFailure, .upToDate, .inconsistent)
        #expect(StateRules.newGeneration(from: before, to: after, bitmapUUID: 0) == .attachedAlone)
        #expect(StateRules.newGeneration(from: before, to: after, bitmapUUID: 7) == nil)
        #expect(StateRules.newGeneration(from: before, to: after, bitmapUUID: 7, isResyncOpen: true) == .attachedAlone)
        after.conn = .connected
        #expect(StateRules.newGeneration(from: before, to: after, bitmapUUID: 0) == nil)
        after = state(.secondary, .unknown, .networkFailure, .upToDate, .inconsistent)
        #expect(StateRules.newGeneration(from: before, to: after, bitmapUUID: 0) == nil)
    }

    @Test(
        "the source of a resync that loses a target that may be done begins one although the bitmap has a generation"
    )
    func resyncTargetLost() {
        let before = state(.primary, .secondary, .syncSource, .upToDate, .inconsistent)
        var after = state(.primary, .unknown, .networkFailure, .upToDate, .inconsistent)
        #expect(
            StateRules.newGeneration(from: before, to: after, bitmapUUID: 7, mayTargetBeDone: true) == .resyncTargetLost
        )
        #expect(StateRules.newGeneration(from: before, to: after, bitmapUUID: 7, mayTargetBeDone: false) == nil)
        #expect(StateRules.newGeneration(from: after, to: after, bitmapUUID: 7, mayTargetBeDone: true) == nil)
        after.role = .secondary
        #expect(StateRules.newGeneration(from: before, to: after, bitmapUUID: 7, mayTargetBeDone: true) == nil)
    }

    @Test("a new generation begins when a diskless peer is promoted, or a Primary peer loses its disk")
    func disklessPeer() {
        let before = state(.secondary, .secondary, .connected, .upToDate, .diskless)
        let after = state(.secondary, .primary, .connected, .upToDate, .diskless)
        #expect(StateRules.newGeneration(from: before, to: after, bitmapUUID: 0) == .disklessPeerPromoted)
        #expect(StateRules.newGeneration(from: after, to: after, bitmapUUID: 0) == nil)
        let whole = state(.secondary, .primary, .connected, .upToDate, .upToDate)
        #expect(StateRules.newGeneration(from: whole, to: after, bitmapUUID: 0) == .peerDataLost)
    }
}
