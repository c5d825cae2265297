internal import DRBDLayout
internal import EngineKit

// Reads of the peer: P_DATA_REQUEST. Spec: drbd-wire 15.

extension ReplicationEngine {
    func receiveReadRequest(_ request: BlockRequest, _ volume: Volume) -> PacketVerdict {
        if let text = rangeDefect(
            volume, request.sector, Int(request.size), limit: connection.dialect.requestByteCountMax)
        {
            return .violation(text)
        }
        guard volume.usableDisk != nil, volume.state.disk == .upToDate else {
            log(.error, volume, "Can not satisfy peer's read request, no local data.")
            sendAck(
                .negativeDataReply, volume, sector: request.sector, blockID: request.blockID,
                byteCount: Int(request.size))
            return .done
        }
        beginPeerRead(insertPeerRead(.read, request, volume))
        return .done
    }

    /// Whether the data of another read finds room: what waits on the data socket, and what disks read now.
    private var hasRoomForReply: Bool {
        connection.replies.byteCount + peerRequestByteCount < ReplyBacklog.byteCountMax
    }

    /// Reads for an answer with data when there is room for it on the data socket, in order of arrival.
    func beginPeerRead(_ index: Int) {
        guard hasRoomForReply, waitingReads.isEmpty else {
            waitingReads.append(index)
            hasWaitingRequests = true
            return
        }
        startPeerRead(index)
    }

    private func startPeerRead(_ index: Int) {
        let request = peerRequests[index]
        guard request.kind == .read else { return lockThenRead(index) }
        guard let disk = request.volume.usableDisk, request.volume.state.disk == .upToDate else {
            dropPeerRequest(index)
            request.volume.counters.unacknowledged -= 1
            return refusePeerRead(request)
        }
        submitPeerRead(index, disk)
    }

    /// The data socket took bytes, perhaps.
    func retryWaitingReads() {
        while hasRoomForReply, let index = waitingReads.popFirst() { startPeerRead(index) }
    }

    /// Forgets reads of the peer that no disk works on: the connection is gone; with `isResyncOnly` those that a resync or
    /// verify wanted.
    func dropWaitingPeerReads(_ volume: Volume, isResyncOnly: Bool = false) {
        var dropped = volume.lockWaiters.removeAll() + volume.yieldingReads.removeAll()
        for index in waitingReads.removeAll() {
            let request = peerRequests[index]
            if request.volume === volume, !isResyncOnly || request.kind != .read {
                dropped.append(index)
            } else {
                waitingReads.append(index)
            }
        }
        for index in dropped { dropPeerRequest(index) }
        volume.counters.unacknowledged -= dropped.count
    }

    /// Reads a range for the peer; the kind says what becomes of it.
    @discardableResult
    func submitPeerRead(
        _ kind: PeerRequest.Kind, _ request: BlockRequest, _ volume: Volume, _ disk: Disk, digest: [UInt8] = []
    ) -> Int {
        let index = insertPeerRead(kind, request, volume, digest: digest)
        submitPeerRead(index, disk)
        return index
    }

    func insertPeerRead(
        _ kind: PeerRequest.Kind, _ request: BlockRequest, _ volume: Volume, digest: [UInt8] = []
    ) -> Int {
        let byteCount = Int(request.size)
        volume.counters.unacknowledged += 1
        return addPeerRequest(
            PeerRequest(
                kind: kind, volume: volume, connectionSerial: connection.serial, sector: request.sector,
                byteCount: byteCount, blockID: request.blockID, dataFlags: [],
                data: nil, digest: digest))
    }

    func submitPeerRead(_ index: Int, _ disk: Disk) {
        allocateData(index)
        peerRequests[index].flags.insert(.submitted)
        let request = peerRequests[index]
        request.volume.counters.readSectors += UInt64(request.byteCount / 512)
        if request.kind == .read { request.volume.counters.otherSectors += UInt64(request.byteCount / 512) }
        submitData(
            .peerRequest, cookie: peerRequests.cookie(of: index), request.volume, disk, .read,
            sector: request.sector, byteCount: request.byteCount, data: request.data)
    }

    func finishPeerRead(_ index: Int, errno: Int32) {
        let request = peerRequests[index]
        let volume = request.volume
        dropPeerRequest(index)
        volume.counters.unacknowledged -= 1
        guard request.connectionSerial == connection.serial, connection.isLive else { return }
        guard errno != 0 else {
            if let data = request.data {
                sendReply(.dataReply, volume, DataHeader(sector: request.sector, blockID: request.blockID), data)
            }
            return
        }
        dataFailed(volume, .read, sector: request.sector, byteCount: request.byteCount)
        refusePeerRead(request)
    }

    /// The lower disk state must be told first, else the peer asks again for ever. Spec: drbd-wire 15.
    private func refusePeerRead(_ request: PeerRequest) {
        let serial = connection.serial
        enqueue(.worker) { engine in
            if engine.connection.serial == serial {
                engine.sendAck(
                    .negativeDataReply, request.volume, sector: request.sector, blockID: request.blockID,
                    byteCount: request.byteCount)
            }
            return .done
        }
    }
}
