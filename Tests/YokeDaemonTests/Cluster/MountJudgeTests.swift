import Arbitration
import DRBDLayout
import EngineKit
import EngineSimulation
import O2Layout
import Replication
import Testing

@testable import YokeDaemon

/// What the judge did, in its order.
private enum Deed: Equatable {
    case hold(Bool)
    case bury
    case fence
    case answer(Int32)
    case yield
    case giveUp
    case policy(DiskOptions.Fencing)
}

/// A host with a judge: everything around it answers as the test says.
private final class Bench: JudgedMembership, JudgedLink, JudgeWitnesses {
    final class Probe: JudgeProbe {
        var isCancelled = false
        func cancel() { isCancelled = true }
    }

    let virtual = VirtualEnvironment()
    var environment: any EngineEnvironment { virtual }
    let uuid = "VOLUME"
    var members: NodeSet = [0, 1]
    var isYoke: Bool? = true
    var hasEnded = false
    var deeds: [Deed] = []
    private(set) var judge: MountJudge!

    // The link
    var fencePeer: ((HandlerRunID) -> Bool)?
    var silence = Duration.zero
    var fencing: DiskOptions.Fencing? = .dontCare
    private var state = DeviceState(
        role: .primary, peer: .primary, conn: .connected, disk: .upToDate, pdsk: .upToDate)

    // The witnesses: what they say, and after how long.
    var door: PeerProbe.Outcome
    var isReached: Bool?

    /// - Parameter isReached: the reference's answer; nil: there is none.
    init(isPreferred: Bool, door: PeerProbe.Outcome, isReached: Bool? = nil) {
        self.door = door
        self.isReached = isReached
        judge = MountJudge(
            peer: 1, isPreferred: isPreferred, of: self, on: self, witnesses: self, isConnected: true)
    }

    func isYoke(_ peer: NodeNumber) -> Bool? { isYoke }
    func isMember() -> Bool {
        if !hasEnded, judge?.hasSlept(virtual.now) ?? false { fence("slept") }
        return !hasEnded
    }
    func hold(_ isHolding: Bool) { deeds.append(.hold(isHolding)) }
    var extensions = 0
    func extendWriteTimeout() { extensions += 1 }
    func bury(_ peer: NodeNumber, _ reason: String) { deeds.append(.bury) }
    func fence(_ reason: String) {
        guard !hasEnded else { return }
        hasEnded = true
        deeds.append(.fence)
        judge.stop()
    }

    func setFencing(_ policy: DiskOptions.Fencing, _ completion: @escaping (String?) -> Void) {
        fencing = policy
        deeds.append(.policy(policy))
        completion(nil)
    }
    func answerFencing(_ id: HandlerRunID, status: Int32) { deeds.append(.answer(status)) }
    func yieldToPeer(_ completion: @escaping () -> Void) {
        deeds.append(.yield)
        completion()
    }
    func giveUpConnection() {
        deeds.append(.giveUp)
        connection(.networkFailure)
    }

    var hasReference: Bool { isReached != nil }
    func knock(timeout: Duration, _ completion: @escaping (PeerProbe.Outcome) -> Void) -> any JudgeProbe {
        let probe = Probe()
        virtual.call(at: virtual.now + (door == .silent ? timeout : .milliseconds(1))) { [self] in
            if !probe.isCancelled { completion(door) }
        }
        return probe
    }
    func askReference(timeout: Duration, _ completion: @escaping (Bool) -> Void) -> any JudgeProbe {
        let probe = Probe()
        virtual.call(at: virtual.now + timeout) { [self] in
            if !probe.isCancelled { completion(isReached ?? false) }
        }
        return probe
    }

    // What happens

    func pass(_ duration: Duration) {
        virtual.call(at: virtual.now + duration) {}
        virtual.run(limit: duration)
    }

    func connection(_ conn: ConnectionState, pdsk: DiskState = .unknown, disk: DiskState = .upToDate) {
        let old = state
        state.conn = conn
        state.pdsk = pdsk
        state.disk = disk
        judge.dataPathChanged(from: old, to: state)
    }

    /// The replication connection is lost; the engine asks for leave to go on.
    func lose() {
        pass(.seconds(1))
        deeds = []
        connection(.networkFailure)
        if fencing == .resourceAndStonith { _ = fencePeer?(HandlerRunID(1)) }
    }

    var isAlone: Bool { judge.verdict.mayAcknowledgeAlone }
    var isFrozen: Bool { if case .frozen = judge.verdict { true } else { false } }
}

@Suite("the judge of a mount")
struct MountJudgeTests {
    private static let stonithed: Int32 = 7

