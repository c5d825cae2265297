/// Tasks of one executor that wait for each other, first come, first served.
///
/// Not thread-safe: an executor's own.
package final class AsyncReadWriteLock {
    package enum Mode: Sendable {
        case shared, exclusive
    }

    private var sharedCount = 0
    private var isExclusive = false
    private var waiters: [(mode: Mode, continuation: UnsafeContinuation<Void, Never>)] = []
    private var firstWaiter = 0

    package init() {}

    package var isIdle: Bool { sharedCount == 0 && !isExclusive && firstWaiter == waiters.count }
    package var isHeldExclusively: Bool { isExclusive }

    /// Waits behind everybody who came before, so that writers do not starve.
    package func lock(_ mode: Mode) async {
        if firstWaiter == waiters.count, isFree(mode) {
            take(mode)
            return
        }
        await withUnsafeContinuation { waiters.append((mode, $0)) }
    }

    package func tryLock(_ mode: Mode) -> Bool {
        guard firstWaiter == waiters.count, isFree(mode) else { return false }
        take(mode)
        return true
    }

    package func unlock(_ mode: Mode) {
        switch mode {
        case .shared:
            precondition(sharedCount > 0, "a shared lock is given back that nobody holds")
            sharedCount -= 1
        case .exclusive:
            precondition(isExclusive, "an exclusive lock is given back that nobody holds")
            isExclusive = false
        }
        admitWaiters()
    }

    private func isFree(_ mode: Mode) -> Bool {
        switch mode {
        case .shared: !isExclusive
        case .exclusive: !isExclusive && sharedCount == 0
        }
    }

    private func take(_ mode: Mode) {
        switch mode {
        case .shared: sharedCount += 1
        case .exclusive: isExclusive = true
        }
    }

    private func admitWaiters() {
        while firstWaiter < waiters.count, isFree(waiters[firstWaiter].mode) {
            let waiter = waiters[firstWaiter]
            firstWaiter += 1
            take(waiter.mode)
            waiter.continuation.resume()
        }
        if firstWaiter == waiters.count {
            waiters.removeAll(keepingCapacity: true)
            firstWaiter = 0
        }
    }
}

extension AsyncReadWriteLock {
    /// Runs `body` under the lock.
    package func with<Result, Failure: Error>(
        _ mode: Mode, _ body: () async throws(Failure) -> Result
    ) async throws(Failure) -> Result {
        await lock(mode)
        defer { unlock(mode) }
        return try await body()
    }
}

/// Something that tasks of one executor wait for, again and again: each ``notify()`` wakes all who wait.
package final class AsyncSignal {
    private var waiters: [UnsafeContinuation<Void, Never>] = []

    package init() {}

    /// Waits for the next ``notify()``. Test the condition again afterwards.
    package func wait() async {
        await withUnsafeContinuation { waiters.append($0) }
    }

    package func notify() {
        let woken = waiters
        waiters = []
        for waiter in woken { waiter.resume() }
    }
}
