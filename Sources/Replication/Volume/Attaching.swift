internal import DRBDLayout
internal import EngineKit
internal import LayoutKit

// Attach: superblock, activity log, bitmap, state. Spec: drbd-disk-and-state 8.1, whose numbers stand at the steps.
//
// Deviation: metadata that is not clean is repaired here (drbd-disk-and-state 5.5), a kernel wants `apply-al` before.
// The order is that of the tool: bitmap, then log, then superblock, so that a crash in between repeats the work.

/// An attach under way.
private final class Attach {
    let volume: Volume
    let device: BackingDevice
    let options: DiskOptions
    let command: CommandID
    var disk: Disk?
    /// Blocks of the bitmap that were asked for.
    var nextBlock = 0
    var readsPending = 0
    var errno: Int32 = 0

    init(_ volume: Volume, _ device: BackingDevice, _ options: DiskOptions, _ command: CommandID) {
        self.volume = volume
        self.device = device
        self.options = options
        self.command = command
    }
}

/// Why an attach fails.
private struct AttachFailure: Error {
    let number: ErrorNumber
    let info: String?
}

extension ReplicationEngine {
    func attach(_ volume: Volume, _ device: BackingDevice, _ options: DiskOptions, _ id: CommandID) {
        let attach = Attach(volume, device, options, id)
        if let number = obstacle(to: attach) {
            // The devices of the disk that is there are not this attach's.
            if number != .alreadyAttached { actions.append(.releaseBackingDevices(volume.number)) }
            return fail(id, number)
        }
        requestChange(volume, StateRequest(disk: .attaching)) { engine, result in
            guard result.isSuccess else {
                engine.actions.append(.releaseBackingDevices(volume.number))
                return engine.finish(id, result)
            }
            volume.attachCommand = id
            engine.readSuperblock(attach)
        }
    }

    /// The attach under way is given up (detach by force): what its disk still answers is not heeded.
    func abandonAttach(_ volume: Volume) {
        guard let id = volume.attachCommand else { return }
        volume.attachCommand = nil
        fail(id, .metadataIOError, "the attach was given up")
    }

    /// Steps 1 to 4.
    private func obstacle(to attach: Attach) -> ErrorNumber? {
        if attach.volume.state.disk != .diskless || attach.volume.disk != nil { return .alreadyAttached }
        if attach.device.metadataPlace.placement == nil { return .invalidMetadataIndex }
        if attach.options.fencing == .resourceAndStonith, connection.network?.wireProtocol == .a {
            return .fencingNeedsProtocolBOrC
        }
        return nil
    }

    private func abort(_ attach: Attach, _ failure: AttachFailure) {
        let volume = attach.volume
        guard volume.attachCommand == attach.command else { return }
        volume.attachCommand = nil
        if let info = failure.info { log(.error, volume, info) }
        if let disk = attach.disk {
            disk.isAbandoned = true
            releaseDurabilityWaits(disk, all: true)
        }
        volume.disk = nil
        change(volume, StateRequest(disk: .failed), .hard)
        fail(attach.command, failure.number, failure.info)
    }

    // MARK: Superblock

    /// Step 5.
    private func readSuperblock(_ attach: Attach) {
        guard let placement = attach.device.metadataPlace.placement else { return }
        do throws(MetadataDefect) {
            let sector = try MetadataGeometry.superblockSector(
                placement: placement, metadataDeviceSectors: attach.device.metadataSectors)
            readMetadata(attach, sector: sector, byteCount: MetadataSuperblock.byteCount) { engine, data in
                engine.checkSuperblock(attach, placement, sector, data)
            }
        } catch {
            abort(attach, failure(of: error))
        }
    }

    private func failure(of defect: MetadataDefect) -> AttachFailure {
        AttachFailure(
            number: ErrorNumber(rawValue: defect.attachErrorNumber) ?? .invalidMetadata, info: defect.description)
    }

    private func checkSuperblock(
        _ attach: Attach, _ placement: MetadataPlacement, _ sector: UInt64, _ data: IOSlice
    ) {
        do throws(MetadataDefect) {
            let superblock = try MetadataSuperblock(
                decoding: UnsafeRawBufferPointer(data.bytes), sector: sector)
            let geometry = try MetadataGeometry(
                checking: superblock, placement: placement, metadataDeviceSectors: attach.device.metadataSectors,
                dataDeviceSectors: attach.device.dataSectors)
            if let obstacle = obstacle(to: attach, superblock, geometry) { return abort(attach, obstacle) }
            prepareDisk(attach, superblock, geometry)
        } catch {
            abort(attach, failure(of: error))
        }
    }

