internal import EngineKit
package import O2Layout

// What users of this node ask for. Spec: o2dlm 9.

extension LockDomain {
    /// Gets `lock` at `mode`: creates it, or converts it up or down. Returns when it is granted.
    ///
    /// One request for a lock at a time; ``cancel(_:)`` may come while it waits.
    /// - Parameters:
    ///   - mayWait: false: ``LockRequestError/wouldWait`` instead of waiting for other nodes to give way.
    ///   - isNew: nobody else can know the name yet (an object made by this very operation): no message is sent.
    package func lock(
        _ lock: DomainLock, _ mode: LockMode, mayWait: Bool = true, isNew: Bool = false
    ) async throws(LockRequestError) {
        if lock.lock == nil {
            try await create(lock, mode, mayWait: mayWait, isNew: isNew, isRecovery: false)
        } else {
            try await convert(lock, mode, mayWait: mayWait)
        }
    }

    /// Gives the lock up altogether. Its value block travels if it is held at EX.
    package func unlock(_ lock: DomainLock) async {
        guard let own = lock.lock, let resource = lock.resource else { return }
        if phase == .left {
            // Membership has ended, perhaps in the middle of a request: nobody knows the lock any more.
            resource.remove(own)
        } else {
            precondition(own.list == .granted, "a lock is unlocked while a request for it is under way")
            await unlock(own, lock, resource)
        }
        lock.lock = nil
        lock.mode = nil
        lock.resource = nil
        release(resource)
    }

    /// Takes back the request that waits. False: it was granted meanwhile, or will be at once.
    package func cancel(_ lock: DomainLock) async -> Bool {
        guard let own = lock.lock, let resource = lock.resource else { return false }
        while true {
            await settled(resource)
            guard phase != .left else { return false }
            guard own.list == .converting || own.list == .blocked, own.outstanding == nil else {
                return lock.lock == nil
            }
            guard let owner = resource.owner else { return false }
            if owner == node {
                cancelHere(own, resource)
                lock.wake(false)
                return true
            }
            own.isCancelling = true
            let message = UnlockMessage(cookie: own.cookie, flags: .cancel, node: node, name: resource.name)
            let answer = await ask(.unlockLock, message.payload, owner)
            let isSettled = !own.isCancelling
            own.isCancelling = false
            switch answer {
            case _ where isSettled: break
            case .status(LockStatus.normal.rawValue): cancelHere(own, resource)
            case .status(LockStatus.cancelGrant.rawValue), .status(LockStatus.invalidLock.rawValue):
                return false
            case .status, .noHandler, .hostDown:
                await pause(milliseconds: 50)
                continue
            }
            guard own.list != .converting else { continue }
            lock.wake(false)
            return true
        }
    }

    private func cancelHere(_ own: Lock, _ resource: LockResource) {
        if own.list == .converting {
            own.convertMode = nil
            own.valueFlags = []
            resource.move(own, to: .granted)
        } else {
            resource.remove(own)
        }
        enqueue(resource)
    }

    // MARK: Creating

    func create(
        _ lock: DomainLock, _ mode: LockMode, mayWait: Bool, isNew: Bool, isRecovery: Bool
    ) async throws(LockRequestError) {
        let resource = try await resource(lock.name, isNew: isNew)
        let own = Lock(cookie: cookies.next(node), node: node, mode: mode)
        own.user = lock
        lock.lock = own
        lock.resource = resource
        lock.isGrantAhead = false
        var flags: LockFlags = []
        if !mayWait { flags.insert(.noQueue) }
        if isRecovery { flags.insert(.recovery) }
        if lock.usesValue, mode > .null {
            flags.formUnion([.valueBlock, .getValue])
            own.valueFlags = .get
        }
        do throws(LockRequestError) {
            try await place(own, lock, resource, flags)
        } catch {
            resource.remove(own)
            lock.lock = nil
            lock.resource = nil
            release(resource)
            throw error
        }
        lock.mode = mode
    }

    private func place(
        _ own: Lock, _ lock: DomainLock, _ resource: LockResource, _ flags: LockFlags
    ) async throws(LockRequestError) {
        let isRecovery = flags.contains(.recovery)
        while true {
            await settled(resource, isRecovery: isRecovery)
            guard resources[resource.name] === resource, let owner = resource.owner else {
                throw .refused(.recovering)
            }
            guard isFullyJoined else { throw .leaving }
            let status: LockStatus
            if owner == node {
                status = createHere(own, resource, flags)
            } else {
                guard let answered = await createThere(own, resource, flags, owner) else {
                    await pause(milliseconds: 100)
                    continue
                }
                status = answered
            }
            switch status {
            case .normal: break
            case .notQueued: throw .wouldWait
            case let status where status.isTransient:
                await pause(milliseconds: 100)
                continue
            default: throw .refused(status)
            }
            if isRecovery {
                resource.move(own, to: .granted)
                return
            }
            guard await lock.awaitGrant() else { throw .cancelled }
            return
        }
    }

    /// Nil: try again.
    private func createThere(
        _ own: Lock, _ resource: LockResource, _ flags: LockFlags, _ owner: NodeNumber
    ) async -> LockStatus? {
        resource.isInProgress = true
        resource.move(own, to: .blocked)
        own.outstanding = .create
        let message = LockRequestMessage(
            cookie: own.cookie, flags: flags, node: node, mode: own.mode, name: resource.name)
        let answer = await ask(.createLock, message.payload, owner)
        endRequest(resource)
        await awaitDeath(of: owner, answer, own)
        let isSettled = own.outstanding == nil
        own.outstanding = nil
        // The grant may come before the status, and the status never.
        if own.list == .granted { return .normal }
        if isSettled { return nil }
        guard case .status(let code) = answer, let status = LockStatus(rawValue: code) else {
            resource.remove(own)
            return nil
        }
        if status != .normal { resource.remove(own) }
        return status == .rejected ? nil : status
    }

