internal import EngineKit
internal import O2Layout

// Collecting what the survivors know of a dead master's locks, and taking its place. Spec: o2dlm 13.4, 13.5.

extension LockDomain {
    /// As recovery master: gathers all locks, then makes everybody go on.
    func remaster(_ dead: NodeNumber) async {
        let survivors = others
        recovery.progress = [:]
        for peer in survivors { recovery.progress[peer] = .requesting }
        for peer in survivors { await requestLocks(peer, dead) }
        while recovery.deadNode == dead, hasMissingData { await wait(changed, atMost: 1000) }
        guard phase != .left, recovery.deadNode == dead, recovery.newMaster == node else { return }
        recovery.isFinalizing = true
        for isSecond in [false, true] {
            for peer in others { await finalize(peer, dead, isSecond) }
        }
        takeOver(dead, by: node)
        endRecovery(dead)
    }

    private var hasMissingData: Bool {
        recovery.progress.contains { peer, progress in
            members.contains(peer) && (progress == .requesting || progress == .requested)
        }
    }

    private func requestLocks(_ peer: NodeNumber, _ dead: NodeNumber) async {
        let message = RecoveryMessage(node: node, deadNode: dead)
        while members.contains(peer), recovery.deadNode == dead {
            switch await ask(.lockRequest, message.payload(as: .lockRequest), peer) {
            case .status(0):
                if recovery.progress[peer] == .requesting { recovery.progress[peer] = .requested }
                return
            case .hostDown:
                if !members.contains(peer) { recovery.progress[peer] = .dead }
                await wait(changed, atMost: 1000)
            // It is not fully joined, and has no locks; it may wait for the end of this very recovery.
            case .noHandler, .status(-22): return recovery.progress[peer] = .dead
            case .status: await pause(milliseconds: 100)
            }
        }
    }

    private func finalize(_ peer: NodeNumber, _ dead: NodeNumber, _ isSecond: Bool) async {
        let message = RecoveryMessage(node: node, deadNode: dead, isSecondStage: isSecond)
        while members.contains(peer) {
            switch await ask(.finalizeRecovery, message.payload(as: .finalizeRecovery), peer) {
            case .status, .noHandler: return
            case .hostDown: await wait(changed, atMost: 500)
            }
        }
    }

    /// Every resource of the dead node belongs to `master` now, and what waited for the recovery goes on.
    func takeOver(_ dead: NodeNumber, by master: NodeNumber) {
        for resource in resourcesInOrder {
            if resource.isRecovering, resource.owner == dead || resource.owner == nil || resource.owner == master {
                resource.owner = master
                resource.isRecovering = false
            }
            resource.dropped.remove(dead)
            resource.changed.notify()
            enqueue(resource)
        }
    }

    func endRecovery(_ dead: NodeNumber) {
        recoveryMap.remove(dead)
        recovery = RecoveryState()
        askAnew()
        log(.notice, "End recovery of node \(dead)")
        changed.notify()
    }

    // MARK: Answers

    func answer(beginRecovery message: RecoveryMessage) -> Int32 {
        guard isFullyJoined else { return 0 }
        if recovery.isFinalizing { return -11 }
        onEviction(message.deadNode)
        if members.contains(message.deadNode) { nodeDown(message.deadNode) }
        recovery.newMaster = message.node
        recovery.deadNode = message.deadNode
        recoveryMap.insert(message.deadNode)
        log(.notice, "Node \(message.node) (he) is the Recovery Master for the dead node \(message.deadNode)")
        changed.notify()
        return 0
    }

    func answer(lockRequest message: RecoveryMessage) -> Int32 {
        guard isFullyJoined else { return -22 }
        guard recovery.deadNode == message.deadNode else { return -12 }
        environment.spawn { [self] in await tellLocks(of: message.deadNode, to: message.node) }
        return 0
    }

    private func tellLocks(of dead: NodeNumber, to master: NodeNumber) async {
        for resource in resourcesInOrder where resource.isRecovering && resource.name != .recovery {
            guard resource.owner == dead || resource.owner == nil else { continue }
            let isTaken = await transmit(
                resource, to: master, flags: .recovery, locks: locksToTell(resource), master: resource.owner)
            guard isTaken, members.contains(master), recovery.newMaster == master else { return }
        }
        let message = RecoveryMessage(node: node, deadNode: dead)
        _ = await ask(.recoveryDataDone, message.payload(as: .recoveryDataDone), master)
    }

    private func locksToTell(_ resource: LockResource) -> [Lock] {
        let isForgetful = plantedFaults.contains(.forgetWaitersInRecovery)
        return (isForgetful ? resource.granted : resource.allLocks).filter { $0.node == node }
    }

    /// A survivor's locks on a resource of the dead node.
    func take(recovered message: MigratedResource, _ resource: LockResource) -> Int32 {
        guard !message.locks.contains(where: { $0.node == node && !$0.isDummy }) else { return -22 }
        if message.master == nil, resource.owner != nil, resource.owner != recovery.deadNode, !resource.isRecovering {
            // Its master lives: the sender has only not heard of it.
            return 0
        }
        resource.isRecovering = true
        resource.owner = node
        add(message.locks, to: resource)
        takeValue(message, resource)
        return 0
    }

    func answer(recoveryDataDone message: RecoveryMessage) -> Int32 {
        guard recovery.deadNode == message.deadNode, recovery.progress[message.node] != nil else { return -22 }
        recovery.progress[message.node] = .done
        changed.notify()
        return 0
    }

    func answer(finalizeRecovery message: RecoveryMessage) -> Int32 {
        guard isFullyJoined else { return 0 }
        guard recovery.deadNode == message.deadNode, recovery.newMaster == message.node else {
            log(.error, "node \(message.node) ends a recovery of node \(message.deadNode) that it does not lead")
            return -22
        }
        if message.isSecondStage {
            guard recovery.isFinalizing else { return -22 }
            endRecovery(message.deadNode)
        } else {
            takeOver(message.deadNode, by: message.node)
            recovery.isFinalizing = true
        }
        return 0
    }
}