    /// Steps 6, 8 and 9.
    private func obstacle(
        to attach: Attach, _ superblock: MetadataSuperblock, _ geometry: MetadataGeometry
    ) -> AttachFailure? {
        let volume = attach.volume
        if attach.options.sizeSectors > geometry.usableSectors {
            return AttachFailure(
                number: .diskTooSmall,
                info: "\(geometry.usableSectors) sectors are usable, size is \(attach.options.sizeSectors)")
        }
        if geometry.usableSectors < volume.sizeSectors {
            return AttachFailure(
                number: .diskTooSmall,
                info: "\(geometry.usableSectors) sectors are usable, the device has \(volume.sizeSectors)")
        }
        let isInUse = volume.state.role == .primary || volume.state.peer == .primary
        if isInUse, volume.state.pdsk != .upToDate, volume.exposedUUID != 0,
            !GenerationUUIDs.areEqual(volume.exposedUUID, superblock.current)
        {
            return AttachFailure(
                number: .dataNotCurrent,
                info: "Can only attach to data with current UUID=\(hexadecimal(volume.exposedUUID))")
        }
        let size = attachedSize(attach, superblock, geometry)
        if size < superblock.deviceSectors, superblock.flags.contains(.consistent), attach.options.sizeSectors == 0 {
            return AttachFailure(
                number: .implicitShrink,
                info: "To-be-attached device has last effective > current size, and is consistent\n"
                    + "(\(superblock.deviceSectors) > \(size) sectors). Refusing to attach.")
        }
        return nil
    }

    private func attachedSize(
        _ attach: Attach, _ superblock: MetadataSuperblock, _ geometry: MetadataGeometry
    ) -> UInt64 {
        deviceSize(
            own: geometry.usableSectors, peer: connection.isLive ? attach.volume.peerDiskSectors : 0,
            lastAgreed: superblock.deviceSectors, configured: attach.options.sizeSectors)
    }

    private func prepareDisk(_ attach: Attach, _ superblock: MetadataSuperblock, _ geometry: MetadataGeometry) {
        let slots = max(67, min(attach.options.activityLogExtents, geometry.striping.extentCountMax))
        let disk = Disk(
            device: attach.device, options: attach.options, geometry: geometry, superblock: superblock,
            bitmap: Bitmap(sectors: superblock.deviceSectors),
            activityLog: ActivityLog(slotCount: slots, faults: faults))
        disk.activityLog.writesTransactions = attach.options.activityLogUpdates
        disk.superblock.activityLogExtents = UInt32(slots)
        attach.disk = disk
        attach.volume.disk = disk
        readBitmap(attach, disk)
    }

    // MARK: Bitmap

    /// Step 14. In pieces, a few at a time.
    private func readBitmap(_ attach: Attach, _ disk: Disk) {
        let blocksPerRead = 256
        while attach.readsPending < 4, attach.errno == 0, attach.nextBlock < disk.bitmap.blockCount {
            let first = attach.nextBlock
            let count = min(blocksPerRead, disk.bitmap.blockCount - first)
            attach.nextBlock += count
            attach.readsPending += 1
            let data = metadataBuffer(byteCount: count * 4096)
            submitMetadata(
                attach.volume, disk, .read, sector: disk.geometry.bitmapSector + UInt64(first) * 8, data: data
            ) { engine, errno in
                attach.readsPending -= 1
                if errno != 0 { attach.errno = errno }
                if attach.errno == 0 {
                    for index in 0..<count {
                        let block = data.part(offset: index * 4096, count: 4096)
                        disk.bitmap.load(block: first + index, from: UnsafeRawBufferPointer(block.bytes))
                    }
                }
                engine.readBitmap(attach, disk)
            }
        }
        guard attach.readsPending == 0 else { return }
        guard attach.errno == 0 else {
            return abort(
                attach,
                AttachFailure(number: .metadataIOError, info: "reading the bitmap failed, errno \(attach.errno)"))
        }
        readActivityLog(attach, disk)
    }

    // MARK: Activity log

    private func readActivityLog(_ attach: Attach, _ disk: Disk) {
        guard !disk.superblock.isClean else { return settleSize(attach, disk) }
        let byteCount = Int(disk.geometry.striping.blockCount) * ActivityLogTransaction.byteCount
        readMetadata(attach, sector: disk.geometry.activityLogSector, byteCount: byteCount) { engine, data in
            engine.applyActivityLog(attach, disk, data)
        }
    }

