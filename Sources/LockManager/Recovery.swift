internal import EngineKit
package import O2Layout

/// Where the recovery of a dead member stands. Spec: o2dlm 6.1, 13.
struct RecoveryState {
    var isActive = false
    /// Between the two stages of the end.
    var isFinalizing = false
    var deadNode: NodeNumber?
    var newMaster: NodeNumber?
    /// At the recovery master: what each member has done.
    var progress: [NodeNumber: Progress] = [:]

    enum Progress {
        case requesting, requested, done, dead
    }
}

// The death of a member, and who leads the recovery. Spec: o2dlm 13.1 to 13.3.

extension LockDomain {
    package func nodeUp(_ peer: NodeNumber) {
        liveNodes.insert(peer)
        lives[peer, default: 0] += 1
        changed.notify()
    }

    /// A node is dead. Before it, the messenger has ended all requests to it. Told twice it does nothing more.
    package func nodeDown(_ peer: NodeNumber) {
        guard peer != node else { return }
        if joiningNode == peer { joiningNode = nil }
        liveNodes.remove(peer)
        lives[peer, default: 0] += 1
        if members.contains(peer) { evict(peer) }
        changed.notify()
    }

    private func evict(_ peer: NodeNumber) {
        onEviction(peer)
        if recovery.newMaster == peer, recovery.isFinalizing {
            // It had told at least this node that all is done: the first death is over.
            if let dead = recovery.deadNode { recoveryMap.remove(dead) }
            recovery = RecoveryState()
        }
        cleanUp(after: peer)
        members.remove(peer)
        exiting.remove(peer)
        recoveryMap.insert(peer)
        for entry in entries.values.sorted(by: { $0.name < $1.name }) { entryAfterDeath(of: peer, entry) }
        log(.warning, "node \(peer) is dead; its locks will be recovered")
    }

    private func entryAfterDeath(of peer: NodeNumber, _ entry: MasteryEntry) {
        if case .migration(let newMaster) = entry.kind, newMaster == peer || entry.master == peer {
            entries[entry.name] = nil
            if let oldMaster = entry.master, oldMaster != peer, members.contains(oldMaster) {
                // It keeps what the dead one did not take.
                resources[entry.name]?.isMigrating = resources[entry.name]?.owner == node
                resources[entry.name]?.changed.notify()
            } else if let resource = resources[entry.name], resource.owner != node {
                resource.owner = nil
                resource.isMigrating = false
                resource.isRecovering = true
                resource.changed.notify()
            }
            entry.changed.notify()
            return
        }
        nodeGone(peer, entry)
    }

    // MARK: Locks of the dead. Spec: o2dlm 13.2.

    private func cleanUp(after dead: NodeNumber) {
        for resource in resourcesInOrder {
            if plantedFaults.contains(.keepLocksOfDead), resource.owner != dead { continue }
            if resource.name == .recovery {
                cleanUpRecoveryLock(resource, dead)
                continue
            }
            checkValue(resource, dead)
            if resource.owner == dead {
                loseMaster(resource)
            } else {
                if resource.owner == node, resource.removeAll(where: { $0.node == dead }),
                    !plantedFaults.contains(.grantDuringRecovery)
                {
                    resource.dropped.insert(dead)
                }
                resource.references.remove(dead)
                enqueue(resource)
            }
            resource.changed.notify()
        }
    }

    private func cleanUpRecoveryLock(_ resource: LockResource, _ dead: NodeNumber) {
        guard resource.owner != dead else {
            // Whoever wants it masters it anew: no recovery could wait for itself.
            _ = resource.removeAll { _ in true }
            return drop(resource)
        }
        _ = resource.removeAll { $0.node == dead }
        resource.references.remove(dead)
        enqueue(resource)
        resource.changed.notify()
    }

    /// A value that an EX holder may have outdated without saying so is none. Spec: o2dlm 11.
    private func checkValue(_ resource: LockResource, _ dead: NodeNumber) {
        guard !plantedFaults.contains(.keepOutdatedValue) else { return }
        if resource.owner == node {
            let held = resource.granted + resource.converting
            if held.contains(where: { $0.node == dead && $0.mode == .exclusive }) { resource.value = .zero }
            return
        }
        for lock in resource.granted + resource.converting where lock.node == node && lock.mode == .null {
            lock.value = .zero
            resource.value = .zero
        }
    }

    private func loseMaster(_ resource: LockResource) {
        guard !resource.isDroppingReference else { return drop(resource) }
        resource.isRecovering = true
        // What another node was master of has no references here; a former life may have left some.
        resource.references = []
        for lock in resource.allLocks where lock.node == node {
            if let convertMode = lock.convertMode, convertMode < lock.mode {
                finishLowering(lock, to: convertMode, resource)
            } else {
                settle(lock, resource)
            }
        }
        // What this copy remembers from earlier counts no more than what its locks vouch for.
        resource.value = transmittedValue(resource.allLocks)
    }

