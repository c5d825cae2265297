internal import ClusterNet
internal import Configuration
internal import EngineKit
internal import LayoutKit
internal import LinuxReactor
internal import LockManager
internal import O2Layout

/// What this host is in its cluster while a clustered volume is mounted: its connections to the other members, who of
/// them lives, and the lock domains that share all this. Made by the first clustered mount, ended by the last.
///
/// **Liveness.** A node lives while it beats on at least one volume that is mounted here, as with kernel members. It is
/// told to the connections first, then to the domains: when a domain learns of a death, every request to the dead node
/// has ended. Spec: o2cb 1, 7.1.
///
/// Confined to the thread of the volumes' reactor.
final class ClusterHost {
    let registration: ClusterRegistration
    let node: NodeNumber
    /// All nodes, this one included: members compare it when one joins. Spec: o2dlm 6.4.
    let configuration: [NodeAddress]
    let environment: ReactorEnvironment
    let net: ClusterNet
    let cookies = CookieCounter()
    /// Why this host must not touch clustered volumes any more.
    private(set) var fenceReason: String?
    /// Nodes that beat on at least one volume, this one included.
    private(set) var liveNodes: NodeSet = []

    private let volumes: VolumeReactor
    private let sockets: ClusterSockets
    private var userCount = 0
    private var domains: [String: LockDomain] = [:]
    private var memberships: [VolumeMembership] = []
    /// On how many volumes a node beats.
    private var beats: [NodeNumber: Int] = [:]
    /// Nodes that were judged dead before their signs of life ended.
    private var buried: NodeSet = []

    // MARK: Life

    /// The host as a member of the cluster; balance with ``release()``.
    static func take(
        _ registration: ClusterRegistration, on volumes: VolumeReactor, log: @escaping @Sendable (LogRecord) -> Void
    ) throws(ClusterFailure) -> ClusterHost {
        if let host = volumes.clusterHost {
            if let reason = host.fenceReason {
                throw ClusterFailure(
                    text: "this host has given up its clustered mounts (\(reason)): unmount them all first")
            }
            if host.registration.cluster != registration.cluster {
                log(
                    LogRecord(
                        .warning,
                        "o2cb: cluster.conf has changed; it holds when no clustered volume is mounted any more"))
            }
            host.userCount += 1
            return host
        }
        let host = try ClusterHost(registration, on: volumes, log: log)
        volumes.clusterHost = host
        volumes.add(host)
        host.userCount = 1
        return host
    }

    private init(
        _ registration: ClusterRegistration, on volumes: VolumeReactor, log: @escaping @Sendable (LogRecord) -> Void
    ) throws(ClusterFailure) {
        guard let own = registration.ownNode.flatMap(NodeAddress.init) else {
            throw ClusterFailure(text: "this host is no node of cluster '\(registration.cluster.name)'")
        }
        self.registration = registration
        self.volumes = volumes
        node = own.node
        configuration = registration.cluster.nodes.compactMap(NodeAddress.init).sorted { $0.node < $1.node }
        environment = ReactorEnvironment(reactor: volumes.reactor, log: log)
        sockets = ClusterSockets(reactor: volumes.reactor, log: log)
        net = ClusterNet(
            node: own.node, nodes: configuration, options: ClusterNet.Options(registration.timers),
            environment: environment, transport: sockets)
        sockets.net = net
        do throws(SystemError) {
            try sockets.listen(on: own)
        } catch {
            let place = registration.ownNode?.endpoint ?? ""
            throw ClusterFailure(
                text: "o2net cannot listen on \(place): \(SystemError.text(of: error.code)): correct ip_address and "
                    + "ip_port of this host in cluster.conf, or end what listens there")
        }
        net.onFence = { [weak self] reason in self?.quorumIsLost(reason) }
        for type in LockMessageType.allCases where type.isJoining { answerJoining(type) }
    }

    func release() {
        userCount -= 1
        guard userCount == 0 else { return }
        net.stop()
        sockets.transmitAll()
        sockets.closeAll()
        volumes.remove(self)
        volumes.clusterHost = nil
    }

    func name(of peer: NodeNumber) -> String {
        registration.cluster.node(numbered: Int(peer.value))?.name ?? "node \(peer)"
    }

    // MARK: Who lives

    func beatSeen(_ peer: NodeNumber) {
        beats[peer, default: 0] += 1
        guard beats[peer] == 1 || buried.contains(peer) else { return }
        buried.remove(peer)
        liveNodes.insert(peer)
        net.heartbeatUp(peer)
        later { $0.nodeUp(peer) }
    }

    func beatLost(_ peer: NodeNumber) {
        guard let count = beats[peer] else { return }
        beats[peer] = count == 1 ? nil : count - 1
        guard count == 1 else { return }
        guard !buried.contains(peer) else { return buried.remove(peer) }
        // Who is being judged is not dead because its signs of life do not come through.
        guard !memberships.contains(where: { $0.judge?.isDeciding(on: peer) ?? false }) else { return }
        die(peer)
    }

    /// The judge's word: the node is dead, or must be taken for dead, though its last sign of life is young.
    func bury(_ peer: NodeNumber, _ reason: String) {
        guard liveNodes.contains(peer) else { return }
        environment.log(.warning, "o2cb: \(name(of: peer)) (node \(peer)) is taken for dead: \(reason)")
        buried.insert(peer)
        for membership in memberships { membership.judge?.follow(without: peer) }
        die(peer)
    }

    private func die(_ peer: NodeNumber) {
        liveNodes.remove(peer)
        net.heartbeatDown(peer)
        later { $0.nodeDown(peer) }
    }