    private func applyActivityLog(_ attach: Attach, _ disk: Disk, _ data: IOSlice) {
        let wasPrimary = disk.flags.contains(.primaryIndicator)
        do throws(ActivityLogReplay.Unusable) {
            let replay = try ActivityLogReplay(
                log: UnsafeRawBufferPointer(data.bytes), striping: disk.geometry.striping)
            if replay.corruptBlocks > 0 {
                log(.warning, attach.volume, "\(replay.corruptBlocks) corrupt AL transactions found")
            }
            if wasPrimary { mark(replay.extents, attach.volume, disk) }
        } catch {
            guard !wasPrimary else {
                return abort(
                    attach,
                    AttachFailure(
                        number: .uncleanMetadata,
                        info: "No usable activity log found. Do you need to create-md?\n\(error)"))
            }
            log(.warning, attach.volume, "Error ignored, no need to apply the AL: \(error)")
        }
        writeBitmap(attach.volume, .changed) { engine, isSuccess in
            guard isSuccess else { return engine.abortWriting(attach, "the bitmap") }
            engine.initialiseActivityLog(attach, disk)
        }
    }

    /// All blocks of these extents may differ from the peer's.
    private func mark(_ extents: [UInt32], _ volume: Volume, _ disk: Disk) {
        let bitsPerExtent = 1024
        var count = 0
        for extent in extents {
            let first = Int(extent) * bitsPerExtent
            guard first < disk.bitmap.bitCount else {
                log(.warning, volume, "activity log extent \(extent) lies beyond the bitmap, skipped")
                continue
            }
            let bits = first..<min(first + bitsPerExtent, disk.bitmap.bitCount)
            disk.bitmap.setBits(bits)
            count += bits.count
        }
        log(.info, volume, "Marked additional \(count * 4) KB as out-of-sync based on AL.")
    }

    /// Every block of the log says "empty" again. Not before the bitmap is durable; and one half after the other, so that
    /// a write that is cut off leaves a log that can be read.
    private func initialiseActivityLog(_ attach: Attach, _ disk: Disk) {
        let count = Int(disk.geometry.striping.blockCount)
        clearLogBlocks(attach, disk, count / 2..<count) { engine in
            engine.clearLogBlocks(attach, disk, 0..<count / 2) { engine in engine.settleSize(attach, disk) }
        }
    }

    private func clearLogBlocks(
        _ attach: Attach, _ disk: Disk, _ blocks: Range<Int>, _ body: @escaping (ReplicationEngine) -> Void
    ) {
        let byteCount = ActivityLogTransaction.byteCount
        let data = metadataBuffer(byteCount: blocks.count * byteCount)
        for index in 0..<blocks.count {
            ActivityLogTransaction.empty.encode(into: data.part(offset: index * byteCount, count: byteCount).bytes)
        }
        submitMetadata(
            attach.volume, disk, metadataWriteKind(disk),
            sector: disk.geometry.activityLogSector + UInt64(blocks.lowerBound * byteCount / 512), data: data
        ) { engine, errno in
            guard errno == 0 else { return engine.abortWriting(attach, "the activity log") }
            body(engine)
        }
    }

    private func abortWriting(_ attach: Attach, _ what: String) {
        abort(attach, AttachFailure(number: .metadataIOError, info: "writing \(what) failed"))
    }

    // MARK: Size and flags

    /// Steps 10 to 15.
    private func settleSize(_ attach: Attach, _ disk: Disk) {
        let volume = attach.volume
        let wasPrimary = disk.flags.contains(.primaryIndicator)
        let keepsRunning = volume.state.role == .primary && volume.state.suspNod
        disk.isCrashedPrimary = disk.flags.contains(.crashedPrimary) || (wasPrimary && !keepsRunning)
        disk.wasDegraded =
            volume.state.role != .primary && wasPrimary && !disk.flags.contains(.connectedIndicator)
        if attach.options.activityLogUpdates {
            disk.flags.remove(.activityLogDisabled)
        }
        let size = attachedSize(attach, disk.superblock, disk.geometry)
        let isUnknown =
            disk.superblock.flags.contains(.fullSync)
            || (disk.isCrashedPrimary && disk.superblock.flags.contains(.activityLogDisabled))
        let hasGrown = volume.sizeSectors > 0 && size > volume.sizeSectors
        volume.owesGrowthSync = hasGrown && volume.state.conn == .connected
        volume.sizeSectors = size
        if !attach.options.activityLogUpdates { disk.flags.insert(.activityLogDisabled) }
        guard size != disk.superblock.deviceSectors || isUnknown else {
            return conclude(attach, disk)
        }
        log(.info, volume, "size = \(size / 2048) MB (\(size / 2) KB)")
        disk.superblock.deviceSectors = size
        rewriteBitmap(volume, changesSize: true) { bitmap in
            if bitmap.sectorCount != size { bitmap.resize(sectors: size, settingNewBits: true) }
            if isUnknown { bitmap.setAll() }
        } _: { engine, isSuccess in
            guard isSuccess, !disk.isAbandoned else { return engine.abortWriting(attach, "the bitmap") }
            engine.conclude(attach, disk)
        }
    }