    @Test("who goes on with one volume takes the peer for dead on all, and refuses what it still sends first")
    func follows() {
        let bench = Bench(isPreferred: true, door: .answered)
        bench.pass(.seconds(1))
        bench.deeds = []
        bench.judge.follow(without: 1)
        #expect(bench.isAlone)
        let (gaveUp, buried) = (bench.deeds.firstIndex(of: .giveUp), bench.deeds.firstIndex(of: .bury))
        #expect(gaveUp != nil && buried != nil && gaveUp! < buried!)
        bench.deeds = []
        bench.judge.follow(without: 1)
        #expect(bench.deeds.isEmpty)
    }

    @Test("the policy is set again when an administrator's command took it away")
    func policyIsKept() {
        let bench = Bench(isPreferred: true, door: .silent)
        #expect(bench.fencing == .resourceAndStonith)
        bench.fencing = .dontCare
        bench.pass(.seconds(1))
        #expect(bench.fencing == .resourceAndStonith)
    }

    @Test("nothing is begun or acknowledged before the verdict, and the engine waits for it")
    func waits() {
        let bench = Bench(isPreferred: true, door: .silent)
        #expect(bench.fencing == .resourceAndStonith)
        bench.lose()
        bench.pass(.milliseconds(2900))
        #expect(bench.judge.verdict == .undecided && bench.deeds == [.hold(true)])
    }

    @Test("the peer's port refuses: its daemon is gone, go on at once", arguments: [true, false])
    func daemonGone(isPreferred: Bool) {
        let bench = Bench(isPreferred: isPreferred, door: .refused)
        bench.lose()
        bench.pass(.milliseconds(10))
        #expect(bench.isAlone)
        #expect(bench.deeds == [.hold(true), .bury, .hold(false), .answer(Self.stonithed)])
    }

    @Test("all paths silent, the reference reached: go on, whoever is preferred", arguments: [true, false])
    func silentAndReached(isPreferred: Bool) {
        let bench = Bench(isPreferred: isPreferred, door: .silent, isReached: true)
        bench.lose()
        bench.pass(.milliseconds(2900))
        #expect(!bench.isAlone)
        bench.pass(.milliseconds(200))
        #expect(bench.isAlone)
        #expect(bench.deeds == [.hold(true), .bury, .hold(false), .answer(Self.stonithed)])
    }

    @Test("all paths silent, the reference not reached: freeze, then fail", arguments: [true, false])
    func silentAndCutOff(isPreferred: Bool) {
        let bench = Bench(isPreferred: isPreferred, door: .silent, isReached: false)
        bench.lose()
        bench.pass(.milliseconds(3100))
        #expect(bench.isFrozen && !bench.hasEnded)
        #expect(bench.deeds == [.hold(true), .hold(true)], "the engine gets no answer")
        bench.pass(.seconds(59))
        #expect(!bench.hasEnded)
        bench.pass(.seconds(2))
        #expect(bench.hasEnded)
        // What waits is given up for a resync; the engine is told that the peer is Primary.
        #expect(bench.deeds.contains(.yield) && bench.deeds.contains(.answer(6)))
        #expect(!bench.deeds.contains(.bury) && !bench.deeds.contains(.answer(Self.stonithed)))
    }

    @Test("no reference to ask: the preferred host goes on, the other freezes", arguments: [true, false])
    func noReference(isPreferred: Bool) {
        let bench = Bench(isPreferred: isPreferred, door: .silent)
        bench.lose()
        bench.pass(.milliseconds(3100))
        #expect(bench.isAlone == isPreferred && bench.isFrozen != isPreferred)
    }

    @Test(
        "the link is cut and the peer's port answers: the preferred host goes on at once, whatever the reference says",
        arguments: [true, false], [nil, true, false] as [Bool?])
    func linkCut(isPreferred: Bool, isReached: Bool?) {
        let bench = Bench(isPreferred: isPreferred, door: .answered, isReached: isReached)
        bench.lose()
        bench.pass(.milliseconds(10))
        #expect(bench.isAlone == isPreferred && bench.isFrozen != isPreferred)
    }

    @Test("two hosts that see one cut from both ends never go on both")
    func neverBoth() {
        for door in [PeerProbe.Outcome.answered, .silent] {
            for reached in [(nil, nil), (true, false), (false, true), (false, false)] as [(Bool?, Bool?)] {
                let hosts = [
                    Bench(isPreferred: true, door: door, isReached: reached.0),
                    Bench(isPreferred: false, door: door, isReached: reached.1),
                ]
                for host in hosts {
                    host.lose()
                    host.pass(.seconds(10))
                }
                #expect(hosts.filter(\.isAlone).count <= 1, "\(door) \(reached)")
            }
        }
    }

