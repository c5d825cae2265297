internal import EngineKit
internal import O2Layout

// Who has a copy of what, and how copies go. Spec: o2dlm 7.

extension LockDomain {
    /// Notes since when nobody uses the resource.
    func noteUse(of resource: LockResource) {
        if isUnused(resource) {
            if resource.unusedSince == nil { resource.unusedSince = environment.now }
        } else {
            resource.unusedSince = nil
        }
    }

    func isUnused(_ resource: LockResource) -> Bool {
        !resource.hasLocks && resource.userCount == 0 && !resource.isUnsettled && !resource.isDroppingReference
            && resource.assertRounds == 0 && resource.owner != nil
            && (resource.owner != node || resource.references.isEmpty || plantedFaults.contains(.forgetReferences))
    }

    /// Runs for the life of the domain.
    func startPurging() {
        environment.spawn { [self] in
            while phase == .joined {
                await environment.sleep(until: environment.now + purging.period)
                guard phase == .joined else { return }
                for resource in resourcesInOrder {
                    guard isUnused(resource), let since = resource.unusedSince,
                        environment.now - since >= purging.age
                    else { continue }
                    environment.spawn { [self] in await purge(resource) }
                }
            }
        }
    }

    /// Frees an unused resource; a copy is first taken off the master's list.
    func purge(_ resource: LockResource) async {
        guard isUnused(resource), let owner = resource.owner, resources[resource.name] === resource else { return }
        guard owner != node else { return drop(resource) }
        resource.isDroppingReference = true
        let message = ResourceMessage(node: node, name: resource.name)
        switch await ask(.dereference, message.payload(as: .dereference), owner) {
        case .status(1):
            // The master is asserting; it says when it is done, or it dies.
            while resources[resource.name] === resource, resource.isDroppingReference, members.contains(owner) {
                await wait(resource.changed, atMost: 5000)
            }
        case .status(let status) where status < 0:
            log(.warning, "node \(owner) answers \(status) to the end of this node's use of \(resource.name)")
        case .status, .noHandler, .hostDown: break
        }
        drop(resource)
    }

    func answer(dereference message: ResourceMessage) -> Int32 {
        guard isFullyJoined else { return 0 }
        guard let resource = present(message.name) else { return -22 }
        guard resource.assertRounds == 0 else {
            resource.dereferencesPutOff.insert(message.node)
            return 1
        }
        resource.references.remove(message.node)
        noteUse(of: resource)
        resource.changed.notify()
        return 0
    }

    func answer(dereferenceDone message: ResourceMessage) -> Int32 {
        if let resource = resources[message.name], resource.isDroppingReference { drop(resource) }
        return 0
    }
}