    /// Steps 15 to 18.
    private func conclude(_ attach: Attach, _ disk: Disk) {
        let volume = attach.volume
        guard volume.state.conn != .wfReportParams || volumes.contains(where: { $0.state.conn >= .connected }) else {
            // Whether the disk negotiates is known when the handshake is over.
            let count = stateChangeCount
            when({ $0.stateChangeCount != count }) { engine in engine.conclude(attach, disk) }
            return
        }
        if disk.bitmap.bitCount > 0, disk.bitmap.setBitCount == disk.bitmap.bitCount,
            volume.state.conn < .connected
        {
            disk.activityLog.isSuspended = true
            log(.info, volume, "Suspended AL updates")
        }
        var found = StateRequest(disk: StateRules.attachedDiskState(disk.flags, fencing: disk.options.fencing))
        if disk.flags.contains(.peerOutdated), volume.state.conn < .connected { found.pdsk = .outdated }
        disk.uuids.setRole(isPrimary: volume.state.role == .primary)
        if volume.exposedUUID == 0 || volume.state.role != .primary { volume.exposedUUID = disk.uuids.current }
        let request: StateRequest
        let isNegotiating = volume.state.conn == .connected
        if isNegotiating {
            disk.negotiatedDisk = found.disk ?? .inconsistent
            disk.negotiatedPeerDisk = found.pdsk ?? volume.state.pdsk
            volume.peerUUIDs = nil
            request = StateRequest(disk: .negotiating)
        } else {
            request = found
        }
        disk.touch()
        if !isNegotiating { beginGenerationAlone(volume, disk, found) }
        // The magic of a running node is on disk before anything is written or announced.
        syncMetadata(volume) { engine in
            guard !disk.isAbandoned, !disk.hasMetadataError, volume.state.disk == .attaching,
                volume.attachCommand == attach.command
            else {
                return engine.abortWriting(attach, "the superblock")
            }
            guard (volume.state.conn == .connected) == isNegotiating else { return engine.conclude(attach, disk) }
            let result = engine.change(volume, request, .soft)
            guard result.isSuccess else {
                engine.abort(
                    attach, AttachFailure(number: .invalidMetadata, info: "the state was refused: \(result.text)"))
                return
            }
            volume.attachCommand = nil
            engine.log(
                .info, volume,
                "attached: \(disk.bitmap.setBitCount * 4) KB (\(disk.bitmap.setBitCount) bits) marked out-of-sync by on "
                    + "disk bit-map.")
            engine.syncMetadata(volume) { engine in engine.finish(attach.command, .success) }
        }
    }

    /// A Primary that gets its disk back without the peer goes on by itself: who comes back must see that it lacks
    /// writes. Deviation: kernels go on in the old generation, and a peer that was Primary meanwhile wins unseen.
    private func beginGenerationAlone(_ volume: Volume, _ disk: Disk, _ found: StateRequest) {
        guard volume.state.role == .primary, volume.state.conn < .connected, found.disk == .upToDate,
            !faults.contains(.forgetNewCurrentUUID)
        else { return }
        if disk.uuids.bitmap == 0 {
            disk.uuids.beginGeneration(random: random.next(), isPrimary: true)
        } else if disk.uuids.isResyncOpen {
            disk.uuids.beginGenerationKeepingBitmap(random: random.next(), isPrimary: true)
        } else {
            return
        }
        volume.exposedUUID = disk.uuids.current
        logGenerations("new current UUID", volume, disk)
    }

    private func readMetadata(
        _ attach: Attach, sector: UInt64, byteCount: Int, _ body: @escaping (ReplicationEngine, IOSlice) -> Void
    ) {
        let data = metadataBuffer(byteCount: byteCount)
        let operation = DiskOperation(
            id: operationID(.metadata, cookie: 0),
            device: BackingDeviceID(volume: attach.volume.number, part: .metadata), kind: .read,
            offset: sector * 512, byteCount: byteCount, data: data)
        submitUnattached(operation, disk: attach.disk) { engine, errno in
            guard errno == 0 else {
                return engine.abort(
                    attach,
                    AttachFailure(number: .metadataIOError, info: "reading sector \(sector) failed, errno \(errno)"))
            }
            body(engine, data)
        }
    }
}
