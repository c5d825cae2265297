internal import Arbitration
internal import DRBDLayout
internal import EngineKit
internal import O2Layout
internal import Replication

/// Who goes on with one replicated volume when its two Yoke hosts lose each other: gathers the signs for an ``Arbiter``
/// and carries its verdict out, for the filesystem and its locks.
///
/// **Signs.** The replication connection is the path that carries the data. When it is lost, the peer's daemon is asked
/// by a knock at its o2net port: closed connections alone do not tell a daemon that died from one that decided
/// something. The reference (the gateway), if there is one, is asked at the same time.
///
/// **While nothing is decided** nothing is written or acknowledged, and no new data generation begins. For this the
/// judge gives the volume the fencing policy `resource-and-stonith` while it is mounted, and is itself the handler
/// `fence-peer`: the engine suspends I/O when the connection is lost, asks, and goes on with "stonithed" when the
/// verdict is to go on alone, or when the peer is back, with everything that waited sent again. An administrator's own
/// policy is left alone; then ``MemberDevice`` holds writes and completions of the filesystem.
///
/// **Silence.** Signs of life on the disk are replicated every two seconds, so a connection that works is never silent
/// for longer. One that is, while the peer's door is silent as well, is given up here. Until it is, the signs of life
/// that wait for it are not missed by this host itself: the last one may be two seconds older than the cut. The other
/// host goes on alone three seconds later at the earliest, and no write is acknowledged without it.
///
/// **Sleep.** A host that stood still for ``silenceLimit`` may have been judged: it is no member any more. The verdict
/// of silence comes later than that in any case, since evidence is collected for as long.
///
/// With a kernel fellow there is no judge: its heartbeat alone decides, as between two kernel hosts.
///
/// Confined to the reactor's thread.
final class MountJudge {
    private static let dataPath = Arbiter.Path(name: "replication", carriesData: true)
    private static let lockPath = Arbiter.Path(name: "o2net", carriesData: false)
    private static let probeTimeout = Duration.milliseconds(1500)
    private static let silenceLimit = Duration.seconds(3)
    private static let lookInterval = Duration.milliseconds(500)
    /// What makes a silence of the connection remarkable, and how long it may be before it is judged: found out, asked
    /// about, and some time for a busy host.
    private static let silenceUnderWatch = Duration.seconds(1)...Duration.seconds(7)

    let peer: NodeNumber
    private unowned let membership: any JudgedMembership
    private let link: any JudgedLink
    private let witnesses: any JudgeWitnesses
    private let environment: any EngineEnvironment
    private var arbiter: Arbiter
    private var probe: (any JudgeProbe)?
    private var referenceProbe: (any JudgeProbe)?
    /// Counts the ticks that were armed: only the last one does something.
    private var armed: UInt64 = 0
    private var shown = Arbiter.Verdict.together

    private var isConnected: Bool
    private var lastLook: Instant
    private var hasEnded = false
    /// The policy of the volume is ours.
    private var ownsPolicy = false
    private var fencingCall: HandlerRunID?

    /// - Parameters:
    ///   - isPreferred: this host goes on when nothing else decides; true on one of the two.
    ///   - isConnected: the replication connection is there.
    init(
        peer: NodeNumber, isPreferred: Bool, of membership: any JudgedMembership, on link: any JudgedLink,
        witnesses: any JudgeWitnesses, isConnected: Bool
    ) {
        self.peer = peer
        self.membership = membership
        self.link = link
        self.witnesses = witnesses
        self.isConnected = isConnected
        environment = membership.environment
        var options = Arbiter.Options(isPreferred: isPreferred, hasReferences: witnesses.hasReference)
        options.patience = Self.silenceLimit
        arbiter = Arbiter(paths: [Self.dataPath, Self.lockPath], options: options)
        lastLook = environment.now
        link.fencePeer = { [weak self] id in self?.fencePeer(id) ?? false }
        updatePolicy()
        look()
    }

