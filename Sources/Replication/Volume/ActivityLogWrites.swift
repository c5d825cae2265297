internal import DRBDLayout
internal import EngineKit

// A write goes out only when its extents are durable in the activity log. Spec: drbd-disk-and-state 5.3.
//
//     admit -> [extents hot: at once] -> start
//           -> [extents cold]  transaction: bitmap blocks of evicted extents, then the log block  -> start
//           -> [no slot, or resync holds the extent]  wait, ask again
//
// All requests that arrive while a transaction is under way share the next one.

/// A request that could not get its extents yet.
struct ExtentWaiter {
    let owner: OperationOwner
    let index: Int
}

/// A request whose extents are durable when the log has committed `sequence`.
struct TransactionWaiter {
    let owner: OperationOwner
    let index: Int
    let sequence: UInt64
}

extension ReplicationEngine {
    /// Asks for the extents of a write. It is started now, or when they are in the log.
    func beginInActivityLog(_ owner: OperationOwner, _ index: Int, _ volume: Volume, sector: UInt64, byteCount: Int) {
        guard !tryActivityLog(owner, index, volume, sector: sector, byteCount: byteCount) else { return }
        volume.extentWaiters.append(ExtentWaiter(owner: owner, index: index))
        hasWaitingRequests = true
        hasPendingExtents = true
    }

    /// False: it must wait.
    private func tryActivityLog(
        _ owner: OperationOwner, _ index: Int, _ volume: Volume, sector: UInt64, byteCount: Int
    ) -> Bool {
        guard let disk = volume.usableDisk else {
            startAfterActivityLog(owner, index, isLogged: false)
            return true
        }
        let extents = ActivityLog.extents(sector: sector, byteCount: byteCount)
        switch disk.activityLog.begin(extents, resync: &volume.resyncExtents) {
        case .ready:
            startAfterActivityLog(owner, index, isLogged: true)
        case .notLogged:
            startAfterActivityLog(owner, index, isLogged: false)
        case .needsTransaction(let sequence):
            markLogged(owner, index)
            hasPendingExtents = true
            volume.transactionWaiters.append(TransactionWaiter(owner: owner, index: index, sequence: sequence))
        case .mustWait:
            return false
        }
        return true
    }

    private func markLogged(_ owner: OperationOwner, _ index: Int) {
        switch owner {
        case .request: requests[index].flags.insert(.inActivityLog)
        case .peerRequest: peerRequests[index].flags.insert(.inActivityLog)
        case .metadata: preconditionFailure("metadata is not logged")
        }
    }

    private func startAfterActivityLog(_ owner: OperationOwner, _ index: Int, isLogged: Bool) {
        if isLogged { markLogged(owner, index) }
        switch owner {
        case .request:
            if requests[index].volume.usableDisk != nil { requests[index].flags.insert(.passedLog) }
            startWrite(index)
        case .peerRequest: startPeerWrite(index)
        case .metadata: preconditionFailure("metadata is not logged")
        }
    }

    /// Drops the references of a request that left the log of writes.
    func endInActivityLog(_ volume: Volume, sector: UInt64, byteCount: Int) {
        guard let disk = volume.disk else { return }
        disk.activityLog.end(ActivityLog.extents(sector: sector, byteCount: byteCount))
        volume.shouldRetryExtents = true
        changed()
    }

    /// Asks again for those that wait, in order of arrival. One that still must wait does not hold up the others: they
    /// may want extents that are hot.
    func retryExtentWaiters(_ volume: Volume) {
        guard volume.shouldRetryExtents, !volume.extentWaiters.isEmpty else { return }
        volume.shouldRetryExtents = false
        var failures = 0
        for _ in 0..<volume.extentWaiters.count {
            guard let waiter = volume.extentWaiters.popFirst() else { return }
            let range = range(of: waiter.owner, waiter.index)
            if failures < 64,
                tryActivityLog(waiter.owner, waiter.index, volume, sector: range.sector, byteCount: range.byteCount)
            {
                continue
            }
            failures += 1
            volume.extentWaiters.append(waiter)
        }
    }

