internal import DRBDLayout
internal import EngineKit
internal import LayoutKit

// P_PROTOCOL, P_SYNC_PARAM89, P_UUIDS: what the two nodes tell each other of their settings and data. P_SIZES is in
// Sizes.swift. Spec: drbd-wire 6.

extension ReplicationEngine {
    // MARK: P_PROTOCOL and P_PROTOCOL_UPDATE

    func sendProtocol(_ command: PacketCommand) {
        guard let network = connection.network, let channel = connection.data else { return }
        var flags: ProtocolSettings.Flags = []
        if connection.once.discardMyData { flags.insert(.discardMyData) }
        if connection.once.tentative { flags.insert(.dryRun) }
        let settings = ProtocolSettings(
            wireProtocol: network.wireProtocol.rawValue,
            afterSplitBrain0Primaries: network.afterSplitBrain0Primaries.rawValue,
            afterSplitBrain1Primary: network.afterSplitBrain1Primary.rawValue,
            afterSplitBrain2Primaries: network.afterSplitBrain2Primaries.rawValue, flags: flags,
            allowTwoPrimaries: network.allowTwoPrimaries)
        let version = connection.dialect.version
        appendPacket(command, nil, length: settings.byteCount(version: version), to: channel) {
            settings.encode(into: $0, version: version)
        }
    }

    /// While connecting everything must agree; what does not sends this node to StandAlone.
    func receiveProtocol(_ settings: ProtocolSettings) -> PacketVerdict {
        guard let network = connection.network else { return .done }
        connection.peerWantsDryRun = settings.flags.contains(.dryRun)
        let differing = mismatch(network, settings)
        if let differing {
            log(.error, "incompatible \(differing) settings")
        } else if settings.flags.contains(.discardMyData) && connection.once.discardMyData {
            log(.error, "incompatible discard-my-data settings: it is set on both nodes")
        } else {
            return .done
        }
        loseConnection(.disconnecting)
        return .done
    }

    private func mismatch(_ network: NetworkOptions, _ settings: ProtocolSettings) -> String? {
        func differs(_ own: NetworkOptions.SplitBrainPolicy, _ peer: UInt32) -> Bool {
            ProtocolSettings.mirroredPolicy(peer) != own.rawValue
        }
        if settings.wireProtocol != network.wireProtocol.rawValue { return "protocol" }
        if differs(network.afterSplitBrain0Primaries, settings.afterSplitBrain0Primaries) { return "after-sb-0pri" }
        if differs(network.afterSplitBrain1Primary, settings.afterSplitBrain1Primary) { return "after-sb-1pri" }
        if differs(network.afterSplitBrain2Primaries, settings.afterSplitBrain2Primaries) { return "after-sb-2pri" }
        if settings.allowTwoPrimaries != network.allowTwoPrimaries { return "allow-two-primaries" }
        if !settings.integrityAlgorithm.isEmpty { return "data-integrity-alg" }
        return nil
    }

    /// The peer changed its options on the live connection: they are taken over. Spec: drbd-wire 6.1.
    func receiveProtocolUpdate(_ settings: ProtocolSettings) -> PacketVerdict {
        guard settings.integrityAlgorithm.isEmpty else {
            return .violation("data-integrity-alg \(settings.integrityAlgorithm) is not served, none expected")
        }
        guard var network = connection.network,
            let wireProtocol = NetworkOptions.WireProtocol(rawValue: settings.wireProtocol)
        else { return .violation("wire protocol \(settings.wireProtocol), expected 1 to 3") }
        func policy(_ code: UInt32) -> NetworkOptions.SplitBrainPolicy? {
            NetworkOptions.SplitBrainPolicy(rawValue: ProtocolSettings.mirroredPolicy(code))
        }
        guard let none = policy(settings.afterSplitBrain0Primaries),
            let one = policy(settings.afterSplitBrain1Primary), let two = policy(settings.afterSplitBrain2Primaries)
        else { return .violation("after-split-brain policy out of range, expected 0 to 10") }
        network.wireProtocol = wireProtocol
        network.afterSplitBrain0Primaries = none
        network.afterSplitBrain1Primary = one
        network.afterSplitBrain2Primaries = two
        network.allowTwoPrimaries = settings.allowTwoPrimaries
        connection.network = network
        return .done
    }

    // MARK: P_SYNC_PARAM89

    func sendSyncParameters(_ volume: Volume) {
        guard let channel = connection.data else { return }
        let options = volume.disk?.options ?? DiskOptions()
        let parameters = SyncParameters(
            resyncRate: UInt32(clamping: options.resyncRate),
            verifyAlgorithm: connection.network?.verifyAlgorithm?.rawValue ?? "", checksumAlgorithm: "",
            controller: .init(
                planAhead: UInt32(clamping: options.planAhead), delayTarget: UInt32(clamping: options.delayTarget),
                fillTarget: UInt32(clamping: options.fillTarget), rateMax: UInt32(clamping: options.rateMax)))
        let version = connection.dialect.version
        appendPacket(
            SyncParameters.command(version: version), volume, length: parameters.byteCount(version: version),
            to: channel
        ) { parameters.encode(into: $0, version: version) }
    }