    /// Behind the ends of requests that ``net`` has told by now.
    private func later(_ tell: @escaping (LockDomain) -> Void) {
        environment.call(at: environment.now) { [weak self] in
            guard let self else { return }
            for domain in domainsInOrder { tell(domain) }
        }
    }

    // MARK: Domains

    var domainsInOrder: [LockDomain] { domains.values.sorted { $0.name < $1.name } }

    func add(_ membership: VolumeMembership) {
        memberships.append(membership)
    }

    func remove(_ membership: VolumeMembership) {
        memberships.removeAll { $0 === membership }
    }

    /// Before the domain asks anybody: members answer at once. Spec: o2dlm 6.2.
    func add(_ domain: LockDomain) {
        domains[domain.name] = domain
        for type in LockMessageType.allCases where !type.isJoining {
            net.register(type: type.rawValue, key: domain.key, payloadByteCountMax: type.payloadByteCountMax) {
                [weak domain] sender, payload in
                domain?.handle(type, from: sender, payload: payload)
            }
        }
    }

    func remove(_ domain: LockDomain) {
        domains[domain.name] = nil
        for type in LockMessageType.allCases where !type.isJoining {
            net.unregister(type: type.rawValue, key: domain.key)
        }
    }

    private func answerJoining(_ type: LockMessageType) {
        net.register(type: type.rawValue, key: MessageKey.joining, payloadByteCountMax: type.payloadByteCountMax) {
            [weak self] sender, payload in
            self?.answer(type, sender, payload)
        }
    }

    /// Gives a message to the domain that it names; for one that is not here it is answered as kernel members do.
    /// Spec: o2dlm 6.3, 6.4.
    private func answer(_ type: LockMessageType, _ sender: NodeNumber, _ payload: UnsafeRawBufferPointer) -> Int32? {
        do throws(LayoutError) {
            let name: String
            let unknown: Int32
            switch type {
            case .queryJoin:
                let message = try QueryJoinMessage(decoding: payload)
                name = message.domain
                unknown = JoinAnswer(liveNodes.contains(message.node) ? .notMember : .disallow).status
            case .assertJoined, .cancelJoin:
                name = try JoinMessage(decoding: payload).domain
                unknown = 0
            case .queryRegion:
                name = try QueryRegionMessage(decoding: payload).domain
                unknown = -22
            default:
                name = try QueryNodeInfoMessage(decoding: payload).domain
                unknown = -22
            }
            guard let domain = domains[name] else { return unknown }
            return domain.handle(type, from: sender, payload: payload) ?? unknown
        } catch {
            environment.log(.error, "o2dlm: message \(type.rawValue) from node \(sender): \(error)")
            return -22
        }
    }

    // MARK: The end of membership

    /// Where a judge is deciding the quorum rule of two nodes has nothing to add: the preferred host is the same.
    private func quorumIsLost(_ reason: String) {
        guard !memberships.contains(where: { $0.judge?.isDeciding ?? false }) else {
            return environment.log(.notice, "o2cb: left to the verdict: \(reason)")
        }
        fence(reason)
    }

    /// This host must not touch what the others may recover from now on: every clustered mount stops, for good. The
    /// machine goes on. Spec: o2cb 14.
    func fence(_ reason: String) {
        guard fenceReason == nil else { return }
        fenceReason = reason
        environment.log(
            .critical,
            "o2cb: this host is no member any more and writes nothing: \(reason). Every use of its clustered mounts "
                + "fails; unmount them, then mount again")
        for membership in memberships { membership.stop(reason) }
        net.stop()
        // Whoever knocks is refused: nobody lives here any more.
        sockets.transmitAll()
        sockets.closeAll()
    }
}

extension ClusterHost: ClusterMessenger {
    func send(
        _ type: LockMessageType, key: UInt32, _ payload: [UInt8], to peer: NodeNumber,
        _ completion: @escaping (MessengerAnswer) -> Void
    ) {
        net.send(type: type.rawValue, key: key, payload, to: peer) { answer in
            switch answer {
            case .status(let status): completion(.status(status))
            case .noHandler: completion(.noHandler)
            case .overflow: completion(.status(-75))
            case .hostDown: completion(.hostDown)
            }
        }
    }
}

extension ClusterHost: RoundMember {
    func roundEnded() { sockets.transmitAll() }

    /// Everything here waits with timers of the reactor.
    var nextDeadline: Instant? { nil }

    func deadlineReached() {}
}

extension NodeAddress {
    /// Nil for what no registered cluster has.
    init?(_ node: ClusterNode) {
        guard let number = UInt8(exactly: node.number).flatMap({ NodeNumber($0) }),
            let port = UInt16(exactly: node.port),
            case .ipv4(let address, _)? = SocketAddress(numeric: node.address, port: port)
        else { return nil }
        self.init(node: number, port: port, address: address)
    }
}

extension ClusterNet.Options {
    /// Spec: o2cb 1.
    init(_ timers: ClusterTimers) {
        self.init()
        let interval = Duration.milliseconds(ClusterTimers.heartbeatIntervalMilliseconds)
        heartbeatTimeout = interval * (timers.threshold - 1)
        idleTimeout = .milliseconds(timers.idleTimeoutMilliseconds)
        keepaliveDelay = .milliseconds(timers.keepaliveDelayMilliseconds)
        reconnectDelay = .milliseconds(timers.reconnectDelayMilliseconds)
        quorumDelay = interval * (timers.threshold + 2)
    }
}
