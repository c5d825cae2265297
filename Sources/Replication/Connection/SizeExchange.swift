internal import DRBDLayout
internal import EngineKit

// P_SIZES: how large the device is that both disks can hold. Spec: drbd-wire 6.3, drbd-disk-and-state 9.

extension ReplicationEngine {
    /// - Parameter flags: those of a packet that this answers.
    func sendSizes(_ volume: Volume, flags: Sizes.Flags = []) {
        guard connection.isLive, let channel = connection.data else { return }
        let disk = volume.state.disk >= .negotiating ? volume.disk : nil
        let requestMax = disk.map { min($0.device.requestSizeMax, connection.dialect.requestByteCountMax) }
        let sizes = Sizes(
            diskSectors: disk?.geometry.usableSectors ?? 0, userSectors: disk?.options.sizeSectors ?? 0,
            currentSectors: volume.sizeSectors,
            requestByteCountMax: UInt32(clamping: requestMax ?? connection.dialect.requestByteCountMax),
            flags: flags, queueLimits: disk.map { queueLimits($0) })
        let features = connection.dialect.features
        appendPacket(.sizes, volume, length: Sizes.byteCount(features: features), to: channel) {
            sizes.encode(into: $0, features: features)
        }
    }

    private func queueLimits(_ disk: Disk) -> QueueLimits {
        QueueLimits(
            physicalBlockSize: UInt32(clamping: disk.device.physicalBlockSize),
            logicalBlockSize: UInt32(clamping: disk.device.logicalBlockSize), alignmentOffset: 0,
            ioMin: UInt32(clamping: disk.device.physicalBlockSize), ioOptimal: 0,
            discardEnabled: true, discardZeroesData: false, writeSameCapable: false)
    }

    /// The size of the replicated device, in sectors. Spec: drbd-disk-and-state 9.1.
    ///
    /// - Parameter peer: usable sectors of the peer's disk, 0 if unknown.
    func deviceSize(own: UInt64, peer: UInt64, lastAgreed: UInt64, configured: UInt64) -> UInt64 {
        var size: UInt64
        if own > 0 && peer > 0 {
            size = min(own, peer)
        } else if lastAgreed > 0 {
            size = lastAgreed
            if own > 0 { size = min(size, own) }
            if peer > 0 { size = min(size, peer) }
        } else {
            size = max(own, peer)
        }
        return configured > 0 && configured <= size ? configured : size
    }

    func receiveSizes(_ sizes: Sizes, _ volume: Volume) -> PacketVerdict {
        volume.peerDiskSectors = sizes.diskSectors
        volume.peerRequestByteCountMax = Int(clamping: max(4096, sizes.requestByteCountMax))
        guard volume.state.disk >= .negotiating, let disk = volume.disk else {
            return receiveSizesDiskless(sizes, volume)
        }
        if sizes.diskSectors > 0 { warnOfDifference(sizes.diskSectors, disk.geometry.usableSectors, volume) }
        var configured = disk.options.sizeSectors
        if volume.state.conn == .wfReportParams {
            let both = [configured, sizes.userSectors].filter { $0 > 0 }
            configured = both.min() ?? 0
        } else {
            configured = sizes.userSectors
        }
        let size = deviceSize(
            own: disk.geometry.usableSectors, peer: sizes.diskSectors, lastAgreed: disk.superblock.deviceSectors,
            configured: configured)
        let isStrict = volume.state.conn < .connected || volume.state.pdsk == .diskless
        if size < volume.sizeSectors, volume.state.disk >= .outdated || volume.state.disk == .negotiating, isStrict {
            log(
                .error, volume,
                "The peer's disk size is too small! (\(size) < \(volume.sizeSectors) sectors)")
            loseConnection(.disconnecting)
            return .done
        }
        disk.options.sizeSectors = configured
        if disk.superblock.peerRequestByteCountMax != sizes.requestByteCountMax {
            disk.superblock.peerRequestByteCountMax = sizes.requestByteCountMax
            disk.touch()
        }
        followSize(size, sizes, volume)
        return .done
    }

