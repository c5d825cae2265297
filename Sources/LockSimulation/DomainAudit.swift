internal import EngineKit
internal import LockManager
internal import O2Layout

/// Compares what the hosts of a domain know when nothing is under way: who is a member, who is master of what, who has
/// which lock.
package struct DomainAudit {
    private let hosts: [any LockHost]
    private let workload: LockWorkload
    private var complaints: [String] = []

    /// What does not fit; empty: all is well.
    package static func complaints(_ hosts: [any LockHost], _ workload: LockWorkload) -> [String] {
        var audit = DomainAudit(hosts: hosts, workload: workload)
        audit.lookAtMembers()
        audit.lookAtResources()
        return audit.complaints
    }

    private init(hosts: [any LockHost], workload: LockWorkload) {
        self.hosts = hosts
        self.workload = workload
    }

    private mutating func lookAtMembers() {
        let all = NodeSet(hosts.map(\.node))
        for host in hosts {
            if host.domain.isRecovering { complaints.append("node \(host.node) has not ended a recovery") }
            if host.domain.members != all {
                complaints.append("node \(host.node) counts \(host.domain.members) as members, they are \(all)")
            }
        }
    }

    private mutating func lookAtResources() {
        var pictures: [ResourceName: [(node: NodeNumber, picture: ResourcePicture)]] = [:]
        for host in hosts {
            for picture in host.domain.picture() where !picture.isGoing && picture.name != .recovery {
                if picture.isUnsettled {
                    complaints.append("\(picture.name) is unsettled on node \(host.node)")
                }
                pictures[picture.name, default: []].append((host.node, picture))
            }
        }
        for name in pictures.keys.sorted() { look(at: name, pictures[name] ?? []) }
        for host in hosts {
            let wanted = workload.locks(of: host).filter { $0.mode != nil }.map { "\($0.name) \($0.mode ?? .null)" }
            let found = pictures.values.joined().filter { $0.node == host.node }
                .flatMap { entry in
                    entry.picture.locks.filter { $0.node == host.node }.map { "\(entry.picture.name) \($0.mode)" }
                }
            if wanted.sorted() != found.sorted() {
                complaints.append("users of node \(host.node) have \(wanted.sorted()), it knows \(found.sorted())")
            }
        }
    }

    private mutating func look(at name: ResourceName, _ copies: [(node: NodeNumber, picture: ResourcePicture)]) {
        let masters = copies.filter { $0.picture.owner == $0.node }
        guard masters.count == 1, let master = masters.first else {
            complaints.append("\(name) has the masters \(masters.map(\.node)), copies are on \(copies.map(\.node))")
            return
        }
        for lock in master.picture.locks where !lock.isSettled {
            complaints.append("a request of node \(lock.node) for \(name) waits at node \(master.node)")
        }
        var known = Set(master.picture.locks.filter { $0.node != master.node })
        for copy in copies where copy.node != master.node {
            if copy.picture.owner != master.node {
                let owner = copy.picture.owner.map { "\($0)" } ?? "nobody"
                complaints.append("node \(copy.node) takes \(owner) for the master of \(name), it is \(master.node)")
            }
            if !master.picture.references.contains(copy.node) {
                complaints.append("node \(master.node), master of \(name), does not count the copy of \(copy.node)")
            }
            for lock in copy.picture.locks where known.remove(lock) == nil {
                complaints.append("a lock of node \(copy.node) on \(name) is not known to its master \(master.node)")
            }
        }
        for lock in known.sorted(by: { $0.cookie < $1.cookie }) {
            complaints.append("node \(master.node) keeps a lock on \(name) that node \(lock.node) does not have")
        }
    }
}