    /// Forgets what was judged: the peer is there again.
    private func begin() {
        arbiter = Arbiter(paths: [Self.dataPath, Self.lockPath], options: arbiter.options)
        shown = .together
    }

    var verdict: Arbiter.Verdict { arbiter.verdict }

    /// Nothing goes on here.
    var isFrozen: Bool {
        switch verdict {
        case .frozen, .failed: true
        case .together, .undecided, .alone: false
        }
    }

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

    /// The volume is unmounted.
    func end() {
        let hasStopped = hasEnded
        hasEnded = true
        link.fencePeer = nil
        setPolicy(false)
        guard !hasStopped else { return }
        endProbes()
        answerEngine()
    }

    /// Membership has ended: the other host may have gone on alone. This copy must begin no generation of its own, now
    /// or when the connection is lost in a moment.
    func stop() {
        guard !hasEnded else { return }
        hasEnded = true
        endProbes()
        if !isConnected { yield() }
    }

    private func yield() {
        guard ownsPolicy else { return }
        link.yieldToPeer { [self] in
            let waits = fencingCall
            fencingCall = nil
            setPolicy(false)
            guard let waits else { return }
            let peerIsPrimary: Int32 = 6
            link.answerFencing(waits, status: peerIsPrimary)
        }
    }

    private func endProbes() {
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
        guard !hasEnded, membership.isMember() else { return }
        isConnected = new.conn >= .connected
        if old.conn >= .connected, new.conn < .connected {
            if case .alone = verdict { begin() }
            guard isJudging else { return }
            // What the other path is worth is not known until the peer's door was knocked at.
            take(.path(Self.lockPath, .silent))
            take(.path(Self.dataPath, .silent))
            knock()
        } else if case .frozen = verdict, new.conn == .standAlone, old.conn != .standAlone {
            membership.fence("the other host went on alone while this one was frozen")
        } else if new.conn >= .connected, verdict != .together {
            take(.path(Self.dataPath, .alive))
            if new.disk == .upToDate, new.pdsk == .upToDate { reunite() }
        }
    }

    /// The peer is a member, and one that judges by the same rules.
    private var isJudging: Bool { membership.members.contains(peer) && membership.isYoke(peer) == true }

    /// The other host may have judged meanwhile.
    func hasSlept(_ now: Instant) -> Bool { !hasEnded && isJudging && now - lastLook > Self.silenceLimit }

    /// There is no verdict by which this host goes on.
    var isDeciding: Bool { isDeciding(on: peer) }

    func isDeciding(on peer: NodeNumber) -> Bool {
        guard peer == self.peer, !hasEnded else { return false }
        switch verdict {
        case .undecided, .frozen: return true
        case .together, .alone, .failed: return false
        }
    }

    // MARK: The replication engine

    /// Also before the peer is a member: a moment later it may be.
    private func updatePolicy() {
        let mayJudge = membership.isYoke(peer) != false
        guard verdict == .together, isConnected else { return }
        // `drbdadm adjust` and `disk-options` may have taken it away.
        let isLost = ownsPolicy && link.fencing == .dontCare
        if ownsPolicy != mayJudge || isLost { setPolicy(mayJudge) }
    }

    /// Makes the volume wait for the verdict when the connection is lost, or not any more.
    private func setPolicy(_ isOn: Bool) {
        guard let fencing = link.fencing else { return }
        guard fencing == (isOn ? .dontCare : .resourceAndStonith), isOn || ownsPolicy else { return }
        ownsPolicy = isOn
        let (uuid, environment) = (membership.uuid, environment)
        link.setFencing(isOn ? .resourceAndStonith : .dontCare) { problem in
            guard isOn, let problem else { return }
            environment.log(
                .warning, "\(uuid): replication does not wait for the verdict when the connection is lost: \(problem)")
        }
    }

    /// The engine asks whether the peer is dead; I/O waits for the answer.
    private func fencePeer(_ id: HandlerRunID) -> Bool {
        guard ownsPolicy else { return false }
        fencingCall = id
        guard !hasEnded else {
            yield()
            return true
        }
        if verdict.mayAcknowledgeAlone || !isDeciding(on: peer) { answerEngine() }
        return true
    }