    @Test("who left the domain first is not missed")
    func cleanLeave() {
        let bench = Bench(isPreferred: false, door: .refused)
        bench.pass(.seconds(1))
        bench.members = [0]
        bench.lose()
        bench.pass(.seconds(5))
        #expect(bench.judge.verdict == .together && !bench.deeds.contains(.hold(true)))
        // The engine is not kept waiting either.
        #expect(bench.deeds.contains(.answer(Self.stonithed)))
    }

    @Test("with a kernel fellow its heartbeat decides")
    func kernelFellow() {
        let bench = Bench(isPreferred: true, door: .silent)
        bench.isYoke = false
        bench.pass(.seconds(1))
        #expect(bench.fencing == .dontCare)
        bench.lose()
        bench.pass(.seconds(5))
        #expect(bench.judge.verdict == .together && bench.deeds.isEmpty)
    }

    @Test("an administrator's own fencing policy is left alone")
    func ownPolicy() {
        let bench = Bench(isPreferred: true, door: .silent)
        bench.pass(.seconds(1))
        bench.judge.end()
        #expect(bench.fencing == .dontCare)
        bench.deeds = []
        bench.fencing = .resourceOnly
        let judge = MountJudge(peer: 1, isPreferred: true, of: bench, on: bench, witnesses: bench, isConnected: true)
        bench.pass(.seconds(1))
        #expect(bench.fencing == .resourceOnly && bench.deeds.isEmpty)
        withExtendedLifetime(judge) {}
    }

    @Test("both were frozen and the link is back with the same data: as if nothing had been")
    func bothFrozen() {
        let bench = Bench(isPreferred: false, door: .silent, isReached: false)
        bench.lose()
        bench.pass(.seconds(8))
        #expect(bench.isFrozen)
        bench.deeds = []
        bench.connection(.wfReportParams)
        bench.connection(.connected, pdsk: .upToDate)
        bench.pass(.milliseconds(10))
        #expect(bench.judge.verdict == .together && !bench.hasEnded)
        // 5: the peer was not reached; nothing else is claimed of it.
        #expect(bench.deeds == [.hold(false), .answer(5)])
    }

    @Test("frozen, and the other one went on alone: the end of membership, with nothing of its own kept")
    func otherWentOn() {
        let bench = Bench(isPreferred: false, door: .silent)
        bench.lose()
        bench.pass(.seconds(8))
        #expect(bench.isFrozen)
        bench.connection(.wfConnection)
        bench.connection(.standAlone)
        #expect(bench.hasEnded && bench.deeds.contains(.yield))
        #expect(!bench.deeds.contains(.answer(Self.stonithed)))
    }

    @Test("the admin says that the peer is dead")
    func takeover() {
        let bench = Bench(isPreferred: false, door: .silent)
        #expect(bench.judge.takeOver() != nil)
        bench.lose()
        bench.pass(.seconds(5))
        #expect(bench.isFrozen)
        bench.deeds = []
        #expect(bench.judge.takeOver() == nil)
        bench.pass(.milliseconds(10))
        #expect(bench.isAlone && bench.deeds == [.bury, .hold(false), .answer(Self.stonithed)])
    }

    @Test("a host that stood still for 3 s is no member any more, whatever wakes first")
    func slept() {
        let bench = Bench(isPreferred: true, door: .silent)
        bench.pass(.seconds(1))
        #expect(bench.isMember())
        #expect(!bench.judge.hasSlept(bench.virtual.now + .seconds(2)))
        #expect(bench.judge.hasSlept(bench.virtual.now + .seconds(4)))
    }

    @Test("a silent connection is given up only when the peer's port is silent as well", arguments: [true, false])
    func silence(isSilent: Bool) {
        let bench = Bench(isPreferred: true, door: isSilent ? .silent : .answered)
        bench.pass(.seconds(1))
        bench.silence = .seconds(4)
        bench.pass(.seconds(3))
        #expect(bench.deeds.contains(.giveUp) == isSilent)
        #expect((bench.judge.verdict == .together) == !isSilent)
    }

    @Test("own signs of life that wait for a silent connection are excused until it is judged, and no longer")
    func silentBeats() {
        let bench = Bench(isPreferred: true, door: .answered)
        bench.pass(.seconds(2))
        #expect(bench.extensions == 0)
        bench.silence = .seconds(2)
        bench.pass(.seconds(2))
        #expect(bench.extensions >= 3)
        // The peer answers at its port and sends nothing: its disk hangs, and the timeouts of signs of life decide.
        bench.silence = .seconds(8)
        bench.extensions = 0
        bench.pass(.seconds(2))
        #expect(bench.extensions == 0)
    }
}
