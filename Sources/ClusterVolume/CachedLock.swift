internal import EngineKit
internal import FileSystem
internal import LockManager
internal import O2Layout

/// A cluster lock as this host caches it: it stays at its level when the last user is gone, and is lowered when another
/// host asks. Spec: ocfs2-cluster 2.
///
/// **Invariants.** Users at a level are there only while the granted level is at least that. Nobody begins to use a
/// level that a waiter elsewhere excludes, except who had asked for it before it was granted (so that whoever gets the
/// lock uses it at least once). The lock is lowered only without users in the way, after its owner has written back.
final class CachedLock: ClusterLock {
    let name: LockName
    weak var owner: (any ClusterLockOwner)?
    private(set) var level = LockLevel.null

    private let service: ClusterLockService
    private var lock: DomainLock!
    private var isAttached = false
    private var sharedUsers = 0
    private var exclusiveUsers = 0
    /// How many there ever were.
    private var exclusiveUses = 0
    /// The highest level that another host waits for.
    private var blocking = LockLevel.null
    /// A request to the lock manager is under way.
    private var isBusy = false
    private var isLowering = false
    /// The last attempt to write back for it failed.
    private var hasFailedToLower = false
    /// Granted, and whoever asked has not begun to use it.
    private var isFinishingRaise = false
    private var needsRefresh = false
    private var isRefreshing = false
    private var isWorking = false
    private var grantedAt = Instant.zero
    private let changed = AsyncSignal()
    /// After a write-back that failed.
    private static let retryPause = Duration.seconds(1)

    init(name: LockName, owner: (any ClusterLockOwner)?, service: ClusterLockService) {
        self.name = name
        self.owner = owner
        self.service = service
        lock = DomainLock(name: name.resource, usesValue: name.kind.usesValue) { [weak self] mode in
            self?.isBlocking(LockLevel(mode))
        }
    }

    // MARK: Users

    func acquire(_ level: LockLevel) async throws(FileSystemError) {
        guard try await take(level, mayWait: true) else { throw .wouldBlock }
    }

    func tryAcquire(_ level: LockLevel) async throws(FileSystemError) -> Bool {
        try await take(level, mayWait: false)
    }

    func acquireBeforeLowering(_ level: LockLevel) async throws(FileSystemError) {
        guard isAttached, level <= self.level, !isBusy, !isFinishingRaise, service.fence == nil else {
            return try await acquire(level)
        }
        try await join(level)
    }

    /// One user more; the first one after the lock was away looks at what it protects anew.
    private func join(_ level: LockLevel) async throws(FileSystemError) {
        if level == .exclusive {
            exclusiveUsers += 1
            exclusiveUses += 1
        } else {
            sharedUsers += 1
        }
        if blocking > .null { startWorking() }
        do throws(FileSystemError) {
            try await refresh()
        } catch {
            release(level)
            throw error
        }
    }

    /// Also while it is open whether this host may go on: what is remembered now would have to be taken back.
    var isWantedElsewhere: Bool { blocking > .null || service.isSuspended && name.kind == .metadata }

    private func take(_ wanted: LockLevel, mayWait: Bool) async throws(FileSystemError) -> Bool {
        var hasRaised = false
        // What was granted for this task alone, and is not used after all, is not kept from others.
        defer { if hasRaised { giveUpRaise() } }
        while true {
            if let reason = service.fence { throw .aborted(reason) }
            if service.mustWait(name) {
                guard mayWait else { return false }
                await service.changed.wait()
                continue
            }
            if isBusy, wanted > level {
                guard mayWait else { return false }
                await changed.wait()
                continue
            }
            if isFinishingRaise, wanted <= level { break }
            if blocking > .null, wanted > blocking.highestCompatible {
                guard mayWait else { return false }
                await changed.wait()
                continue
            }
            guard wanted > level || !isAttached else { break }
            guard try await raise(to: max(wanted, level), mayWait: mayWait) else { return false }
            hasRaised = isFinishingRaise
        }
        isFinishingRaise = false
        hasRaised = false
        try await join(wanted)
        return true
    }

    private func giveUpRaise() {
        guard isFinishingRaise else { return }
        isFinishingRaise = false
        if blocking > .null { startWorking() }
        changed.notify()
    }

    /// False: it would have had to wait for another host.
    private func raise(to wanted: LockLevel, mayWait: Bool) async throws(FileSystemError) -> Bool {
        isBusy = true
        let was = level
        do throws(LockRequestError) {
            try await service.domain.lock(lock, wanted.mode, mayWait: mayWait)
        } catch {
            isBusy = false
            changed.notify()
            switch error {
            case .wouldWait: return false
            // A waiter elsewhere goes first; then this host asks again.
            case .cancelled: return true
            case .leaving: throw .aborted("this host leaves the cluster")
            case .refused(let status): throw .aborted("the lock manager refuses \(name.resource): \(status)")
            }
        }
        isAttached = true
        service.noteAttached(self, true)
        level = wanted
        grantedAt = service.environment.now
        let mayRefresh = !service.options.plantedFaults.contains(.skipRefresh)
        if was == .null, wanted > .null, name.kind.needsRefresh, mayRefresh { needsRefresh = true }
        isFinishingRaise = true
        isBusy = false
        changed.notify()
        return true
    }

    private func refresh() async throws(FileSystemError) {
        while isRefreshing { await changed.wait() }
        guard needsRefresh, let owner else {
            needsRefresh = false
            return
        }
        isRefreshing = true
        defer {
            isRefreshing = false
            changed.notify()
        }
        let value = lock.usesValue && !lock.value.isZero ? LockValueBlock(bytes: lock.value.bytes) : nil
        try await owner.refresh(self, from: value)
        needsRefresh = false
    }

