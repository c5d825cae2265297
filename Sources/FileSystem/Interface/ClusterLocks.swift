/// Levels of a cluster lock. Spec: ocfs2-cluster 1.
package enum LockLevel: UInt8, Comparable, Sendable {
    case null = 0
    case protectedRead = 3
    case exclusive = 5

    package static func < (left: LockLevel, right: LockLevel) -> Bool { left.rawValue < right.rawValue }
}

/// What a cluster lock protects; the letter is the first of its name. Spec: ocfs2-cluster 1.
package enum LockKind: UInt8, Sendable {
    case superblock = 0x53
    case rename = 0x52
    /// An inode's metadata and data.
    case metadata = 0x4D
    /// Writers of a file.
    case readWrite = 0x57
    /// This node knows the inode.
    case open = 0x4F
    case dentry = 0x4E
    case flock = 0x46
    case quota = 0x51
    case nfsSync = 0x59
    case orphanScan = 0x50
    case refcountTree = 0x54
    case trim = 0x49
}

/// The name of a cluster lock before it is spelled. Spec: ocfs2-cluster 1.
package struct LockName: Hashable, Sendable {
    package var kind: LockKind
    package var block: UInt64
    package var generation: UInt32
    /// Dentry locks only: the directory.
    package var parent: UInt64

    package init(_ kind: LockKind, block: UInt64 = 0, generation: UInt32 = 0, parent: UInt64 = 0) {
        self.kind = kind
        self.block = block
        self.generation = generation
        self.parent = parent
    }
}

/// The 64 bytes that travel with a lock. Spec: ocfs2-cluster 5.
package struct LockValueBlock: Equatable, Sendable {
    package static let byteCount = 64
    package var bytes: [UInt8]

    package init(bytes: [UInt8] = [UInt8](repeating: 0, count: byteCount)) {
        precondition(bytes.count == Self.byteCount, "a lock value block has 64 bytes")
        self.bytes = bytes
    }
}

/// The owner of what a lock protects.
package protocol ClusterLockOwner: AnyObject {
    /// The level was NL and is not any more: what is cached may be old. Spec: ocfs2-cluster 4.
    func refresh(_ lock: any ClusterLock, from value: LockValueBlock?) async throws(FileSystemError)
    /// Another host wants the lock, or it is given back: write back and drop what `level` does not cover. No local holder
    /// is in the way. Throws: it must not be lowered now; it will be asked for again. Spec: ocfs2-cluster 3.
    func prepareToLower(
        _ lock: any ClusterLock, from held: LockLevel, to level: LockLevel
    ) async throws(FileSystemError)
    /// What travels with the lock when EX is given up; nil: leave it as it was.
    func value(of lock: any ClusterLock) -> LockValueBlock?
}

/// One lock of the cluster as this host caches it. Several tasks of one host may hold it at once, whatever the level:
/// it keeps other hosts out, not other tasks. Spec: ocfs2-cluster 2.
package protocol ClusterLock: AnyObject {
    var name: LockName { get }
    var owner: (any ClusterLockOwner)? { get set }
    /// The level this host has, held or cached.
    var level: LockLevel { get }
    /// Another host wants the lock: who comes now may have to wait, and what is remembered under it will be taken back.
    var isWantedElsewhere: Bool { get }

    /// Waits until this host has at least `level`, refreshes if need be, and holds it.
    func acquire(_ level: LockLevel) async throws(FileSystemError)
    /// As ``acquire(_:)``, but false instead of waiting for another host.
    func tryAcquire(_ level: LockLevel) async throws(FileSystemError) -> Bool
    /// As ``acquire(_:)``, but does not wait behind other hosts when this host still has `level`: for work without which
    /// the lock cannot be lowered.
    func acquireBeforeLowering(_ level: LockLevel) async throws(FileSystemError)
    func release(_ level: LockLevel)
    /// Nobody uses the object any more: gives the lock back to the cluster.
    func drop() async
    /// Who uses it and what it waits for, for whoever looks for a request that hangs.
    var stateText: String { get }
}

extension ClusterLock {
    package var stateText: String { "\(level)" }
}

/// Where cluster locks come from: the lock manager, or this host alone.
package protocol LockService: AnyObject {
    /// This host is alone by construction (`-M local`, or one-host mode).
    var isLocal: Bool { get }
    func lock(_ name: LockName, owner: (any ClusterLockOwner)?) -> any ClusterLock
    /// From the death of a member until its journal is replayed no metadata lock is given to anybody here, but those of
    /// these names. Spec: ocfs2-cluster 16.
    func freeze(except names: Set<LockName>)
    func thaw()
    /// Until ``resume()`` no metadata lock is given to anybody here, cached ones included: it is open whether this host may
    /// go on. Independent of ``freeze(except:)``.
    func suspend()
    func resume()
    /// Every request fails from now on.
    func fence(_ reason: String)
}

extension LockService {
    package func freeze(except names: Set<LockName>) {}
    package func thaw() {}
    package func suspend() {}
    package func resume() {}
    package func fence(_ reason: String) {}
}

extension ClusterLock {
    /// Runs `body` while this host holds `level`.
    package func with<Result>(
        _ level: LockLevel, _ body: () async throws(FileSystemError) -> Result
    ) async throws(FileSystemError) -> Result {
        try await acquire(level)
        defer { release(level) }
        return try await body()
    }
}
