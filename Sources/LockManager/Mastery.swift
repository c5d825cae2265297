internal import EngineKit
internal import O2Layout

// Finding or becoming the master of a name. Spec: o2dlm 8.1.

extension LockDomain {
    /// The resource with a known master. Balance with ``release(_:)``.
    ///
    /// - Parameter isNew: nobody else can know the name: become its master without asking.
    func resource(_ name: ResourceName, isNew: Bool = false) async throws(LockRequestError) -> LockResource {
        while true {
            guard isFullyJoined else { throw .leaving }
            if let known = resources[name] {
                if known.isDroppingReference || known.owner == nil {
                    await wait(known.changed, atMost: 5000)
                    continue
                }
                return hold(known)
            }
            if isNew { return becomeMaster(name) }
            if let entry = entries[name] {
                switch entry.kind {
                case .migration:
                    await pause(milliseconds: 100)
                    continue
                case .block where entry.master != nil:
                    await pause(milliseconds: 1)
                    continue
                case .block, .master: break
                }
            }
            return try await findMaster(name)
        }
    }

    func hold(_ resource: LockResource) -> LockResource {
        resource.userCount += 1
        resource.unusedSince = nil
        return resource
    }

    func release(_ resource: LockResource) {
        precondition(resource.userCount > 0, "resource \(resource.name) is released but not held")
        resource.userCount -= 1
        noteUse(of: resource)
    }

    private func becomeMaster(_ name: ResourceName) -> LockResource {
        let resource = makeResource(name)
        resource.owner = node
        return hold(resource)
    }

    private func findMaster(_ name: ResourceName) async throws(LockRequestError) -> LockResource {
        let resource = hold(makeResource(name))
        resource.isInProgress = true
        let entry: MasteryEntry
        if let blocking = entries[name] {
            entry = blocking
        } else {
            entry = MasteryEntry(name: name, kind: .master, maybe: [node], nodes: others)
            entries[name] = entry
        }
        while resource.owner == nil {
            guard isFullyJoined else { break }
            await awaitRecovery(before: name)
            // Who only waits for somebody else's decision asks nobody: that somebody came or went changes nothing.
            if entry.kind == .master { await askMembers(entry) } else { entry.votes = entry.nodes }
            await decide(resource, entry)
        }
        if entries[name] === entry, entry.kind == .master || entry.kind == .block { entries[name] = nil }
        resource.isInProgress = false
        resource.changed.notify()
        enqueue(resource)
        guard resource.owner != nil else {
            release(resource)
            drop(resource)
            throw .leaving
        }
        return resource
    }

    /// Names may have locks that only a dead node's peers know: nobody may become their master before they have told.
    private func awaitRecovery(before name: ResourceName) async {
        guard name != .recovery else { return }
        while !recoveryMap.isEmpty && isFullyJoined { await wait(changed, atMost: 1000) }
    }

    /// Asks every member once; stops at the first that knows the master.
    private func askMembers(_ entry: MasteryEntry) async {
        entry.votes = entry.nodes
        for peer in entry.votes {
            guard entry.votes == entry.nodes, entry.master == nil, entry.kind == .master else { return }
            // The fault: one answer is enough.
            if plantedFaults.contains(.masterBeforeAllVoted), !entry.responses.isEmpty { return }
            guard !entry.responses.contains(peer) else { continue }
            await askMember(entry, peer)
        }
    }

    private func askMember(_ entry: MasteryEntry, _ peer: NodeNumber) async {
        while isFullyJoined, entry.nodes.contains(peer), entry.kind == .master, entry.master == nil {
            let message = MasterMessage(node: node, name: entry.name)
            switch await ask(.masterRequest, message.payload, peer) {
            case .status(MasterAnswer.yes.rawValue):
                guard entry.nodes.contains(peer) else { return }
                entry.responses.insert(peer)
                if entry.master == nil { entry.master = peer }
                return
            case .status(MasterAnswer.maybe.rawValue):
                entry.responses.insert(peer)
                entry.maybe.insert(peer)
                return
            case .status(MasterAnswer.no.rawValue), .noHandler:
                entry.responses.insert(peer)
                return
            case .hostDown:
                // The heartbeat will say whether it is dead.
                await wait(entry.changed, atMost: 500)
            case .status:
                await pause(milliseconds: 50)
            }
        }
    }

