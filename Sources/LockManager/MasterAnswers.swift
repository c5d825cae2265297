internal import EngineKit
internal import O2Layout

// Requests for locks from other nodes, and the master's messages to this one. Spec: o2dlm 9, 10.3.

extension LockDomain {
    private func refusal(_ resource: LockResource) -> LockStatus? {
        if resource.isRecovering || resource.awaitsRecovery { return .recovering }
        if resource.isMigrating { return .migrating }
        if resource.isInProgress { return .forward }
        return nil
    }

    func answer(create message: LockRequestMessage) -> Int32 {
        guard isFullyJoined else { return LockStatus.rejected.rawValue }
        guard let resource = present(message.name) else { return LockStatus.invalidLock.rawValue }
        // Deviation: a kernel executes it on whatever copy it has (o2dlm 9.1); here only the master does.
        guard resource.owner == node || resource.isRecovering else { return LockStatus.forward.rawValue }
        if let refusal = refusal(resource), !mayPass(message, resource) { return refusal.rawValue }
        guard resource.find(message.cookie, message.node) == nil else { return LockStatus.badArguments.rawValue }
        let lock = Lock(cookie: message.cookie, node: message.node, mode: message.mode)
        if message.flags.contains(.getValue) { lock.valueFlags = .get }
        resource.references.insert(message.node)
        return createHere(lock, resource, message.flags).rawValue
    }

    /// `$RECOVERY` is taken while a recovery is awaited: that is what it is for.
    private func mayPass(_ message: LockRequestMessage, _ resource: LockResource) -> Bool {
        message.name == .recovery && message.flags.contains(.recovery) && !resource.isRecovering
            && !resource.isMigrating && !resource.isInProgress
    }

    func answer(convert message: LockRequestMessage) -> Int32 {
        if message.flags.isSuperset(of: [.putValue, .getValue]) { return LockStatus.badArguments.rawValue }
        guard isFullyJoined else { return LockStatus.rejected.rawValue }
        guard let resource = present(message.name) else { return LockStatus.invalidLock.rawValue }
        guard resource.owner == node || resource.isRecovering else { return LockStatus.forward.rawValue }
        if let refusal = refusal(resource) { return refusal.rawValue }
        guard let lock = resource.find(message.cookie, message.node), lock.list == .granted else {
            return LockStatus.invalidLock.rawValue
        }
        return convertHere(lock, resource, message.mode, message.flags, message.value).rawValue
    }

    func answer(unlock message: UnlockMessage) -> Int32 {
        if message.flags.contains(.getValue) || message.flags.isSuperset(of: [.putValue, .cancel]) {
            return LockStatus.badArguments.rawValue
        }
        guard isFullyJoined, let resource = present(message.name) else { return LockStatus.forward.rawValue }
        if resource.isRecovering || resource.awaitsRecovery { return LockStatus.recovering.rawValue }
        guard resource.owner == node else { return LockStatus.forward.rawValue }
        if resource.isMigrating { return LockStatus.migrating.rawValue }
        guard let lock = resource.find(message.cookie, message.node) else { return LockStatus.invalidLock.rawValue }
        let isCancel = message.flags.contains(.cancel)
        if resource.isInProgress && !isCancel { return LockStatus.forward.rawValue }
        return (isCancel ? cancel(lock, resource) : unlock(lock, resource, message)).rawValue
    }

    private func cancel(_ lock: Lock, _ resource: LockResource) -> LockStatus {
        switch lock.list {
        case .blocked: resource.remove(lock)
        case .converting:
            lock.convertMode = nil
            lock.valueFlags = []
            resource.move(lock, to: .granted)
        case .granted: return .cancelGrant
        case nil: return .invalidLock
        }
        enqueue(resource)
        return .normal
    }

    private func unlock(_ lock: Lock, _ resource: LockResource, _ message: UnlockMessage) -> LockStatus {
        guard lock.list == .granted else { return .denied }
        // Deviation: a kernel master refuses (24) while its grant is unanswered. Who unlocks has got it, and its answer may
        // only be behind the request: a kernel that is refused there stops with a general protection fault.
        if lock.mode == .exclusive, message.flags.isSuperset(of: [.valueBlock, .putValue]), let value = message.value {
            resource.value = value
        }
        resource.remove(lock)
        enqueue(resource)
        return .normal
    }

    // MARK: At the lock's node

    func answer(proxyAST message: ProxyASTMessage) -> Int32 {
        guard isFullyJoined else { return LockStatus.rejected.rawValue }
        guard let resource = resources[message.name] else { return LockStatus.invalidLock.rawValue }
        // A master never waits for a recovery or a migration that this node sees and it does not: a message under way
        // across it belongs to a lock that is transmitted again. A kernel master stops with a bug at 39 and 40.
        guard resource.owner == message.node, !resource.isRecovering else { return 0 }
        guard let lock = resource.find(message.cookie, node), lock.outstanding != .unlock else { return 0 }
        switch message.kind {
        case .granted: take(grant: message, lock, resource)
        case .blocking:
            if let user = lock.user { environment.spawn { user.onBlocking(message.blockedMode) } }
        }
        return 0
    }

    private func take(grant message: ProxyASTMessage, _ lock: Lock, _ resource: LockResource) {
        guard lock.list != .granted else { return }
        if let convertMode = lock.convertMode {
            lock.mode = convertMode
            lock.convertMode = nil
        }
        let getsValue = message.value != nil && lock.valueFlags.contains(.get)
        if getsValue, let value = message.value {
            lock.value = value
            resource.value = value
        }
        lock.valueFlags = []
        resource.move(lock, to: .granted)
        tellGranted(lock, getsValue: getsValue)
    }
}
