internal import EngineKit
internal import LockManager
internal import O2Layout

/// One user of locks on one host. Belongs to a ``LockWorkload``.
final class LockUser {
    let host: any LockHost
    /// Its host leaves: it gives everything back.
    var mustEnd = false
    private(set) var lock: DomainLock?
    private(set) var waitsFor: String?

    private let workload: LockWorkload
    private var judge: LockJudge { workload.judge }
    private var environment: any EngineEnvironment { host.environment }
    private var isWanted = false
    private var isBeingCancelled = false
    private let changed = AsyncSignal()

    init(_ workload: LockWorkload, _ host: any LockHost) {
        self.workload = workload
        self.host = host
    }

    /// It will never run again, or only to no effect.
    var isLost: Bool { host.isDead && !host.isFenced }
    private var isOver: Bool { workload.isEnding || mustEnd || isLost || host.domain.phase == .left }
    private var isClosing: Bool { isOver || workload.isClosing }

    func wake() {
        environment.call(at: environment.now) { [changed] in changed.notify() }
    }

    private func chance(_ part: UInt64, in whole: UInt64) -> Bool { environment.random.next(below: whole) < part }

    private func pause(_ milliseconds: UInt64) async {
        let length = environment.random.next(below: milliseconds * 1000 + 1)
        await environment.sleep(until: environment.now + .microseconds(Int64(length)))
    }

    func run() async {
        while !isClosing {
            let names = workload.names
            await use(names[Int(environment.random.next(below: UInt64(names.count)))])
            await pause(workload.restMilliseconds)
        }
    }

    private func use(_ name: ResourceName) async {
        isWanted = false
        let lock = DomainLock(name: name, usesValue: true) { [weak self] _ in
            self?.isWanted = true
            self?.wake()
        }
        self.lock = lock
        let holding = judge.newHolding()
        var rounds = environment.random.next(below: 6) + 1
        while rounds > 0, !isClosing {
            rounds -= 1
            guard await oneRound(lock, holding) else { break }
        }
        // What is still held is kept until it is wanted, or until the end.
        while let mode = lock.mode, !isOver, workload.isClosing {
            if isWanted, mode > .null {
                guard await lower(lock, .null, holding) else { break }
            } else {
                await changed.wait()
            }
        }
        judge.giveUp(holding)
        if lock.mode != nil, !isLost { await host.domain.unlock(lock) }
        self.lock = nil
    }

    /// False: the user gives up.
    private func oneRound(_ lock: DomainLock, _ holding: LockJudge.Holding) async -> Bool {
        let mode: LockMode = chance(1, in: 2) ? .exclusive : .protectedRead
        // Two readers that both want to write would wait for each other: give up first, or when somebody wants it.
        if lock.mode == .protectedRead, mode == .exclusive, isWanted || chance(1, in: 2) {
            guard await lower(lock, .null, holding) else { return false }
        }
        guard await get(lock, mode) else { return false }
        judge.begin(holding, lock, mode, host)
        await pause(3)
        guard host.isMember() else { return false }
        judge.work(holding, lock, mode)
        // Keep it cached until somebody wants it, or not.
        if chance(3, in: 4) {
            while !isWanted, !isClosing { await changed.wait() }
        } else {
            await pause(3)
        }
        if isClosing { return true }
        if lock.mode == .exclusive, chance(1, in: 2) {
            guard await lower(lock, .protectedRead, holding) else { return false }
            if chance(1, in: 2) { return true }
        }
        return await lower(lock, .null, holding)
    }

    private func lower(_ lock: DomainLock, _ mode: LockMode, _ holding: LockJudge.Holding) async -> Bool {
        judge.lower(holding, mode)
        isWanted = false
        return await get(lock, mode)
    }

    private func get(_ lock: DomainLock, _ mode: LockMode) async -> Bool {
        let since = environment.now
        let mayWait = mode == .null || chance(9, in: 10)
        waitsFor = "node \(host.node) waits for \(lock.name) at \(mode)"
        defer { waitsFor = nil }
        let held = lock.mode ?? .null
        if mayWait, held == .protectedRead, mode == .exclusive {
            cancelWhenWanted(lock)
        } else if mayWait, mode > held, chance(1, in: 12) {
            cancelLater(lock)
        }
        var isGranted = true
        do throws(LockRequestError) {
            try await host.domain.lock(lock, mode, mayWait: mayWait)
        } catch {
            isGranted = false
            if case .refused(let status) = error { judge.noteRefusal(host, lock.name, status) }
        }
        waitsFor = nil
        wake()
        while isBeingCancelled { await changed.wait() }
        judge.noteWait(since, host, lock.name, mode)
        return isGranted && host.isMember()
    }

    /// As a cached lock does: what it has keeps others waiting, who may have what it waits for.
    private func cancelWhenWanted(_ lock: DomainLock) {
        isBeingCancelled = true
        environment.spawn { [self] in
            while waitsFor != nil {
                if isWanted {
                    isWanted = false
                    if await host.domain.cancel(lock) { break }
                } else {
                    await changed.wait()
                }
            }
            isBeingCancelled = false
            wake()
        }
    }

    private func cancelLater(_ lock: DomainLock) {
        isBeingCancelled = true
        environment.spawn { [self] in
            await pause(20)
            if waitsFor != nil { _ = await host.domain.cancel(lock) }
            isBeingCancelled = false
            wake()
        }
    }
}
