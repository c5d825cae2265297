package import O2Layout

/// Whether this node may go on, from who heartbeats and who is connected. Spec: o2cb 13.
///
/// Both sets count this node. A decision is made once, when nothing is in doubt any more, and only after a lost
/// connection stayed lost for longer than the heartbeat takes to bury its node.
package struct Quorum {
    package enum Decision: Equatable, Sendable {
        case goOn(String)
        /// This node must stop, for this reason.
        case fence(String)
    }

    private let node: NodeNumber
    package private(set) var heartbeating: NodeSet = []
    package private(set) var connected: NodeSet = []
    private var holds: NodeSet = []
    private var isPending = false

    package init(node: NodeNumber) {
        self.node = node
    }

    package mutating func heartbeatUp(_ peer: NodeNumber) -> Decision? {
        heartbeating.insert(peer)
        return connected.contains(peer) ? clear(peer) : hold(peer)
    }

    package mutating func heartbeatDown(_ peer: NodeNumber) -> Decision? {
        heartbeating.remove(peer)
        return clear(peer)
    }

    /// The handshake passed, or something was heard after a silence.
    package mutating func connectionUp(_ peer: NodeNumber) -> Decision? {
        connected.insert(peer)
        return heartbeating.contains(peer) ? clear(peer) : hold(peer)
    }

    /// A valid connection was lost, or went silent.
    package mutating func connectionLost(_ peer: NodeNumber) {
        guard connected.contains(peer) else { return }
        connected.remove(peer)
        if heartbeating.contains(peer) { holds.insert(peer) }
    }

    /// The connection has stayed lost while the node heartbeats on.
    package mutating func stillUp(_ peer: NodeNumber) -> Decision? {
        isPending = true
        return clear(peer)
    }

    private mutating func hold(_ peer: NodeNumber) -> Decision? {
        holds.insert(peer)
        return nil
    }

    private mutating func clear(_ peer: NodeNumber) -> Decision? {
        guard holds.contains(peer) else { return nil }
        holds.remove(peer)
        guard holds.isEmpty, isPending else { return nil }
        isPending = false
        return decide()
    }

    private func decide() -> Decision? {
        let (heartbeats, connections) = (heartbeating.count, connected.count)
        guard heartbeating.contains(node), heartbeats > 1, let lowest = heartbeating.lowest else { return nil }
        let isReachable = connected.contains(lowest)
        let needed = (heartbeats + 1) / 2
        if connections < needed {
            return .fence(
                "fencing this node because it is only connected to \(connections) nodes and \(needed) is needed to "
                    + "make a quorum out of \(heartbeats) heartbeating nodes")
        }
        if heartbeats % 2 == 0, connections == needed, !isReachable {
            return .fence(
                "fencing this node because it is connected to a half-quorum of \(connections) out of \(heartbeats) "
                    + "nodes which doesn't include the lowest active node \(lowest)")
        }
        return .goOn(
            "not fencing this node, heartbeating: \(heartbeats), connected: \(connections), lowest: \(lowest) "
                + "(\(isReachable ? "reachable" : "unreachable"))")
    }
}
