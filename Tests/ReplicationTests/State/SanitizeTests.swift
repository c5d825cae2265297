import DRBDLayout
import Testing

@testable import Replication

/// Spec: drbd-disk-and-state 11.1.
struct SanitizeTests {
    private let connected = DeviceState(
        role: .secondary, peer: .primary, conn: .connected, disk: .upToDate, pdsk: .upToDate)

    private func sanitized(
        _ wanted: DeviceState, from old: DeviceState? = nil, _ context: StateContext = StateContext()
    ) -> DeviceState {
        StateRules.sanitize(wanted, from: old ?? connected, context: context).state
    }

    @Test(
        "rule 1: without a connection the peer is unknown, only Inconsistent and Outdated of its disk are remembered",
        arguments: [
            (DiskState.diskless, DiskState.unknown), (.attaching, .unknown), (.failed, .unknown),
            (.negotiating, .unknown), (.inconsistent, .inconsistent), (.outdated, .outdated), (.unknown, .unknown),
            (.consistent, .unknown), (.upToDate, .unknown),
        ])
    func forgetsPeer(before: DiskState, after: DiskState) {
        for conn in ConnectionState.allCases where conn < .connected {
            let wanted = DeviceState(
                role: .secondary, peer: .primary, conn: conn, disk: .upToDate, pdsk: before, peerIsp: true)
            let state = sanitized(wanted)
            #expect(state.pdsk == after, "\(conn)")
            #expect(state.peer == .unknown)
            #expect(!state.peerIsp)
        }
    }

    @Test("rule 2: an unconfigured volume depends on no other resource")
    func unconfiguredDependsOnNothing() {
        let wanted = DeviceState(role: .secondary, conn: .standAlone, disk: .diskless, aftrIsp: true)
        #expect(!sanitized(wanted).aftrIsp)
        var attached = wanted
        attached.disk = .upToDate
        #expect(sanitized(attached).aftrIsp)
    }

    @Test(
        "rule 3: resync and verify end when a disk is gone",
        arguments: ConnectionState.allCases.filter { $0 > .connected })
    func abortsResync(conn: ConnectionState) {
        for (disk, pdsk) in [(DiskState.failed, DiskState.upToDate), (.upToDate, .diskless)] {
            var wanted = connected
            wanted.conn = conn
            wanted.disk = disk
            wanted.pdsk = pdsk
            let (state, warnings) = StateRules.sanitize(wanted, from: connected, context: StateContext())
            #expect(state.conn == .connected)
            // The side that did not get the other's data is not UpToDate by that (a deviation from kernels).
            let targets: [ConnectionState] = [.wfBitMapT, .wfSyncUUID, .syncTarget, .pausedSyncT, .behind]
            let sources: [ConnectionState] = [.wfBitMapS, .syncSource, .pausedSyncS, .ahead]
            #expect(state.disk == (targets.contains(conn) ? min(disk, .inconsistent) : disk))
            #expect(state.pdsk == (sources.contains(conn) ? min(pdsk, .inconsistent) : pdsk))
            #expect(warnings == [conn == .verifyS || conn == .verifyT ? .verifyAborted : .resyncAborted])
        }
    }

    @Test("rule 4: a lost negotiation takes the remembered states if applications have seen just this data")
    func endsNegotiation() {
        let wanted = DeviceState(role: .secondary, conn: .networkFailure, disk: .negotiating, pdsk: .upToDate)
        var context = StateContext()
        context.negotiatedDisk = .consistent
        context.negotiatedPeerDisk = .outdated
        let known = StateRules.sanitize(wanted, from: connected, context: context)
        #expect(known.state.disk == .consistent)
        #expect(known.state.pdsk == .outdated)
        #expect(known.warnings.isEmpty)

        context.isExposedDataCurrent = false
        let other = StateRules.sanitize(wanted, from: connected, context: context)
        #expect(other.state.disk == .diskless)
        #expect(other.state.pdsk == .unknown)
        #expect(other.warnings == [.lostWhileNegotiating])
        #expect(other.warnings[0].text == "Connection lost while negotiating, no data!")
    }

    @Test("rule 5: who is Connected is up to date", arguments: [DiskState.consistent, .outdated])
    func connectedIsUpToDate(disk: DiskState) {
        var wanted = connected
        wanted.disk = disk
        wanted.pdsk = disk
        #expect(sanitized(wanted).disk == .upToDate)
        #expect(sanitized(wanted).pdsk == .upToDate)
        wanted.conn = .wfConnection
        #expect(sanitized(wanted).disk == disk)
    }

    @Test("rule 5 ends below Ahead: a peer that lags stays what it is")
    func aheadKeepsOutdated() {
        var wanted = connected
        wanted.conn = .ahead
        wanted.pdsk = .outdated
        #expect(sanitized(wanted).pdsk == .outdated)
    }