    /// Spec: drbd-disk-and-state 16.
    private func answerEngine() {
        guard let id = fencingCall else { return }
        fencingCall = nil
        let (stonithed, unreachable): (Int32, Int32) = (7, 5)
        let status = verdict.mayAcknowledgeAlone || !isConnected ? stonithed : unreachable
        environment.call(at: environment.now) { [link] in link.answerFencing(id, status: status) }
    }

    private func look() {
        environment.call(at: environment.now + Self.lookInterval) { [weak self] in
            guard let self, !hasEnded, membership.isMember() else { return }
            lastLook = environment.now
            updatePolicy()
            let isWatching = isConnected && isJudging && Self.silenceUnderWatch.contains(link.silence)
            if isDeciding(on: peer) || isWatching { membership.extendWriteTimeout() }
            if isConnected, isJudging, link.silence > Self.silenceLimit { suspect() }
            look()
        }
    }

    /// Nothing comes on the replication connection: a slow disk of the peer, or nobody there?
    private func suspect() {
        guard probe == nil else { return }
        probe = witnesses.knock(timeout: Self.probeTimeout) { [weak self] outcome in
            guard let self else { return }
            probe = nil
            guard outcome != .answered, membership.isMember() else { return }
            environment.log(
                .warning, "\(membership.uuid): nothing is heard from the peer on any path: the connection is given up")
            link.giveUpConnection()
        }
    }

    private func reunite() {
        // Who was frozen and is connected with the same data: the other one was frozen too. Had it gone on, this one
        // would have to take its data, and a Primary cannot.
        if verdict != .together {
            environment.log(.notice, "\(membership.uuid): both hosts have the same data again")
        }
        take(.reunited)
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

    /// This host goes on without the peer with another volume, and takes it for dead on all: a node is a member of all
    /// domains or of none. What the peer may still send for this volume is refused before its locks and its journal are
    /// recovered.
    func follow(without peer: NodeNumber) {
        guard peer == self.peer, !hasEnded, !verdict.mayAcknowledgeAlone, isJudging else { return }
        if isConnected { link.giveUpConnection() }
        isConnected = false
        take(.path(Self.dataPath, .silent))
        take(.isTakenForDead)
    }

    private func knock() {
        probe?.cancel()
        probe = witnesses.knock(timeout: Self.probeTimeout) { [weak self] outcome in self?.knocked(outcome) }
        guard witnesses.hasReference else { return }
        referenceProbe?.cancel()
        referenceProbe = witnesses.askReference(timeout: Self.probeTimeout) { [weak self] isReached in
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
        environment.log(.notice, "\(membership.uuid): the peer's o2net port was asked: \(outcome)")
        take(.path(Self.lockPath, state))
    }

    // MARK: The verdict

    private func take(_ input: Arbiter.Input) {
        arbiter.handle(input, now: environment.now)
        armTick()
        guard verdict != shown else { return }
        shown = verdict
        carryOut()
    }

    private func armTick() {
        armed += 1
        guard let deadline = arbiter.nextDeadline else { return }
        let number = armed
        environment.call(at: deadline) { [weak self] in
            guard let self, number == armed, membership.isMember() else { return }
            take(.tick)
        }
    }

    private func carryOut() {
        let name = membership.uuid
        switch verdict {
        case .together:
            membership.hold(false)
            answerEngine()
        case .undecided:
            environment.log(.warning, "\(name): the peer is lost: writes wait for the verdict")
            membership.hold(true)
        case .alone(let reason):
            environment.log(.warning, "\(name): this host goes on alone: \(reason)")
            membership.bury(peer, reason)
            membership.hold(false)
            answerEngine()
        case .frozen(let reason):
            environment.log(
                .critical, "\(name): this host is frozen: \(reason). If the peer is dead: yoke takeover")
            membership.hold(true)
        case .failed(let reason): membership.fence("frozen for too long: \(reason)")
        }
    }
}
