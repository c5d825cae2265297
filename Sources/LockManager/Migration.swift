internal import EngineKit
internal import O2Layout

// Giving mastery away when this node leaves, and taking it from one that does. Spec: o2dlm 12.

extension LockDomain {
    /// Hands the resource over to a node that uses it. If that fails it stays here, for a later round.
    func migrate(_ resource: LockResource) async {
        guard let target = migrationTarget(resource) else { return }
        // Grants on their way must arrive while this node is still the one who may send them.
        while resource.assertRounds > 0
            || resource.allLocks.contains(where: { $0.isGrantUnderWay || $0.isBlockingUnderWay })
        {
            await pause(milliseconds: 1)
            guard resource.owner == node, !resource.isUnsettled else { return }
        }
        resource.isMigrating = true
        let entry = MasteryEntry(
            name: resource.name, kind: .migration(newMaster: target), maybe: [], nodes: others)
        entry.master = node
        entries[resource.name]?.changed.notify()
        entries[resource.name] = entry
        if await transmit(resource, to: target, flags: .migration, locks: resource.allLocks) {
            // The target tells everybody else first, this node last.
            while entries[resource.name] === entry, members.contains(target), resource.owner == node {
                await wait(entry.changed, atMost: 5000)
            }
        }
        if entries[resource.name] === entry { entries[resource.name] = nil }
        resource.isMigrating = false
        if resource.owner == target, members.contains(target) {
            _ = resource.removeAll { $0.node != node }
            resource.references = []
        } else {
            resource.owner = node
            await wait(changed, atMost: 500)
        }
        noteUse(of: resource)
        resource.changed.notify()
        enqueue(resource)
    }

    private func migrationTarget(_ resource: LockResource) -> NodeNumber? {
        let candidates = others.subtracting(exiting)
        return resource.allLocks.first { candidates.contains($0.node) }?.node
            ?? resource.references.first { candidates.contains($0) }
    }

    /// Sends locks in as many messages as they need; false if the receiver did not take them all.
    func transmit(
        _ resource: LockResource, to target: NodeNumber, flags: MigratedResource.Flags, locks: [Lock],
        master: NodeNumber? = nil
    ) async -> Bool {
        var records = locks.map(\.record)
        if flags.contains(.migration), plantedFaults.contains(.loseLockInMigration) { records = records.dropLast() }
        var parts = stride(from: 0, to: records.count, by: MigratedResource.lockCountMax).map {
            Array(records[$0..<min($0 + MigratedResource.lockCountMax, records.count)])
        }
        if parts.isEmpty { parts = [[.dummy(of: node)]] }
        var cookie: UInt64 = 0
        if parts.count > 1 {
            lastMigration += 1
            cookie = lastMigration
        }
        let isRecovery = flags.contains(.recovery)
        let value = isRecovery ? transmittedValue(locks) : migratedValue(resource)
        for (index, part) in parts.enumerated() {
            let message = MigratedResource(
                master: isRecovery ? master : node, flags: index == parts.count - 1 ? flags.union(.allDone) : flags,
                totalLocks: UInt32(records.count), migrationCookie: cookie, name: resource.name, value: value,
                locks: part)
            guard await ask(.migrateResource, message.payload, target) == .status(0) else { return false }
        }
        return true
    }

    /// A value that no holder at PR or EX vouches for is none. Spec: o2dlm 11.
    private func migratedValue(_ resource: LockResource) -> ValueBlock {
        let isHeld = (resource.granted + resource.converting).contains { $0.mode > .null }
        return isHeld ? resource.value : .zero
    }

    /// The value block as the holders at PR and EX know it. Spec: o2dlm 11.
    func transmittedValue(_ locks: [Lock]) -> ValueBlock {
        for lock in locks where lock.list != .blocked && lock.mode > .null && !lock.value.isZero { return lock.value }
        return .zero
    }

    // MARK: Receiving

