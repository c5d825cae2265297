internal import DRBDLayout
internal import EngineKit
internal import LayoutKit

// The packets of the data socket, each to its subject. Spec: drbd-wire 23.

extension ReplicationEngine {
    func receiveDataPacket(
        _ command: PacketCommand, _ header: PacketHeader, _ body: UnsafeRawBufferPointer, data: IOSlice?
    ) -> PacketVerdict {
        do throws(LayoutError) {
            guard command.isForVolume else { return try receiveConnectionPacket(command, body) }
            guard let volume = volume(VolumeNumber(header.volume)) else {
                return receiveForUnknownVolume(command, header.volume)
            }
            return try receiveVolumePacket(command, volume, body, data)
        } catch {
            return .violation("\(error)")
        }
    }

    /// What belongs to all volumes.
    private func receiveConnectionPacket(
        _ command: PacketCommand, _ body: UnsafeRawBufferPointer
    ) throws(LayoutError) -> PacketVerdict {
        let version = connection.dialect.version
        switch command {
        case .barrier: return receiveBarrier(try Barrier(decoding: body))
        case .protocolSettings: return receiveProtocol(try ProtocolSettings(decoding: body, version: version))
        case .protocolUpdate: return receiveProtocolUpdate(try ProtocolSettings(decoding: body, version: version))
        case .connectionStateChangeRequest: return receiveConnectionStateRequest(try StateChange(decoding: body))
        case .delayProbe: return .done
        default: return .violation("not expected on the data socket")
        }
    }

    /// Spec: drbd-wire 7 (new volume on a live connection), 22.
    private func receiveForUnknownVolume(_ command: PacketCommand, _ number: UInt16) -> PacketVerdict {
        switch command {
        case .syncParameters, .syncParameters89, .sizes, .uuids, .state:
            log(.warning, "Volume \(number) unknown; ignoring \(command) packet")
            return .done
        default:
            return .violation("volume \(number) is not known")
        }
    }

    private func receiveVolumePacket(
        _ command: PacketCommand, _ volume: Volume, _ body: UnsafeRawBufferPointer, _ data: IOSlice?
    ) throws(LayoutError) -> PacketVerdict {
        switch command {
        case .data:
            guard let data else { return .violation("no data") }
            return receiveWrite(
                IncomingWrite(
                    kind: .write, volume: volume, header: try DataHeader(decoding: body), byteCount: data.count,
                    data: data))
        case .trim, .zeroes:
            let trim = try TrimRequest(decoding: body)
            return receiveWrite(
                IncomingWrite(
                    kind: command == .trim ? .discard : .writeZeroes, volume: volume, header: trim.header,
                    byteCount: Int(trim.size), data: nil))
        case .unplugRemote:
            return .done
        case .dataReply:
            guard let data else { return .violation("no data") }
            return receiveReadReply(try DataHeader(decoding: body), volume, data)
        case .resyncDataReply:
            guard let data else { return .violation("no data") }
            return receiveResyncReply(try DataHeader(decoding: body), volume, data)
        case .resyncDeallocated:
            return receiveDeallocated(try ResyncDeallocated(decoding: body), volume)
        case .dataRequest:
            return receiveReadRequest(try BlockRequest(decoding: body), volume)
        case .resyncDataRequest, .resyncThinRequest, .checksumResyncRequest:
            return receiveResyncRequest(try BlockRequest(decoding: body), volume)
        case .verifyRequest:
            return receiveVerifyRequest(try BlockRequest(decoding: body), volume)
        case .verifyReply:
            let digest = [UInt8](body.dropFirst(BlockRequest.byteCount))
            return receiveVerifyReply(try BlockRequest(decoding: body), digest, volume)
        case .bitmap:
            return receiveBitmap(body, isCompressed: false, volume)
        case .compressedBitmap:
            return receiveBitmap(body, isCompressed: true, volume)
        case .outOfSync:
            return receiveOutOfSync(try OutOfSync(decoding: body), volume)
        default:
            return try receiveParameterPacket(command, volume, body)
        }
    }