    // MARK: Converting

    private func convert(
        _ lock: DomainLock, _ mode: LockMode, mayWait: Bool
    ) async throws(LockRequestError) {
        guard let own = lock.lock, let resource = lock.resource else { return }
        while true {
            await settled(resource)
            guard phase != .left, let owner = resource.owner else { throw .leaving }
            if own.list == .granted, own.mode == mode {
                lock.isGrantAhead = false
                lock.mode = mode
                return
            }
            precondition(own.list == .granted, "a lock is converted while a request for it is under way")
            var flags: LockFlags = .convert
            if !mayWait { flags.insert(.noQueue) }
            prepareValue(own, lock, mode, &flags)
            lock.isGrantAhead = false
            let status: LockStatus?
            if owner == node {
                status = convertHere(own, resource, mode, flags, flags.contains(.putValue) ? own.value : nil)
            } else {
                status = await convertThere(own, resource, mode, flags, owner)
            }
            switch status {
            case .normal:
                guard await lock.awaitGrant() else { throw .cancelled }
                lock.mode = own.mode
                return
            case .notQueued: throw .wouldWait
            case nil: await pause(milliseconds: 100)
            case .some(let status) where status.isTransient: await pause(milliseconds: 100)
            case .some(let status): throw .refused(status)
            }
        }
    }

    /// Which way the value block goes. Spec: o2dlm 11.
    private func prepareValue(_ own: Lock, _ lock: DomainLock, _ mode: LockMode, _ flags: inout LockFlags) {
        own.valueFlags = []
        guard lock.usesValue else { return }
        if own.mode == .exclusive {
            flags.formUnion([.valueBlock, .putValue])
            own.value = lock.value
            own.valueFlags = .put
        } else if mode > .null {
            flags.formUnion([.valueBlock, .getValue])
            own.valueFlags = .get
        }
    }

    private func convertThere(
        _ own: Lock, _ resource: LockResource, _ mode: LockMode, _ flags: LockFlags, _ owner: NodeNumber
    ) async -> LockStatus? {
        resource.isInProgress = true
        own.convertMode = mode
        resource.move(own, to: .converting)
        own.outstanding = .convert
        let message = LockRequestMessage(
            cookie: own.cookie, flags: flags, node: node, mode: mode, name: resource.name,
            value: flags.contains(.putValue) ? own.value : nil)
        let answer = await ask(.convertLock, message.payload, owner)
        endRequest(resource)
        await awaitDeath(of: owner, answer, own)
        let isSettled = own.outstanding == nil
        own.outstanding = nil
        if own.list == .granted, own.mode == mode { return .normal }
        if isSettled { return nil }
        if case .status(let code) = answer, let status = LockStatus(rawValue: code) {
            if status != .normal { revert(own, resource) }
            return status
        }
        revert(own, resource)
        return nil
    }

    private func revert(_ own: Lock, _ resource: LockResource) {
        guard own.list == .converting else { return }
        own.convertMode = nil
        own.valueFlags = []
        resource.move(own, to: .granted)
    }

    // MARK: Unlocking

    private func unlock(_ own: Lock, _ lock: DomainLock, _ resource: LockResource) async {
        while own.list != nil {
            await settled(resource)
            guard let owner = resource.owner else { return resource.remove(own) }
            let putsValue = lock.usesValue && own.mode == .exclusive
            if putsValue { own.value = lock.value }
            if owner == node {
                if putsValue { resource.value = own.value }
                resource.remove(own)
                enqueue(resource)
                return
            }
            own.outstanding = .unlock
            let message = UnlockMessage(
                cookie: own.cookie, flags: putsValue ? [.valueBlock, .putValue] : [], node: node, name: resource.name,
                value: putsValue ? own.value : nil)
            let answer = await ask(.unlockLock, message.payload, owner)
            await awaitDeath(of: owner, answer, own)
            own.outstanding = nil
            // The cleanup after the owner's death counts it as done.
            guard own.list != nil else { return }
            switch answer {
            case .noHandler: await pause(milliseconds: 50)
            case .status(let code) where LockStatus(rawValue: code)?.isTransient ?? false:
                await pause(milliseconds: 50)
            case .hostDown:
                if !members.contains(owner) { resource.remove(own) } else { await pause(milliseconds: 50) }
            case .status(let code):
                if code != 0 { log(.error, "unlock of \(resource.name) is answered \(code) by node \(owner)") }
                resource.remove(own)
            }
        }
    }

    // MARK: Waiting

    /// Waits until the resource takes requests.
    private func settled(_ resource: LockResource, isRecovery: Bool = false) async {
        while phase != .left,
            resource.isInProgress || resource.isMigrating
                || (resource.owner == nil && resources[resource.name] === resource)
                || (!isRecovery && (resource.isRecovering || resource.awaitsRecovery))
                || (isRecovery && resource.isRecovering)
        {
            await resource.changed.wait()
        }
    }

    private func endRequest(_ resource: LockResource) {
        resource.isInProgress = false
        resource.changed.notify()
        enqueue(resource)
    }

    /// A broken connection is not a death: the heartbeat has the word. Until then the request stays outstanding, so that
    /// the cleanup finds it: the dead master may have executed it and let others in.
    private func awaitDeath(of owner: NodeNumber, _ answer: MessengerAnswer, _ own: Lock) async {
        guard answer == .hostDown else { return }
        let limit = environment.now + .seconds(5)
        while own.outstanding != nil, members.contains(owner), environment.now < limit {
            await wait(changed, atMost: 5000)
        }
    }
}