    /// The dead master may have lowered it and let others in, whose writes are newer than what this lock knows: it counts
    /// as lowered, which its user can bear, since it has stopped using the higher mode.
    ///
    /// Deviation: kernels go back to the higher mode when the status is missing, and transmit it as converting when only
    /// the grant is missing; a value block that others have replaced meanwhile can then come back.
    private func finishLowering(_ lock: Lock, to mode: LockMode, _ resource: LockResource) {
        lock.mode = mode
        lock.convertMode = nil
        lock.valueFlags = []
        lock.outstanding = nil
        if mode == .null { lock.value = .zero }
        resource.move(lock, to: .granted)
        tellGranted(lock, getsValue: false)
    }

    /// A request without an answer ends as if the dead master had not got it, or, when it gave something up, as if it had.
    private func settle(_ lock: Lock, _ resource: LockResource) {
        let isTakenBack = lock.isCancelling || lock.outstanding == .convert
        switch lock.list {
        case .converting where isTakenBack:
            lock.convertMode = nil
            lock.valueFlags = []
            resource.move(lock, to: .granted)
            if lock.isCancelling { lock.user?.wake(false) }
        case .blocked where lock.isCancelling || lock.outstanding == .create:
            resource.remove(lock)
            if lock.isCancelling { lock.user?.wake(false) }
        case _ where lock.outstanding == .unlock: resource.remove(lock)
        case .granted, .converting, .blocked, nil: break
        }
        lock.isCancelling = false
        lock.outstanding = nil
    }

    // MARK: The recovery thread. Spec: o2dlm 13.3.

    func startRecovering() {
        environment.spawn { [self] in
            while isFullyJoined {
                if recoveryMap.isEmpty {
                    await changed.wait()
                } else {
                    await recoverOne()
                }
            }
        }
    }

    private func recoverOne() async {
        let mayReplace = !plantedFaults.contains(.abandonRecovery)
        if let master = recovery.newMaster, recoveryMap.contains(master), mayReplace { recovery.newMaster = nil }
        if recovery.deadNode == nil { recovery.deadNode = recoveryMap.lowest }
        guard let dead = recovery.deadNode else { return }
        if let master = recovery.newMaster, master != node {
            // Somebody leads; its messages drive this node.
            await wait(changed, atMost: 5000)
            return
        }
        recovery.isActive = true
        let isMaster = await electRecoveryMaster(dead)
        guard isMaster, recovery.deadNode == dead else {
            recovery.isActive = false
            if recovery.deadNode == dead { await wait(changed, atMost: 1000) }
            return
        }
        log(.notice, "Node \(node) (me) is the Recovery Master for the dead node \(dead)")
        await remaster(dead)
    }

    /// Whoever gets `$RECOVERY` leads.
    private func electRecoveryMaster(_ dead: NodeNumber) async -> Bool {
        while recovery.deadNode == dead, recovery.newMaster == nil || recovery.newMaster == node {
            await awaitMasterOfRecoveryLock()
            let lock = DomainLock(name: .recovery, usesValue: false) { _ in }
            do throws(LockRequestError) {
                try await create(lock, .exclusive, mayWait: false, isNew: false, isRecovery: true)
            } catch {
                guard error == .wouldWait else { return false }
                // Another node has it: its BEGIN_RECO comes, or it dies.
                await wait(changed, atMost: 1000)
                guard recovery.newMaster == nil else { return false }
                continue
            }
            let mayLead = recovery.newMaster == nil && recovery.deadNode == dead
            if mayLead {
                recovery.newMaster = node
                await announce(dead)
            }
            lock.lock?.list = .granted
            await unlock(lock)
            return mayLead
        }
        return recovery.newMaster == node
    }

    /// A master of `$RECOVERY` that is itself dead must be forgotten by everybody first.
    private func awaitMasterOfRecoveryLock() async {
        var isUncertain = true
        while isUncertain {
            isUncertain = false
            for peer in others {
                let message = ResourceMessage(node: node, name: .recovery)
                guard case .status(let owner) = await ask(.masterRequery, message.payload(as: .masterRequery), peer),
                    let owner = UInt8(exactly: owner).flatMap({ NodeNumber($0) })
                else { continue }
                if recoveryMap.contains(owner) { isUncertain = true }
            }
            if isUncertain { await wait(changed, atMost: 500) }
        }
    }

    private func announce(_ dead: NodeNumber) async {
        let message = RecoveryMessage(node: node, deadNode: dead)
        for peer in others {
            while members.contains(peer) {
                let answer = await ask(.beginRecovery, message.payload(as: .beginRecovery), peer)
                if answer == .status(0) || answer == .noHandler { break }
                await pause(milliseconds: 100)
            }
        }
    }
}
