internal import EngineKit
internal import O2Layout

// The master's queues: who is granted, who is told to give way. Spec: o2dlm 10.

extension LockDomain {
    /// Has the queues of `resource` looked at, after what runs now.
    func enqueue(_ resource: LockResource) {
        noteUse(of: resource)
        guard !resource.isQueued, resource.owner == node, phase != .left else { return }
        resource.isQueued = true
        queued.append(resource)
        guard !isQueueRunning else { return }
        isQueueRunning = true
        environment.spawn { [self] in runQueues() }
    }

    private func runQueues() {
        while !queued.isEmpty {
            let batch = queued
            queued = []
            for resource in batch {
                resource.isQueued = false
                // What holds it up enqueues it again when it ends.
                guard resource.owner == node, !resource.isUnsettled else { continue }
                examine(resource)
            }
        }
        isQueueRunning = false
    }

    /// Grants what can be granted, heads of the queues only, conversions first.
    private func examine(_ resource: LockResource) {
        while true {
            if let head = resource.converting.first {
                guard let wanted = head.convertMode else { preconditionFailure("a conversion without a mode") }
                guard admits(head, wanted, resource) else {
                    tellBlocked(resource)
                    break
                }
                grantConversion(head, resource)
                continue
            }
            guard let head = resource.blocked.first, admits(head, head.mode, resource) else { break }
            grant(head, resource)
        }
        if !resource.converting.isEmpty { tellBlocked(resource) }
        deliverBlocking(resource)
    }

    /// Whether `head` may have `wanted`; marks those who stand in the way.
    private func admits(_ head: Lock, _ wanted: LockMode, _ resource: LockResource) -> Bool {
        var isFree = true
        for other in resource.granted + resource.converting where other !== head {
            guard !other.mode.isCompatible(with: wanted) else { continue }
            if plantedFaults.contains(.grantBeforeLowering), other.isBlockingUnderWay { continue }
            if plantedFaults.contains(.ignoreConverting), other.list == .converting { continue }
            isFree = false
            other.highestBlocked = max(other.highestBlocked ?? .null, wanted)
        }
        return isFree
    }

    /// The head of the blocked waits behind conversions, but those in its way are told.
    private func tellBlocked(_ resource: LockResource) {
        guard let head = resource.blocked.first else { return }
        _ = admits(head, head.mode, resource)
    }

    private func grantConversion(_ lock: Lock, _ resource: LockResource) {
        guard let wanted = lock.convertMode else { return }
        lock.mode = wanted
        lock.convertMode = nil
        if lock.valueFlags.contains(.put) { resource.value = lock.value }
        resource.move(lock, to: .granted)
        deliverGrant(lock, resource)
    }

    private func grant(_ lock: Lock, _ resource: LockResource) {
        resource.move(lock, to: .granted)
        deliverGrant(lock, resource)
    }

    // MARK: Delivering

    private func deliverGrant(_ lock: Lock, _ resource: LockResource) {
        let getsValue = lock.valueFlags.contains(.get)
        if getsValue { lock.value = resource.value }
        lock.valueFlags = []
        // What the new mode does not keep waiting any more need not be told.
        if let blocked = lock.highestBlocked, lock.mode.isCompatible(with: blocked) { lock.highestBlocked = nil }
        guard lock.node != node else {
            tellGranted(lock, getsValue: getsValue)
            return
        }
        lock.isGrantUnderWay = true
        let message = ProxyASTMessage(
            cookie: lock.cookie, node: node, kind: .granted, name: resource.name,
            value: getsValue ? resource.value : nil)
        send(.proxyAST, message.payload, to: lock.node) { [self] answer in
            lock.isGrantUnderWay = false
            check(answer, "grant", lock, resource)
        }
    }

    /// Tells the user of an own lock.
    func tellGranted(_ lock: Lock, getsValue: Bool) {
        guard let user = lock.user else { return }
        user.mode = lock.mode
        if getsValue { user.value = lock.value }
        user.wake(true)
    }

    private func deliverBlocking(_ resource: LockResource) {
        for lock in resource.granted + resource.converting {
            guard let blocked = lock.highestBlocked, !lock.isBlockingUnderWay else { continue }
            lock.highestBlocked = nil
            guard !lock.mode.isCompatible(with: blocked) else { continue }
            if plantedFaults.contains(.loseBlocking), lock.node != node, lock.mode == .protectedRead { continue }
            guard lock.node != node else {
                if let user = lock.user { environment.spawn { user.onBlocking(blocked) } }
                continue
            }
            lock.isBlockingUnderWay = true
            let message = ProxyASTMessage(
                cookie: lock.cookie, node: node, kind: .blocking, blockedMode: blocked, name: resource.name)
            send(.proxyAST, message.payload, to: lock.node) { [self] answer in
                lock.isBlockingUnderWay = false
                check(answer, "blocking", lock, resource)
                if answer == .hostDown {
                    blockingWasLost(resource)
                } else if lock.highestBlocked != nil {
                    enqueue(resource)
                }
            }
        }
    }

    /// The connection is broken, and perhaps the node lives: it is told again, but not at once, or this would go round and
    /// round while requests to it fail.
    private func blockingWasLost(_ resource: LockResource) {
        environment.call(at: environment.now + .milliseconds(100)) { [self] in
            if resources[resource.name] === resource { enqueue(resource) }
        }
    }

    private func check(_ answer: MessengerAnswer, _ what: String, _ lock: Lock, _ resource: LockResource) {
        switch answer {
        case .status(0), .status(LockStatus.invalidLock.rawValue), .hostDown: return
        case .status(let code):
            log(.error, "\(what) message for \(resource.name) is answered \(code) by node \(lock.node)")
        case .noHandler: log(.warning, "node \(lock.node) left while it had a lock on \(resource.name)")
        }
    }

    // MARK: Requests at the master, local or remote

    /// Whether a new lock is compatible with everybody; who waits is not asked. Spec: o2dlm 10.1.
    private func isGrantable(_ mode: LockMode, _ resource: LockResource, except own: Lock? = nil) -> Bool {
        resource.granted.allSatisfy { $0 === own || $0.mode.isCompatible(with: mode) }
            && resource.converting.allSatisfy {
                $0 === own
                    || ($0.mode.isCompatible(with: mode) && ($0.convertMode ?? .null).isCompatible(with: mode))
            }
    }

    func createHere(_ lock: Lock, _ resource: LockResource, _ flags: LockFlags) -> LockStatus {
        let isRecovery = flags.contains(.recovery)
        if isGrantable(lock.mode, resource) {
            resource.move(lock, to: .granted)
            if !isRecovery { deliverGrant(lock, resource) }
        } else if flags.contains(.noQueue) {
            return .notQueued
        } else {
            resource.move(lock, to: .blocked)
        }
        enqueue(resource)
        return .normal
    }

    func convertHere(
        _ lock: Lock, _ resource: LockResource, _ mode: LockMode, _ flags: LockFlags, _ value: ValueBlock?
    ) -> LockStatus {
        if flags.contains(.putValue), let value {
            lock.value = value
            lock.valueFlags = .put
        } else if flags.contains(.getValue) {
            lock.valueFlags = .get
        }
        if mode <= lock.mode || isGrantable(mode, resource, except: lock) {
            lock.convertMode = mode
            grantConversion(lock, resource)
        } else if flags.contains(.noQueue) {
            lock.valueFlags = []
            return .notQueued
        } else {
            lock.convertMode = mode
            resource.move(lock, to: .converting)
        }
        enqueue(resource)
        return .normal
    }
}
