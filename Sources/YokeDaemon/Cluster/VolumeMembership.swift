internal import ClusterNet
internal import ClusterVolume
internal import Configuration
internal import EngineKit
internal import FileSystem
internal import Heartbeat
internal import LockManager
internal import O2Layout

/// This host as a member of the cluster of one volume: its sign of life on the volume's disk, its place in the volume's
/// lock domain, and the locks that the filesystem gets from there.
///
/// **Order.** The heartbeat runs before the domain is joined and until it is left: who holds locks is seen to live.
/// ``join()``, then ``serve(_:)`` with the mounted volume; at the end, after the unmount, ``leave()``. Spec:
/// ocfs2-cluster 14, 15.
///
/// **The end of membership** (``stop(_:)``) comes when no sign of life got through for the write timeout, or the quorum
/// rule says so: the others may recover this host's locks and journal, so from that moment nothing is written.
///
/// Confined to the thread of the volumes' reactor.
final class VolumeMembership {
    /// Between looks at who is connected, and for how long. Spec: o2cb 15.2.
    private static let lookInterval = Duration.milliseconds(100)
    private static let connectTimeout = Duration.seconds(60)
    private static let wordInterval = Duration.seconds(10)

    /// UUID of the volume, 32 digits in upper case: the name of heartbeat region and lock domain.
    let uuid: String
    let host: ClusterHost
    let environment: any EngineEnvironment
    private(set) var stopReason: String?
    private(set) var domain: LockDomain?
    private(set) var locks: ClusterLockService?
    private let region: HeartbeatRegion
    private weak var volume: MountedVolume?
    private weak var device: MemberDevice?
    private(set) var judge: MountJudge?
    private var wasServed = false
    /// Members that died before the volume was there.
    private var early: [NodeNumber] = []

    /// - Parameters:
    ///   - device: the very device of the volume; signs of life pass no ``MemberDevice``.
    ///   - heartbeatOffset: where the heartbeat file begins, in bytes.
    init(uuid: String, device: any BlockDevice, heartbeatOffset: UInt64, host: ClusterHost) {
        self.uuid = uuid
        self.host = host
        environment = host.environment
        var options = HeartbeatRegion.Options()
        options.deadThreshold = host.registration.timers.threshold
        region = HeartbeatRegion(
            name: uuid, node: host.node, configured: NodeSet(host.configuration.map(\.node)), device: device,
            byteOffset: heartbeatOffset, blockByteCount: device.sectorByteCount, options: options,
            environment: host.environment)
        region.onNodeUp = { [weak self] peer in self?.host.beatSeen(peer) }
        region.onNodeDown = { [weak self] peer in self?.host.beatLost(peer) }
        region.onWriteTimeout = { [weak self] in self?.lapse() }
    }

    // MARK: Joining

    /// Starts the heartbeat, waits for connections to all live nodes, and joins the domain. After a failure call
    /// ``leave()``.
    func join() async throws(ClusterFailure) -> ClusterLockService {
        host.add(self)
        answerNegotiation()
        try await beginHeartbeat()
        try await awaitConnections()
        return try await joinDomain()
    }

    private func beginHeartbeat() async throws(ClusterFailure) {
        do throws(HeartbeatError) {
            try await region.begin()
        } catch {
            let reason =
                switch error {
                case .device(let failure): "its heartbeat blocks cannot be read: errno \(failure.errno)"
                case .unstable: "nodes of the cluster come and go, or another host uses number \(host.node) as well"
                case .stopped: "it is being unmounted"
                }
            throw ClusterFailure(text: "the heartbeat on the volume cannot be started: \(reason)")
        }
    }

    private func awaitConnections() async throws(ClusterFailure) {
        let limit = environment.now + Self.connectTimeout
        var nextWord = environment.now + Self.wordInterval
        while true {
            try requireMembership()
            guard host.liveNodes.contains(host.node) else {
                throw ClusterFailure(text: "o2cb: Local heartbeat has not been started.")
            }
            let missing = host.liveNodes.removing(host.node).subtracting(host.net.connectedNodes)
            if missing.isEmpty { return }
            let now = environment.now
            guard now < limit else {
                let numbers = missing.map { "\($0)" }.joined(separator: " ")
                environment.log(.error, "o2cb: This node could not connect to nodes: \(numbers).")
                environment.log(.error, "o2cb: Cluster check failed. Fix errors before retrying.")
                throw ClusterFailure(
                    text: "this host has no connection to \(names(missing)), which beat on the volume: check the "
                        + "network and that cluster.conf and the timers of o2cb are the same on all hosts")
            }
            if now >= nextWord {
                nextWord = nextWord + Self.wordInterval
                environment.log(.warning, "o2cb: waiting for connections to \(names(missing))")
            }
            await environment.sleep(until: now + Self.lookInterval)
        }
    }

    private func names(_ nodes: NodeSet) -> String {
        nodes.map { "\(host.name(of: $0)) (node \($0))" }.joined(separator: ", ")
    }

    private func joinDomain() async throws(ClusterFailure) -> ClusterLockService {
        let domain = LockDomain(
            name: uuid, node: host.node, configuration: host.configuration, liveNodes: host.liveNodes,
            cookies: host.cookies, messenger: host, environment: environment)
        domain.onEviction = { [weak self] peer in self?.memberDied(peer) }
        self.domain = domain
        host.add(domain)
        do throws(JoinError) {
            try await domain.join()
        } catch {
            try requireMembership()
            throw ClusterFailure(text: text(of: error))
        }
        try requireMembership()
        let locks = ClusterLockService(domain: domain, environment: environment)
        self.locks = locks
        return locks
    }

