import DRBDLayout
import Testing

@testable import Replication

/// Spec: drbd-disk-and-state 11; drbd-wire 8.4.
struct StateDecisionTests {
    private let alone = DeviceState(role: .secondary, conn: .standAlone, disk: .outdated, pdsk: .unknown)
    private let pair = DeviceState(
        role: .secondary, peer: .secondary, conn: .connected, disk: .upToDate, pdsk: .upToDate)

    @Test("a refused promotion leaves the state and is told in three lines")
    func refusal() {
        let decision = StateRules.decide(alone, StateRequest(role: .primary), .soft, context: StateContext())
        #expect(decision.result == .noUpToDateDisk)
        #expect(decision.new == alone)
        #expect(
            StateLog.refusal(decision.result, state: alone, wanted: decision.wanted) == [
                "State change failed: Need access to UpToDate data",
                "  state = { cs:StandAlone ro:Secondary/Unknown ds:Outdated/DUnknown r----- }",
                " wanted = { cs:StandAlone ro:Primary/Unknown ds:Outdated/DUnknown r----- }",
            ])
    }

    @Test("outdating a connected Secondary is turned back: nothing to do")
    func outdateConnected() {
        let decision = StateRules.decide(pair, StateRequest(disk: .outdated), .soft, context: StateContext())
        #expect(decision.result == .nothingToDo)
        #expect(decision.new == pair)
    }

    @Test("a fact is taken although the new state is not valid")
    func hardSkipsValidity() {
        var old = pair
        old.role = .primary
        old.disk = .diskless
        let lost = StateRequest(conn: .networkFailure)
        let hard = StateRules.decide(old, lost, .hard, context: StateContext())
        #expect(hard.result == .success)
        #expect(hard.new.conn == .networkFailure)
        #expect(hard.new.pdsk == .unknown)
        #expect(StateRules.decide(old, lost, .soft, context: StateContext()).result == .noUpToDateDisk)
    }

    @Test("a fact too must be able to follow the old state")
    func hardHeedsTransition() {
        let decision = StateRules.decide(alone, StateRequest(conn: .connected), .hard, context: StateContext())
        #expect(decision.result == .needsConnection)
        #expect(decision.new == alone)
    }

    @Test("what was wrong before does not forbid a step in which it stays wrong")
    func oldFaultIsTolerated() {
        var old = alone
        old.role = .primary
        old.conn = .wfConnection
        let step = StateRequest(userIsp: true)
        #expect(StateRules.decide(old, step, .soft, context: StateContext()).result == .success)
    }

    @Test(
        "requests seen on the wire",
        arguments: [
            (StateRequest(role: .primary), UInt32(0x3), UInt32(0x1)),
            (StateRequest(role: .primary, disk: .upToDate), 0x1e03, 0x1001),
            (StateRequest(disk: .failed), 0x1e00, 0x400),
            (StateRequest(conn: .verifyS), 0x1f0, 0x120),
            (StateRequest(conn: .startingSyncT), 0x1f0, 0xc0),
            (StateRequest(conn: .startingSyncS), 0x1f0, 0xb0),
            (StateRequest(conn: .disconnecting), 0x1f0, 0x10),
            (StateRequest(conn: .disconnecting, pdsk: .outdated), 0x1e1f0, 0xa010),
            (StateRequest(conn: .disconnecting, disk: .outdated), 0x1ff0, 0xa10),
        ])
    func wireWords(request: StateRequest, mask: UInt32, value: UInt32) {
        #expect(request.change == StateChange(mask: StateMask(rawValue: mask), value: value))
        #expect(StateRequest(StateChange(mask: StateMask(rawValue: mask), value: value)) == request)
    }

    @Test("every flag survives the way through mask and value")
    func flagsRoundTrip() {
        let request = StateRequest(
            role: .secondary, peer: .primary, conn: .behind, disk: .consistent, pdsk: .unknown, susp: true,
            aftrIsp: false, peerIsp: true, userIsp: true, suspNod: true, suspFen: false)
        #expect(request.change.mask == .all)
        #expect(StateRequest(request.change) == request)
    }

    @Test("a mask that cuts a field, or a value that is none, is no request")
    func badRequests() {
        #expect(StateRequest(StateChange(mask: StateMask(rawValue: 0x1), value: 1)) == nil)
        #expect(StateRequest(StateChange(mask: .role, value: 3)) == nil)
        #expect(StateRequest(StateChange(mask: .conn, value: 31 << 4)) == nil)
    }

    @Test("the difference of two states leads from one to the other")
    func difference() {
        var new = pair
        new.role = .primary
        new.conn = .verifyS
        new.userIsp = true
        let request = StateRequest(from: pair, to: new)
        #expect(request == StateRequest(role: .primary, conn: .verifyS, userIsp: true))
        #expect(request.applied(to: pair) == new)
    }

    @Test(
        "a wish of the peer is seen from the own side",
        arguments: [
            (ConnectionState.wfReportParams, ConnectionState.wfReportParams), (.connected, .connected),
            (.startingSyncS, .startingSyncT), (.startingSyncT, .startingSyncS), (.disconnecting, .tearDown),
            (.verifyS, .verifyT),
        ])
    func otherSide(peer: ConnectionState, own: ConnectionState) {
        let request = StateRequest(role: .primary, conn: peer, disk: .failed, pdsk: .outdated)
        #expect(
            request.seenFromOtherSide() == StateRequest(peer: .primary, conn: own, disk: .outdated, pdsk: .failed))
    }

    @Test("a connection state that nobody may ask for is refused")
    func otherSideRefuses() {
        let allowed: [ConnectionState] = [
            .wfReportParams, .connected, .startingSyncS, .startingSyncT, .disconnecting, .verifyS,
        ]
        for conn in ConnectionState.allCases where !allowed.contains(conn) {
            #expect(StateRequest(conn: conn).seenFromOtherSide() == nil, "\(conn)")
        }
    }

    @Test("either reason of the peer to pause is the peer's pause here")
    func otherSidePauses() {
        #expect(StateRequest(aftrIsp: false, userIsp: true).seenFromOtherSide()?.peerIsp == true)
        #expect(StateRequest(aftrIsp: true).seenFromOtherSide()?.peerIsp == true)
        #expect(StateRequest(userIsp: false).seenFromOtherSide()?.peerIsp == false)
        #expect(StateRequest(susp: true).seenFromOtherSide() == StateRequest())
    }

    @Test("the peer is asked about promotion, full syncs, detach, disconnect and verify, if connected")
    func consent() {
        func asks(_ request: StateRequest, from old: DeviceState? = nil) -> Bool {
            let old = old ?? pair
            return StateRules.needsPeerConsent(from: old, to: request.applied(to: old))
        }
        for request in [
            StateRequest(role: .primary), StateRequest(conn: .startingSyncS), StateRequest(conn: .startingSyncT),
            StateRequest(disk: .failed), StateRequest(conn: .disconnecting), StateRequest(conn: .verifyS),
            StateRequest(conn: .wfReportParams),
        ] {
            #expect(asks(request), "\(request)")
            var alone = pair
            alone.conn = .wfConnection
            #expect(!asks(StateRequest(role: request.role, disk: request.disk), from: alone))
        }
        var primary = pair
        primary.role = .primary
        #expect(!asks(StateRequest(role: .secondary), from: primary))
        #expect(!asks(StateRequest(conn: .ahead)))
        #expect(!asks(StateRequest(userIsp: true)))
        #expect(!asks(StateRequest(disk: .inconsistent)))
        #expect(!asks(StateRequest(conn: .networkFailure)))
    }

    @Test("a successful change is told in the order of the components")
    func changeLine() {
        let lost = StateRules.decide(pair, StateRequest(conn: .networkFailure), .hard, context: StateContext()).new
        #expect(
            StateLog.change(from: pair, to: lost)
                == "peer( Secondary -> Unknown ) conn( Connected -> NetworkFailure ) pdsk( UpToDate -> DUnknown )")
        var all = pair
        all.role = .primary
        all.disk = .failed
        all.aftrIsp = true
        all.peerIsp = true
        all.userIsp = true
        all.suspFen = true
        #expect(
            StateLog.change(from: pair, to: all)
                == "role( Secondary -> Primary ) disk( UpToDate -> Failed ) aftr_isp( 0 -> 1 ) "
                + "peer_isp( 0 -> 1 ) user_isp( 0 -> 1 )")
        #expect(StateLog.change(from: pair, to: all, .suspension) == "susp( 0 -> 1 )")
        #expect(StateLog.change(from: pair, to: all, [.conn, .pdsk]) == nil)
    }

    @Test("the braces show each reason to wait")
    func bracedFlags() {
        var state = pair
        state.conn = .pausedSyncT
        state.aftrIsp = true
        state.peerIsp = true
        state.userIsp = true
        state.suspNod = true
        state.suspFen = true
        #expect(StateLog.braced(state) == "{ cs:PausedSyncT ro:Secondary/Secondary ds:UpToDate/UpToDate sapuFN }")
    }
}
