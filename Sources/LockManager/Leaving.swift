internal import EngineKit
internal import O2Layout

// Ceasing to be a member. Spec: o2dlm 6.5, 12.

extension LockDomain {
    /// Leaves: hands what it is master of to others that use it, and says good-bye. The users have given up their locks.
    package func leave() async {
        guard phase == .joined else { return }
        phase = .shuttingDown
        for peer in others { _ = await ask(.beginExitDomain, ExitMessage(node: node).payload, peer) }
        while phase == .shuttingDown, !resources.isEmpty || recovery.isActive || !recoveryMap.isEmpty {
            if plantedFaults.contains(.leaveAsMaster) { break }
            let count = resources.count
            await emptyOnce()
            guard resources.count == count || resources.isEmpty else { continue }
            // Deviation: kernels sleep 500 ms between rounds; waiting for the event is as right and sooner over.
            // A recovery that another node leads waits as well.
            if !resources.isEmpty || recovery.isActive || !recoveryMap.isEmpty { await wait(changed, atMost: 500) }
        }
        while phase == .shuttingDown, joiningNode != nil { await wait(changed, atMost: 200) }
        // Membership ended meanwhile: there is nobody to say good-bye to.
        guard phase == .shuttingDown else { return }
        phase = .leaving
        for peer in others { await sayExit(peer) }
        phase = .left
        log(.notice, "Leaving domain \(name)")
        changed.notify()
    }

    private func sayExit(_ peer: NodeNumber) async {
        while phase == .leaving, members.contains(peer) {
            switch await ask(.exitDomain, ExitMessage(node: node).payload, peer) {
            case .status(0), .noHandler, .hostDown: return
            case .status: await pause(milliseconds: 200)
            }
        }
    }

    private func emptyOnce() async {
        for resource in resourcesInOrder where resources[resource.name] === resource {
            if isUnused(resource) {
                await purge(resource)
            } else if mustMigrate(resource) {
                await migrate(resource)
            }
        }
    }

    private func mustMigrate(_ resource: LockResource) -> Bool {
        resource.owner == node && !resource.isUnsettled && resource.userCount == 0
            && !resource.allLocks.contains { $0.node == node }
            && (resource.hasLocks || !resource.references.isEmpty)
    }

    func answer(beginExit message: ExitMessage) -> Int32 {
        exiting.insert(message.node)
        return 0
    }

    func answer(exit message: ExitMessage) -> Int32 {
        guard members.contains(message.node) else { return 0 }
        members.remove(message.node)
        exiting.remove(message.node)
        log(.notice, "Node \(message.node) leaves domain \(name) \(members) \(members.count) nodes")
        for resource in resourcesInOrder {
            resource.references.remove(message.node)
            noteUse(of: resource)
        }
        for entry in entries.values.sorted(by: { $0.name < $1.name }) { nodeGone(message.node, entry) }
        changed.notify()
        return 0
    }

    /// The assertion that ends the wait for somebody else's decision may have died with its sender: who waits asks
    /// itself, which is always right. The other one answers that it still decides, or who is the master.
    ///
    /// Deviation: with kernels such a name is stuck.
    func askAnew() {
        for entry in entries.values.sorted(by: { $0.name < $1.name }) where entry.kind == .block && entry.master == nil
        {
            decideHere(entry)
            entry.changed.notify()
        }
    }

    /// Nobody waits on an entry without a copy.
    private func decideHere(_ entry: MasteryEntry) {
        if let resource = resources[entry.name], resource.owner == nil {
            entry.kind = .master
            entry.maybe = [node]
            entry.master = nil
            entry.responses = []
        } else {
            entries[entry.name] = nil
        }
    }

    /// A node went, dead or alive, while a master is being looked for. Spec: o2dlm 8.4.
    func nodeGone(_ peer: NodeNumber, _ entry: MasteryEntry) {
        let wasLowest = entry.maybe.lowest == peer
        entry.nodes.remove(peer)
        switch entry.kind {
        case .migration: break
        case .block:
            entry.maybe.remove(peer)
            if (wasLowest && entry.maybe.isEmpty) || entry.master == peer {
                decideHere(entry)
            }
        case .master:
            entry.maybe = [node]
            if entry.master == peer { entry.master = nil }
        }
        entry.responses = []
        entry.changed.notify()
    }
}
