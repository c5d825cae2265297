import FileSystem

/// Grants every lock at once and writes down what was acquired, in order.
final class RecordingLocks: LockService {
    /// "M9 EX", "N9/37 EX": kind, inode (directory and inode for N), level.
    private(set) var acquired: [String] = []
    private(set) var heldCount = 0

    var isLocal: Bool { false }

    func clear() {
        acquired = []
    }

    func lock(_ name: LockName, owner: (any ClusterLockOwner)?) -> any ClusterLock {
        RecordingLock(self, name, owner)
    }

    fileprivate func note(_ name: LockName, _ level: LockLevel) {
        heldCount += 1
        let letter = Character(UnicodeScalar(name.kind.rawValue))
        let object = name.kind == .dentry ? "\(name.parent)/\(name.block)" : "\(name.block)"
        acquired.append("\(letter)\(object) \(level == .exclusive ? "EX" : "PR")")
    }

    fileprivate func noteRelease() {
        heldCount -= 1
    }
}

private final class RecordingLock: ClusterLock {
    let name: LockName
    weak var owner: (any ClusterLockOwner)?
    private(set) var level = LockLevel.null
    private unowned let service: RecordingLocks

    init(_ service: RecordingLocks, _ name: LockName, _ owner: (any ClusterLockOwner)?) {
        self.service = service
        self.name = name
        self.owner = owner
    }

    func acquire(_ level: LockLevel) async throws(FileSystemError) {
        self.level = max(self.level, level)
        service.note(name, level)
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
        service.noteRelease()
    }

    func drop() async {
        level = .null
    }
}
