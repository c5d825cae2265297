package import EngineKit

/// Who goes on when two hosts lose each other: every sign is evidence, and there is one verdict for the replicated volume
/// and the filesystem on it.
///
/// Two hosts alone cannot always know: a peer that is dead and a cable that is cut look the same from inside. What they
/// can do is never to go on both at once by these rules, as long as the references tell the truth and both have the same
/// preference.
///
/// | seen | verdict |
/// |---|---|
/// | a path is closed or reset, and no other lives | the peer's daemon is gone: go on |
/// | the peer said good-bye | go on |
/// | all paths silent, a reference answers | the peer is dead or cut off: go on |
/// | all paths silent, no reference answers | this host is cut off: freeze, then fail |
/// | the data path is gone, another path lives | the preferred host goes on, the other freezes |
/// | all paths silent, no reference configured | the preferred host goes on, the other freezes |
///
/// A frozen host acknowledges nothing and writes nothing. It resumes when the peer is back and the difference is copied,
/// or when the admin takes over, knowing that the peer is dead.
///
/// A pure state machine: times come with the inputs, and what is to be done is the change of ``verdict``.
package struct Arbiter {
    /// One way to the peer.
    package struct Path: Hashable, Sendable {
        package var name: String
        /// Data travel on it: the replication connection. Without it the hosts diverge.
        package var carriesData: Bool

        package init(name: String, carriesData: Bool) {
            self.name = name
            self.carriesData = carriesData
        }
    }

    package enum PathState: Equatable, Sendable {
        case alive
        /// Nothing was heard for the path's own timeout.
        case silent
        /// Ended by the peer's system: its daemon does not hold it any more.
        case closed
    }

    package struct Options: Equatable, Sendable {
        /// This host goes on when nothing else decides. True on exactly one of the two.
        package var isPreferred: Bool
        /// Reference addresses are configured (by default the gateway).
        package var hasReferences: Bool
        /// How long evidence is collected before a silence is judged: the other paths' and the references' answers.
        package var patience: Duration = .seconds(2)
        /// How long a host that is cut off waits before its requests fail; nil: for ever. One that is frozen because the
        /// other one is preferred waits until it is connected again, or the admin decides.
        package var freezeLimit: Duration? = .seconds(60)
        /// Both go on, and split-brain policies settle it afterwards: what two kernel hosts do.
        package var isClassic = false

        package init(isPreferred: Bool, hasReferences: Bool) {
            self.isPreferred = isPreferred
            self.hasReferences = hasReferences
        }
    }

    /// What holds for the volume and the filesystem alike.
    package enum Verdict: Equatable, Sendable {
        /// The peer is there.
        case together
        /// Evidence is being collected: what is not acknowledged by both is held back.
        case undecided
        /// This host goes on alone: a new data generation, recovery of the peer's locks and journal.
        case alone(String)
        /// Nothing is acknowledged or written.
        case frozen(String)
        /// Frozen for too long: requests end with errors.
        case failed(String)

        package var mayAcknowledgeAlone: Bool {
            if case .alone = self { true } else { false }
        }
    }

    package enum Input: Equatable, Sendable {
        case path(Path, PathState)
        /// The peer leaves on purpose.
        case goodbye
        /// At least one reference address answers, or none does.
        case reference(isReached: Bool)
        /// The peer is connected on the data path and has the same data.
        case reunited
        /// The admin says that the peer is dead.
        case takeover
        /// This host goes on without the peer with another volume.
        case isTakenForDead
        case tick
    }

    package let options: Options
    package private(set) var verdict = Verdict.together
    private var paths: [Path: PathState] = [:]
    private var isReferenceReached: Bool?
    private var suspicionSince: Instant?
    private var failsAt: Instant?

    package init(paths: [Path], options: Options) {
        precondition(paths.contains { $0.carriesData }, "one path carries the data")
        self.options = options
        for path in paths { self.paths[path] = .alive }
    }

    /// When to call ``handle(_:now:)`` with ``Input/tick`` at the latest.
    package var nextDeadline: Instant? {
        switch verdict {
        case .undecided: suspicionSince.map { $0 + options.patience }
        case .frozen: failsAt
        case .together, .alone, .failed: nil
        }
    }

    /// Takes a sign. The caller compares ``verdict`` before and after.
    package mutating func handle(_ input: Input, now: Instant) {
        switch input {
        case .path(let path, let state):
            guard paths[path] != nil else { return }
            paths[path] = state
        case .goodbye:
            settle(.alone("the peer has left"))
            return
        case .reference(let isReached): isReferenceReached = isReached
        case .reunited:
            verdict = .together
            suspicionSince = nil
            failsAt = nil
            for path in paths.keys where path.carriesData { paths[path] = .alive }
            return
        case .takeover:
            settle(.alone("the admin says that the peer is dead"))
            return
        case .isTakenForDead:
            settle(.alone("it goes on without the peer with another volume"))
            return
        case .tick: break
        }
        judge(now)
    }

    private var isDataPathAlive: Bool { paths.contains { $0.key.carriesData && $0.value == .alive } }
    private var isOtherPathAlive: Bool { paths.contains { !$0.key.carriesData && $0.value == .alive } }
    private var isAnyPathClosed: Bool { paths.contains { $0.value == .closed } }

    private mutating func judge(_ now: Instant) {
        switch verdict {
        case .together:
            guard !isDataPathAlive else { return }
            verdict = .undecided
            suspicionSince = now
            judgeSuspicion(now)
        case .undecided: judgeSuspicion(now)
        case .frozen(let reason):
            if let failsAt, now >= failsAt {
                verdict = .failed(reason)
            }
        // Only a reunion or the admin ends these.
        case .alone, .failed: return
        }
    }

    private mutating func judgeSuspicion(_ now: Instant) {
        if isDataPathAlive {
            verdict = .together
            suspicionSince = nil
            return
        }
        if options.isClassic { return settle(.alone("the peer is lost, and both hosts go on by configuration")) }
        if isOtherPathAlive { return settleByPreference("the replication link is cut, another path lives") }
        // A kernel that ends a dead daemon's connections does so at once, and on all paths.
        if isAnyPathClosed { return settle(.alone("the peer's daemon is gone")) }
        guard let suspicionSince, now >= suspicionSince + options.patience else { return }
        guard options.hasReferences else {
            return settleByPreference("nothing is heard from the peer, and there is no reference to ask")
        }
        guard isReferenceReached == true else {
            let failsAt = options.freezeLimit.map { now + $0 }
            return freeze("this host is cut off: neither the peer nor a reference address answers", failsAt)
        }
        settle(.alone("the peer is dead or cut off: it is silent, while a reference address answers"))
    }

    private mutating func settleByPreference(_ reason: String) {
        if options.isPreferred {
            settle(.alone("\(reason); this host is preferred"))
        } else {
            freeze("\(reason); the other host is preferred", nil)
        }
    }

    private mutating func settle(_ new: Verdict) {
        verdict = new
        suspicionSince = nil
        failsAt = nil
    }

    private mutating func freeze(_ reason: String, _ failsAt: Instant?) {
        verdict = .frozen(reason)
        suspicionSince = nil
        self.failsAt = failsAt
    }
}
