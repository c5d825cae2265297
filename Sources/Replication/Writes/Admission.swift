internal import DRBDLayout
internal import EngineKit

// Requests of applications: checks, holding back, splitting, answering.

/// Numbers of POSIX that applications see.
enum Errno {
    static let noSuchDevice: Int32 = 6
    static let io: Int32 = 5
    static let invalid: Int32 = 22
    static let noSpace: Int32 = 28
    static let readOnly: Int32 = 30
    /// EMEDIUMTYPE: read of a Secondary. Spec: drbd-disk-and-state 11.2.
    static let wrongMedium: Int32 = 124
}

extension ReplicationEngine {
    /// Largest discard or zeroing that is sent as one packet: it takes its extents of the activity log at once.
    private static let discardByteCountMax = 16 << 20

    func admit(_ request: ApplicationRequest) {
        guard let volume = volume(request.volume) else {
            actions.append(.complete(request.id, errno: Errno.noSuchDevice))
            return
        }
        if let errno = refusal(of: request, volume) {
            actions.append(.complete(request.id, errno: errno))
            return
        }
        if isHeld(volume) || !volume.heldRequests.isEmpty {
            volume.heldRequests.append(request)
            hasWaitingRequests = true
            return
        }
        start(request, volume)
    }

    /// Why a request is not taken at all.
    private func refusal(of request: ApplicationRequest, _ volume: Volume) -> Int32? {
        guard volume.state.role == .primary else {
            return request.kind == .read ? Errno.wrongMedium : Errno.readOnly
        }
        if request.kind == .flush { return nil }
        guard request.byteCount >= 0, request.byteCount % 512 == 0 else { return Errno.invalid }
        let sectors = UInt64(request.byteCount / 512)
        guard sectors <= volume.sizeSectors, request.sector <= volume.sizeSectors - sectors else {
            return request.kind == .read ? Errno.io : Errno.noSpace
        }
        switch request.kind {
        case .read, .write: return request.data?.count == request.byteCount ? nil : Errno.invalid
        case .flush, .discard, .writeZeroes: return nil
        }
    }

    /// Whether no request may start now: I/O is suspended, the states are about to change, or the engine needs quiet.
    func isHeld(_ volume: Volume) -> Bool {
        if volume.state.isSuspended || volume.holdCount > 0 { return true }
        switch volume.state.conn {
        case .wfBitMapT, .wfSyncUUID: return true
        default: break
        }
        return volume.state.disk == .attaching || volume.state.disk == .negotiating
    }

    /// Retries whatever may have become possible; called when something changed.
    func retryWaitingRequests() {
        guard hasWaitingRequests else { return }
        hasWaitingRequests = false
        for volume in volumes {
            if !isHeld(volume), !volume.heldStarts.isEmpty {
                for index in volume.heldStarts.removeAll() { startWrite(index) }
            }
            while !isHeld(volume), let request = volume.heldRequests.popFirst() {
                if let errno = refusal(of: request, volume) {
                    actions.append(.complete(request.id, errno: errno))
                } else {
                    start(request, volume)
                }
            }
            retryHeldReads(volume)
            retryExtentWaiters(volume)
            retryLockWaiters(volume)
            if volume.hasWaitingRequests { hasWaitingRequests = true }
        }
        retryWaitingReads()
        if !waitingReads.isEmpty { hasWaitingRequests = true }
    }

    private func start(_ request: ApplicationRequest, _ volume: Volume) {
        volume.counters.applicationPending += 1
        if request.kind == .flush {
            startFlush(request, volume)
            return
        }
        let master = masters.insert(MasterRequest(id: request.id, volume: volume, partsLeft: 0))
        guard request.byteCount > 0 else {
            finishMaster(master)
            return
        }
        let limit = partByteCountMax(of: request.kind, volume)
        guard request.byteCount > limit else {
            masters[master].partsLeft = 1
            startPart(request, volume, master: master, offset: 0, byteCount: request.byteCount)
            return
        }
        // Parts end at multiples of the limit on the device, so that they cross as few extents as possible.
        var bounds: [(offset: Int, byteCount: Int)] = []
        var offset = 0
        while offset < request.byteCount {
            let place = Int(request.sector % UInt64(limit / 512)) * 512 + offset
            let count = min(request.byteCount - offset, limit - place % limit)
            bounds.append((offset, count))
            offset += count
        }
        masters[master].partsLeft = bounds.count
        for part in bounds {
            startPart(request, volume, master: master, offset: part.offset, byteCount: part.byteCount)
        }
    }