    /// The first one must name the same algorithms; rates are always taken over: the last sender wins on both.
    func receiveSyncParameters(_ parameters: SyncParameters, _ volume: Volume) -> PacketVerdict {
        let own = connection.network?.verifyAlgorithm?.rawValue ?? ""
        if volume.isNewToConnection {
            volume.isNewToConnection = false
            sendParameters(volume)
        }
        if volume.state.conn == .wfReportParams {
            if parameters.verifyAlgorithm != own {
                log(
                    .error, volume,
                    "Different verify-alg settings. me=\"\(own)\" peer=\"\(parameters.verifyAlgorithm)\"")
                loseConnection(.disconnecting)
                return .done
            }
            if !parameters.checksumAlgorithm.isEmpty {
                log(
                    .error, volume,
                    "Different csums-alg settings. me=\"\" peer=\"\(parameters.checksumAlgorithm)\"")
                loseConnection(.disconnecting)
                return .done
            }
        } else if parameters.verifyAlgorithm != own {
            if let algorithm = DigestAlgorithm(rawValue: parameters.verifyAlgorithm) {
                connection.network?.verifyAlgorithm = algorithm
            } else if parameters.verifyAlgorithm.isEmpty {
                connection.network?.verifyAlgorithm = nil
            } else {
                log(.error, volume, "verify-alg \"\(parameters.verifyAlgorithm)\" of the peer is not known here")
                loseConnection(.disconnecting)
                return .done
            }
        }
        guard let disk = volume.disk else { return .done }
        disk.options.resyncRate = Int(parameters.resyncRate)
        if let controller = parameters.controller {
            // Plans are at most 30 s long, as the option's range says.
            disk.options.planAhead = min(300, Int(controller.planAhead))
            disk.options.delayTarget = min(100, Int(controller.delayTarget))
            disk.options.fillTarget = min(1 << 20, Int(controller.fillTarget))
            disk.options.rateMax = min(4 << 20, Int(controller.rateMax))
        }
        return .done
    }

    // MARK: P_UUIDS

    /// Tells the own generations; nothing without a disk.
    func sendUUIDs(_ volume: Volume, _ announced: GenerationUUIDs? = nil, extra: UUIDSet.Flags = []) {
        guard connection.isLive, let disk = volume.disk,
            volume.state.disk >= .negotiating, volume.state.disk != .unknown
        else { return }
        let uuids = announced ?? disk.uuids
        volume.announcedChangedBits = UInt64(disk.bitmap.setBitCount)
        var flags = extra
        if connection.once.discardMyData { flags.insert(.discardMyData) }
        if disk.isCrashedPrimary { flags.insert(.crashedPrimary) }
        let isInconsistent =
            volume.state.disk == .negotiating
            ? disk.negotiatedDisk == .inconsistent : volume.state.disk == .inconsistent
        if isInconsistent { flags.insert(.inconsistent) }
        send(
            .uuids, volume,
            UUIDSet(
                current: uuids.current, bitmap: uuids.bitmap, history0: uuids.history0, history1: uuids.history1,
                setBits: volume.announcedChangedBits, flags: flags))
    }

    func receiveUUIDs(_ set: UUIDSet, _ volume: Volume) -> PacketVerdict {
        volume.peerUUIDs = GenerationUUIDs(set)
        volume.peerChangedBits = set.setBits
        volume.peerUUIDFlags = set.flags
        let state = volume.state
        let isNewToPeer = state.conn < .connected || state.pdsk == .diskless
        if isNewToPeer, state.disk < .inconsistent, state.role == .primary,
            !GenerationUUIDs.areEqual(volume.exposedUUID, set.current)
        {
            log(
                .error, volume, "Can only connect to data with current UUID=\(hexadecimal(volume.exposedUUID))")
            loseConnection(.disconnecting)
            return .done
        }
        if let disk = volume.usableDisk {
            let isDeclaredEqual =
                state.conn == .connected && set.flags.contains(.skipInitialSync)
                && disk.uuids.current == GenerationUUIDs.justCreated
            if isDeclaredEqual { acceptDeclaredEqual(set, volume) }
        } else if state.role == .primary, state.disk < .inconsistent, state.pdsk == .upToDate {
            // The data that a Primary without a disk works on is the peer's.
            volume.exposedUUID = set.current
        }
        return .done
    }

    /// `new-current-uuid --clear-bitmap` on the peer: both disks are equal by declaration. Spec: drbd-wire 6.4.
    private func acceptDeclaredEqual(_ set: UUIDSet, _ volume: Volume) {
        log(.info, volume, "Accepted new current UUID, preparing to skip initial sync")
        volume.holdCount += 1
        enqueue(.receiver) { engine in
            guard let disk = volume.usableDisk else { return .done }
            let ticket = engine.ticket(.receiver)
            disk.uuids.skipInitialSync(peerCurrent: set.current, isPrimary: volume.state.role == .primary)
            volume.exposedUUID = disk.uuids.current
            disk.touch()
            engine.rewriteBitmap(volume, { $0.clearAll() }) { engine, isSuccess in
                volume.holdCount -= 1
                if isSuccess {
                    disk.activityLog.isSuspended = false
                    engine.change(volume, StateRequest(disk: .upToDate, pdsk: .upToDate), .hard)
                }
                engine.resume(ticket)
            }
            return .waits
        }
    }

    // MARK: P_STATE, P_SYNC_UUID

    func sendState(_ volume: Volume, _ state: DeviceState) {
        guard connection.isLive else { return }
        send(.state, volume, StateWord(state: state))
    }

    func sendSyncUUID(_ volume: Volume, _ uuid: UInt64) {
        guard connection.isLive else { return }
        send(.syncUUID, volume, SyncUUID(uuid: uuid))
    }
}
