/// The cluster lock of an allocator as all tasks of this host share it: the first holder takes it, the last one gives it
/// up, those between do not wait. So a task that holds it may take it once more, even when another host waits for it.
final class AllocatorHold {
    private let lock: any ClusterLock
    private var holders = 0
    /// How often ``lock`` was acquired for the present holders.
    private var acquired = 0

    /// Another host wants the lock, and what it must not take from us is being written: that needs it for the last time.
    var isLowering = false

    init(_ lock: any ClusterLock) {
        self.lock = lock
    }

    func acquire() async throws(FileSystemError) {
        if holders == 0 {
            if isLowering {
                try await lock.acquireBeforeLowering(.exclusive)
            } else {
                try await lock.acquire(.exclusive)
            }
            acquired += 1
        }
        holders += 1
    }

    func release() {
        precondition(holders > 0, "the allocator's lock is released but not held")
        holders -= 1
        guard holders == 0 else { return }
        for _ in 0..<acquired { lock.release(.exclusive) }
        acquired = 0
    }
}