    private func partByteCountMax(of kind: ApplicationRequest.Kind, _ volume: Volume) -> Int {
        switch kind {
        case .read, .write, .flush:
            var limit = 1 << 20
            if connection.isLive { limit = min(limit, max(4096, volume.peerRequestByteCountMax & ~4095)) }
            if let disk = volume.disk { limit = min(limit, max(4096, disk.device.requestSizeMax & ~4095)) }
            return limit
        case .discard: return zeroedByteCountMax(.discard)
        case .writeZeroes: return zeroedByteCountMax(.writeZeroes)
        }
    }

    /// Largest discard or zeroing that one packet may say. Spec: drbd-wire 12.1, 16.
    private func zeroedByteCountMax(_ kind: LocalRequest.Kind) -> Int {
        guard connection.isLive else { return Self.discardByteCountMax }
        let limit = min(Self.discardByteCountMax, connection.dialect.discardByteCountMax)
        // Without P_ZEROES it is a packet of data.
        let isData = kind == .writeZeroes && !connection.dialect.features.contains(.writeZeroes)
        return isData ? min(limit, connection.dialect.requestByteCountMax) : limit
    }

    /// Whether a part was cut for another peer, or for none.
    func isTooLongForPeer(_ index: Int) -> Bool {
        let kind = requests[index].kind
        guard connection.isLive, kind == .discard || kind == .writeZeroes else { return false }
        return requests[index].byteCount > zeroedByteCountMax(kind)
    }

    /// Replaces a part that has not begun by shorter ones.
    func cutAgain(_ index: Int) {
        let request = requests[index]
        let limit = zeroedByteCountMax(request.kind)
        requests.remove(index)
        if request.flags.contains(.inActivityLog) {
            endInActivityLog(request.volume, sector: request.sector, byteCount: request.byteCount)
        }
        masters[request.master].partsLeft += (request.byteCount + limit - 1) / limit - 1
        for offset in stride(from: 0, to: request.byteCount, by: limit) {
            let (sector, byteCount) = (
                request.sector + UInt64(offset / 512), min(limit, request.byteCount - offset)
            )
            let part = requests.insert(
                LocalRequest(
                    master: request.master, volume: request.volume, kind: request.kind,
                    flags: request.flags.intersection([.forceUnitAccess, .mayUnmap]), sector: sector,
                    byteCount: byteCount, data: nil))
            beginInActivityLog(.request, part, request.volume, sector: sector, byteCount: byteCount)
        }
    }

    private func startPart(
        _ request: ApplicationRequest, _ volume: Volume, master: Int, offset: Int, byteCount: Int
    ) {
        var flags: LocalRequest.Flags = []
        let kind: LocalRequest.Kind
        switch request.kind {
        case .read: kind = .read
        case .write(let forceUnitAccess):
            kind = .write
            if forceUnitAccess { flags.insert(.forceUnitAccess) }
        case .discard: kind = .discard
        case .writeZeroes(let mayUnmap):
            kind = .writeZeroes
            if mayUnmap { flags.insert(.mayUnmap) }
        case .flush: preconditionFailure("a flush has no parts")
        }
        let sector = request.sector + UInt64(offset / 512)
        let index = requests.insert(
            LocalRequest(
                master: master, volume: volume, kind: kind, flags: flags, sector: sector, byteCount: byteCount,
                data: request.data?.part(offset: offset, count: byteCount)))
        if kind == .read {
            startRead(index)
        } else {
            beginInActivityLog(.request, index, volume, sector: sector, byteCount: byteCount)
        }
    }

    // MARK: Answers

    /// One part is done.
    func answerPart(ofMaster master: Int, errno: Int32) {
        if errno != 0 { masters[master].errno = errno }
        masters[master].partsLeft -= 1
        if masters[master].partsLeft == 0 { finishMaster(master) }
    }

    private func finishMaster(_ master: Int) {
        let request = masters[master]
        masters.remove(master)
        complete(request.id, request.volume, errno: request.errno)
    }

    /// Answers the application, or keeps the answer while I/O is suspended. Spec: drbd-wire 21.3.
    func complete(_ id: RequestID, _ volume: Volume, errno: Int32) {
        volume.counters.applicationPending -= 1
        if volume.state.isSuspended {
            heldCompletions.append((id, errno: errno))
        } else {
            actions.append(.complete(id, errno: errno))
        }
    }

    func releaseHeldCompletions() {
        for (id, errno) in heldCompletions { actions.append(.complete(id, errno: errno)) }
        heldCompletions.removeAll()
        changed()
    }

    // MARK: Openers

    func opened(_ number: VolumeNumber) {
        volume(number)?.openCount += 1
    }

    func closed(_ number: VolumeNumber) {
        guard let volume = volume(number), volume.openCount > 0 else { return }
        volume.openCount -= 1
        changed()
    }
}
