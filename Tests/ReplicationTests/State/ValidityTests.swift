import DRBDLayout
import Testing

@testable import Replication

/// Spec: drbd-disk-and-state 11.2.
struct ValidityTests {
    struct Row: Sendable, CustomTestStringConvertible {
        let name: String
        var state: DeviceState
        var context = StateContext()
        let code: StateChangeResult

        init(
            _ name: String, _ code: StateChangeResult, role: Role = .secondary, peer: Role = .secondary,
            conn: ConnectionState = .connected, disk: DiskState = .upToDate, pdsk: DiskState = .upToDate,
            _ change: (inout StateContext) -> Void = { _ in }
        ) {
            self.name = name
            self.code = code
            state = DeviceState(role: role, peer: peer, conn: conn, disk: disk, pdsk: pdsk)
            context.hasVerifyAlgorithm = true
            change(&context)
        }

        var testDescription: String { name }
    }

    static let rows: [Row] = [
        Row("nothing wrong", .success),
        Row("two Primaries forbidden", .twoPrimaries, role: .primary, peer: .primary),
        Row("two Primaries allowed", .success, role: .primary, peer: .primary) { $0.allowTwoPrimaries = true },
        Row("the peer alone is Primary", .success, peer: .primary),
        Row("peer Primary on another volume", .otherVolumePrimaryOnPeer, role: .primary) {
            $0.isPeerPrimaryOnOtherVolume = true
        },
        Row("peer Primary on another volume, allowed", .success, role: .primary) {
            $0.isPeerPrimaryOnOtherVolume = true
            $0.allowTwoPrimaries = true
        },
        Row("Secondary but open", .deviceInUse) { $0.isOpen = true },
        Row("Primary and open", .success, role: .primary) { $0.isOpen = true },
        Row(
            "Primary alone, Outdated", .noUpToDateDisk, role: .primary, peer: .unknown, conn: .wfConnection,
            disk: .outdated, pdsk: .unknown),
        Row("Primary alone, good", .success, role: .primary, peer: .unknown, conn: .wfConnection, pdsk: .unknown),
        Row(
            "Primary alone, peer not fenced", .primaryNeedsPeerOutdated, role: .primary, peer: .unknown,
            conn: .wfConnection, pdsk: .unknown
        ) { $0.fencing = .resourceOnly },
        Row(
            "Primary alone, peer fenced", .success, role: .primary, peer: .unknown, conn: .wfConnection,
            pdsk: .outdated
        ) { $0.fencing = .resourceAndStonith },
        Row(
            "Primary on nothing consistent", .noUpToDateDisk, role: .primary, disk: .inconsistent,
            pdsk: .inconsistent),
        Row("resync without own disk", .noLocalDisk, conn: .syncTarget, disk: .diskless),
        Row("resync without peer's disk", .noRemoteDisk, conn: .syncSource, pdsk: .failed),
        Row("resync without a good disk", .noUpToDateDisk, conn: .wfSyncUUID, disk: .inconsistent, pdsk: .outdated),
        Row("Connected and Outdated", .connectedOutdates, disk: .outdated),
        Row("WFBitMapS and Outdated", .connectedOutdates, conn: .wfBitMapS, disk: .outdated),
        Row("SyncSource and Outdated", .connectedOutdates, conn: .syncSource, disk: .outdated),
        Row("PausedSyncS and Outdated", .connectedOutdates, conn: .pausedSyncS, disk: .outdated),
        Row("target may be Outdated", .success, conn: .wfBitMapT, disk: .outdated),
        Row("verify without algorithm", .noVerifyAlgorithm, conn: .verifyS) { $0.hasVerifyAlgorithm = false },
        Row("verify below 88", .notSupportedByPeer, conn: .verifyT) { $0.agreedVersion = 87 },
        Row("verify", .success, conn: .verifyT) { $0.agreedVersion = 88 },
        Row("Primary without good data", .noUpToDateDisk, role: .primary, disk: .diskless, pdsk: .outdated),
        Row("invalidate of a peer unknown", .needsConnection, conn: .startingSyncS, pdsk: .unknown),
        Row("Connected to a disk unknown", .connectedOutdates, pdsk: .unknown),
    ]

    @Test("a state is judged by the table", arguments: rows)
    func table(row: Row) {
        #expect(StateRules.validity(of: row.state, context: row.context) == row.code)
    }

    @Test("the first fault answers: two Primaries before missing data")
    func firstHit() {
        let state = DeviceState(role: .primary, peer: .primary, conn: .connected, disk: .diskless, pdsk: .diskless)
        #expect(StateRules.validity(of: state, context: StateContext()) == .twoPrimaries)
    }
}
