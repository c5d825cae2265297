internal import ClusterNet
internal import DRBDLayout
internal import EngineKit
internal import LinuxReactor
internal import O2Layout
internal import Replication

// What a ``MountJudge`` sees of its host and does there, so that its rules can be tried without sockets. Everything is on
// the reactor's thread.

/// The membership that is judged about.
protocol JudgedMembership: AnyObject {
    /// Of the volume: begins what is logged.
    var uuid: String { get }
    var environment: any EngineEnvironment { get }
    /// Of the lock domain.
    var members: NodeSet { get }
    /// The peer judges by the same rules; nil: it has not said who it is.
    func isYoke(_ peer: NodeNumber) -> Bool?
    /// False when membership has ended, or just ends because of this question.
    func isMember() -> Bool
    /// While it is held nothing is written or acknowledged.
    func hold(_ isHolding: Bool)
    func extendWriteTimeout()
    /// The peer's locks and its journal are recovered.
    func bury(_ peer: NodeNumber, _ reason: String)
    /// The end of this host's membership.
    func fence(_ reason: String)
}

/// The replication of the volume.
protocol JudgedLink: AnyObject {
    /// Asked by the engine before it begins a generation of its own; false: the policy is not the judge's affair.
    var fencePeer: ((HandlerRunID) -> Bool)? { get set }
    /// How long nothing was heard from the peer.
    var silence: Duration { get }
    /// Nil: the volume has no disk.
    var fencing: DiskOptions.Fencing? { get }
    /// The completion gets what is wrong, or nil.
    func setFencing(_ policy: DiskOptions.Fencing, _ completion: @escaping (String?) -> Void)
    /// The status of the handler `fence-peer`. Spec: drbd-disk-and-state 16.
    func answerFencing(_ id: HandlerRunID, status: Int32)
    /// What was held back is marked out of sync; no generation begins.
    func yieldToPeer(_ completion: @escaping () -> Void)
    func giveUpConnection()
}

/// Whom a judge asks.
protocol JudgeWitnesses: AnyObject {
    var hasReference: Bool { get }
    /// At the door of the peer's daemon.
    func knock(timeout: Duration, _ completion: @escaping (PeerProbe.Outcome) -> Void) -> any JudgeProbe
    func askReference(timeout: Duration, _ completion: @escaping (_ isReached: Bool) -> Void) -> any JudgeProbe
}

/// A question under way.
protocol JudgeProbe: AnyObject {
    /// Its answer is not told.
    func cancel()
}

extension PeerProbe: JudgeProbe {}
extension ReferenceProbe: JudgeProbe {}

extension VolumeMembership: JudgedMembership {
    func isYoke(_ peer: NodeNumber) -> Bool? { host.net.isYoke(peer) }
    func bury(_ peer: NodeNumber, _ reason: String) { host.bury(peer, reason) }
    func fence(_ reason: String) { host.fence(reason) }
}

/// One volume of a resource that runs.
final class ReplicatedLink: JudgedLink {
    private unowned let runner: ResourceRunner
    private let volume: VolumeNumber

    init(_ runner: ResourceRunner, _ volume: VolumeNumber) {
        self.runner = runner
        self.volume = volume
    }

    var fencePeer: ((HandlerRunID) -> Bool)? {
        get { runner.fencePeer }
        set { runner.fencePeer = newValue }
    }

    var silence: Duration { runner.silence }
    var fencing: DiskOptions.Fencing? { runner.snapshot(of: volume)?.diskOptions?.fencing }

    func setFencing(_ policy: DiskOptions.Fencing, _ completion: @escaping (String?) -> Void) {
        guard var options = runner.snapshot(of: volume)?.diskOptions else { return completion("it has no disk") }
        options.fencing = policy
        runner.begin(.diskOptions(volume, options)) { result in
            completion(SetupService.isGood(result) ? nil : "\(result)")
        }
    }

    func answerFencing(_ id: HandlerRunID, status: Int32) {
        runner.handle(.handlerExited(id, status: status))
    }

    func yieldToPeer(_ completion: @escaping () -> Void) {
        runner.begin(.yieldToPeer(volume)) { _ in completion() }
    }

    func giveUpConnection() { runner.giveUpConnection() }
}

/// The network: the peer's o2net port, and the reference.
final class NetworkWitnesses: JudgeWitnesses {
    private let peer: SocketAddress
    private let own: SocketAddress
    private let reference: SocketAddress?
    private let reactor: Reactor

    /// - Parameter reference: an address beyond the peer that tells whether this host is cut off; nil: none is known.
    init(peer: NodeAddress, own: NodeAddress, reference: SocketAddress?, reactor: Reactor) {
        self.peer = .ipv4(address: peer.address, port: peer.port)
        self.own = .ipv4(address: own.address, port: 0)
        self.reference = reference
        self.reactor = reactor
    }

    var hasReference: Bool { reference != nil }

    func knock(timeout: Duration, _ completion: @escaping (PeerProbe.Outcome) -> Void) -> any JudgeProbe {
        PeerProbe(peer, from: own, reactor: reactor, timeout: timeout, completion: completion)
    }

    func askReference(timeout: Duration, _ completion: @escaping (_ isReached: Bool) -> Void) -> any JudgeProbe {
        guard let reference else { preconditionFailure("there is a reference, as hasReference says") }
        return ReferenceProbe(reference, reactor: reactor, timeout: timeout, completion: completion)
    }
}