    private func receiveParameterPacket(
        _ command: PacketCommand, _ volume: Volume, _ body: UnsafeRawBufferPointer
    ) throws(LayoutError) -> PacketVerdict {
        switch command {
        case .syncParameters, .syncParameters89:
            return receiveSyncParameters(
                try SyncParameters(decoding: body, version: connection.dialect.version), volume)
        case .sizes:
            return receiveSizes(try Sizes(decoding: body, features: connection.dialect.features), volume)
        case .uuids:
            return receiveUUIDs(try UUIDSet(decoding: body), volume)
        case .state:
            return receiveState(try StateWord(decoding: body).state, volume)
        case .syncUUID:
            return receiveSyncUUID(try SyncUUID(decoding: body).uuid, volume)
        case .stateChangeRequest:
            return receiveStateRequest(try StateChange(decoding: body), volume)
        default:
            return .violation("not expected on the data socket")
        }
    }

    // MARK: P_BARRIER

    /// The epoch of the peer's writes ends here. Nothing behind it is looked at before all of it is stable.
    private func receiveBarrier(_ barrier: Barrier) -> PacketVerdict {
        guard connection.epoch.writeCount > 0 else { return .done }
        connection.epoch.barrier = barrier.number
        connection.epoch.stage = .draining
        advanceEpoch()
        return .done
    }

    /// Takes the received epoch through its stages as far as it may go: writes done, disks flushed, acknowledged.
    func advanceEpoch() {
        guard connection.epoch.stage == .draining, connection.epoch.pendingCount == 0 else { return }
        connection.epoch.stage = .flushing
        connection.epoch.flushing = []
        connection.epoch.hasFailedFlush = connection.epoch.disks.contains { isGoneUnflushed($0) }
        if faults.contains(.barrierAckBeforeFlush) { sendBarrierAck() }
        for volume in volumes { flushForBarrier(volume) }
        finishEpochIfFlushed()
    }

    /// A disk left with writes that nobody has flushed: they may be gone with the power, whatever becomes of it.
    private func isGoneUnflushed(_ disk: Disk) -> Bool {
        guard disk.options.diskFlushes, disk.hasUnflushedData else { return false }
        return disk.isAbandoned || !volumes.contains { $0.disk === disk }
    }

    private func flushForBarrier(_ volume: Volume) {
        // Also a disk that is on its way out: it took writes of this epoch.
        guard let disk = volume.disk, !disk.isAbandoned, disk.options.diskFlushes, disk.hasUnflushedData,
            volume.usableDisk != nil || connection.epoch.disks.contains(where: { $0 === disk })
        else { return }
        connection.epoch.flushing.append(disk)
        let serial = connection.serial
        flushData(volume, disk) { engine, errno in
            guard engine.connection.serial == serial else { return }
            engine.epochFlushEnded(disk, isGood: errno == 0)
        }
    }

    /// A disk was flushed for the epoch that ends, or will never be.
    func epochFlushEnded(_ disk: Disk, isGood: Bool) {
        guard connection.epoch.stage == .flushing,
            let place = connection.epoch.flushing.firstIndex(where: { $0 === disk })
        else { return }
        connection.epoch.flushing.remove(at: place)
        if !isGood { connection.epoch.hasFailedFlush = true }
        finishEpochIfFlushed()
    }

    private func finishEpochIfFlushed() {
        guard connection.epoch.stage == .flushing, connection.epoch.flushing.isEmpty else { return }
        guard !connection.epoch.hasFailedFlush else {
            // The peer marks what was not acknowledged as stable when the connection ends. Deviation: kernels
            // acknowledge it, and no resync brings back what the disk has lost.
            log(.error, "the writes of epoch \(connection.epoch.barrier) may not be on stable storage, reconnecting")
            loseConnection(.networkFailure)
            return
        }
        if !faults.contains(.barrierAckBeforeFlush) { sendBarrierAck() }
        connection.epoch = ReceivedEpoch()
        changed()
    }

    private func sendBarrierAck() {
        sendMeta(
            .barrierAck, nil,
            BarrierAck(number: connection.epoch.barrier, writeCount: UInt32(connection.epoch.writeCount)))
    }
}
