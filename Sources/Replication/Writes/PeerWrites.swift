internal import DRBDLayout
internal import EngineKit
internal import LayoutKit

// Writes of the peer: P_DATA, P_TRIM, P_ZEROES. Spec: drbd-wire 12 to 14, 16.

/// What became of a packet.
enum PacketVerdict {
    case done
    /// Not yet: look at the same packet again when something changed.
    case retry
    /// The peer broke the rules; the text says how.
    case violation(String)
}

/// A write of the peer before anything was done about it.
struct IncomingWrite {
    let kind: PeerRequest.Kind
    let volume: Volume
    let header: DataHeader
    let byteCount: Int
    let data: IOSlice?
}

extension ReplicationEngine {
    func receiveWrite(_ write: IncomingWrite) -> PacketVerdict {
        let volume = write.volume
        if volume.owesGenerationToPeer {
            payGenerationToPeer(volume)
            return .retry
        }
        let limit = write.kind == .write ? connection.dialect.requestByteCountMax : 128 << 20
        if let text = rangeDefect(volume, write.header.sector, write.byteCount, limit: limit) {
            return .violation(text)
        }
        guard case .done = passSequence(write.header.sequence, volume) else { return .retry }
        guard connection.isLive else { return .done }
        switch resolveConflict(write) {
        case .free: break
        case .waits: return .retry
        case .resolved: return .done
        }
        connection.conflictSince = nil
        volume.counters.receivedSectors += UInt64(write.byteCount / 512)
        connection.epoch.writeCount += 1
        guard let disk = volume.usableDisk else {
            refuseWrite(write)
            return .done
        }
        takeWrite(write, disk)
        return .done
    }

    /// Nil: the range lies inside of the device.
    func rangeDefect(_ volume: Volume, _ sector: UInt64, _ byteCount: Int, limit: Int) -> String? {
        do throws(LayoutError) {
            try WireRange.check(
                sector: sector, byteCount: UInt32(clamping: byteCount), byteCountMax: limit,
                capacitySectors: volume.sizeSectors)
            return nil
        } catch {
            return "\(error)"
        }
    }

    /// No usable disk here: the peer learns it, and the write counts in its epoch. Spec: drbd-wire 12.2.
    private func refuseWrite(_ write: IncomingWrite) {
        let size = write.kind == .write ? write.byteCount : 0
        sendAck(
            .negativeAck, write.volume, sector: write.header.sector, blockID: write.header.blockID, byteCount: size)
    }

    private func takeWrite(_ write: IncomingWrite, _ disk: Disk) {
        let volume = write.volume
        let index = addPeerRequest(
            PeerRequest(
                kind: write.kind, volume: volume, connectionSerial: connection.serial, sector: write.header.sector,
                byteCount: write.byteCount, blockID: write.header.blockID, dataFlags: write.header.flags,
                data: write.data))
        connection.epoch.pendingCount += 1
        volume.counters.unacknowledged += 1
        volume.intervals.insert(.peer, index: index, sector: write.header.sector, byteCount: write.byteCount)
        peerRequests[index].flags.insert(.underWay)
        if write.header.flags.contains(.sendReceiveAck) {
            sendAck(
                .receiveAck, volume, sector: write.header.sector, blockID: write.header.blockID,
                byteCount: write.byteCount)
        }
        guard volume.state.pdsk < .inconsistent else {
            startPeerWrite(index)
            return
        }
        // A Primary without a disk writes to this one alone: its log is kept here. Spec: drbd-disk-and-state 5.3.
        disk.bitmap.setOutOfSync(sector: write.header.sector, byteCount: write.byteCount)
        beginInActivityLog(
            .peerRequest, index, volume, sector: write.header.sector, byteCount: write.byteCount)
    }

