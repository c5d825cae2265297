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
        guard let disk = volume.usableDisk, volume.state.disk == .upToDate else {
            log(.error, volume, "Can not satisfy peer's read request, no local data.")
            sendAck(
                .negativeDataReply, volume, sector: request.sector, blockID: request.blockID,
                byteCount: Int(request.size))
            return .done
        }
        submitPeerRead(.read, request, volume, disk)
        return .done
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
                data: IOSlice(buffer: buffers.take(byteCount: byteCount), offset: 0, count: byteCount),
                digest: digest))
    }

    func submitPeerRead(_ index: Int, _ disk: Disk) {
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
            volume.counters.sentSectors += UInt64(request.byteCount / 512)
            if let data = request.data {
                sendBulk(.dataReply, volume, DataHeader(sector: request.sector, blockID: request.blockID), data)
            }
            return
        }
        dataFailed(volume, .read, sector: request.sector, byteCount: request.byteCount)
        // The lower disk state must be told first, else the peer asks again for ever. Spec: drbd-wire 15.
        let serial = connection.serial
        enqueue(.worker) { engine in
            if engine.connection.serial == serial {
                engine.sendAck(
                    .negativeDataReply, volume, sector: request.sector, blockID: request.blockID,
                    byteCount: request.byteCount)
            }
            return .done
        }
    }
}
