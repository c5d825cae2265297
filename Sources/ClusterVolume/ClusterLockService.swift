package import EngineKit
package import FileSystem
package import LockManager

/// The cluster locks of one mounted volume, cached on this host until another one wants them.
package final class ClusterLockService: LockService {
    package struct Options: Sendable {
        /// How long a lock is kept after a grant before it is given up, so that two busy hosts do not only pass it about.
        package var minimumHold: Duration = .milliseconds(2)
        /// Rules broken on purpose; empty outside of simulations.
        package var plantedFaults: PlantedFaults = []

        package init() {}
    }

    package let domain: LockDomain
    let environment: any EngineEnvironment
    let options: Options
    /// Why this host must not get or use locks any more; nil: it may.
    package private(set) var fence: String?
    /// A member died and its journal is not replayed: what metadata locks protect is old on the disk.
    package private(set) var isFrozen = false
    /// It is open whether this host may go on; no recovery may begin either.
    package private(set) var isSuspended = false
    /// Locks that the recovery itself takes.
    private var exempt: Set<LockName> = []
    let changed = AsyncSignal()
    /// Locks that the domain knows; those among them whose owners are gone, but which must not be given up.
    private var attached: [LockName: CachedLock] = [:]

    package init(domain: LockDomain, options: Options = Options(), environment: any EngineEnvironment) {
        self.domain = domain
        self.options = options
        self.environment = environment
    }

    package var isLocal: Bool { false }

    package func lock(_ name: LockName, owner: (any ClusterLockOwner)?) -> any ClusterLock {
        CachedLock(name: name, owner: owner, service: self)
    }

    package func freeze(except names: Set<LockName>) {
        isFrozen = true
        exempt.formUnion(names)
    }

    package func thaw() {
        isFrozen = false
        exempt = []
        changed.notify()
    }

    package func suspend() {
        isSuspended = true
    }

    package func resume() {
        guard isSuspended else { return }
        isSuspended = false
        changed.notify()
    }

    package func fence(_ reason: String) {
        fence = fence ?? reason
        changed.notify()
    }

    // MARK: The end

    func noteAttached(_ lock: CachedLock, _ isAttached: Bool) {
        if isAttached {
            attached[lock.name] = lock
        } else if attached[lock.name] === lock {
            attached[lock.name] = nil
        }
    }

    /// Gives back what is still cached, in the order of the names: nobody uses the volume any more.
    ///
    /// - Parameter isFailedMount: nothing was written under locks that are still held.
    /// - Returns: false: something could not be written back, and its lock is kept.
    package func dropAll(isFailedMount: Bool) async -> Bool {
        for lock in attached.values.sorted(by: { $0.name.resource < $1.name.resource }) {
            await lock.drop()
            if isFailedMount { await lock.end() }
        }
        return attached.isEmpty
    }

    func mustWait(_ name: LockName) -> Bool {
        guard fence == nil else { return false }
        switch name.kind {
        case .metadata:
            return isSuspended
                || isFrozen && !exempt.contains(name) && !options.plantedFaults.contains(.useBeforeReplay)
        // The host that goes on may give it to somebody else.
        case .flock: return isSuspended
        default: return false
        }
    }
}
