package import EngineKit
internal import EngineSimulation
package import LockManager
package import O2Layout

/// A host whose locks a ``LockWorkload`` uses.
package protocol LockHost: AnyObject {
    var node: NodeNumber { get }
    var domain: LockDomain! { get }
    /// It sends and hears nothing any more.
    var isDead: Bool { get }
    /// It ended its membership itself: its programs run on and must get errors.
    var isFenced: Bool { get }
    /// It can do nothing at this moment, and will know what happened meanwhile before it does anything.
    var isInert: Bool { get }
    /// Where its programs run.
    var environment: any EngineEnvironment { get }
    /// Asked before a lock is relied upon.
    func isMember() -> Bool
}

/// One host of a ``SimulatedCluster``.
package final class SimulatedHost: ClusterMessenger, LockHost {
    package let node: NodeNumber
    package private(set) var domain: LockDomain!
    package internal(set) var isDead = false
    /// It ended its membership itself: its programs run on and must get errors.
    package internal(set) var isFenced = false
    private unowned let cluster: SimulatedCluster
    package var isInert: Bool { isDead }
    package var environment: any EngineEnvironment { cluster.environment }
    /// The other end of each connection: one life of a host, not a number.
    private var connections: [NodeNumber: SimulatedHost] = [:]
    private var pending: [UInt64: (to: NodeNumber, completion: (MessengerAnswer) -> Void)] = [:]
    private var lastRequest: UInt64 = 0

    init(node: NodeNumber, cluster: SimulatedCluster) {
        self.node = node
        self.cluster = cluster
        domain = LockDomain(
            name: cluster.domainName, node: node, configuration: cluster.configuration,
            liveNodes: cluster.live, cookies: CookieCounter(), messenger: self, environment: cluster.environment)
    }

    package func isMember() -> Bool { !isDead || (isFenced && domain.phase != .left) }

    func connect(to other: SimulatedHost) {
        connections[other.node] = other
    }

    func isConnected(to other: SimulatedHost) -> Bool { connections[other.node] === other }

    /// The connection is over: requests on it end.
    func disconnect(from other: SimulatedHost) {
        guard isConnected(to: other) else { return }
        connections[other.node] = nil
        let failed = pending.filter { $0.value.to == other.node }.keys.sorted()
        for request in failed {
            guard let waiting = pending.removeValue(forKey: request) else { continue }
            cluster.environment.call(at: cluster.environment.now) { waiting.completion(.hostDown) }
        }
    }

    func disconnectAll() {
        for other in connections.values.sorted(by: { $0.node < $1.node }) { disconnect(from: other) }
    }

    package func send(
        _ type: LockMessageType, key: UInt32, _ payload: [UInt8], to peer: NodeNumber,
        _ completion: @escaping (MessengerAnswer) -> Void
    ) {
        guard !isDead || isFenced else { return }
        guard let target = connections[peer] else {
            cluster.environment.call(at: cluster.environment.now) { completion(.hostDown) }
            return
        }
        lastRequest += 1
        let request = lastRequest
        pending[request] = (peer, completion)
        cluster.deliver(from: self, to: target) { [self] in
            guard target.isConnected(to: self) else { return }
            cluster.onRequest(type, node, peer, false)
            guard !target.isDead else { return }
            let status = payload.withUnsafeBytes { target.domain.handle(type, from: node, payload: $0) }
            cluster.note(
                "\(node)>\(peer) \(type) \(Self.name(type, payload)) -> \(status.map { "\($0)" } ?? "no handler")")
            answer(request, status, target)
            cluster.onRequest(type, node, peer, true)
        }
    }

    private func answer(_ request: UInt64, _ status: Int32?, _ target: SimulatedHost) {
        cluster.deliver(from: target, to: self) { [self] in
            guard let waiting = pending.removeValue(forKey: request) else { return }
            waiting.completion(status.map { .status($0) } ?? .noHandler)
        }
    }

    /// The resource that a message is about.
    private static func name(_ type: LockMessageType, _ payload: [UInt8]) -> String {
        let offset: Int
        switch type {
        case .masterRequest, .assertMaster, .dereference, .dereferenceDone, .migrateRequest, .masterRequery: offset = 8
        case .createLock, .convertLock, .proxyAST, .unlockLock, .migrateResource: offset = 16
        default: return payload.prefix(4).map { "\($0)" }.joined(separator: ".")
        }
        let head = payload.prefix(16).map { String($0, radix: 16) }.joined(separator: ".")
        return String(decoding: payload[offset..<offset + 32].prefix { $0 != 0 }, as: UTF8.self) + " " + head
    }
}