    func release(_ level: LockLevel) {
        if level == .exclusive {
            precondition(exclusiveUsers > 0, "lock \(name) is released at EX but not held")
            exclusiveUsers -= 1
        } else {
            precondition(sharedUsers > 0, "lock \(name) is released but not held")
            sharedUsers -= 1
        }
        if blocking > .null { startWorking() }
        changed.notify()
    }

    func drop() async {
        while isBusy || isWorking { await changed.wait() }
        // Somebody needs it after all.
        guard isAttached, sharedUsers + exclusiveUsers == 0, !isFinishingRaise else { return }
        // Nobody joins from here on.
        isBusy = true
        let held = level
        level = .null
        do throws(FileSystemError) {
            try await owner?.prepareToLower(self, from: held, to: .null)
        } catch {
            // What is not written back stays ours, so that nobody reads the old state: until this host is fenced.
            let severity: LogLevel = service.fence == nil ? .error : .debug
            service.environment.log(severity, "\(name.resource) cannot be given up: \(error)")
            level = held
            isBusy = false
            changed.notify()
            return
        }
        takeValue(held)
        await detach()
    }

    /// Gives the lock back as it is, whoever holds it: the mount failed, and nothing was written under it.
    func end() async {
        while isBusy || isWorking { await changed.wait() }
        guard isAttached else { return }
        isBusy = true
        level = .null
        await detach()
    }

    private func detach() async {
        await service.domain.unlock(lock)
        isBusy = false
        isAttached = false
        service.noteAttached(self, false)
        blocking = .null
        needsRefresh = false
        changed.notify()
    }

    var stateText: String {
        let flags: [(Bool, String)] = [
            (isBusy, "asking"), (isLowering, "lowering"), (isWorking, "working"), (isFinishingRaise, "just raised"),
            (isRefreshing, "refreshing"), (needsRefresh, "to be refreshed"), (!isAttached, "not attached"),
            (service.isFrozen, "recovery"), (service.isSuspended, "suspended"),
        ]
        let words = flags.filter(\.0).map(\.1).joined(separator: ", ")
        let queue = service.domain.listing(of: name.resource).joined(separator: ";")
        return "\(name.resource) at \(level), \(sharedUsers) and \(exclusiveUsers) users, "
            + "wanted elsewhere at \(blocking), \(words); \(queue)"
    }

    // MARK: Waiters elsewhere

    private func isBlocking(_ wanted: LockLevel) {
        if wanted > blocking { blocking = wanted }
        // Told again: a request of ours may have been repeated after it was taken back.
        if isWorking { changed.notify() }
        startWorking()
        // Who waits for a raise that could not be taken back tries again.
        changed.notify()
    }

    private func startWorking() {
        guard !isWorking else { return }
        isWorking = true
        service.environment.spawn { [self] in
            await work()
            isWorking = false
            changed.notify()
        }
    }

    /// Lowers the lock as far as the waiters elsewhere need it; ends early where somebody else will start it again.
    private func work() async {
        while blocking > .null, service.fence == nil {
            if isBusy {
                // A raise that waits while the present level keeps somebody waiting: take it back, lower, ask again.
                if !isLowering, level > blocking.highestCompatible {
                    _ = await service.domain.cancel(lock)
                }
                if isBusy { await changed.wait() }
                continue
            }
            if isFinishingRaise { return }
            let target = blocking.highestCompatible
            guard level > target else {
                blocking = .null
                return changed.notify()
            }
            let isInUse = exclusiveUsers > 0 || (target == .null && sharedUsers > 0)
            if isInUse { return }
            if isRefreshing {
                await changed.wait()
                continue
            }
            let held = service.environment.now - grantedAt
            guard held >= service.options.minimumHold else {
                await service.environment.sleep(until: grantedAt + service.options.minimumHold)
                continue
            }
            await lower(to: target)
        }
    }

    private func lower(to target: LockLevel) async {
        let before = (blocking, level, exclusiveUses)
        do throws(FileSystemError) {
            if !service.options.plantedFaults.contains(.lowerBeforeWriteBack) {
                try await owner?.prepareToLower(self, from: level, to: target)
            }
        } catch {
            guard service.fence == nil else { return }
            // Once may be the moment in which an unmount has stopped its journal and not yet left.
            service.environment.log(
                hasFailedToLower ? .error : .warning,
                "\(name.resource) cannot be lowered, another host waits for it: \(error)")
            hasFailedToLower = true
            return await service.environment.sleep(until: service.environment.now + Self.retryPause)
        }
        // Users may have come at the lower level, or have written what must not stay here, and another waiter for a higher
        // one.
        let isInUse = exclusiveUsers > 0 || (target == .null && sharedUsers > 0)
        guard before == (blocking, level, exclusiveUses), !isBusy, !isInUse, !isFinishingRaise, service.fence == nil
        else { return }
        hasFailedToLower = false
        takeValue(level)
        isBusy = true
        isLowering = true
        do throws(LockRequestError) {
            try await service.domain.lock(lock, target.mode)
            level = target
        } catch {
            service.environment.log(.error, "\(name.resource) cannot be lowered: \(error)")
        }
        isLowering = false
        isBusy = false
        if level <= blocking.highestCompatible { blocking = .null }
        changed.notify()
    }

    /// What was received and never used goes on as it came. Spec: ocfs2-cluster 5.1.
    private func takeValue(_ level: LockLevel) {
        guard lock.usesValue, level == .exclusive, !needsRefresh, let value = owner?.value(of: self) else { return }
        lock.value = ValueBlock(bytes: value.bytes)
    }
}
