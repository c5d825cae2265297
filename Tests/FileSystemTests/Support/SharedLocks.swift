import EngineKit

@testable import FileSystem

/// The locks of hosts that have one disk in common, without messages: a host that wants a lock makes the others lower
/// theirs, and waits only for those that are in use.
final class SharedLocks {
    fileprivate var locks: [LockName: [SharedLock]] = [:]
    fileprivate let changed = AsyncSignal()

    /// What one host mounts with.
    func host() -> any LockService { HostLocks(self) }

    /// Of the locks that some host has at some level.
    var names: [LockName] { locks.filter { !$0.value.isEmpty }.map(\.key) }
}

private final class HostLocks: LockService {
    let table: SharedLocks

    init(_ table: SharedLocks) { self.table = table }

    var isLocal: Bool { false }

    func lock(_ name: LockName, owner: (any ClusterLockOwner)?) -> any ClusterLock {
        SharedLock(name, owner, self)
    }
}

private final class SharedLock: ClusterLock {
    let name: LockName
    weak var owner: (any ClusterLockOwner)?
    private(set) var level = LockLevel.null
    private let host: HostLocks
    private var holders = 0
    private let gate = AsyncReadWriteLock()

    init(_ name: LockName, _ owner: (any ClusterLockOwner)?, _ host: HostLocks) {
        self.name = name
        self.owner = owner
        self.host = host
    }

    private(set) var isWantedElsewhere = false

    /// A lock of another host that does not go together with `level`.
    private func obstacle(to level: LockLevel) -> SharedLock? {
        host.table.locks[name]?.first { other in
            other.host !== host && (other.level == .exclusive || (level == .exclusive && other.level != .null))
        }
    }

    func acquire(_ level: LockLevel) async throws(FileSystemError) {
        _ = try await acquire(level, mayWait: true)
    }

    func tryAcquire(_ level: LockLevel) async throws(FileSystemError) -> Bool {
        try await acquire(level, mayWait: false)
    }

    func acquireBeforeLowering(_ level: LockLevel) async throws(FileSystemError) {
        guard self.level >= level else { return try await acquire(level) }
        holders += 1
    }

    private func acquire(_ level: LockLevel, mayWait: Bool) async throws(FileSystemError) -> Bool {
        await gate.lock(.exclusive)
        defer { gate.unlock(.exclusive) }
        while let other = obstacle(to: level) {
            if other.holders > 0 {
                guard mayWait else { return false }
                await host.table.changed.wait()
            } else {
                try await other.lower(to: level == .exclusive ? .null : .protectedRead, isWanted: true)
            }
        }
        let isNew = self.level == .null
        self.level = max(self.level, level)
        holders += 1
        if isNew { host.table.locks[name, default: []].append(self) }
        guard isNew, let owner else { return true }
        do throws(FileSystemError) {
            try await owner.refresh(self, from: nil)
        } catch {
            release(level)
            throw error
        }
        return true
    }

    func release(_ level: LockLevel) {
        precondition(holders > 0, "lock \(name) is released but not held")
        holders -= 1
        host.table.changed.notify()
    }

    private func lower(to level: LockLevel, isWanted: Bool) async throws(FileSystemError) {
        await gate.lock(.exclusive)
        defer { gate.unlock(.exclusive) }
        guard holders == 0, self.level > level else { return }
        isWantedElsewhere = isWanted
        defer { isWantedElsewhere = false }
        try await owner?.prepareToLower(self, from: self.level, to: level)
        guard holders == 0 else { return }
        self.level = level
        if level == .null { host.table.locks[name]?.removeAll { $0 === self } }
        host.table.changed.notify()
    }

    func drop() async {
        try? await lower(to: .null, isWanted: false)
    }
}
