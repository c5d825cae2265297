internal import DRBDLayout
internal import EngineKit

// Online verify: VerifyS asks block after block, VerifyT answers with digests, VerifyS compares and tells the result.
// Spec: drbd-wire 17.3, drbd-disk-and-state 14.6.

extension ReplicationEngine {
    private static let verifyBlockByteCount = 4096

    func startVerify(_ volume: Volume, start: UInt64?, stop: UInt64?, _ id: CommandID) {
        if let start { volume.verifyStart = start & ~7 }
        if volume.sizeSectors > 0, volume.verifyStart >= volume.sizeSectors {
            volume.verifyStart = (volume.sizeSectors - 1) & ~7
        }
        volume.verifyStop = stop
        requestChange(volume, StateRequest(conn: .verifyS)) { engine, result in engine.finish(id, result) }
    }

    /// Entered VerifyS or VerifyT.
    func beginVerify(_ volume: Volume, _ state: DeviceState) {
        let isSource = state.conn == .verifyS
        let start = isSource ? volume.verifyStart : 0
        var end = volume.sizeSectors
        if isSource, let stop = volume.verifyStop, stop > start, stop < end { end = stop }
        let blocks = Int((end - min(start, end) + 7) / 8)
        let resync = Resync(isSource ? .verifySource : .verifyTarget, totalBits: UInt64(blocks), now: now)
        resync.verifyPosition = start
        resync.verifyEnd = end
        resync.verifyLimit = volume.sizeSectors
        resync.verifyBlocksLeft = blocks
        volume.resync = resync
        if isSource {
            log(.info, volume, "Starting Online Verify from sector \(start)")
            volume.resyncTickAt = now
        }
    }

    // MARK: VerifyS

    /// Asks for digests as far as budget, window and locks allow.
    func requestVerify(_ volume: Volume) {
        guard let resync = volume.resync, resync.part == .verifySource, let disk = volume.usableDisk,
            volume.state.conn == .verifyS
        else { return }
        while resync.budget > 0, resync.outstandingCount < resyncWindowBlocks,
            resync.verifyPosition < resync.verifyEnd
        {
            let sector = resync.verifyPosition
            guard
                volume.resyncExtents.lock(ResyncExtents.extent(ofSector: sector), against: disk.activityLog) == .locked
            else {
                volume.shouldRetryExtents = true
                return
            }
            let byteCount = Int(min(8, resync.verifyLimit - sector)) * 512
            resync.verifyPosition = sector + 8
            resync.budget -= 1
            resync.controller.blocksRequested(1)
            resync.asked(sector: sector, byteCount: byteCount)
            volume.counters.peerPending += 1
            send(.verifyRequest, volume, BlockRequest(sector: sector, size: UInt32(byteCount)))
        }
    }

    func receiveVerifyReply(_ reply: BlockRequest, _ digest: [UInt8], _ volume: Volume) -> PacketVerdict {
        guard let resync = volume.resync, resync.part == .verifySource,
            resync.askedByteCount(sector: reply.sector) == Int(reply.size)
        else {
            // Of a verify that was given up.
            return volume.resync == nil ? .done : .violation("sector \(reply.sector): not asked for")
        }
        guard digest.count == connection.network?.verifyAlgorithm?.byteCount else {
            return .violation("a digest of \(digest.count) bytes, expected that of verify-alg")
        }
        resync.controller.sectorsArrived(Int(reply.size) / 512)
        guard let disk = volume.usableDisk, volume.state.disk == .upToDate else {
            sendVerifyResult(volume, sector: reply.sector, byteCount: Int(reply.size), .inSync)
            endVerifyRequest(volume, resync, sector: reply.sector)
            return .done
        }
        submitPeerRead(.verifyCompare, reply, volume, disk, digest: digest)
        return .done
    }