    private func range(of owner: OperationOwner, _ index: Int) -> (sector: UInt64, byteCount: Int) {
        switch owner {
        case .request: (requests[index].sector, requests[index].byteCount)
        case .peerRequest: (peerRequests[index].sector, peerRequests[index].byteCount)
        case .metadata: preconditionFailure("metadata is not logged")
        }
    }

    /// Writes one transaction for each volume that has pending changes and none under way.
    func startActivityLogTransactions() {
        guard hasPendingExtents else { return }
        hasPendingExtents = false
        for volume in volumes {
            guard let disk = volume.usableDisk, disk.activityLog.hasPendingChanges else { continue }
            // What comes while one is under way shares the next one.
            hasPendingExtents = true
            guard !disk.isTransactionUnderWay, let prepared = disk.activityLog.prepareTransaction() else { continue }
            disk.isTransactionUnderWay = true
            // There is room for those that found the transaction full.
            volume.shouldRetryExtents = true
            writeBlocksOfEvicted(prepared, volume, disk)
        }
    }

    /// First the bits of what leaves the log: "not in the log" must imply "the bits on disk are right".
    private func writeBlocksOfEvicted(_ prepared: ActivityLog.Prepared, _ volume: Volume, _ disk: Disk) {
        if faults.contains(.skipActivityLogWrite) {
            commit(volume, disk)
            return
        }
        var blocks = prepared.evictedExtents.map { Bitmap.block(ofActivityLogExtent: $0) }
        blocks.sort()
        guard !blocks.isEmpty, !faults.contains(.skipBitmapWriteBeforeEviction) else {
            writeTransaction(prepared, volume, disk)
            return
        }
        writeBitmap(volume, .blocks(blocks)) { engine, isSuccess in
            guard isSuccess, !disk.isAbandoned else { return engine.transactionFailed(volume, disk) }
            engine.writeTransaction(prepared, volume, disk)
        }
    }

    private func writeTransaction(_ prepared: ActivityLog.Prepared, _ volume: Volume, _ disk: Disk) {
        let data = metadataBuffer(byteCount: ActivityLogTransaction.byteCount)
        prepared.transaction.encode(into: data.bytes)
        volume.counters.activityLogWrites += 1
        submitMetadata(
            volume, disk, metadataWriteKind(disk),
            sector: disk.geometry.sector(ofTransaction: prepared.transaction.number), data: data
        ) { engine, errno in
            guard errno == 0 else {
                engine.metadataFailed(volume, "writing the activity log", errno: errno)
                engine.transactionFailed(volume, disk)
                return
            }
            engine.commit(volume, disk)
        }
    }

    private func commit(_ volume: Volume, _ disk: Disk) {
        disk.activityLog.commitTransaction()
        disk.isTransactionUnderWay = false
        let committed = disk.activityLog.committedSequence
        while let waiter = volume.transactionWaiters.first, waiter.sequence <= committed {
            _ = volume.transactionWaiters.popFirst()
            startAfterActivityLog(waiter.owner, waiter.index, isLogged: true)
        }
        volume.shouldRetryExtents = true
        changed()
    }

    /// The disk is on its way out: what waited for its log goes on without it.
    private func transactionFailed(_ volume: Volume, _ disk: Disk) {
        disk.isTransactionUnderWay = false
        releaseActivityLogWaiters(volume)
    }

    /// Starts all that wait for a log that will not be written any more.
    func releaseActivityLogWaiters(_ volume: Volume) {
        for waiter in volume.transactionWaiters.removeAll() {
            startAfterActivityLog(waiter.owner, waiter.index, isLogged: true)
        }
        for waiter in volume.extentWaiters.removeAll() {
            startAfterActivityLog(waiter.owner, waiter.index, isLogged: false)
        }
        changed()
    }
}
