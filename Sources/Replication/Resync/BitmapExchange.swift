internal import DRBDLayout
internal import EngineKit

// The exchange of bitmaps before a resync. Spec: drbd-wire 10.
//
//     source WFBitMapS                     target WFBitMapT
//         bitmap, complete          ->     ORs it into its own
//         ORs it into its own       <-     the merged bitmap, then WFSyncUUID
//         SyncSource, P_SYNC_UUID   ->     SyncTarget

extension ReplicationEngine {
    /// Sends the whole bitmap; nothing may come between its packets.
    func startSendingBitmap(_ volume: Volume) {
        guard let disk = volume.usableDisk, let channel = connection.data, connection.isLive else { return }
        markUnanswered(volume, disk)
        var sender = BitmapSender(
            bitmap: disk.bitmap, useRunLengthEncoding: connection.network?.useRunLengthEncoding ?? true,
            headerByteCount: connection.dialect.headerByteCount)
        let scratch = metadataBuffer(byteCount: WireConstants.bitmapPacketByteCountMax)
        while let packet = sender.next(into: scratch.bytes) {
            let (command, byteCount): (PacketCommand, Int)
            switch packet {
            case .plain(let count): (command, byteCount) = (.bitmap, count)
            case .compressed(let count): (command, byteCount) = (.compressedBitmap, count)
            }
            appendPacket(command, volume, length: byteCount, to: channel) { out in
                out.copyMemory(from: UnsafeRawBufferPointer(rebasing: scratch.bytes[..<byteCount]))
            }
        }
        volume.isBitmapSent = true
        logTransfer("send", sender.statistics, volume)
    }

    /// Writes that the peer has not acknowledged as durable, from before it lost its disk and attached again: it may
    /// refuse them yet, and would not learn of a bit that is set then.
    private func markUnanswered(_ volume: Volume, _ disk: Disk) {
        guard volume.state.conn == .wfBitMapS else { return }
        for index in requests.indexes where requests[index].volume === volume {
            guard requests[index].flags.contains(.inTransferLog) else { continue }
            disk.bitmap.setOutOfSync(sector: requests[index].sector, byteCount: requests[index].byteCount)
        }
    }

    private func logTransfer(_ direction: String, _ statistics: BitmapTransferStatistics, _ volume: Volume) {
        log(
            .info, volume,
            "\(direction) bitmap stats [Bytes(packets)]: plain \(statistics.plainBytes)(\(statistics.plainPackets)), "
                + "RLE \(statistics.compressedBytes)(\(statistics.compressedPackets))")
    }

    func receiveBitmap(_ payload: UnsafeRawBufferPointer, isCompressed: Bool, _ volume: Volume) -> PacketVerdict {
        guard let disk = volume.usableDisk, volume.state.conn == .wfBitMapS || volume.state.conn == .wfBitMapT else {
            // The exchange was given up here (a disk is gone) before the peer could know.
            log(.info, volume, "unexpected cstate (\(volume.state.conn)) in receive_bitmap")
            return .done
        }
        if volume.bitmapReceiver == nil {
            volume.bitmapReceiver = BitmapReceiver(
                bitmap: disk.bitmap, headerByteCount: connection.dialect.headerByteCount)
        }
        do throws(BitmapReceiver.Failure) {
            if isCompressed {
                try volume.bitmapReceiver?.receiveCompressed(payload)
            } else {
                try volume.bitmapReceiver?.receivePlain(payload)
            }
        } catch {
            return .violation("\(error)")
        }
        guard let receiver = volume.bitmapReceiver, receiver.isComplete else { return .done }
        volume.bitmapReceiver = nil
        logTransfer("receive", receiver.statistics, volume)
        bitmapReceived(volume)
        return .done
    }

    private func bitmapReceived(_ volume: Volume) {
        if volume.state.conn == .wfBitMapT {
            startSendingBitmap(volume)
            change(volume, StateRequest(conn: .wfSyncUUID), .hard)
        } else {
            startResync(volume, asSource: true)
        }
    }

    // MARK: P_OUT_OF_SYNC

    /// Tells of a change that is not mirrored. Spec: drbd-wire 18.
    func sendOutOfSync(_ volume: Volume, sector: UInt64, byteCount: Int) {
        sendDueBarrier()
        send(.outOfSync, volume, OutOfSync(sector: sector, size: UInt32(byteCount)))
    }

    func receiveOutOfSync(_ notice: OutOfSync, _ volume: Volume) -> PacketVerdict {
        if let text = rangeDefect(volume, notice.sector, Int(notice.size), limit: 128 << 20) { return .violation(text) }
        volume.disk?.bitmap.setOutOfSync(sector: notice.sector, byteCount: Int(notice.size))
        return .done
    }

    // MARK: P_SYNC_UUID

    func receiveSyncUUID(_ uuid: UInt64, _ volume: Volume) -> PacketVerdict {
        switch volume.state.conn {
        case .wfSyncUUID, .behind:
            break
        case .startingSyncT, .wfBitMapT:
            return .retry
        case .connected where volume.owesGrowthSync:
            // The peer has seen first that both disks are there.
            return .retry
        case let conn where conn <= .connected:
            // The resync was given up here (a disk is gone) before the peer could know.
            log(.info, volume, "unexpected cstate (\(conn)) in receive_sync_uuid")
            return .done
        default:
            return .violation("in state \(volume.state.conn), expected WFSyncUUID or Behind")
        }
        enqueue(.receiver) { engine in
            guard let disk = volume.usableDisk else { return .done }
            disk.uuids.startResyncAsTarget(
                syncUUID: uuid, isPrimary: volume.state.role == .primary, faults: engine.faults)
            volume.exposedUUID = disk.uuids.current
            disk.touch()
            engine.logGenerations("updated sync uuid", volume, disk)
            return engine.syncMetadata(volume, .receiver) { engine in
                guard volume.state.conn == .wfSyncUUID || volume.state.conn == .behind else { return }
                engine.startResync(volume, asSource: false)
            }
        }
        return .done
    }
}
