package import EngineKit
package import LinuxReactor

/// Somebody who lives on the reactor of all volumes and acts once a round.
package protocol RoundMember: AnyObject {
    /// All events of a round were told. Now send, once for each socket.
    func roundEnded()
    /// When ``deadlineReached()`` is wanted at the latest.
    var nextDeadline: Instant? { get }
    func deadlineReached()
}

/// The one reactor of all replicated resources and clustered mounts of a daemon, and who lives on it.
///
/// One for all, because o2net is one for a host: its one connection to a peer carries the messages of all lock domains in
/// order, and each domain belongs to a volume. With a reactor for each volume every lock message would change threads,
/// which costs more than the message.
///
/// **Threads.** ``add(_:)`` and ``remove(_:)`` on the reactor's thread, or before anything is posted. `@unchecked
/// Sendable` for that reason.
package final class VolumeReactor: @unchecked Sendable {
    package let reactor: Reactor
    /// In the order they came: their sends and timers run in this order.
    private var members: [any RoundMember] = []
    /// What this host is in the cluster; nil while no clustered volume is mounted. Confined to the reactor's thread.
    var clusterHost: ClusterHost?

    package init(backend: Reactor.Backend = .automatic) throws(SystemError) {
        reactor = try Reactor(options: Reactor.Options(backend: backend, name: "yoke volumes"))
        reactor.owner = self
        try reactor.start()
    }

    package func add(_ member: any RoundMember) {
        members.append(member)
    }

    package func remove(_ member: any RoundMember) {
        members.removeAll { $0 === member }
    }

    /// Ends the thread. Its members were ended before, or the daemon gives up waiting for that.
    package func stop() {
        reactor.stop()
    }
}

extension VolumeReactor: ReactorOwner {
    package func roundEnded(_ reactor: Reactor) {
        for member in members { member.roundEnded() }
        var next: Instant?
        for member in members {
            guard let deadline = member.nextDeadline else { continue }
            next = min(next ?? deadline, deadline)
        }
        reactor.setDeadline(next)
    }

    package func deadlineReached(_ reactor: Reactor) {
        let now = reactor.now
        for member in members where member.nextDeadline.map({ $0 <= now }) ?? false { member.deadlineReached() }
    }
}