    private func text(of error: JoinError) -> String {
        switch error {
        case .protocolMismatch(let peer):
            "\(host.name(of: peer)) speaks another version of the lock manager's protocol: run the same release there"
        case .configurationDiffers(let peer):
            "\(host.name(of: peer)) has other nodes in its cluster.conf: make the file the same on all hosts"
        case .regionsDiffer(let peer):
            "\(host.name(of: peer)) uses the global heartbeat: yoke o2cb heartbeat-mode "
                + "\(host.registration.cluster.name) local, on all hosts"
        case .timedOut:
            "the members kept saying 'not now' for 90 s: see their logs"
        }
    }

    private func requireMembership() throws(ClusterFailure) {
        if let stopReason { throw ClusterFailure(text: stopReason) }
    }

    // MARK: Negotiation about hanging writes. Spec: o2cb 9.2.

    private static let negotiationTimeout: UInt16 = 1
    private static let negotiationApproval: UInt16 = 2

    private func answerNegotiation() {
        let key = MessageKey.heartbeat(region: uuid)
        host.net.register(type: Self.negotiationTimeout, key: key, payloadByteCountMax: 1) {
            [unowned self] sender, _ in
            environment.log(
                .notice, "o2hb: receive negotiate timeout message from node \(sender) on region \(uuid)")
            return 0
        }
        host.net.register(type: Self.negotiationApproval, key: key, payloadByteCountMax: 1) { [unowned self] _, _ in
            environment.log(.notice, "o2hb: negotiate timeout approved by master node on region \(uuid)")
            region.extendWriteTimeout()
            return 0
        }
    }

    private func endNegotiation() {
        let key = MessageKey.heartbeat(region: uuid)
        host.net.unregister(type: Self.negotiationTimeout, key: key)
        host.net.unregister(type: Self.negotiationApproval, key: key)
    }

    // MARK: Members

    /// The mounted volume, told of deaths from now on, and of those since the join.
    func serve(_ volume: MountedVolume) {
        self.volume = volume
        wasServed = true
        let died = early
        early = []
        for peer in died { memberDied(peer) }
        if let stopReason { return volume.fence(stopReason) }
        // It cannot give up its locks in order any more: the others must see it die, or they wait for ever.
        volume.onStop = { [weak self] reason in self?.host.fence(reason) }
        if let reason = volume.stopReason { host.fence(reason) }
    }

    private func memberDied(_ peer: NodeNumber) {
        guard let volume else {
            early.append(peer)
            // What is being mounted may already have read what the dead one had changed in its journal only.
            locks?.fence("\(host.name(of: peer)) died while this host was mounting the volume: mount it again")
            return
        }
        volume.memberDied(UInt32(peer.value))
    }

    // MARK: The judge

    /// What the filesystem uses; held while it is open who goes on.
    func memberDevice(on device: any BlockDevice) -> MemberDevice {
        let made = MemberDevice(device, of: self)
        self.device = made
        return made
    }

    func install(_ judge: MountJudge) {
        self.judge = judge
    }

    /// While it is held nothing is written or acknowledged, and no lock is given, cached ones included: the other host may
    /// go on alone at any moment.
    func hold(_ isHolding: Bool) {
        device?.hold(isHolding)
        if isHolding {
            locks?.suspend()
            volume?.suspend()
        } else {
            locks?.resume()
            volume?.resume()
        }
    }

    /// While the judge has no verdict that lets this host go on, the signs of life that wait mean nothing: the other
    /// host could not see them anyway.
    func extendWriteTimeout() {
        region.extendWriteTimeout()
    }

    /// Nodes of the domain, this one included.
    var members: NodeSet { domain?.members ?? [] }
    var clusterName: String { host.registration.cluster.name }
    /// When the last own sign of life got through.
    var lastBeat: Instant? { region.lastWrite }

    // MARK: The end

    /// Leaves the domain and says good-bye on the disk; the volume is unmounted. Nothing of it after ``stop(_:)``.
    func leave() async {
        if stopReason == nil, let locks, !(await locks.dropAll(isFailedMount: !wasServed)), stopReason == nil {
            host.fence("volume \(uuid) could not be written back at its unmount; the others replay its journal")
        }
        if stopReason == nil { await domain?.leave() }
        judge?.end()
        judge = nil
        if let domain { host.remove(domain) }
        domain = nil
        await region.end()
        endNegotiation()
        host.remove(self)
    }

    /// False when this host is no member any more, or just found out that it cannot be.
    func isMember() -> Bool {
        if stopReason != nil { return false }
        let now = environment.now
        if let deadline = region.writeDeadline, now > deadline {
            lapse()
            return false
        }
        if let judge, judge.hasSlept(now) {
            host.fence("this host stood still for longer than the other one waits before it goes on alone")
            return false
        }
        return true
    }

    private func lapse() {
        let since = region.lastWrite.map { environment.now - $0 } ?? region.options.writeTimeout
        let seconds = since.nanosecondsClamped / 1_000_000_000
        host.fence("no sign of life got through to volume \(uuid) for \(seconds) s")
    }

    /// Part of ``ClusterHost/fence(_:)``.
    func stop(_ reason: String) {
        guard stopReason == nil else { return }
        stopReason = reason
        region.fence()
        judge?.stop()
        locks?.fence(reason)
        domain?.abandon()
        volume?.fence(reason)
        device?.stop()
    }
}
