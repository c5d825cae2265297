internal import EngineKit
internal import O2Layout

// Ceasing to be a member without a word: this node must stop at once. Spec: o2cb 14.

extension LockDomain {
    /// Ends every request, those that wait and those to come, with an error. No message is sent; the others find out
    /// from the heartbeat.
    package func abandon() {
        guard phase != .left, !plantedFaults.contains(.keepLocksWhenFenced) else { return }
        phase = .left
        members = [node]
        exiting = []
        joiningNode = nil
        recoveryMap = []
        for resource in resourcesInOrder {
            for lock in resource.allLocks { lock.user?.wake(false) }
            resource.changed.notify()
        }
        for entry in entries.values.sorted(by: { $0.name < $1.name }) { entry.changed.notify() }
        changed.notify()
    }
}
