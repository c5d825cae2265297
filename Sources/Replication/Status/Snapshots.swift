internal import DRBDLayout
package import EngineKit

extension ReplicationEngine {
    /// The state of the resource for status and tools.
    package func snapshot(now: Instant) -> ResourceSnapshot {
        let orders = volumes.compactMap { volume -> String? in
            guard let options = volume.disk?.options else { return nil }
            return options.diskFlushes ? "flush" : options.diskDrain ? "drain" : "none"
        }
        return ResourceSnapshot(
            name: name, network: connection.network, options: options,
            agreedVersion: connection.isLive ? connection.dialect.version : nil,
            writeOrdering: orders.first ?? "flush", volumes: volumes.map { snapshot($0, now: now) })
    }

    private func snapshot(_ volume: Volume, now: Instant) -> VolumeSnapshot {
        let disk = volume.disk
        let counters = volume.counters
        let isWaiting = !volume.extentWaiters.isEmpty || !volume.transactionWaiters.isEmpty
        let isHolding = isHeld(volume) && (!volume.heldRequests.isEmpty || !volume.heldStarts.isEmpty)
        return VolumeSnapshot(
            volume: volume.number, state: volume.state, sizeSectors: volume.sizeSectors,
            diskOptions: disk?.options, backing: disk?.device, sentSectors: counters.sentSectors,
            receivedSectors: counters.receivedSectors, writtenSectors: counters.writtenSectors,
            readSectors: counters.readSectors, activityLogWrites: counters.activityLogWrites,
            bitmapWrites: counters.bitmapWrites, localPending: counters.localPending,
            peerPending: counters.peerPending, unacknowledged: counters.unacknowledged,
            applicationPending: counters.applicationPending, epochs: max(1, log.epochs.count),
            outOfSyncBits: UInt64(disk?.bitmap.setBitCount ?? 0),
            isActivityLogSuspended: disk?.activityLog.isSuspended ?? false,
            isBlockedByUpper: isSuspended || isHolding, isBlockedByLower: isWaiting,
            progress: volume.resync.flatMap { progress(volume, $0, now: now) },
            uuids: disk.map {
                [$0.uuids.current, $0.uuids.bitmap, $0.uuids.history0, $0.uuids.history1]
            }, metadataFlags: disk?.flags, wasDegraded: disk?.wasDegraded ?? false)
    }

    private func progress(_ volume: Volume, _ resync: Resync, now: Instant) -> SyncProgress? {
        let mark = resync.progress.displayMark(now: now)
        let isRequesting = resync.part == .target || resync.part == .verifySource
        return SyncProgress(
            totalBits: resync.progress.totalBits, leftBits: volume.leftBits(resync), markLeftBits: mark.leftBits,
            markAge: mark.age, runningTime: resync.progress.runningTime(now: now),
            wantedRate: isRequesting ? resync.controller.reportedRate : nil,
            positionSector: resync.isVerify ? resync.verifyPosition : UInt64(resync.former.position) * 8)
    }
}