    /// Takes the size that both disks can have, answers, and has a range that is new synced.
    private func followSize(_ size: UInt64, _ sizes: Sizes, _ volume: Volume) {
        let isConnected = volume.state.conn > .wfReportParams
        let mustAnswer = isConnected && sizes.currentSectors != size
        guard size != volume.sizeSectors else {
            if mustAnswer { sendSizes(volume, flags: sizes.flags) }
            return
        }
        let hasGrown = isConnected && volume.sizeSectors > 0 && size > volume.sizeSectors
        let isClean = isConnected && sizes.flags.contains(.noResync)
        enqueue(.receiver) { engine in
            let ticket = engine.ticket(.receiver)
            engine.applySize(volume, size, settingNewBits: !isClean) { engine in
                if mustAnswer { engine.sendSizes(volume, flags: sizes.flags) }
                if hasGrown, !isClean { engine.syncNewRange(volume) }
                if hasGrown, isClean {
                    engine.log(.info, volume, "Resync of new storage suppressed with --assume-clean")
                }
                engine.resume(ticket)
            }
            return .waits
        }
    }

    // MARK: Growth

    /// The device grew while connected: the new range is synced without an exchange of bitmaps, since both have set its
    /// bits. With a disk that comes or negotiates it waits for the end of that. Spec: drbd-wire 6.3 item 3,
    /// drbd-disk-and-state 12 step 18.
    func syncNewRange(_ volume: Volume) {
        let state = volume.state
        guard connection.isLive, state.conn == .connected, volume.usableDisk != nil else {
            volume.owesGrowthSync = state.conn == .connected
            return
        }
        guard state.disk == .upToDate, state.pdsk == .upToDate else {
            volume.owesGrowthSync = true
            return
        }
        volume.owesGrowthSync = false
        log(.info, volume, "Resync of new storage after online grow")
        let isSource = state.role == state.peer ? connection.resolvesConflicts : state.role == .primary
        if isSource {
            startResync(volume, asSource: true)
        } else {
            change(volume, StateRequest(conn: .wfSyncUUID), .hard)
        }
    }

    /// Step 18: the disk that was awaited is there. A sync that was decided meanwhile covers the new range.
    func scheduleGrowthSync(_ volume: Volume, _ new: DeviceState) {
        guard volume.owesGrowthSync else { return }
        guard new.conn == .connected else {
            volume.owesGrowthSync = false
            return
        }
        guard new.disk == .upToDate, new.pdsk == .upToDate else { return }
        enqueue(.worker) { engine in
            if volume.owesGrowthSync { engine.syncNewRange(volume) }
            return .done
        }
    }

    private func receiveSizesDiskless(_ sizes: Sizes, _ volume: Volume) -> PacketVerdict {
        let size: UInt64 = [sizes.currentSectors, sizes.userSectors, sizes.diskSectors].first { $0 > 0 } ?? 0
        guard size > 0, size != volume.sizeSectors else { return .done }
        if volume.sizeSectors > 0, sizes.diskSectors == 0 {
            log(
                .warning, volume,
                "Ignored diskless peer device size (peer:\(size) != me:\(volume.sizeSectors) sectors)!")
            return .done
        }
        if size < volume.sizeSectors, volume.state.role == .primary {
            log(
                .error, volume,
                "The peer's device size is too small! (\(size) < \(volume.sizeSectors) sectors); demote me first!")
            loseConnection(.disconnecting)
            return .done
        }
        volume.sizeSectors = size
        return .done
    }

    private func warnOfDifference(_ peer: UInt64, _ own: UInt64, _ volume: Volume) {
        let (smaller, larger) = (min(peer, own), max(peer, own))
        guard smaller < larger - larger / 8 else { return }
        log(.warning, volume, "Considerable difference in lower level device sizes: \(larger)s vs. \(smaller)s")
    }

    /// Gives the device another size: bitmap in core and on disk, superblock. New blocks count as out of sync.
    /// Spec: drbd-disk-and-state 9.3.
    ///
    /// - Parameter settingNewBits: false: what is new counts as equal on both.
    func applySize(
        _ volume: Volume, _ size: UInt64, settingNewBits: Bool, _ body: @escaping (ReplicationEngine) -> Void
    ) {
        guard let disk = volume.disk else {
            volume.sizeSectors = size
            body(self)
            return
        }
        log(.info, volume, "size = \(size / 2048) MB (\(size / 2) KB)")
        volume.holdCount += 1
        volume.sizeSectors = size
        cutVerify(volume)
        disk.superblock.deviceSectors = size
        disk.touch()
        rewriteBitmap(volume, changesSize: true, { $0.resize(sectors: size, settingNewBits: settingNewBits) }) {
            engine, _ in
            volume.holdCount -= 1
            engine.changed()
            body(engine)
        }
    }
}
