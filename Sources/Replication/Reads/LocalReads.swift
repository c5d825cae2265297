internal import DRBDLayout
internal import EngineKit

// Reads of applications: from the own disk where its copy is good, else from the peer. Spec: drbd-wire 15.

extension ReplicationEngine {
    func startRead(_ index: Int) {
        let volume = requests[index].volume
        if isHeld(volume) {
            volume.heldReads.append(index)
            hasWaitingRequests = true
            return
        }
        let (sector, byteCount) = (requests[index].sector, requests[index].byteCount)
        if let disk = volume.usableDisk, isReadable(volume, disk, sector: sector, byteCount: byteCount) {
            submitRead(index, volume, disk)
        } else if connection.isLive, volume.state.pdsk == .upToDate, volume.state.conn >= .connected {
            requestRead(index, volume)
        } else {
            log(
                .error, volume,
                "IO ERROR: neither local nor remote data, sector \(sector)+\(byteCount / 512)")
            finishRead(index, errno: Errno.io)
        }
    }

    /// Whether the own copy of the range is good. Of an Inconsistent disk that is what the bitmap calls good, while a
    /// resync runs: only then does the peer mirror its writes here.
    ///
    /// Deviation: kernels go by the bitmap in any state. A Primary whose disk failed under `pass_on`, or whose source is
    /// gone, then reads data that the other Primary has overwritten since.
    private func isReadable(_ volume: Volume, _ disk: Disk, sector: UInt64, byteCount: Int) -> Bool {
        switch volume.state.disk {
        case .upToDate: true
        case .inconsistent:
            (volume.state.conn == .syncTarget || volume.state.conn == .pausedSyncT)
                && !disk.bitmap.isAnySet(sector: sector, byteCount: byteCount)
        case .diskless, .attaching, .failed, .negotiating, .outdated, .unknown, .consistent: false
        }
    }

    private func submitRead(_ index: Int, _ volume: Volume, _ disk: Disk) {
        requests[index].flags.insert(.localPending)
        requests[index].submittedAt = now
        volume.counters.readSectors += UInt64(requests[index].byteCount / 512)
        volume.counters.otherSectors += UInt64(requests[index].byteCount / 512)
        armDiskCheck(volume, disk)
        submitData(
            .request, cookie: requests.cookie(of: index), volume, disk, .read, sector: requests[index].sector,
            byteCount: requests[index].byteCount, data: requests[index].data)
    }

    /// P_DATA_REQUEST.
    private func requestRead(_ index: Int, _ volume: Volume) {
        sendDueBarrier()
        requests[index].flags.insert(.peerPending)
        requests[index].sentAt = now
        volume.counters.peerPending += 1
        armRequestCheck(volume)
        send(
            .dataRequest, volume,
            BlockRequest(
                sector: requests[index].sector, blockID: requests.cookie(of: index),
                size: UInt32(requests[index].byteCount)))
    }

    func localReadCompleted(_ index: Int, errno: Int32) {
        guard errno != 0 else { return finishRead(index, errno: 0) }
        let volume = requests[index].volume
        dataFailed(volume, .read, sector: requests[index].sector, byteCount: requests[index].byteCount)
        requests[index].flags.remove([.localFailed, .localOK])
        // The state has followed the policy: either the peer serves it now, or nobody does.
        startRead(index)
    }

    private func finishRead(_ index: Int, errno: Int32) {
        let master = requests[index].master
        requests.remove(index)
        answerPart(ofMaster: master, errno: errno)
    }

    // MARK: Answers of the peer

    /// The application's own buffer, when the answer fits a read under way.
    func placeForReply(_ header: DataHeader, byteCount: Int) -> IOSlice? {
        guard let index = readUnderWay(header.blockID, sector: header.sector),
            requests[index].byteCount == byteCount
        else { return nil }
        return requests[index].data
    }

    private func readUnderWay(_ cookie: UInt64, sector: UInt64) -> Int? {
        guard let index = requests.index(of: cookie), requests[index].kind == .read,
            requests[index].flags.contains(.peerPending), requests[index].sector == sector
        else { return nil }
        return index
    }

    func receiveReadReply(_ header: DataHeader, _ volume: Volume, _ data: IOSlice) -> PacketVerdict {
        guard let index = readUnderWay(header.blockID, sector: header.sector), requests[index].volume === volume,
            requests[index].byteCount == data.count
        else {
            return .violation(
                "sector \(header.sector), block_id \(header.blockID), \(data.count) bytes: no such read is under way")
        }
        if let place = requests[index].data, place.base != data.base {
            place.base.copyMemory(from: data.base, byteCount: data.count)
        }
        volume.counters.peerPending -= 1
        volume.counters.receivedSectors += UInt64(data.count / 512)
        finishRead(index, errno: 0)
        changed()
        return .done
    }

    /// P_NEG_DREPLY: the read is dispatched again.
    func receiveReadRefusal(_ ack: BlockAck, _ volume: Volume) -> PacketVerdict {
        guard let index = readUnderWay(ack.blockID, sector: ack.sector), requests[index].volume === volume else {
            return .violation("sector \(ack.sector), block_id \(ack.blockID): no such read is under way")
        }
        log(.error, volume, "Got NegDReply; sector \(ack.sector)s, len \(ack.size).")
        requests[index].flags.remove(.peerPending)
        volume.counters.peerPending -= 1
        // Not at once: a peer that refuses again and again must not keep this node busy.
        after(.milliseconds(100)) { engine in
            engine.startRead(index)
            engine.changed()
        }
        return .done
    }

    /// The connection is gone: reads that the peer owes look for another copy.
    func retryRemoteReads() {
        for index in requests.indexes {
            guard requests[index].kind == .read, requests[index].flags.contains(.peerPending) else { continue }
            requests[index].flags.remove(.peerPending)
            requests[index].volume.counters.peerPending -= 1
            startRead(index)
        }
    }

    /// Reads that waited while I/O was held.
    func retryHeldReads(_ volume: Volume) {
        guard !volume.heldReads.isEmpty, !isHeld(volume) else { return }
        for index in volume.heldReads.removeAll() { startRead(index) }
    }
}
