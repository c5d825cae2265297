package import O2Layout

/// What one node knows of one resource, for checkers that look from outside.
package struct ResourcePicture: Sendable {
    package struct LockPicture: Hashable, Sendable {
        package var node: NodeNumber
        package var cookie: UInt64
        package var mode: LockMode
        /// Granted, and no conversion waits.
        package var isSettled: Bool
    }

    package var name: ResourceName
    package var owner: NodeNumber?
    /// Being mastered, migrated or recovered.
    package var isUnsettled: Bool
    /// It is being given up: it counts as gone.
    package var isGoing: Bool
    package var locks: [LockPicture]
    package var references: NodeSet
}

extension LockDomain {
    /// All resources in the order of their names.
    package func picture() -> [ResourcePicture] {
        resourcesInOrder.map { resource in
            ResourcePicture(
                name: resource.name, owner: resource.owner, isUnsettled: resource.isUnsettled,
                isGoing: resource.isDroppingReference,
                locks: resource.allLocks.map {
                    ResourcePicture.LockPicture(
                        node: $0.node, cookie: $0.cookie.value, mode: $0.mode, isSettled: $0.list == .granted)
                }, references: resource.references)
        }
    }

    /// Whether this node decides about `name`, alone and now: nobody else may at the same time.
    package func isMaster(of name: ResourceName) -> Bool {
        guard phase == .joined || phase == .shuttingDown, let resource = resources[name] else { return false }
        return resource.owner == node && !resource.isUnsettled
    }

    /// Whether the recovery of a dead member is under way or waits.
    package var isRecovering: Bool { !recoveryMap.isEmpty || recovery.isActive || recovery.deadNode != nil }
}
