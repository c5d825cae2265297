internal import EngineKit
internal import O2Layout

// What this node answers to others that look for a master. Spec: o2dlm 8.2 to 8.5.

extension LockDomain {
    func answer(masterRequest message: MasterMessage) -> Int32 {
        guard isFullyJoined else { return MasterAnswer.no.rawValue }
        return masterAnswer(message.name, to: message.node).rawValue
    }

    private func masterAnswer(_ name: ResourceName, to peer: NodeNumber) -> MasterAnswer {
        guard let resource = present(name) else { return answerWithoutCopy(name, peer) }
        if resource.isRecovering || resource.isMigrating { return .error }
        if let owner = resource.owner {
            guard owner == node else { return .no }
            return acknowledge(resource, peer)
        }
        guard let entry = entries[name] else { return .error }
        guard entry.kind == .master else {
            entry.maybe.insert(peer)
            return .no
        }
        if let master = entry.master {
            return master == node ? acknowledge(resource, peer) : .no
        }
        entry.maybe.insert(peer)
        return .maybe
    }

    private func answerWithoutCopy(_ name: ResourceName, _ peer: NodeNumber) -> MasterAnswer {
        if let entry = entries[name] {
            entry.maybe.insert(peer)
            return entry.kind == .master ? .maybe : .no
        }
        entries[name] = MasteryEntry(name: name, kind: .block, maybe: [peer], nodes: others)
        return .no
    }

    /// Yes, this node is. The assertion to all that follows frees those who were told that somebody decides.
    private func acknowledge(_ resource: LockResource, _ peer: NodeNumber) -> MasterAnswer {
        resource.references.insert(peer)
        resource.unusedSince = nil
        assertToAll(resource, flags: .cleanup)
        return .yes
    }

    func answer(assertMaster message: MasterMessage) -> Int32 {
        guard isFullyJoined else { return 0 }
        let resource = present(message.name)
        let entry = entries[message.name]
        if case .migration(let newMaster) = entry?.kind {
            let isEnd = message.flags.contains(.finishMigration) || message.flags.contains(.cleanup)
            guard isEnd else { return 0 }
            guard newMaster == message.node else { return refuse(message, "another node takes it over") }
        }
        if let resource {
            if resource.isRecovering { return refuse(message, "it is being recovered") }
            let isMigration = if case .migration = entry?.kind { true } else { false }
            if !isMigration, let owner = resource.owner, owner != message.node {
                return refuse(message, "node \(owner) is its master")
            }
        }
        let hasAsked =
            entry?.kind == .master
            && !(entry?.responses.subtracting([node, message.node]).isEmpty ?? true)
        if let resource, entry != nil || resource.owner == nil || resource.owner == message.node {
            resource.owner = message.node
            if case .migration = entry?.kind {
                resource.isMigrating = false
                enqueue(resource)
            }
            resource.changed.notify()
        }
        if let entry {
            entry.master = message.node
            entries[message.name] = nil
            entry.changed.notify()
        }
        var answer: AssertAnswer = []
        if hasAsked { answer.insert(.reassert) }
        if resource != nil && entry != nil { answer.insert(.hasReference) }
        return answer.rawValue
    }

    /// A kernel stops with a bug when it is refused: this is said only to nodes that would destroy locks.
    private func refuse(_ message: MasterMessage, _ reason: String) -> Int32 {
        log(.critical, "node \(message.node) wrongly asserts to be master of \(message.name): \(reason)")
        return -22
    }

    func answer(requery message: ResourceMessage) -> Int32 {
        guard isFullyJoined, let resource = present(message.name), let owner = resource.owner else {
            return Int32(NodeNumber.none)
        }
        if owner == node, !resource.isMigrating { assertToAll(resource, flags: .requery) }
        return Int32(owner.value)
    }
}
