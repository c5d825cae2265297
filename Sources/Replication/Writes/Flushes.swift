internal import DRBDLayout
internal import EngineKit

// A flush of an application: all writes answered before are on stable storage on every copy they went to. The local disk
// is flushed, the epoch is closed, and its P_BARRIER_ACK is awaited.
//
// Deviation: kernels answer a flush when the local disk is flushed and leave the peer's to the barrier that follows.

/// A flush under way.
struct PendingFlush {
    let id: RequestID
    let volume: Volume
    /// The local disk works on it.
    var isLocalPending: Bool
    var errno: Int32 = 0
    /// Last epoch that must be acknowledged; nil: none was open.
    var lastEpoch: UInt32?
}

extension ReplicationEngine {
    func startFlush(_ request: ApplicationRequest, _ volume: Volume) {
        guard hasGoodCopy(volume), !volume.hasLostWrites else {
            // Told once, as kernels tell of a page that could not be written.
            volume.hasLostWrites = false
            log(.error, volume, "FLUSH fails: writes that were answered are in no copy that is known to be good")
            complete(request.id, volume, errno: Errno.io)
            return
        }
        let lastEpoch = closedEpoch()
        let disk = volume.usableDisk
        flushes.append(
            PendingFlush(id: request.id, volume: volume, isLocalPending: disk != nil, lastEpoch: lastEpoch))
        guard let disk else {
            changed()
            return
        }
        let id = request.id
        flushData(volume, disk) { engine, errno in
            guard let place = engine.flushes.firstIndex(where: { $0.id == id && $0.volume === volume }) else { return }
            engine.flushes[place].isLocalPending = false
            // A copy that failed is no copy any more; the peer's counts if there is one.
            if errno != 0 && volume.state.pdsk != .upToDate { engine.flushes[place].errno = Errno.io }
        }
    }

    /// Whether there is a copy that a flush can mean. Spec: drbd-wire 12.4.
    private func hasGoodCopy(_ volume: Volume) -> Bool {
        volume.state.disk == .upToDate || (connection.isLive && volume.state.pdsk == .upToDate)
    }

    /// The local disk is given up: flushes that wait for it have the peer's copy, or none.
    func failFlushes(ofDiskOf volume: Volume) {
        for place in flushes.indices where flushes[place].volume === volume && flushes[place].isLocalPending {
            flushes[place].isLocalPending = false
            if !hasGoodCopy(volume) { flushes[place].errno = Errno.io }
        }
    }

    /// Answers the flushes whose disks and epochs are done.
    func finishFlushes() {
        guard !flushes.isEmpty else { return }
        var place = 0
        while place < flushes.count {
            let flush = flushes[place]
            guard !flush.isLocalPending, isAcknowledged(upTo: flush.lastEpoch) else {
                place += 1
                continue
            }
            flushes.remove(at: place)
            complete(flush.id, flush.volume, errno: flush.errno)
        }
    }

    /// The peer is gone with epochs that it did not acknowledge: where its copy was the only good one, nobody knows
    /// whether a flush that waited for them could keep its promise.
    func failFlushesOfPeer() {
        for place in flushes.indices where !isAcknowledged(upTo: flushes[place].lastEpoch) {
            if flushes[place].volume.state.disk != .upToDate { flushes[place].errno = Errno.io }
        }
    }

    /// A write that was answered because the peer had it is gone with the peer, perhaps: there is no good copy here.
    func noteLoss(ofAnswered request: LocalRequest) {
        let volume = request.volume
        guard volume.state.disk != .upToDate, request.flags.contains(.answered), request.flags.contains(.peerOK) else {
            return
        }
        volume.hasLostWrites = !flushes.contains { $0.volume === volume && $0.errno != 0 }
    }

    /// All writes that the peer did not acknowledge were sent again, in new epochs: flushes wait for these.
    func moveFlushes(to lastEpoch: UInt32?) {
        for place in flushes.indices where flushes[place].lastEpoch != nil { flushes[place].lastEpoch = lastEpoch }
    }

    /// Closes the current epoch; returns the last one that the peer has not acknowledged, nil: there is none.
    func closedEpoch() -> UInt32? {
        closeEpoch()
        return log.epochs.count > 0 ? log.epochs[log.epochs.count - 1].number : nil
    }

    /// No epoch up to `number` waits for an acknowledgement that can be expected. Spec: drbd-wire 14.3.
    func isAcknowledged(upTo number: UInt32?) -> Bool {
        guard let number else { return true }
        for place in 0..<log.epochs.count {
            let epoch = log.epochs[place]
            guard Int32(bitPattern: epoch.number &- number) <= 0 else { return true }
            let isHopeless = epoch.removedCount > 0 && epoch.unansweredCount == 0
            if !isHopeless { return false }
        }
        return true
    }
}
