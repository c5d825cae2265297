internal import DRBDLayout
internal import EngineKit

// What happens when a backing device fails. Spec: drbd-disk-and-state 15.

extension ReplicationEngine {
    enum DataFailure {
        case read, write, flush
    }

    /// An operation on data failed: the policy decides about the disk.
    func dataFailed(_ volume: Volume, _ failure: DataFailure, sector: UInt64, byteCount: Int) {
        guard let disk = volume.disk, !disk.isAbandoned else { return }
        if failure != .flush { disk.bitmap.setOutOfSync(sector: sector, byteCount: byteCount) }
        guard volume.state.disk > .failed else { return }
        disk.hadIOError = true
        let what = failure == .read ? "READ" : failure == .write ? "WRITE" : "FLUSH"
        log(.error, volume, "local \(what) IO error sector \(sector)+\(byteCount / 512) on data device")
        if failure == .flush { distrust(volume, disk) }
        switch disk.options.onIOError {
        case .passOn where failure != .flush:
            passOn(volume, disk, failure)
        case .passOn, .detach:
            failDisk(volume, "Local IO failed. Detaching...")
        case .callLocalIOError:
            failDisk(volume, "Local IO failed. Detaching...", callsHandler: true)
        }
    }

    /// After a failed flush nobody knows which of the completed writes are there, and the next flush may succeed without
    /// them. When the disk returns all of it is synced, from the peer if that has a good copy now.
    ///
    /// Deviation: kernels take the disk for what its bitmap says.
    private func distrust(_ volume: Volume, _ disk: Disk) {
        disk.isDistrusted = true
        guard volume.state.pdsk == .upToDate, volume.state.disk > .inconsistent else { return }
        let conn = volume.state.conn.isVerify ? ConnectionState.connected : nil
        change(volume, StateRequest(conn: conn, disk: .inconsistent), .hard)
    }

    /// `on-io-error pass_on`: with the peer's good copy at hand this one becomes Inconsistent.
    ///
    /// Deviation: without one, kernels make it Inconsistent too, and later overwrite it with the peer's older data,
    /// writes that were acknowledged in between included. Here it stays UpToDate: the application is told of the error,
    /// the block counts as out of sync, the handler runs.
    private func passOn(_ volume: Volume, _ disk: Disk, _ failure: DataFailure) {
        if volume.state.pdsk == .upToDate {
            // A verify needs two good disks, and would keep this one UpToDate.
            let conn = volume.state.conn.isVerify ? ConnectionState.connected : nil
            if volume.state.disk > .inconsistent {
                change(volume, StateRequest(conn: conn, disk: .inconsistent), .hard)
            }
            return
        }
        // The target of a resync will have the block that this source could not write or read: it is asked for it then.
        if volume.state.conn > .connected { disk.owesInconsistent = true }
        guard volume.state.role == .primary, volume.state.disk == .upToDate, !disk.hasToldOfErrors else { return }
        disk.hasToldOfErrors = true
        enqueue(.worker) { engine in engine.runHandler("pri-on-incon-degr", volume, .worker) }
    }

    /// An operation on metadata failed: the disk is of no use any more.
    func metadataFailed(_ volume: Volume, _ what: String, errno: Int32) {
        guard let disk = volume.disk else { return }
        log(.error, volume, "meta data I/O error: \(what) failed, errno \(errno)")
        if volume.state.disk == .attaching {
            // The attach finds that out at its end.
            disk.hasMetadataError = true
        } else if !disk.isAbandoned, volume.state.disk > .failed {
            failDisk(
                volume, "Meta data IO failed. Detaching...", callsHandler: disk.options.onIOError == .callLocalIOError)
        }
        // Behind the change of state: nobody tells the peer of what is not on disk.
        releaseDurabilityWaits(disk, all: true)
    }

    private func failDisk(_ volume: Volume, _ text: String, callsHandler: Bool = false) {
        log(.error, volume, text)
        if callsHandler {
            enqueue(.worker) { engine in engine.runHandler("local-io-error", volume, .worker) }
        }
        change(volume, StateRequest(disk: .failed), .hard)
    }

    // MARK: disk-timeout

    func armDiskCheck(_ volume: Volume, _ disk: Disk) {
        guard disk.options.diskTimeout > 0, volume.diskCheckAt == nil else { return }
        volume.diskCheckAt = now + .deciseconds(disk.options.diskTimeout)
    }

    /// A disk that does not answer in time is given up. Spec: drbd-disk-and-state 15.1.
    func checkDisk(_ volume: Volume) {
        guard let due = volume.diskCheckAt, due <= now else { return }
        volume.diskCheckAt = nil
        guard let disk = volume.usableDisk, disk.options.diskTimeout > 0 else { return }
        let limit = Duration.deciseconds(disk.options.diskTimeout)
        var oldest: Instant?
        for index in requests.indexes where requests[index].volume === volume {
            guard requests[index].flags.contains(.localPending) else { continue }
            oldest = min(oldest ?? requests[index].submittedAt, requests[index].submittedAt)
        }
        guard let oldest else { return }
        if oldest + limit <= now {
            log(.error, volume, "Local backing device failed to meet the disk-timeout")
            forceDetach(volume)
        } else {
            volume.diskCheckAt = oldest + limit
        }
    }
}