    typealias Ranges = (conn: ConnectionState, disk: ClosedRange<DiskState>, pdsk: ClosedRange<DiskState>)
    static let ranges: [Ranges] = [
        (.wfBitMapT, .inconsistent ... .outdated, .upToDate ... .upToDate),
        (.pausedSyncT, .inconsistent ... .outdated, .upToDate ... .upToDate),
        (.startingSyncT, .inconsistent ... .outdated, .upToDate ... .upToDate),
        (.wfSyncUUID, .inconsistent ... .outdated, .upToDate ... .upToDate),
        (.behind, .inconsistent ... .outdated, .upToDate ... .upToDate),
        (.verifyS, .upToDate ... .upToDate, .upToDate ... .upToDate),
        (.verifyT, .upToDate ... .upToDate, .upToDate ... .upToDate),
        (.connected, .diskless ... .upToDate, .diskless ... .upToDate),
        (.wfBitMapS, .upToDate ... .upToDate, .inconsistent ... .consistent),
        (.pausedSyncS, .upToDate ... .upToDate, .inconsistent ... .consistent),
        (.startingSyncS, .upToDate ... .upToDate, .inconsistent ... .consistent),
        (.ahead, .upToDate ... .upToDate, .inconsistent ... .consistent),
        (.syncTarget, .inconsistent ... .inconsistent, .upToDate ... .upToDate),
        (.syncSource, .upToDate ... .upToDate, .inconsistent ... .inconsistent),
        (.standAlone, .diskless ... .upToDate, .inconsistent ... .unknown),
        (.wfReportParams, .diskless ... .upToDate, .inconsistent ... .unknown),
    ]

    @Test("rule 6: disks stay in the ranges of the connection state, raising is told", arguments: ranges)
    func clamps(row: Ranges) {
        #expect(StateRules.diskRanges(of: row.conn) == (row.disk, row.pdsk))
        for disk in DiskState.allCases where disk > .failed && disk != .unknown {
            for pdsk in DiskState.allCases where pdsk > .failed {
                let wanted = DeviceState(
                    role: .secondary, peer: .secondary, conn: row.conn, disk: disk, pdsk: pdsk,
                    userIsp: row.conn == .pausedSyncS || row.conn == .pausedSyncT)
                let (state, warnings) = StateRules.sanitize(wanted, from: connected, context: StateContext())
                #expect(state.conn == row.conn)
                #expect(row.disk.contains(state.disk) || disk == .negotiating, "\(row.conn) \(disk)")
                #expect(row.pdsk.contains(state.pdsk), "\(row.conn) \(pdsk)")
                #expect(!warnings.contains(.upgradedDisk) || state.disk > disk)
            }
        }
    }

    @Test("a target goes UpToDate, Outdated, Inconsistent; a source sees its peer Consistent, then Inconsistent")
    func seenSequence() {
        var target = connected
        target.conn = .wfBitMapT
        target = sanitized(target)
        #expect(target.disk == .outdated)
        target.conn = .syncTarget
        #expect(sanitized(target, from: target).disk == .inconsistent)

        var source = connected
        source.conn = .wfBitMapS
        source = sanitized(source)
        #expect(source.pdsk == .consistent)
        source.conn = .syncSource
        #expect(sanitized(source, from: source).pdsk == .inconsistent)
    }

    @Test("Negotiating becomes Inconsistent at WFBitMapT, with a warning")
    func negotiatingTargetIsRaised() {
        var wanted = connected
        wanted.disk = .negotiating
        wanted.conn = .wfBitMapT
        let (state, warnings) = StateRules.sanitize(wanted, from: connected, context: StateContext())
        #expect(state.disk == .inconsistent)
        #expect(warnings == [.upgradedDisk])
    }

    @Test("rule 7: a Primary that loses an unfenced peer suspends I/O, once, and only with resource-and-stonith")
    func suspendsForFencing() {
        var old = connected
        old.role = .primary
        old.peer = .secondary
        var wanted = old
        wanted.conn = .networkFailure
        for fencing in [DiskOptions.Fencing.dontCare, .resourceOnly, .resourceAndStonith] {
            var context = StateContext()
            context.fencing = fencing
            #expect(sanitized(wanted, from: old, context).suspFen == (fencing == .resourceAndStonith))
            let lost = sanitized(wanted, from: old)
            var next = lost
            next.conn = .unconnected
            #expect(!sanitized(next, from: lost, context).suspFen, "the old state needed it too")
            var fenced = wanted
            fenced.pdsk = .outdated
            #expect(!sanitized(fenced, from: old, context).suspFen, "the peer is outdated already")
        }
    }

    @Test("rule 8: a Primary that loses its last good data suspends I/O with suspend-io")
    func suspendsWithoutData() {
        var old = connected
        old.role = .primary
        old.disk = .diskless
        var wanted = old
        wanted.conn = .networkFailure
        var context = StateContext()
        #expect(!sanitized(wanted, from: old, context).suspNod)
        context.onNoDataAccessible = .suspendIO
        let state = sanitized(wanted, from: old, context)
        #expect(state.suspNod)
        var resumed = state
        resumed.suspNod = false
        #expect(!sanitized(resumed, from: state, context).suspNod)
    }

    @Test("rule 9: pause flags and resync states go together")
    func pauses() {
        let flags: [WritableKeyPath<DeviceState, Bool>] = [\.aftrIsp, \.peerIsp, \.userIsp]
        for flag in flags {
            var source = connected
            source.conn = .syncSource
            source.pdsk = .inconsistent
            source[keyPath: flag] = true
            #expect(sanitized(source).conn == .pausedSyncS)
            var target = connected
            target.conn = .syncTarget
            target.disk = .inconsistent
            target[keyPath: flag] = true
            #expect(sanitized(target).conn == .pausedSyncT)
            target.conn = .pausedSyncT
            target[keyPath: flag] = false
            #expect(sanitized(target).conn == .syncTarget)
        }
    }
}