    /// Submits a write of the peer.
    func startPeerWrite(_ index: Int) {
        let request = peerRequests[index]
        guard let disk = request.volume.usableDisk else {
            finishPeerWrite(index, isGood: false)
            return
        }
        let isDurable = request.dataFlags.contains(.forceUnitAccess)
        let kind: DiskOperation.Kind
        switch request.kind {
        case .write:
            kind = .write(flushBefore: request.dataFlags.contains(.flush), forceUnitAccess: isDurable)
        case .discard:
            // A peer without P_ZEROES may mean zeroes. Spec: drbd-wire 16.
            kind =
                connection.dialect.features.contains(.writeZeroes) ? discardKind(disk) : .writeZeroes(mayUnmap: true)
        case .writeZeroes:
            kind = .writeZeroes(mayUnmap: request.dataFlags.contains(.discard))
        case .read, .resyncWrite, .resyncZeroes, .resyncRead, .verifyRead, .verifyCompare:
            preconditionFailure("\(request.kind) is no write of the peer")
        }
        if faults.contains(.ackBeforeWrite) { acknowledgeWrite(index, isGood: true) }
        peerRequests[index].flags.insert(.submitted)
        if request.connectionSerial == connection.serial { connection.epoch.note(disk) }
        request.volume.counters.writtenSectors += UInt64(request.byteCount / 512)
        request.volume.counters.otherSectors += UInt64(request.byteCount / 512)
        submitData(
            .peerRequest, cookie: peerRequests.cookie(of: index), request.volume, disk, kind, sector: request.sector,
            byteCount: request.byteCount, data: request.data)
    }

    /// A disk operation for the peer ended.
    func peerRequestCompleted(_ index: Int, errno: Int32) {
        let request = peerRequests[index]
        let volume = request.volume
        dataOperationEnded(volume, isWrite: request.kind.isWrite || request.kind.isResyncWrite)
        switch request.kind {
        case .write, .discard, .writeZeroes:
            if errno != 0 { dataFailed(volume, .write, sector: request.sector, byteCount: request.byteCount) }
            finishPeerWrite(index, isGood: errno == 0)
        case .resyncWrite, .resyncZeroes:
            finishResyncWrite(index, errno: errno)
        case .read:
            finishPeerRead(index, errno: errno)
        case .resyncRead:
            finishResyncRead(index, errno: errno)
        case .verifyRead:
            finishVerifyRead(index, errno: errno)
        case .verifyCompare:
            finishVerifyCompare(index, errno: errno)
        }
    }

    private func finishPeerWrite(_ index: Int, isGood: Bool) {
        let request = peerRequests[index]
        let volume = request.volume
        if !isGood { volume.disk?.bitmap.setOutOfSync(sector: request.sector, byteCount: request.byteCount) }
        if !request.flags.contains(.isAcknowledged) { acknowledgeWrite(index, isGood: isGood) }
        dropPeerRequest(index)
        volume.counters.unacknowledged -= 1
        if request.connectionSerial == connection.serial { connection.epoch.pendingCount -= 1 }
        volume.intervals.remove(.peer, index: index)
        if request.flags.contains(.inActivityLog) {
            endInActivityLog(volume, sector: request.sector, byteCount: request.byteCount)
        }
        restartPostponed(volume, sector: request.sector, byteCount: request.byteCount)
        intervalEnded(volume)
        finishTargetIfDone(volume)
    }

    private func acknowledgeWrite(_ index: Int, isGood: Bool) {
        let request = peerRequests[index]
        peerRequests[index].flags.insert(.isAcknowledged)
        guard request.connectionSerial == connection.serial, connection.isLive else { return }
        let volume = request.volume
        guard isGood else {
            sendAck(
                .negativeAck, volume, sector: request.sector, blockID: request.blockID, byteCount: request.byteCount)
            return
        }
        let isResync = volume.state.conn >= .syncSource && volume.state.conn <= .pausedSyncT
        if request.dataFlags.contains(.maySetInSync), isResync {
            setInSync(volume, sector: request.sector, byteCount: request.byteCount)
            sendAck(
                .resyncWriteAck, volume, sector: request.sector, blockID: request.blockID,
                byteCount: request.byteCount)
        } else if request.dataFlags.contains(.sendWriteAck) {
            sendAck(
                .writeAck, volume, sector: request.sector, blockID: request.blockID, byteCount: request.byteCount)
        }
    }

    /// Sends a block acknowledgement with the next number of the volume. Spec: drbd-wire 12.2.
    func sendAck(_ command: PacketCommand, _ volume: Volume, sector: UInt64, blockID: UInt64, byteCount: Int) {
        guard connection.isLive else { return }
        volume.packetSequence &+= 1
        sendMeta(
            command, volume,
            BlockAck(sector: sector, blockID: blockID, size: UInt32(byteCount), sequence: volume.packetSequence))
    }
}
