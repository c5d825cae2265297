package import O2Layout

/// What became of a request to another node.
package enum MessengerAnswer: Equatable, Sendable {
    /// The handler's status.
    case status(Int32)
    /// That node does not know the domain, or not any more.
    case noHandler
    /// The connection is down or went down; the request may or may not have been executed.
    case hostDown
}

/// The lock manager's way to the other nodes. Spec: o2dlm 2.
///
/// Requests to one node leave in the order of the calls. Completions are never called from inside `send`.
package protocol ClusterMessenger: AnyObject {
    func send(
        _ type: LockMessageType, key: UInt32, _ payload: [UInt8], to node: NodeNumber,
        _ completion: @escaping (MessengerAnswer) -> Void)
}
