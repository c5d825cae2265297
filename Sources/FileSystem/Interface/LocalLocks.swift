/// Locks for a host that has the volume to itself: every level is granted at once.
package final class LocalLocks: LockService {
    package init() {}

    package var isLocal: Bool { true }

    package func lock(_ name: LockName, owner: (any ClusterLockOwner)?) -> any ClusterLock {
        LocalLock(name: name, owner: owner)
    }
}

private final class LocalLock: ClusterLock {
    let name: LockName
    weak var owner: (any ClusterLockOwner)?
    private(set) var level = LockLevel.null
    private var holders = 0

    init(name: LockName, owner: (any ClusterLockOwner)?) {
        self.name = name
        self.owner = owner
    }

    func acquire(_ level: LockLevel) async throws(FileSystemError) {
        let isFirst = self.level == .null
        if level > self.level { self.level = level }
        holders += 1
        guard isFirst, let owner else { return }
        do throws(FileSystemError) {
            try await owner.refresh(self, from: nil)
        } catch {
            holders -= 1
            throw error
        }
    }

    func tryAcquire(_ level: LockLevel) async throws(FileSystemError) -> Bool {
        try await acquire(level)
        return true
    }

    func acquireBeforeLowering(_ level: LockLevel) async throws(FileSystemError) {
        try await acquire(level)
    }

    var isWantedElsewhere: Bool { false }

    func release(_ level: LockLevel) {
        precondition(holders > 0, "lock \(name) is released but not held")
        holders -= 1
    }

    func drop() async {
        level = .null
    }
}
