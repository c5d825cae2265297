package import EngineKit
package import FileSystem
package import LockManager

/// The cluster locks of one mounted volume, cached on this host until another one wants them.
package final class ClusterLockService: LockService {
    package struct Options: Sendable {
        /// How long a lock is kept after a grant before it is given up, so that two busy hosts do not only pass it about.
        package var minimumHold: Duration = .milliseconds(2)

        package init() {}
    }

    package let domain: LockDomain
    let environment: any EngineEnvironment
    let options: Options
    /// Why this host must not get or use locks any more; nil: it may.
    package private(set) var fence: String?
    /// A member died and its journal is not replayed: what metadata locks protect is old on the disk.
    package private(set) var isFrozen = false
    /// Locks that the recovery itself takes.
    private var exempt: Set<LockName> = []
    let changed = AsyncSignal()
    /// Locks whose owners are gone, but which must not be given up.
    private var kept: [CachedLock] = []

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

    package func fence(_ reason: String) {
        fence = fence ?? reason
        changed.notify()
    }

    /// Holds on to a lock that nobody else does any more.
    func keep(_ lock: CachedLock) {
        kept.append(lock)
    }

    func mustWait(_ name: LockName) -> Bool {
        isFrozen && fence == nil && name.kind == .metadata && !exempt.contains(name)
    }
}
