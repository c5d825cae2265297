import ClusterNet
import EngineKit
import EngineSimulation
import O2Layout
import Testing

/// Two nodes and the wire between them.
private final class Wire: NetTransport {
    let environment: VirtualEnvironment
    var nets: [NodeNumber: ClusterNet] = [:]
    let nodes = [
        NodeAddress(node: 0, port: 7777, address: 0x0a63_0001), NodeAddress(node: 1, port: 7777, address: 0x0a63_0002),
    ]
    /// Bytes are held, connections stay: a pulled cable.
    var isCut = false
    var connects = 0
    private var held: [() -> Void] = []
    /// (end, id there) of each end.
    private var ends: [End: End] = [:]
    private var sender: NodeNumber = 0

    struct End: Hashable {
        var node: NodeNumber
        var id: NetStreamID
    }

    init(seed: UInt64 = 3) {
        environment = VirtualEnvironment(seed: seed)
    }

    /// The transport as one node uses it.
    final class Port: NetTransport {
        unowned let wire: Wire
        let node: NodeNumber

        init(_ wire: Wire, _ node: NodeNumber) {
            self.wire = wire
            self.node = node
        }

        func connect(to peer: NodeAddress, from own: NodeAddress, id: NetStreamID) {
            wire.connects += 1
            wire.pass { [wire, node] in
                guard let target = wire.nets[peer.node] else {
                    wire.nets[node]?.streamEnded(id, isReset: true)
                    return
                }
                let there = target.nextStreamID()
                guard target.streamAccepted(there, from: own.address) else {
                    wire.nets[node]?.streamEnded(id, isReset: false)
                    return
                }
                wire.ends[End(node: node, id: id)] = End(node: peer.node, id: there)
                wire.ends[End(node: peer.node, id: there)] = End(node: node, id: id)
                wire.nets[node]?.streamConnected(id)
            }
        }

        func send(_ bytes: [UInt8], on id: NetStreamID) {
            wire.pass { [wire, node] in
                guard let there = wire.ends[End(node: node, id: id)] else { return }
                wire.nets[there.node]?.streamReceived(there.id, bytes)
            }
        }

        func close(_ id: NetStreamID) {
            wire.pass { [wire, node] in
                guard let there = wire.ends.removeValue(forKey: End(node: node, id: id)) else { return }
                wire.ends[there] = nil
                wire.nets[there.node]?.streamEnded(there.id, isReset: false)
            }
        }
    }

    private var ports: [Port] = []

    func boot(_ node: NodeNumber, options: ClusterNet.Options = ClusterNet.Options()) -> ClusterNet {
        let port = Port(self, node)
        ports.append(port)
        let net = ClusterNet(node: node, nodes: nodes, options: options, environment: environment, transport: port)
        nets[node] = net
        return net
    }

    func pass(_ body: @escaping () -> Void) {
        guard !isCut else { return held.append(body) }
        environment.call(at: environment.now + .milliseconds(1), body)
    }

    func heal() {
        isCut = false
        let bodies = held
        held = []
        for body in bodies { pass(body) }
    }

    // The protocol is met by the ports.
    func connect(to peer: NodeAddress, from own: NodeAddress, id: NetStreamID) {}
    func send(_ bytes: [UInt8], on id: NetStreamID) {}
    func close(_ id: NetStreamID) {}
}

@Suite("o2net")
struct ClusterNetTests {
    private func pair(_ wire: Wire, _ other: ClusterNet.Options = ClusterNet.Options()) -> (ClusterNet, ClusterNet) {
        let (a, b) = (wire.boot(0), wire.boot(1, options: other))
        for net in [a, b] { net.heartbeatUp(net.node) }
        a.heartbeatUp(1)
        b.heartbeatUp(0)
        wire.environment.run(limit: .milliseconds(100))
        return (a, b)
    }

    @Test("the higher number connects; requests are answered, unknown ones and long ones too")
    func requests() {
        let wire = Wire()
        let (a, b) = pair(wire)
        #expect(a.connectedNodes == [1] && b.connectedNodes == [0])
        a.register(type: 500, key: 7, payloadByteCountMax: 2) { _, payload in Int32(payload.count) }
        var answers: [NetAnswer] = []
        b.send(type: 500, key: 7, [1, 2], to: 0) { answers.append($0) }
        b.send(type: 500, key: 8, [1, 2], to: 0) { answers.append($0) }
        b.send(type: 500, key: 7, [1, 2, 3], to: 0) { answers.append($0) }
        wire.environment.run(limit: .milliseconds(100))
        #expect(answers == [.status(2), .noHandler, .overflow])
    }

    @Test("Yoke hosts know each other by their handshakes")
    func marks() {
        let (a, b) = pair(Wire())
        #expect(a.isYoke(1) == true && b.isYoke(0) == true)
        #expect(Wire().boot(0).isYoke(1) == nil)
    }

    @Test("an early attempt is closed and repeated until the acceptor sees the heartbeat")
    func earlyAttempt() {
        let wire = Wire()
        let (a, b) = (wire.boot(0), wire.boot(1))
        b.heartbeatUp(0)
        wire.environment.run(limit: .seconds(5))
        #expect(a.connectedNodes.isEmpty && wire.connects == 3)
        a.heartbeatUp(1)
        wire.environment.run(limit: .seconds(3))
        #expect(a.connectedNodes == [1])
    }

    @Test("other timeouts are refused in words that name them")
    func mismatch() {
        let wire = Wire()
        var options = ClusterNet.Options()
        options.idleTimeout = .seconds(31)
        let (a, _) = pair(wire, options)
        #expect(a.connectedNodes.isEmpty)
        #expect(
            wire.environment.records.contains {
                $0.text.contains("uses a network idle timeout of 31000 ms, but we use 30000 ms locally. Disconnecting.")
            })
    }

    @Test("a silent connection is kept; the answer comes when the cable is back")
    func silence() {
        let wire = Wire()
        let (a, b) = pair(wire)
        a.register(type: 500, key: 7, payloadByteCountMax: 2) { _, _ in 5 }
        var silent: [Bool] = []
        b.onSilence = { silent.append($1) }
        wire.isCut = true
        var answer: NetAnswer?
        b.send(type: 500, key: 7, [], to: 0) { answer = $0 }
        wire.environment.run(limit: .seconds(40))
        #expect(silent == [true] && answer == nil && b.connectedNodes == [0])
        wire.heal()
        wire.environment.run(limit: .seconds(1))
        #expect(silent == [true, false] && answer == .status(5))
    }

    @Test("of two nodes without a link the higher number fences itself, the lower stays")
    func quorum() {
        let wire = Wire()
        let (a, b) = pair(wire)
        var fenced: [NodeNumber] = []
        a.onFence = { _ in fenced.append(0) }
        b.onFence = { _ in fenced.append(1) }
        wire.isCut = true
        wire.environment.run(limit: .seconds(110))
        #expect(fenced == [1])
        #expect(
            wire.environment.records.contains {
                $0.text.contains("not fencing this node, heartbeating: 2, connected: 1, lowest: 0 (reachable)")
            })
    }

    @Test("a death ends what waits, and the heartbeat's word cancels the quorum decision")
    func death() {
        let wire = Wire()
        let (a, b) = pair(wire)
        var fenced = false
        b.onFence = { _ in fenced = true }
        wire.isCut = true
        var answer: NetAnswer?
        b.send(type: 500, key: 7, [], to: 0) { answer = $0 }
        wire.environment.run(limit: .seconds(62))
        b.heartbeatDown(0)
        wire.environment.run(limit: .seconds(100))
        #expect(answer == .hostDown && !fenced)
        _ = a
    }
}