    private func decide(_ resource: LockResource, _ entry: MasteryEntry) async {
        if let owner = resource.owner {
            await confirm(owner, resource)
            return
        }
        guard phase != .left, entry.votes == entry.nodes else { return }
        if let master = entry.master, master != node {
            resource.owner = master
            return
        }
        let mayHurry = plantedFaults.contains(.masterBeforeAllVoted)
        let isDecider = entry.kind == .master && (entry.votes.isSubset(of: entry.responses) || mayHurry)
        if isDecider, let lowest = entry.maybe.lowest, node <= lowest {
            // Decided: who asks from here on is told so, though the assertion has not reached everybody.
            resource.owner = node
            await assertMastery(resource, flags: [], to: entry.votes)
            return
        }
        guard entry.kind != .master || isDecider else { return }
        await wait(entry.changed, atMost: 5000)
        if let owner = resource.owner { await confirm(owner, resource) }
    }

    /// The owner was learnt from its assertion: one more request makes sure that it counts this copy. Spec: o2dlm 8.1
    /// step 7.1.
    private func confirm(_ owner: NodeNumber, _ resource: LockResource) async {
        if owner == node {
            // A recovery made this node the master while it asked: who was asked waits for its word.
            while resource.isRecovering, phase != .left { await resource.changed.wait() }
            return assertToAll(resource, flags: .cleanup)
        }
        while resource.owner == owner, members.contains(owner) {
            let message = MasterMessage(node: node, name: resource.name)
            switch await ask(.masterRequest, message.payload, owner) {
            case .status(MasterAnswer.error.rawValue): await pause(milliseconds: 50)
            case .hostDown: await wait(changed, atMost: 500)
            case .status, .noHandler: return
            }
        }
    }

    // MARK: Asserting

    /// Tells `nodes` that this node is the master; again while one of them has asked others meanwhile. Spec: o2dlm 8.3.
    func assertMastery(_ resource: LockResource, flags: MasterMessage.Flags, to nodes: NodeSet) async {
        resource.assertRounds += 1
        var mustRepeat = true
        while mustRepeat {
            mustRepeat = false
            for peer in nodes {
                guard let status = await assertMastery(resource, flags: flags, to: peer) else { continue }
                guard status >= 0 else {
                    log(.error, "node \(peer) does not accept this node as master of \(resource.name): \(status)")
                    continue
                }
                let answer = AssertAnswer(rawValue: status)
                if answer.contains(.hasReference), members.contains(peer) { resource.references.insert(peer) }
                if answer.contains(.reassert) { mustRepeat = true }
            }
        }
        resource.assertRounds -= 1
        if resource.assertRounds == 0 { settleDereferences(resource) }
    }

    /// Nil: it is no member any more. Who does not hear of it would wait for ever: a connection that broke is no reason
    /// to leave it out.
    private func assertMastery(
        _ resource: LockResource, flags: MasterMessage.Flags, to peer: NodeNumber
    ) async -> Int32? {
        let message = MasterMessage(node: node, name: resource.name, flags: flags)
        while members.contains(peer) {
            switch await ask(.assertMaster, message.payload, peer) {
            case .status(let status): return status
            case .noHandler: return nil
            case .hostDown: await wait(changed, atMost: 500)
            }
        }
        return nil
    }

    /// Asserts to all members from a task of its own, as handlers must.
    func assertToAll(_ resource: LockResource, flags: MasterMessage.Flags) {
        resource.assertRounds += 1
        environment.spawn { [self] in
            if resource.owner == node, !resource.isMigrating {
                await assertMastery(resource, flags: flags, to: others)
            }
            resource.assertRounds -= 1
            if resource.assertRounds == 0 { settleDereferences(resource) }
        }
    }

    private func settleDereferences(_ resource: LockResource) {
        let nodes = resource.dereferencesPutOff
        resource.dereferencesPutOff = []
        for peer in nodes where members.contains(peer) {
            resource.references.remove(peer)
            let message = ResourceMessage(node: node, name: resource.name)
            send(.dereferenceDone, message.payload(as: .dereferenceDone), to: peer) { _ in }
        }
        noteUse(of: resource)
        resource.changed.notify()
    }
}

/// Answers to MASTER_REQUEST. Spec: o2dlm 8.2.
enum MasterAnswer: Int32 {
    case no = 0
    case yes = 1
    case maybe = 2
    /// Ask again.
    case error = 3
}

/// Answers to ASSERT_MASTER. Spec: o2dlm 8.3.
struct AssertAnswer: OptionSet {
    let rawValue: Int32

    static let reassert = AssertAnswer(rawValue: 1)
    static let hasReference = AssertAnswer(rawValue: 2)
}
