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
    /// Locks that the domain knows.
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

    /// From the eviction of a member until its slot is recovered no metadata lock is given to anybody here.
    /// Spec: ocfs2-cluster 16.
    package func freeze(except names: Set<LockName>) {
        isFrozen = true
        exempt.formUnion(names)
    }

    package func thaw() {
        isFrozen = false
        exempt = []
        changed.notify()
    }

    /// Every request fails from now on.
    package func fence(_ reason: String) {
        fence = reason
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
    package func dropAll() async {
        while let lock = attached.values.min(by: { $0.name.resource < $1.name.resource }) { await lock.end() }
    }

    func mustWait(_ name: LockName) -> Bool {
        isFrozen && fence == nil && name.kind == .metadata && !exempt.contains(name)
    }
}
