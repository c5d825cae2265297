internal import EngineKit
package import O2Layout

// What an admin sees of a domain, as `debugfs.ocfs2 -R dlm_locks` shows it.

extension LockDomain {
    /// One line for each resource and lock.
    package func listing() -> [String] {
        resourcesInOrder.flatMap(lines)
    }

    /// The same of one resource; empty: this node does not know it.
    package func listing(of name: ResourceName) -> [String] {
        resources[name].map(lines) ?? []
    }

    private func lines(_ resource: LockResource) -> [String] {
        ["\(resource.name) owner \(resource.owner.map(\.description) ?? "unknown") \(states(resource))"]
            + resource.allLocks.map { "  \(describe($0))" }
    }

    private func states(_ resource: LockResource) -> String {
        let flags: [(Bool, String)] = [
            (resource.isInProgress, "in-progress"), (resource.isRecovering, "recovering"),
            (resource.awaitsRecovery, "recovery-waiting"), (resource.isMigrating, "migrating"),
            (resource.isDroppingReference, "dropping-ref"), (resource.assertRounds > 0, "asserting"),
        ]
        return "users \(resource.userCount) references \(resource.references) "
            + flags.filter(\.0).map(\.1).joined(separator: ",")
    }

    private func describe(_ lock: Lock) -> String {
        let list = lock.list.map { "\($0)" } ?? "none"
        let wanted = lock.convertMode.map { " to \($0)" } ?? ""
        let outstanding = lock.outstanding.map { " outstanding \($0)" } ?? ""
        return "\(list) \(lock.mode)\(wanted) node \(lock.node) cookie \(lock.cookie.value & 0x00ff_ffff_ffff_ffff)"
            + outstanding
    }
}
