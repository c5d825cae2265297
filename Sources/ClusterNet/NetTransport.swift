package import O2Layout

/// Names one TCP connection of a ``ClusterNet``.
package struct NetStreamID: Hashable, Sendable {
    package let value: UInt64

    package init(value: UInt64) {
        self.value = value
    }
}

/// The sockets under a ``ClusterNet``; events come back through its `stream...` functions, never from inside a call.
package protocol NetTransport: AnyObject {
    /// Connects from this node's own address (any port) to the peer's.
    func connect(to peer: NodeAddress, from own: NodeAddress, id: NetStreamID)
    func send(_ bytes: [UInt8], on id: NetStreamID)
    func close(_ id: NetStreamID)
}
