internal import Arbitration
internal import ClusterNet
internal import DRBDLayout
internal import EngineKit
internal import LinuxReactor
internal import O2Layout

/// Who goes on with one replicated volume when its two Yoke hosts lose each other: gathers the signs for an ``Arbiter``
/// and carries its verdict out, for the filesystem and its locks.
///
/// **Signs.** The replication connection is the path that carries the data. When it is lost, the peer's daemon is asked
/// by a knock at its o2net port: closed connections alone do not tell a daemon that died from one that decided
/// something. The reference (the gateway), if there is one, is asked at the same time.
///
/// **While nothing is decided** the filesystem's writes are held, and so are the completions of those under way: nothing
/// that only this host has is acknowledged. The replication engine does not know of this yet: it completes what was in
/// flight and marks it, and the completion waits in ``MemberDevice``.
///
/// With a kernel fellow there is no judge: its heartbeat alone decides, as between two kernel hosts.
///
/// Confined to the reactor's thread.
final class MountJudge {
    private static let dataPath = Arbiter.Path(name: "replication", carriesData: true)
    private static let lockPath = Arbiter.Path(name: "o2net", carriesData: false)
    private static let probeTimeout = Duration.milliseconds(1500)

    let peer: NodeNumber
    private unowned let membership: VolumeMembership
    private let reactor: Reactor
    private let reference: SocketAddress?
    private var arbiter: Arbiter
    private var probe: PeerProbe?
    private var referenceProbe: ReferenceProbe?
    /// Counts the ticks that were armed: only the last one does something.
    private var armed: UInt64 = 0
    private var shown = Arbiter.Verdict.together

    /// - Parameter reference: an address beyond the peer that tells whether this host is cut off; nil: none is known.
    init(peer: NodeNumber, of membership: VolumeMembership, reactor: Reactor, reference: SocketAddress?) {
        self.peer = peer
        self.membership = membership
        self.reactor = reactor
        self.reference = reference
        let options = Arbiter.Options(
            isPreferred: membership.host.node < peer, hasReferences: reference != nil)
        arbiter = Arbiter(paths: [Self.dataPath, Self.lockPath], options: options)
    }

    /// Forgets what was judged: the peer is there again.
    private func begin() {
        arbiter = Arbiter(paths: [Self.dataPath, Self.lockPath], options: arbiter.options)
        shown = .together
    }

    var verdict: Arbiter.Verdict { arbiter.verdict }

    /// Nil while there is nothing to say.
    var text: String? {
        switch verdict {
        case .together: nil
        case .undecided: "undecided: the peer is lost, signs are being collected; writes wait"
        case .alone(let reason): "this host goes on alone: \(reason)"
        case .frozen(let reason): "FROZEN: \(reason); if the peer is dead: yoke takeover"
        case .failed(let reason): "failed: \(reason)"
        }
    }

    func end() {
        probe?.cancel()
        probe = nil
        referenceProbe?.cancel()
        referenceProbe = nil
        armed += 1
    }

    // MARK: Signs

    /// The state of the replicated volume has changed.
    func dataPathChanged(from old: DeviceState, to new: DeviceState) {
        // Who slept does not judge.
        guard membership.isMember() else { return }
        if old.conn >= .connected, new.conn < .connected {
            if case .alone = verdict { begin() }
            guard membership.members.contains(peer), membership.host.net.isYoke(peer) else { return }
            // What the other path is worth is not known until the peer's door was knocked at.
            take(.path(Self.lockPath, .silent))
            take(.path(Self.dataPath, .silent))
            knock()
        } else if new.conn >= .connected, verdict != .together {
            take(.path(Self.dataPath, .alive))
            if new.disk == .upToDate, new.pdsk == .upToDate { reunite() }
        }
    }

    private func reunite() {
        switch verdict {
        case .frozen, .failed:
            // The other host went on and gave this host's locks to itself.
            membership.host.fence("the other host went on alone while this one was frozen")
        case .alone:
            membership.environment.log(.notice, "\(membership.uuid): both hosts have the same data again")
            take(.reunited)
        case .together, .undecided: take(.reunited)
        }
    }

    /// The admin says that the peer is dead. Nil, or why that means nothing now.
    func takeOver() -> String? {
        switch verdict {
        case .together: return "the peer is there"
        case .alone: return "this host goes on already"
        case .failed(let reason): return "the mount has failed (\(reason)): unmount it and mount it again"
        case .undecided, .frozen:
            take(.takeover)
            return nil
        }
    }

    private func knock() {
        let host = membership.host
        guard probe == nil, let address = host.configuration.first(where: { $0.node == peer }) else { return }
        probe = PeerProbe(
            .ipv4(address: address.address, port: address.port), from: .ipv4(address: host.net.own.address, port: 0),
            reactor: reactor, timeout: Self.probeTimeout
        ) { [weak self] outcome in self?.knocked(outcome) }
        guard let reference else { return }
        referenceProbe = ReferenceProbe(reference, reactor: reactor, timeout: Self.probeTimeout) {
            [weak self] isReached in
            self?.referenceProbe = nil
            self?.take(.reference(isReached: isReached))
        }
    }

    private func knocked(_ outcome: PeerProbe.Outcome) {
        probe = nil
        guard membership.isMember() else { return }
        let state: Arbiter.PathState =
            switch outcome {
            case .answered: .alive
            case .refused: .closed
            case .silent: .silent
            }
        membership.environment.log(.notice, "\(membership.uuid): the peer's o2net port was asked: \(outcome)")
        take(.path(Self.lockPath, state))
    }

    // MARK: The verdict

    private func take(_ input: Arbiter.Input) {
        arbiter.handle(input, now: reactor.now)
        armTick()
        guard verdict != shown else { return }
        shown = verdict
        carryOut()
    }

    private func armTick() {
        armed += 1
        guard let deadline = arbiter.nextDeadline else { return }
        let number = armed
        reactor.addTimer(at: deadline) { [weak self] in
            guard let self, number == armed, membership.isMember() else { return }
            take(.tick)
        }
    }

    private func carryOut() {
        let name = membership.uuid
        let environment = membership.environment
        switch verdict {
        case .together: membership.hold(false)
        case .undecided:
            environment.log(.warning, "\(name): the peer is lost: writes wait for the verdict")
            membership.hold(true)
        case .alone(let reason):
            environment.log(.warning, "\(name): this host goes on alone: \(reason)")
            membership.host.bury(peer, reason)
            membership.hold(false)
        case .frozen(let reason):
            environment.log(
                .critical, "\(name): this host is frozen: \(reason). If the peer is dead: yoke takeover")
            membership.freeze()
        case .failed(let reason): membership.host.fence("frozen for too long: \(reason)")
        }
    }
}