    func finishVerifyCompare(_ index: Int, errno: Int32) {
        let request = peerRequests[index]
        let volume = request.volume
        dropPeerRequest(index)
        volume.counters.unacknowledged -= 1
        guard request.connectionSerial == connection.serial, connection.isLive, let resync = volume.resync,
            resync.part == .verifySource
        else { return }
        var isEqual = false
        if errno == 0 {
            isEqual = digest(of: request) == request.digest
        } else {
            dataFailed(volume, .read, sector: request.sector, byteCount: request.byteCount)
        }
        if !isEqual { noteDifference(volume, resync, sector: request.sector, byteCount: request.byteCount) }
        sendVerifyResult(
            volume, sector: request.sector, byteCount: request.byteCount, isEqual ? .inSync : .outOfSync)
        endVerifyRequest(volume, resync, sector: request.sector)
        requestVerify(volume)
    }

    private func digest(of request: PeerRequest) -> [UInt8]? {
        guard let algorithm = connection.network?.verifyAlgorithm, let data = request.data else { return nil }
        return digests.digest(algorithm, of: UnsafeRawBufferPointer(data.bytes))
    }

    private func sendVerifyResult(_ volume: Volume, sector: UInt64, byteCount: Int, _ result: VerifyResult) {
        sendAck(.verifyResult, volume, sector: sector, blockID: result.blockID, byteCount: byteCount)
    }

    private func endVerifyRequest(_ volume: Volume, _ resync: Resync, sector: UInt64) {
        guard let byteCount = resync.answered(sector: sector) else { return }
        volume.counters.peerPending -= 1
        unlockExtent(volume, sector: sector)
        verifyBlockDone(volume, resync, byteCount: byteCount)
    }

    // MARK: VerifyT

    func receiveVerifyRequest(_ request: BlockRequest, _ volume: Volume) -> PacketVerdict {
        if let text = rangeDefect(
            volume, request.sector, Int(request.size), limit: connection.dialect.requestByteCountMax)
        {
            return .violation(text)
        }
        guard volume.usableDisk != nil, volume.state.disk == .upToDate, connection.network?.verifyAlgorithm != nil
        else {
            sendAck(
                .negativeResyncDataReply, volume, sector: request.sector, blockID: request.blockID,
                byteCount: Int(request.size))
            return .done
        }
        if let resync = volume.resync, resync.part == .verifyTarget, !resync.hasVerifyStarted {
            resync.hasVerifyStarted = true
            resync.verifyBlocksLeft = Int((volume.sizeSectors - request.sector + 7) / 8)
            log(.info, volume, "Online Verify start sector: \(request.sector)")
        }
        lockThenRead(insertPeerRead(.verifyRead, request, volume))
        return .done
    }

    func finishVerifyRead(_ index: Int, errno: Int32) {
        let request = peerRequests[index]
        let volume = request.volume
        dropPeerRequest(index)
        volume.counters.unacknowledged -= 1
        let isCurrent =
            request.connectionSerial == connection.serial && connection.isLive && volume.resync?.part == .verifyTarget
        guard isCurrent, let channel = connection.data, let algorithm = connection.network?.verifyAlgorithm else {
            if request.flags.contains(.holdsExtent) { unlockExtent(volume, sector: request.sector) }
            return
        }
        // A block that cannot be read differs from every other: its digest is all zeroes.
        var code = [UInt8](repeating: 0, count: algorithm.byteCount)
        if errno == 0 {
            code = digest(of: request) ?? code
        } else {
            dataFailed(volume, .read, sector: request.sector, byteCount: request.byteCount)
        }
        // The extent stays held until the result is there.
        if request.flags.contains(.holdsExtent) {
            volume.resync?.asked(sector: request.sector, byteCount: request.byteCount)
        }
        let block = BlockRequest(sector: request.sector, size: UInt32(request.byteCount))
        appendPacket(.verifyReply, volume, length: BlockRequest.byteCount + code.count, to: channel) { out in
            block.encode(into: out)
            UnsafeMutableRawBufferPointer(rebasing: out[BlockRequest.byteCount...]).copyBytes(from: code)
        }
        volume.counters.peerPending += 1
    }