    func answer(migrated message: MigratedResource) -> Int32 {
        guard isFullyJoined else { return -22 }
        if resources[message.name]?.isDroppingReference == true { return -22 }
        let resource = resources[message.name] ?? makeResource(message.name)
        guard !message.flags.contains(.recovery) else { return take(recovered: message, resource) }
        guard !resource.isRecovering, let oldMaster = message.master, oldMaster != node else { return -22 }
        for record in message.locks where record.node == node && !record.isDummy {
            guard resource.find(record.cookie, node) != nil else {
                log(
                    .critical, "node \(oldMaster) hands over a lock of this node on \(message.name) that does not exist"
                )
                return -22
            }
        }
        resource.isMigrating = true
        resource.owner = node
        resource.value = message.value
        add(message.locks, to: resource)
        if message.flags.contains(.allDone) {
            environment.spawn { [self] in await finishMigration(resource, from: oldMaster) }
        }
        return 0
    }

    /// Takes over the locks of a message, each on its list.
    func add(_ records: [MigratedLock], to resource: LockResource) {
        for record in records {
            guard members.contains(record.node) else {
                dropLockOfDead(record, resource)
                continue
            }
            if record.node != node { resource.references.insert(record.node) }
            guard !record.isDummy, let mode = record.mode else { continue }
            if let own = resource.find(record.cookie, record.node) {
                // One's own lock stays where it is, in the master's order.
                if own.list == record.list { resource.move(own, to: record.list) }
                continue
            }
            let lock = Lock(cookie: record.cookie, node: record.node, mode: mode)
            lock.convertMode = record.convertMode
            lock.valueFlags = record.flags
            resource.move(lock, to: record.list)
        }
        resource.putLoweringsFirst()
    }

    /// Its death is known here, and was not yet where the lock comes from. Spec: o2dlm 13.2.
    private func dropLockOfDead(_ record: MigratedLock, _ resource: LockResource) {
        guard !record.isDummy, recoveryMap.contains(record.node) else { return }
        resource.dropped.insert(record.node)
        if record.mode == .exclusive, record.list != .blocked { resource.value = .zero }
    }

    func takeValue(_ message: MigratedResource, _ resource: LockResource) {
        guard !message.value.isZero, !plantedFaults.contains(.loseValueInRecovery) else { return }
        for record in message.locks where record.list != .blocked && (record.mode ?? .null) > .null {
            if record.flags.contains(.put) { resource.find(record.cookie, record.node)?.value = message.value }
            resource.value = message.value
        }
    }

    private func finishMigration(_ resource: LockResource, from oldMaster: NodeNumber) async {
        resource.references.insert(oldMaster)
        let thirds = others.removing(oldMaster)
        for peer in thirds {
            let message = MigrateRequestMessage(oldMaster: oldMaster, newMaster: node, name: resource.name)
            switch await ask(.migrateRequest, message.payload, peer) {
            case .status(1): resource.references.insert(peer)
            case .status(let status) where status < 0:
                log(.error, "node \(peer) answers \(status) to the move of \(resource.name)")
            case .status, .noHandler, .hostDown: break
            }
        }
        await assertMastery(resource, flags: .finishMigration, to: thirds)
        if members.contains(oldMaster) {
            await assertMastery(resource, flags: .finishMigration, to: [oldMaster])
        }
        guard resource.owner == node, resource.isMigrating else { return }
        resource.isMigrating = false
        entries[resource.name] = nil
        resource.changed.notify()
        enqueue(resource)
    }

    func answer(migrateRequest message: MigrateRequestMessage) -> Int32 {
        guard isFullyJoined else { return 0 }
        let resource = present(message.name)
        if resource?.isRecovering == true, !members.contains(message.oldMaster) { return -22 }
        resource?.isMigrating = true
        let former = entries[message.name]
        let entry = MasteryEntry(
            name: message.name, kind: .migration(newMaster: message.newMaster), maybe: [], nodes: others)
        entry.master = message.oldMaster
        entries[message.name] = entry
        former?.master = message.newMaster
        former?.changed.notify()
        return former?.kind == .master ? 1 : 0
    }
}

extension Lock {
    /// As it travels.
    var record: MigratedLock {
        MigratedLock(
            cookie: cookie, list: list ?? .granted, flags: valueFlags, mode: mode,
            convertMode: list == .converting ? convertMode : nil, node: node)
    }
}
