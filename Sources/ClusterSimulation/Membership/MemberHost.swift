internal import ClusterNet
internal import EngineKit
internal import EngineSimulation
internal import Heartbeat
internal import LockManager
internal import LockSimulation
internal import O2Layout

/// One host of a ``MemberHistory`` with everything that makes it a member, put together as the daemon does it: heartbeat on
/// the common disk, o2net, a lock domain, and the end of membership.
final class MemberHost: LockHost {
    let node: NodeNumber
    let home: HostEnvironment
    var environment: any EngineEnvironment { home }
    var isInert: Bool { isDead || home.isAsleep }
    let disk: SharedDisk
    private(set) var net: ClusterNet!
    private(set) var domain: LockDomain!
    private(set) var isDead = false
    private(set) var isFenced = false
    private(set) var fenceReason: String?
    private(set) var liveNodes: NodeSet = []
    private(set) var hasJoined = false

    private let network: MemberNetwork
    private var region: HeartbeatRegion!
    private let note: (String) -> Void
    var onFence: (MemberHost) -> Void = { _ in }

    init(
        _ node: NodeNumber, _ configuration: [NodeAddress], _ scenario: MemberScenario, _ device: MemoryDevice,
        _ network: MemberNetwork, _ base: VirtualEnvironment, note: @escaping (String) -> Void
    ) {
        self.node = node
        self.network = network
        self.note = note
        home = HostEnvironment(base)
        disk = SharedDisk(device, home, base)
        disk.latencyMax = scenario.diskLatencyMax
        net = ClusterNet(
            node: node, nodes: configuration, options: scenario.netOptions, environment: environment, transport: self)
        region = HeartbeatRegion(
            name: "R", node: node, configured: NodeSet(configuration.map(\.node)), device: disk, byteOffset: 0,
            blockByteCount: 512, options: scenario.heartbeatOptions, environment: environment)
        domain = LockDomain(
            name: "7E012AE3BF62458B8A58C073CF6E1C36", node: node, configuration: configuration, liveNodes: [],
            cookies: CookieCounter(), messenger: self, environment: environment)
        domain.plantedFaults = scenario.plantedFaults.locks
        net.onFence = { [unowned self] in fence($0) }
        region.onNodeUp = { [unowned self] in beatSeen($0) }
        region.onNodeDown = { [unowned self] in beatLost($0) }
        region.onWriteTimeout = { [unowned self] in fence("no sign of life got through") }
        for type in LockMessageType.allCases {
            net.register(
                type: type.rawValue, key: type.isJoining ? MessageKey.joining : domain.key,
                payloadByteCountMax: type.payloadByteCountMax
            ) { [unowned self] sender, payload in
                let status = domain.handle(type, from: sender, payload: payload)
                self.note("\(sender)>\(self.node) \(type) -> \(status.map { "\($0)" } ?? "no handler")")
                return status
            }
        }
        network.listen(self)
    }

    /// Its signs of life do not get through, or not yet again.
    var isHeldUp: Bool { home.isAsleep || disk.isHeldUp }

    // MARK: Membership

    /// Returns when it is a member, or cannot be one; then it has ended.
    func join() async -> Bool {
        do throws(HeartbeatError) {
            try await region.begin()
        } catch {
            note("node \(node) has no heartbeat: \(error)")
            return false
        }
        while !isDead, !liveNodes.removing(node).subtracting(net.connectedNodes).isEmpty {
            await environment.sleep(until: environment.now + .milliseconds(100))
        }
        do throws(JoinError) {
            guard !isDead else { return false }
            try await domain.join()
        } catch {
            note("node \(node) cannot join: \(error)")
            return false
        }
        hasJoined = !isDead
        return hasJoined
    }

    func leave() async {
        await domain.leave()
        guard !isDead else { return }
        await region.end()
        guard !isDead else { return }
        net.stop()
        note("node \(node) has left")
        isDead = true
        network.end(self, isQuiet: false)
        home.turnOff()
    }

    /// False when this host is no member any more, or just found out that it cannot be.
    func isMember() -> Bool {
        if isDead { return false }
        if let deadline = region.writeDeadline, environment.now > deadline {
            region.onWriteTimeout()
            return isFenced ? false : true
        }
        return true
    }

    private func beatSeen(_ peer: NodeNumber) {
        note("node \(node) sees node \(peer) beat")
        liveNodes.insert(peer)
        net.heartbeatUp(peer)
        later { $0.nodeUp(peer) }
    }

    private func beatLost(_ peer: NodeNumber) {
        guard !isFenced else { return }
        note("node \(node) misses the beat of node \(peer)")
        liveNodes.remove(peer)
        net.heartbeatDown(peer)
        later { $0.nodeDown(peer) }
    }

    private func later(_ tell: @escaping (LockDomain) -> Void) {
        environment.call(at: environment.now) { [unowned self] in
            // Who has left hears no more of it.
            if !isDead, domain.phase != .left { tell(domain) }
        }
    }

    // MARK: The end

    /// What the daemon does when it must not touch the volume any more: its programs run on and get errors.
    func fence(_ reason: String) {
        guard !isDead else { return }
        note("node \(node) ends its membership: \(reason)")
        fenceReason = reason
        isFenced = true
        isDead = true
        region.fence()
        domain.abandon()
        net.stop()
        network.end(self, isQuiet: false)
        onFence(self)
    }

    /// - Parameter isQuiet: the machine dies, and not only the program.
    func kill(isQuiet: Bool) {
        guard !isDead || isFenced else { return }
        note("node \(node) dies\(isQuiet ? "" : ": its program")")
        isDead = true
        isFenced = false
        home.turnOff()
        network.end(self, isQuiet: isQuiet)
    }
}

extension MemberHost: ClusterMessenger {
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

extension MemberHost: NetTransport {
    func connect(to peer: NodeAddress, from own: NodeAddress, id: NetStreamID) {
        network.connect(self, to: peer.node, id)
    }
    func send(_ bytes: [UInt8], on id: NetStreamID) { network.send(self, bytes, id) }
    func close(_ id: NetStreamID) { network.close(self, id) }
}