    func receiveVerifyResult(_ ack: BlockAck, _ result: VerifyResult, _ volume: Volume) -> PacketVerdict {
        guard let resync = volume.resync, resync.part == .verifyTarget else { return .done }
        if let text = rangeDefect(volume, ack.sector, Int(ack.size), limit: 1 << 20) { return .violation(text) }
        if result == .outOfSync {
            noteDifference(volume, resync, sector: ack.sector, byteCount: Int(ack.size))
        }
        endVerifyRequest(volume, resync, sector: ack.sector)
        return .done
    }

    // MARK: Both

    private func noteDifference(_ volume: Volume, _ resync: Resync, sector: UInt64, byteCount: Int) {
        volume.disk?.bitmap.setOutOfSync(sector: sector, byteCount: byteCount)
        resync.verifyDifferences += 1
        let end = sector + UInt64(byteCount / 512)
        if let run = resync.differingRun, run.upperBound == sector {
            resync.differingRun = run.lowerBound..<end
        } else {
            logDifferingRun(volume, resync)
            resync.differingRun = sector..<end
        }
    }

    private func logDifferingRun(_ volume: Volume, _ resync: Resync) {
        guard let run = resync.differingRun else { return }
        resync.differingRun = nil
        log(.error, volume, "Out of sync: start=\(run.lowerBound), size=\(run.count) (sectors)")
    }

    /// One more block is compared; with the last one the verify ends.
    func verifyBlockDone(_ volume: Volume, _ resync: Resync, byteCount: Int) {
        resync.verifyBlocksLeft -= 1
        finishVerifyIfDone(resync, volume)
    }

    private func finishVerifyIfDone(_ resync: Resync, _ volume: Volume) {
        let isLast =
            resync.verifyBlocksLeft <= 0
            || (resync.part == .verifySource && resync.verifyPosition >= resync.verifyEnd
                && resync.outstandingCount == 0)
        guard isLast, !resync.isFinishing else { return }
        resync.isFinishing = true
        ping { engine in
            guard volume.resync === resync else { return }
            engine.endVerify(volume, resync)
        }
    }

    private func endVerify(_ volume: Volume, _ resync: Resync) {
        logDifferingRun(volume, resync)
        logEnd(volume, resync)
        volume.verifyStart = resync.verifyEnd >= volume.sizeSectors ? 0 : resync.verifyEnd
        let isStopped = resync.part == .verifySource && resync.verifyEnd < volume.sizeSectors
        change(volume, StateRequest(conn: .connected), .hard)
        if isStopped, connection.dialect.version != 100 { sendState(volume, volume.state) }
        guard resync.verifyDifferences > 0 else { return }
        log(.critical, volume, "Online verify found \(resync.verifyDifferences) 4k block out of sync!")
        runHandler("out-of-sync", volume) { _, _ in }
    }

    /// The device has another size: what is behind its end is not compared. A range that is new is left out.
    func cutVerify(_ volume: Volume) {
        guard let resync = volume.resync, resync.isVerify, volume.sizeSectors < resync.verifyLimit else { return }
        let size = volume.sizeSectors
        let end = resync.part == .verifySource ? resync.verifyEnd : resync.verifyLimit
        resync.verifyLimit = size
        guard end > size else { return }
        if resync.part == .verifySource {
            resync.verifyEnd = size
            let unasked = size > resync.verifyPosition ? size - resync.verifyPosition : 0
            resync.verifyBlocksLeft = Int((unasked + 7) / 8) + resync.outstandingCount
        } else {
            resync.verifyBlocksLeft -= Int((end + 7) / 8 - (size + 7) / 8)
        }
        finishVerifyIfDone(resync, volume)
    }

    /// VerifyS told by P_STATE that it is over before the end.
    func endVerifyByPeer(_ volume: Volume) {
        guard let resync = volume.resync, resync.part == .verifyTarget, !resync.isFinishing else { return }
        endVerify(volume, resync)
    }

    /// The connection is gone: the position becomes the next default start.
    func endVerifyByLoss(_ volume: Volume) {
        guard let resync = volume.resync, resync.part == .verifySource else { return }
        let reached = resync.lowestOutstanding ?? resync.verifyPosition
        volume.verifyStart = reached
        log(.info, volume, "Online Verify reached sector \(reached)")
    }
}
